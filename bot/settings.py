"""What the environment (or `.env`) says: the settings of CONTRACT, all named `STAFETT_…`. Secrets live only here."""

from __future__ import annotations

import os
import secrets
import stat
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from bot.errors import SettingsFault

LOOPBACK = ("localhost", "127.0.0.1", "::1")
SHORTEST = 16  # characters of a secret that nobody should guess
SHORTEST_KEPT = 12  # characters of a secret that we made; what is shorter was cut off
DEFAULT_DATABASE = "sqlite+aiosqlite:///stafett.db"


class Settings(BaseSettings):
    """Every setting; each name is STAFETT_ and the field in capitals. Unset ones are None or their default."""

    model_config = SettingsConfigDict(env_prefix="STAFETT_", env_file=".env", extra="ignore", env_ignore_empty=True)

    desk: Path | None = None
    database_url: str = DEFAULT_DATABASE
    public_url: str = ""
    secret: SecretStr | None = None
    telegram_token: SecretStr | None = None
    telegram_api_url: str = "https://api.telegram.org"
    telegram_webhook_secret: SecretStr | None = None
    slack_bot_token: SecretStr | None = None
    slack_signing_secret: SecretStr | None = None
    slack_app_token: SecretStr | None = None
    slack_api_url: str = "https://slack.com/api/"
    slack_agent_channel: str | None = None
    web_identity_secret: SecretStr | None = None
    web_origins: str = ""
    admin_password: SecretStr | None = None
    api_token: SecretStr | None = None
    llm_url: str | None = None
    llm_model: str | None = None
    llm_key: SecretStr | None = None
    log: str | None = None

    host: str = "127.0.0.1"  # from the command line
    port: int = 8080

    @field_validator("public_url", "slack_api_url", "telegram_api_url", "llm_url")
    @classmethod
    def _is_a_url(cls, value: str | None) -> str | None:
        if value and not is_url(value):
            msg = "is not a URL; write it like https://support.example.com"
            raise ValueError(msg)
        return value.rstrip("/") if value and not value.endswith("/api/") else value

    @field_validator("public_url")
    @classmethod
    def _leads_somewhere(cls, value: str) -> str:
        if not is_bare(value):
            msg = "is more than an address; leave out what stands after ? or #, and names before @"
            raise ValueError(msg)
        return value

    @field_validator("web_origins")
    @classmethod
    def _are_origins(cls, value: str) -> str:
        for one in filter(None, (part.strip() for part in value.split(","))):
            if not is_url(one) or not is_bare(one) or urlsplit(one).path not in {"", "/"}:
                msg = (
                    f"{one[:200]} is not an origin; write it like https://shop.example.com, several with commas between"
                )
                raise ValueError(msg)
        return value

    @field_validator("log")
    @classmethod
    def _is_a_log(cls, value: str | None) -> str | None:
        if value not in {None, "text", "json"}:
            msg = "is text or json"
            raise ValueError(msg)
        return value

    @field_validator("api_token")
    @classmethod
    def _fits_a_header(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not is_header_value(value.get_secret_value()):
            msg = "can't be sent in a header; set it to random letters and digits, without blanks before or after"
            raise ValueError(msg)
        return value

    @property
    def url(self) -> str:
        """Where customers reach the server, without a slash at the end."""
        return self.public_url or f"http://localhost:{self.port}"

    @cached_property
    def origins(self) -> frozenset[str]:
        """The exact origins that may embed the widget; on loopback localhost and 127.0.0.1 are the same place."""
        listed = [origin_of(one.strip()) for one in self.web_origins.split(",") if one.strip()]
        found = set(listed) or {origin_of(self.url)}
        for origin in list(found | {origin_of(self.url)}):
            parts = urlsplit(origin)
            found.add(origin)
            if parts.hostname in LOOPBACK:
                port = f":{parts.port}" if parts.port else ""
                found |= {f"{parts.scheme}://{host}{port}" for host in ("localhost", "127.0.0.1")}
        return frozenset(found)

    @property
    def on_loopback(self) -> bool:
        return self.host in LOOPBACK

    @property
    def telegram_on(self) -> bool:
        return self.telegram_token is not None

    @property
    def slack_on(self) -> bool:
        return self.slack_bot_token is not None

    def checked(self) -> Settings:
        """These settings, or SettingsFault when two of them can't stand together."""
        if not self.on_loopback and self.admin_password is None:
            msg = (
                f"--host {self.host}: set STAFETT_ADMIN_PASSWORD first; without it the server answers on 127.0.0.1 only"
            )
            raise SettingsFault(msg)
        if self.slack_on and not (self.slack_signing_secret or self.slack_app_token):
            msg = (
                "STAFETT_SLACK_BOT_TOKEN is set; set STAFETT_SLACK_APP_TOKEN too (Socket Mode), "
                "or STAFETT_SLACK_SIGNING_SECRET (HTTP)"
            )
            raise SettingsFault(msg)
        if self.database_url.startswith("postgresql") and self.secret is None:
            msg = "STAFETT_SECRET is required with PostgreSQL (all nodes sign alike); set 32 or more random characters"
            raise SettingsFault(msg)
        if self.secret is not None and len(self.secret.get_secret_value()) < SHORTEST:
            msg = "STAFETT_SECRET is too short; set it to 32 or more random characters"
            raise SettingsFault(msg)
        if self.telegram_webhook_secret is not None and not is_telegram_secret(
            self.telegram_webhook_secret.get_secret_value()
        ):
            msg = "STAFETT_TELEGRAM_WEBHOOK_SECRET: Telegram takes 1–256 characters of A–Z, a–z, 0–9, _ and -"
            raise SettingsFault(msg)
        return self


def load(**given: Any) -> Settings:
    """The settings from the environment; what the command line gives wins. Raises SettingsFault, one line."""
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        name = "STAFETT_" + str(first["loc"][0]).upper() if first["loc"] else "settings"
        msg = f"{name}: {first['msg'].removeprefix('Value error, ')}"
        raise SettingsFault(msg) from None
    except (OSError, UnicodeError) as error:
        msg = f".env: can't be read ({error})"
        raise SettingsFault(msg) from None


def is_url(value: str) -> bool:
    if any(char.isspace() for char in value):
        return False
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and port != 0


def is_bare(url: str) -> bool:
    """Whether a path may be written behind it, and whoever reads it learns no password."""
    return not any(char in url for char in "?#@")


def origin_of(url: str) -> str:
    parts = urlsplit(url)
    default = {"http": 80, "https": 443}.get(parts.scheme)
    port = f":{parts.port}" if parts.port and parts.port != default else ""
    host = f"[{parts.hostname}]" if parts.hostname and ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}{port}"


