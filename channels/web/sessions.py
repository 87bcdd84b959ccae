"""Who a visitor is. A session is a token signed by us (HS256); nothing is stored until the first message.

The host site may vouch for its visitors with an identity token of its own (HS256; `sub`, `aud` = stafett, `iat` and `exp`
required): then, and only then, a visitor is somebody. At that moment the session gets a new token and the old one is dead.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import jwt

from bot.errors import NotAllowed
from bot.model import Sender
from channels import text

AUDIENCE = "stafett-web"
LIFETIME = timedelta(days=180)
RENEW_AFTER = timedelta(days=7)
SKEW = 60  # seconds of clock skew that a host site is allowed
LONGEST_ZONE = 64  # characters
LATEST = 253_402_300_800  # the year 10000, where Python's calendar ends; neither infinity nor NaN is less


@dataclass(frozen=True, slots=True)
class Session:
    """`visitor` is the identity's external id: `v:<random>`, or `u:<sub>` when the host site vouched for it."""

    visitor: str
    id: str
    issued_at: datetime
    expires_at: datetime
    locale: str = ""
    name: str = ""
    email: str = ""
    zone: str = ""  # of the browser: an IANA name

    @property
    def signed(self) -> bool:
        return self.visitor.startswith("u:")

    def sender(self) -> Sender:
        return Sender(
            channel="web",
            external_id=self.visitor,
            address=self.visitor,
            name=self.name,
            locale=self.locale,
            evidence="signed" if self.signed else "anonymous",
            attributes={
                **({"email": self.email} if self.email else {}),
                **({"time_zone": self.zone} if self.zone else {}),
            },
        )


def new_session(
    now: datetime, locale: str = "", visitor: str | None = None, name: str = "", email: str = ""
) -> Session:
    return Session(
        visitor=visitor or f"v:{secrets.token_urlsafe(16)}",
        id=secrets.token_urlsafe(16),
        issued_at=now,
        expires_at=now + LIFETIME,
        locale=locale,
        name=name,
        email=email,
    )


def renewed(session: Session, now: datetime, locale: str) -> Session:
    """The same session; its life begins anew when it is older than RENEW_AFTER."""
    if now - session.issued_at > RENEW_AFTER:
        session = replace(session, issued_at=now, expires_at=now + LIFETIME)
    return replace(session, locale=locale or session.locale)


def to_token(session: Session, secret: str) -> str:
    claims = {
        "sub": session.visitor,
        "jti": session.id,
        "aud": AUDIENCE,
        "iat": session.issued_at.timestamp(),
        "exp": int(session.expires_at.timestamp()),
        "locale": session.locale,
        "name": session.name,
        "email": session.email,
        "zone": session.zone,
    }
    return jwt.encode(claims, signing_key(secret, "web session"), algorithm="HS256")


def from_token(token: str, secret: str, now: datetime) -> Session:
    """The session of a token that we signed. Raises NotAllowed for any other, and for one that has ended."""
    claims = _decode(token, signing_key(secret, "web session"), AUDIENCE)
    if claims["exp"] <= now.timestamp():
        msg = "this session has ended"
        raise NotAllowed(msg)
    return Session(
        visitor=str(claims["sub"]),
        id=str(claims.get("jti", "")),
        issued_at=datetime.fromtimestamp(claims["iat"], UTC),
        expires_at=datetime.fromtimestamp(claims["exp"], UTC),
        locale=str(claims.get("locale", "")),
        name=str(claims.get("name", "")),
        email=str(claims.get("email", "")),
        zone=str(claims.get("zone", "")),
    )


def zone_of(told: object) -> str:
    """The time zone that a browser tells, if it is one; else ""."""
    if not isinstance(told, str) or not 0 < len(told) <= LONGEST_ZONE:
        return ""
    try:
        return ZoneInfo(told).key
    except (ValueError, LookupError, OSError):
        return ""


def vouched_for(identity: str, secret: str | None, now: datetime) -> dict[str, str]:
    """What the host site says of its visitor: {"sub", "name", "email"}. Raises NotAllowed, closed by default."""
    if not secret:
        msg = "identity tokens are off: set STAFETT_WEB_IDENTITY_SECRET"
        raise NotAllowed(msg)
    claims = _decode(identity, secret, "stafett")
    begins = max(claims["iat"], claims.get("nbf", 0))
    if claims["exp"] <= now.timestamp() - SKEW or begins > now.timestamp() + SKEW:
        msg = "the identity token is not valid at this time"
        raise NotAllowed(msg)
    subject = claims["sub"]
    if not isinstance(subject, str) or not 1 <= len(subject) <= 200 or text.clean(subject) != subject:
        msg = "the identity token has no usable sub"
        raise NotAllowed(msg)
    told = [claims.get(label) or "" for label in ("name", "email")]
    if not all(isinstance(one, str) for one in told):
        msg = "the identity token's name and email are texts"
        raise NotAllowed(msg)
    name, email = (text.one_line(one)[:200] for one in told)
    return {"sub": subject, "name": name, "email": email}


def _decode(token: str, key: str, audience: str) -> dict[str, Any]:
    try:
        # Times are checked by the callers, against the house's clock; the algorithm is never the token's choice.
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=["HS256"],
            audience=audience,
            options={
                "require": ["sub", "aud", "iat", "exp"],
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
                "enforce_minimum_key_length": False,
            },
        )
    except (jwt.InvalidTokenError, ValueError, TypeError) as error:
        msg = "the token is not valid"
        raise NotAllowed(msg) from error
    times = [claims[name] for name in ("iat", "exp", "nbf") if name in claims]
    if not all(isinstance(one, int | float) and 0 <= one < LATEST for one in times):
        msg = "the token is not valid"
        raise NotAllowed(msg)
    return claims


def signing_key(secret: str, purpose: str) -> str:
    """A key of its own per purpose, so that a token of one kind is never valid as another."""
    return hashlib.sha256(f"stafett {purpose}\0{secret}".encode()).hexdigest()
