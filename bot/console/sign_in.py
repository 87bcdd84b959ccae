"""Coming in: the password (STAFETT_ADMIN_PASSWORD, or made at first start), signed cookies, a brake on guessing.

Sessions are signed, not stored; those that were ended before their time are (`store.revoke`). A change needs more than the
cookie: it comes from our own page (Sec-Fetch-Site, Origin) and carries the session's own token.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from itsdangerous import BadData, URLSafeTimedSerializer

from bot.settings import Settings, file_of, kept

LIFETIME = 12 * 3600  # seconds
TOLD_LIFETIME = 60  # seconds that a line waits for the page it is shown on
TRIES, PER = 5, 60.0  # wrong passwords a minute and address
LONGEST_NAME = 60  # characters
CSRF_HEADER = "x-stafett-csrf"


def password_of(settings: Settings) -> tuple[str, Path | None]:
    """The password, and the file where it stands if it was made by us."""
    if settings.admin_password is not None:
        return settings.admin_password.get_secret_value(), None
    database = file_of(settings.database_url)
    if settings.database_url.startswith("postgresql"):
        database = Path("stafett.db")
    path = database.with_name(f"{database.name}.admin-password")
    return kept(path, lambda: secrets.token_urlsafe(12), "STAFETT_ADMIN_PASSWORD"), path


@dataclass(frozen=True, slots=True)
class Session:
    """`person_id` is "" for the holder of the password; `name` what they called themselves."""

    id: str
    person_id: str
    name: str


class Doorkeeper:
    """Checks passwords and cookies. The cookie's name has the `__Host-` prefix on https, a plain one on loopback."""

    def __init__(self, settings: Settings, secret: str, password: Callable[[], str]) -> None:
        self._password = password
        key = hashlib.sha256(f"stafett console\0{secret}".encode()).digest()
        self._key = key
        self._signer = URLSafeTimedSerializer(key)
        self._lines = URLSafeTimedSerializer(key, salt="told")
        self._wrong: dict[str, deque[float]] = defaultdict(deque)
        self.secure = urlsplit(settings.url).scheme == "https"
        prefix = "__Host-" if self.secure else ""
        self.cookie = f"{prefix}stafett-admin"
        self.told_cookie = f"{prefix}stafett-told"

    # ── guessing ──
    def may_try(self, address: str, now: float) -> bool:
        wrong = self._wrong[address]
        while wrong and now - wrong[0] > PER:
            wrong.popleft()
        return len(wrong) < TRIES

    def is_right(self, given: str, address: str, now: float) -> bool:
        if hmac.compare_digest(given.encode(), self._password().encode()):
            self._wrong.pop(address, None)
            return True
        if len(self._wrong) > 10_000:
            self._wrong.clear()
        self._wrong[address].append(now)
        return False

    # ── sessions ──
    def begin(self, person_id: str = "", name: str = "") -> str:
        """The cookie of a new session."""
        content = {"id": secrets.token_urlsafe(16), "who": person_id, "name": name[:LONGEST_NAME]}
        if not person_id:  # the password is part of what is signed: a new one ends every session that it opened
            content["of"] = self._fingerprint()
        return self._signer.dumps(content)

    def session(self, cookies: Mapping[str, str]) -> Session | None:
        """The session that we signed; None for any other cookie, for one too old, and for one of another password."""
        try:
            content = self._signer.loads(cookies.get(self.cookie, ""), max_age=LIFETIME)
        except BadData:
            return None
        if not isinstance(content, dict) or not {"id", "who", "name"} <= content.keys():
            return None
        if not content["who"] and content.get("of") != self._fingerprint():
            return None
        return Session(str(content["id"]), str(content["who"]), str(content["name"]))

    def csrf(self, session_id: str) -> str:
        return hmac.new(self._key, f"csrf\0{session_id}".encode(), hashlib.sha256).hexdigest()

    def has_csrf(self, given: str, session_id: str) -> bool:
        return hmac.compare_digest(given.encode(), self.csrf(session_id).encode())

    # ── a line for the next page ──
    def tell(self, key: str, values: Mapping[str, str]) -> str:
        return self._lines.dumps([key, dict(values)])

    def told(self, cookies: Mapping[str, str]) -> tuple[str, dict[str, Any]] | None:
        """The text's key and values that the page before this one left."""
        try:
            key, values = self._lines.loads(cookies.get(self.told_cookie, ""), max_age=TOLD_LIFETIME)
        except (BadData, ValueError, TypeError):
            return None
        return str(key), dict(values)

    def _fingerprint(self) -> str:
        return hashlib.sha256(self._password().encode()).hexdigest()[:16]


def from_our_page(headers: Mapping[str, str], origins: frozenset[str]) -> bool:
    """Whether a POST comes from our own page: by Sec-Fetch-Site where the browser says it, else by Origin (CSRF)."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in {"same-origin", "none"}
    origin = headers.get("origin")
    return origin is None or origin in origins
