"""Who a visitor is: only what we signed, or what the host site signed, and only while it lasts."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import jwt
import pytest

from bot.errors import NotAllowed
from bot.texts import languages_of, match_any
from channels.web.sessions import (
    LIFETIME,
    from_token,
    new_session,
    renewed,
    signing_key,
    to_token,
    vouched_for,
    zone_of,
)
from tests.support.rooms import NOON

SECRET = "the house's secret, which is long enough"
SITE = "the host site's secret, which is long enough"
NOW = NOON.timestamp()


def forged(key: str = SECRET, algorithm: str = "HS256", *, without: str = "", **more: Any) -> str:
    claims = {"sub": "v:1", "jti": "j", "aud": "stafett-web", "iat": NOW, "exp": NOW + 1_000, **more}
    claims.pop(without, None)
    return jwt.encode(claims, signing_key(key, "web session"), algorithm=algorithm)


def unsigned(**more: Any) -> str:
    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    claims = {"sub": "v:1", "jti": "j", "aud": "stafett-web", "iat": NOW, "exp": NOW + 1_000, **more}
    return f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(claims)}."


def cut(token: str) -> str:
    head, body, _ = token.split(".")
    return f"{head}.{body}."


def tampered(token: str) -> str:
    head, body, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    other = base64.urlsafe_b64encode(json.dumps({**claims, "sub": "v:2"}).encode()).rstrip(b"=").decode()
    return f"{head}.{other}.{signature}"


GOOD = to_token(new_session(NOON), SECRET)
FORGERIES = {
    "nothing": "",
    "noise": "abc",
    "three dots": "...",
    "not ascii": "שלום.שלום.שלום",
    "NUL": "a\x00b.c.d",
    "alg none": unsigned(),
    "alg none, ours but unsigned": cut(GOOD),
    "another key": forged("somebody else's secret"),
    "the secret itself as key": jwt.encode({"sub": "v:1", "aud": "stafett-web", "iat": NOW, "exp": NOW + 9}, SECRET),
    "another algorithm": forged(algorithm="HS512"),
    "another audience": forged(aud="stafett"),
    "no audience": forged(without="aud"),
    "expired": forged(exp=NOW - 1),
    "expires just now": forged(exp=NOW),
    "no exp": forged(without="exp"),
    "no iat": forged(without="iat"),
    "no sub": forged(without="sub"),
    "exp as text": forged(exp="tomorrow"),
    "exp without end": forged(exp=float("inf")),
    "exp that is no number": forged(exp=float("nan")),
    "exp beyond the calendar": forged(exp=1e30),
    "sub as number": forged(sub=7),
    "tampered with": tampered(GOOD),
}


@pytest.mark.parametrize("token", FORGERIES.values(), ids=FORGERIES)
def test_no_forgery_is_a_session(token: str) -> None:
    with pytest.raises(NotAllowed):
        from_token(token, SECRET, NOON)


def test_what_we_signed_is_a_session_to_its_last_second() -> None:
    session = new_session(NOON, "nb", name="Kari")
    token = to_token(session, SECRET)
    assert from_token(token, SECRET, NOON) == session
    assert from_token(token, SECRET, NOON + LIFETIME - timedelta(seconds=1)) == session
    with pytest.raises(NotAllowed):
        from_token(token, SECRET, NOON + LIFETIME)


def test_visitors_are_unguessable_and_a_session_is_renewed_in_time() -> None:
    assert len({new_session(NOON).visitor for _ in range(100)}) == 100
    assert len(new_session(NOON).visitor) >= 2 + 22  # 128 bits
    young = new_session(NOON)
    assert renewed(young, NOON + timedelta(days=6), "").expires_at == young.expires_at
    old = renewed(young, NOON + timedelta(days=8), "nl")
    assert (old.expires_at, old.visitor, old.id, old.locale) == (
        NOON + timedelta(days=8) + LIFETIME,
        young.visitor,
        young.id,
        "nl",
    )


# ── the host site's word ───────────────────────────────────────────────────────────────────────────────────────────
def identity(key: str = SITE, algorithm: str = "HS256", *, without: str = "", **more: Any) -> str:
    claims = {"sub": "customer-7", "aud": "stafett", "iat": NOW, "exp": NOW + 300, "name": "Kari", **more}
    claims.pop(without, None)
    return jwt.encode(claims, key, algorithm=algorithm)


def test_the_host_site_may_vouch() -> None:
    assert vouched_for(identity(email="k@example.com"), SITE, NOON) == {
        "sub": "customer-7",
        "name": "Kari",
        "email": "k@example.com",
    }
    assert vouched_for(identity(aud=["x", "stafett"]), SITE, NOON)["sub"] == "customer-7"
    assert vouched_for(identity(exp=NOW - 59), SITE, NOON)["sub"] == "customer-7"
    assert vouched_for(identity(name="a\x00\n\u202eb"), SITE, NOON)["name"].isprintable()


UNVOUCHED = {
    "another key": identity("another site's secret, just as long"),
    "alg none": unsigned(aud="stafett"),
    "another algorithm": identity(SITE * 2, algorithm="HS384"),
    "our own session": GOOD,
    "another audience": identity(aud="stafett-web"),
    "no audience": identity(without="aud"),
    "no exp": identity(without="exp"),
    "no iat": identity(without="iat"),
    "no sub": identity(without="sub"),
    "empty sub": identity(sub=""),
    "sub with NUL": identity(sub="a\x00"),
    "long sub": identity(sub="x" * 201),
    "sub as list": identity(sub=["a"]),
    "replayed after its end": identity(exp=NOW - 61),
    "from the future": identity(iat=NOW + 61, exp=NOW + 500),
    "not yet": identity(nbf=NOW + 61),
    "without end": identity(exp=float("inf")),
    "a name that is no text": identity(name={"a": 1}),
    "an e-mail that is no text": identity(email=[1]),
}


@pytest.mark.parametrize("token", UNVOUCHED.values(), ids=UNVOUCHED)
def test_nothing_else_makes_a_visitor_somebody(token: str) -> None:
    with pytest.raises(NotAllowed):
        vouched_for(token, SITE, NOON)


@pytest.mark.parametrize("secret", [None, ""])
def test_without_a_secret_nobody_can_be_vouched_for(secret: str | None) -> None:
    for key in ("", SITE):
        with pytest.raises(NotAllowed, match="STAFETT_WEB_IDENTITY_SECRET"):
            vouched_for(unsigned(aud="stafett") if not key else identity(key), secret, NOON)


@pytest.mark.parametrize(
    ("told", "zone"),
    [
        ("Europe/Oslo", "Europe/Oslo"),
        ("Asia/Jerusalem", "Asia/Jerusalem"),
        ("UTC", "UTC"),
        ("Mars/Olympus", ""),
        ("../../etc/passwd", ""),
        ("/etc/localtime", ""),
        ("x" * 65, ""),
        ("Europe", ""),
        ("a\x00b", ""),
        (7, ""),
        (None, ""),
        ("", ""),
    ],
)
def test_only_a_time_zone_counts_as_one(told: object, zone: str) -> None:
    assert zone_of(told) == zone


def test_a_session_keeps_it_and_gives_it_to_the_conversation() -> None:
    session = replace(new_session(NOON), zone="Europe/Oslo")
    again = from_token(to_token(session, SECRET), SECRET, NOON)
    assert again.sender().attributes == {"time_zone": "Europe/Oslo"}
    assert new_session(NOON).sender().attributes == {}


@pytest.mark.parametrize(
    ("header", "locale"),
    [
        ("nl-BE,nl;q=0.9,en;q=0.8", "nl"),
        ("fr, nl;q=0.5", "nl"),
        ("fr;q=0.2, en;q=0.4, he;q=0.9", "he"),
        ("no", "nb"),
        ("iw-IL", "he"),
        ("en;q=0, nb;q=0.1", "nb"),
        ("de", "en"),
        ("*", "en"),
        ("nl;q=much, he", "he"),
        ("", "en"),
    ],
)
def test_a_browser_is_answered_in_the_most_welcome_language_that_there_is(header: str, locale: str) -> None:
    assert match_any(languages_of(header), ["en", "nl", "nb", "he"]) == locale
