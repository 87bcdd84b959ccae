"""Who is an agent here. A session is a signed cookie; a one-time link opens one; the demo agent needs neither.

The demo agent exists for a newcomer at their own machine, and nowhere else: only with the built-in desk, bound on
loopback, asked for under a loopback name by a loopback peer, with no sign of a proxy in between. A session of theirs is
good only while all of that still holds.

What the browser is asked on every change: that the request comes from our own page (Origin, Sec-Fetch-Site) and carries
the session's token in a header, which no other site can read or send.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import jwt

from bot.errors import NotAllowed, NotFound
from bot.settings import LOOPBACK, origin_of
from bot.storage.tx import Tx
from channels.web.sessions import signing_key
from handoff import terms
from handoff.web import store

AUDIENCE = "stafett-desk"
LIFETIME = timedelta(days=7)
RENEW_AFTER = timedelta(days=1)
LINK_LIFETIME = timedelta(hours=24)
DEMO_HOSTS = {"localhost", "127.0.0.1"}
FORWARDED = ("forwarded", "via", "x-real-ip")  # and whatever begins with x-forwarded-
CSRF_HEADER = "x-stafett-csrf"


@dataclass(frozen=True, slots=True)
class AgentSession:
    """`demo`: signed in by itself."""

    agent_id: str
    id: str
    issued_at: datetime
    expires_at: datetime
    demo: bool = False


# ── sessions ───────────────────────────────────────────────────────────────────────────────────────────────────────
def new_session(agent_id: str, now: datetime, *, demo: bool = False) -> AgentSession:
    return AgentSession(agent_id, secrets.token_urlsafe(16), now, now + LIFETIME, demo)


def to_token(session: AgentSession, secret: str) -> str:
    claims = {
        "sub": session.agent_id,
        "jti": session.id,
        "aud": AUDIENCE,
        "iat": session.issued_at.timestamp(),
        "exp": int(session.expires_at.timestamp()),
        "demo": session.demo,
    }
    return jwt.encode(claims, signing_key(secret, "desk"), algorithm="HS256")


def from_token(token: str, secret: str, now: datetime) -> AgentSession:
    """The session of a cookie that we signed. Raises NotAllowed for any other, and for one that has ended."""
    try:
        # The time is checked below, against the house's clock; the algorithm is never the token's choice.
        claims = jwt.decode(
            token,
            signing_key(secret, "desk"),
            algorithms=["HS256"],
            audience=AUDIENCE,
            options={"require": ["sub", "jti", "iat", "exp"], "verify_exp": False, "verify_iat": False},
        )
        session = AgentSession(
            str(claims["sub"]),
            str(claims["jti"]),
            datetime.fromtimestamp(claims["iat"], UTC),
            datetime.fromtimestamp(claims["exp"], UTC),
            claims.get("demo") is True,
        )
    except (jwt.InvalidTokenError, ValueError, TypeError, OverflowError, OSError) as error:
        raise NotAllowed("the session is not valid") from error
    if session.expires_at <= now:
        raise NotAllowed("the session has ended")
    return session


def csrf_token(session: AgentSession, secret: str) -> str:
    return hmac.new(signing_key(secret, "desk csrf").encode(), session.id.encode(), hashlib.sha256).hexdigest()


def cookie_name(url: str) -> str:
    """`__Host-` on https; on plain loopback a name with the port, for cookies of one host are shared by all its ports."""
    parts = urlsplit(url)
    return "__Host-stafett_desk" if parts.scheme == "https" else f"stafett_desk_{parts.port or 80}"


# ── the demo agent ─────────────────────────────────────────────────────────────────────────────────────────────────
def signs_in_by_itself(desk: Any, *, on_loopback: bool, peer: str | None, headers: Mapping[str, str]) -> bool:
    """Whether this request comes from the newcomer at their own machine. `headers` by lower-case name."""
    return (
        bool(getattr(desk, "is_builtin", False))
        and on_loopback
        and peer in LOOPBACK
        and _host(headers.get("host", "")) in DEMO_HOSTS
        and not any(name in FORWARDED or name.startswith("x-forwarded") for name in headers)
    )


def demo_agent(desk: Any) -> str | None:
    listed = terms.listed_agents(desk)
    return str(listed[0].id) if listed else None


def _host(netloc: str) -> str | None:
    try:
        parts = urlsplit(f"//{netloc}")
        _ = parts.port  # raises for what is no port
    except ValueError:
        return None
    return parts.hostname if parts.username is None and not parts.path else None


# ── requests that change something ─────────────────────────────────────────────────────────────────────────────────
def from_our_page(headers: Mapping[str, str], url: str) -> bool:
    """Whether a browser sent this from a page of ours: of the public URL, or of the very host that was asked."""
    if headers.get("sec-fetch-site", "same-origin") != "same-origin":
        return False
    origin = headers.get("origin")
    if origin is None:
        return "sec-fetch-site" in headers
    host = headers.get("host", "")
    return origin == origin_of(url) or (bool(host) and origin in {f"http://{host}", f"https://{host}"})


def has_csrf(headers: Mapping[str, str], session: AgentSession, secret: str) -> bool:
    return hmac.compare_digest(headers.get(CSRF_HEADER, "").encode(), csrf_token(session, secret).encode())


# ── one-time links ─────────────────────────────────────────────────────────────────────────────────────────────────
def invite(tx: Tx, agent_id: str, lifetime: timedelta = LINK_LIFETIME) -> str:
    """A token for `/desk/join?token=…`, good once and for so long. Raises NotFound for whoever is not in desk.yaml."""
    known = [str(one.id) for one in terms.listed_agents(tx.wiring.desk())]
    if agent_id not in known:
        raise NotFound(f"desk.yaml lists no agent {agent_id}; it has {', '.join(known) or 'none'}")
    token = secrets.token_urlsafe(32)
    store.add_invitation(tx, token, agent_id, tx.now + lifetime)
    return token


def accept(tx: Tx, token: str) -> AgentSession:
    """Use a link up. Raises NotFound: unknown, used, too old, or of somebody who is no longer in desk.yaml."""
    agent_id = store.use_invitation(tx, token)
    if agent_id is None or all(one.id != agent_id for one in terms.listed_agents(tx.wiring.desk())):
        raise NotFound("this link does not work (any more)")
    return new_session(agent_id, tx.now)
