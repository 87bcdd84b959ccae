"""Who may see the console: one password (STAFETT_ADMIN_PASSWORD, or made at first start), a signed cookie, a brake."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import defaultdict, deque
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from itsdangerous import BadData, URLSafeTimedSerializer

from bot.settings import Settings, kept

LIFETIME = 12 * 3600  # seconds
TRIES, PER = 5, 60.0  # wrong passwords a minute and address


def password_of(settings: Settings) -> tuple[str, Path | None]:
    """The password, and the file where it stands if it was made by us."""
    if settings.admin_password is not None:
        return settings.admin_password.get_secret_value(), None
    database = Path(settings.database_url.partition("///")[2] or "stafett.db")
    if settings.database_url.startswith("postgresql"):
        database = Path("stafett.db")
    path = database.with_name(f"{database.name}.admin-password")
    return kept(path, lambda: secrets.token_urlsafe(12)), path


class Doorkeeper:
    """Checks passwords and cookies. The cookie's name has the `__Host-` prefix on https, a plain one on loopback."""

    def __init__(self, settings: Settings, secret: str, password: str) -> None:
        self._password = password
        self._signer = URLSafeTimedSerializer(hashlib.sha256(f"stafett console\0{secret}".encode()).digest())
        self._wrong: dict[str, deque[float]] = defaultdict(deque)
        self.secure = urlsplit(settings.url).scheme == "https"
        self.cookie = "__Host-stafett-admin" if self.secure else "stafett-admin"

    def may_try(self, address: str, now: float) -> bool:
        wrong = self._wrong[address]
        while wrong and now - wrong[0] > PER:
            wrong.popleft()
        return len(wrong) < TRIES

    def is_right(self, given: str, address: str, now: float) -> bool:
        if hmac.compare_digest(given.encode(), self._password.encode()):
            self._wrong.pop(address, None)
            return True
        if len(self._wrong) > 10_000:
            self._wrong.clear()
        self._wrong[address].append(now)
        return False

    def session(self) -> str:
        # The password is part of what is signed: a new one ends every session.
        return self._signer.dumps({"of": self._fingerprint()})

    def is_in(self, cookies: Mapping[str, str]) -> bool:
        try:
            content = self._signer.loads(cookies.get(self.cookie, ""), max_age=LIFETIME)
        except BadData:
            return False
        return isinstance(content, dict) and content.get("of") == self._fingerprint()

    def _fingerprint(self) -> str:
        return hashlib.sha256(self._password.encode()).hexdigest()[:16]


def from_our_page(headers: Mapping[str, str], origins: frozenset[str]) -> bool:
    """Whether a POST comes from our own page: by Sec-Fetch-Site where the browser says it, else by Origin (CSRF)."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in {"same-origin", "none"}
    origin = headers.get("origin")
    return origin is None or origin in origins