def is_telegram_secret(value: str) -> bool:
    allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
    return 1 <= len(value) <= 256 and all(char in allowed for char in value)


def is_header_value(value: str) -> bool:
    """Whether it arrives as it was sent: programs differ on what is not ASCII, and blanks at the ends are cut off."""
    return value.isascii() and value.isprintable() and value == value.strip()


def kept_secret(settings: Settings) -> str:
    """STAFETT_SECRET, or the one made at first start and kept beside the SQLite file, mode 0600."""
    if settings.secret is not None:
        return settings.secret.get_secret_value()
    return kept(secret_file(settings), lambda: secrets.token_urlsafe(48), "STAFETT_SECRET")


def secret_file(settings: Settings) -> Path:
    """Where the secret is kept that was made at first start."""
    database = file_of(settings.database_url)
    return database.with_name(f"{database.name}.secret")


def file_of(database_url: str) -> Path:
    """Of a SQLite database; what follows a ? in its URL is no part of its name."""
    return Path(database_url.partition("///")[2].partition("?")[0] or "stafett.db")


def kept(path: Path, make: Any, instead: str) -> str:
    """The content of a small secret file; made with mode 0600 where there is none. Raises SettingsFault."""
    try:
        if path.exists():
            found = path.read_text(encoding="utf-8").strip()
            if len(found) < SHORTEST_KEPT:
                msg = f"{path}: is empty or cut short; delete it, and a new one is made at the next start"
                raise SettingsFault(msg)
            return found
        value: str = make()
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, stat.S_IRUSR | stat.S_IWUSR)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(value + "\n")
    except FileExistsError:
        return kept(path, make, instead)  # another process was faster
    except (OSError, UnicodeError) as error:
        error = error if isinstance(error, OSError) else OSError(0, "it is not text")
        msg = f"{path}: can't be written ({error.strerror}); set {instead}, or another place by STAFETT_DATABASE_URL"
        raise SettingsFault(msg) from error
    return value
