"""Is everything as it must be? Each check tells one finding: ok, warning or fault, and what to do about it.

What lives here: the checks of the machine, the database, the settings, and the platforms, asked over plain HTTP. What it
must not know: SDKs, terminals. Nothing is changed, and no token is ever shown.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sqlite3
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from bot.errors import DatabaseFault, StafettError
from bot.settings import LOOPBACK, SHORTEST, Settings, secret_file
from bot.storage import replication, schema
from bot.storage.engine import DatabaseInUse, Storage, lock_file

if TYPE_CHECKING:
    import httpx2
    from pydantic import SecretStr

OK, WARNING, FAULT = "ok", "warning", "fault"
OLDEST_SQLITE = (3, 35, 0)  # RETURNING
SKEW_S = 30.0  # Slack refuses signatures that are 5 min off; sessions and codes suffer earlier
WITHIN_S = 10.0


@dataclass(frozen=True, slots=True)
class Finding:
    """`todo` says what to do; empty where it is ok."""

    level: str
    about: str
    told: str
    todo: str = ""

    def __str__(self) -> str:
        return f"{self.level:<8} {self.about:<11} {self.told}" + (f"; {self.todo}" if self.todo else "")


async def examine(settings: Settings, scopes: Sequence[str]) -> AsyncIterator[Finding]:
    """All checks, in order. `scopes` are those that the Slack app must have."""
    yield python(sys.version_info[:3])
    yield sqlite(sqlite3.sqlite_version_info, is_used=settings.database_url.startswith("sqlite"))
    yield settings_agree(settings)
    for alone in without_their_other_half(settings):
        yield alone
    for short in easily_guessed(settings):
        yield short
    if (found := await asyncio.to_thread(embedder)) is not None:
        yield found
    async for one in database(settings):
        yield one
    yield secret(settings)
    yield public_url(settings)
    yield port(settings.host, settings.port)
    async for one in platforms(settings, scopes):
        yield one


# ── the machine ────────────────────────────────────────────────────────────────────────────────────────────────────
def embedder() -> Finding | None:
    """The plug-in that turns texts into vectors, where one is installed."""
    from importlib.metadata import entry_points

    from bot.answers import embedding

    names = ", ".join(sorted(one.name for one in entry_points(group=embedding.GROUP)))
    if not names:
        return None
    wrong = embedding.trial()
    if wrong:
        return Finding(FAULT, "embedder", wrong, "mend or uninstall it; until then the search goes on without")
    return Finding(OK, "embedder", names)


def python(version: tuple[int, ...]) -> Finding:
    told = ".".join(map(str, version))
    if version < (3, 11):
        return Finding(FAULT, "Python", told, "install Python 3.11 or newer")
    return Finding(OK, "Python", told)


def sqlite(version: tuple[int, ...], *, is_used: bool) -> Finding:
    """SQLite 3.7.0–3.51.2 can lose commits when two connections write and reset the log at once (sqlite.org/wal.html)."""
    told = ".".join(map(str, version))
    if version < OLDEST_SQLITE:
        return Finding(FAULT if is_used else WARNING, "SQLite", told, "3.35 or newer is needed; use a newer Python")
    mended = version >= (3, 51, 3) or (3, 50, 7) <= version < (3, 51) or (3, 44, 6) <= version < (3, 45)
    if mended or not is_used:
        return Finding(OK, "SQLite", told)
    told += " has the WAL-reset fault"
    todo = "Stafett writes by one connection alone, which avoids it: let no other program write to the file"
    return Finding(WARNING, "SQLite", told, todo)


def port(host: str, number: int) -> Finding:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, number))
        except OSError as error:
            todo = "fine if that is your server; else choose another one: stafett serve --port N"
            return Finding(WARNING, "port", f"{number} on {host} is taken ({error.strerror})", todo)
    return Finding(OK, "port", f"{number} on {host} is free")


# ── settings ───────────────────────────────────────────────────────────────────────────────────────────────────────
def settings_agree(settings: Settings) -> Finding:
    try:
        settings.checked()
    except StafettError as error:
        return Finding(FAULT, "settings", str(error))
    return Finding(OK, "settings", "agree with each other")


def without_their_other_half(settings: Settings) -> Iterator[Finding]:
    """Settings that do nothing, because the one that turns their channel or the model on is not set."""
    halves: dict[str, tuple[str, ...]] = {
        "slack_app_token": ("slack_bot_token",),
        "slack_signing_secret": ("slack_bot_token",),
        "telegram_webhook_secret": ("telegram_token",),
        "llm_url": ("llm_model",),
        "llm_model": ("llm_url",),
        "llm_key": ("llm_url", "llm_model"),
    }
    for name, others in halves.items():
        missing = [_variable(other) for other in others if getattr(settings, other) is None]
        if getattr(settings, name) is not None and missing:
            told = f"{_variable(name)} is set and does nothing without {' and '.join(missing)}"
            yield Finding(WARNING, "settings", told, "set both, or unset it")


def easily_guessed(settings: Settings) -> Iterator[Finding]:
    """Secrets of which one guess after the other may be tried from outside, and that are soon hit upon."""
    for name in ("api_token", "web_identity_secret"):
        given: SecretStr | None = getattr(settings, name)
        if given is not None and len(given.get_secret_value()) < SHORTEST:
            yield Finding(WARNING, "settings", f"{_variable(name)} is short", "set it to 32 or more random characters")


def secret(settings: Settings) -> Finding:
    if settings.secret is not None:
        return Finding(OK, "secret", "is set")
    path = secret_file(settings)
    if not path.exists():
        return Finding(OK, "secret", "will be made at the first start")
    if path.stat().st_mode & 0o077:
        return Finding(FAULT, "secret", f"{path} can be read by others", f"chmod 600 {path}")
    return Finding(OK, "secret", f"is kept in {path}")


def public_url(settings: Settings) -> Finding:
    parts = urlsplit(settings.url)
    if parts.hostname in LOOPBACK:
        needs = settings.telegram_webhook_secret is not None or settings.slack_signing_secret is not None
        todo = "webhooks can't reach this; set STAFETT_PUBLIC_URL to the https address of your server"
        return Finding(FAULT if needs else OK, "public URL", settings.url, todo if needs else "")
    if parts.scheme != "https":
        return Finding(WARNING, "public URL", f"{settings.url} is not https", "put a proxy with a certificate in front")
    return Finding(OK, "public URL", settings.url)


# ── the database ───────────────────────────────────────────────────────────────────────────────────────────────────
async def database(settings: Settings) -> AsyncIterator[Finding]:
    try:
        storage = Storage(settings.database_url, read_only=True)
    except DatabaseFault as error:
        yield Finding(FAULT, "database", str(error))
        return
    try:
        if storage.is_sqlite and not storage.path.is_file():
            yield first_start(storage.path)
            return
        await storage.read(schema.check)
        yield Finding(OK, "database", f"answers, schema {schema.HEAD}")
        if storage.is_sqlite:
            yield lock(storage.path)
        else:
            yield standby(*await storage.read(replication.read))
    except DatabaseFault as error:
        yield Finding(FAULT, "database", str(error))
    finally:
        await storage.close()


def first_start(path: Path) -> Finding:
    """Whether the first start can make the database's file."""
    folder = path.absolute().parent
    if not folder.is_dir():
        return Finding(FAULT, "database", f"{path} can't be made", f"make the folder {folder}")
    if not os.access(folder, os.W_OK | os.X_OK):
        todo = "let the server write there, or choose another place by STAFETT_DATABASE_URL"
        return Finding(FAULT, "database", f"{path} can't be made: {folder} can't be written to", todo)
    return Finding(OK, "database", f"{path} will be made at the first start")


def standby(commit: str, names: str, there: int | None) -> Finding:
    """Whether a failover keeps every message that was acknowledged (F34)."""
    if commit in {"off", "local"} and (commit == "off" or names.strip()):
        told = f"synchronous_commit is {commit}: a commit is acknowledged before it is safe"
        return Finding(WARNING, "replication", told, "set synchronous_commit to on")
    if not names.strip():
        told = "no synchronous standby: a failover may lose the last commits"
        return Finding(OK, "replication", told, "where you fail over, set synchronous_standby_names (docs/scaling.md)")
    if there == 0:
        told = f"synchronous_standby_names is {names}, but no such standby is there: commits wait for it"
        return Finding(FAULT, "replication", told, "start the standby, or take its name away")
    seen = "" if there is None else f", {there} there"
    return Finding(OK, "replication", f"synchronous standby ({names}{seen}): a failover loses nothing")


def lock(path: Path) -> Finding:
    try:
        lock_file(path).close()
    except DatabaseInUse as error:
        where = f" at {error.address}" if error.address else ""
        return Finding(OK, "lock", f"a server is running{where}")
    except DatabaseFault as error:
        return Finding(FAULT, "lock", str(error))
    return Finding(OK, "lock", "no server is running on this database")


# ── the platforms ──────────────────────────────────────────────────────────────────────────────────────────────────
async def platforms(settings: Settings, scopes: Sequence[str]) -> AsyncIterator[Finding]:
    if not settings.telegram_on and not settings.slack_on:
        yield Finding(OK, "platforms", "none is set; the web widget works without")
        return
    import httpx2

    async with httpx2.AsyncClient(timeout=WITHIN_S, trust_env=False, follow_redirects=False) as http:
        if settings.telegram_token is not None:
            async for one in telegram(http, settings, settings.telegram_token.get_secret_value()):
                yield one
        if settings.slack_bot_token is not None:
            async for one in slack(http, settings, settings.slack_bot_token.get_secret_value(), scopes):
                yield one


async def telegram(http: httpx2.AsyncClient, settings: Settings, token: str) -> AsyncIterator[Finding]:
    base = f"{settings.telegram_api_url}/bot{token}"
    me, headers = await ask(http, f"{base}/getMe")
    if not me.get("ok"):
        yield _refused("Telegram", me, "ask @BotFather for the bot's token and set STAFETT_TELEGRAM_TOKEN")
        return
    yield Finding(OK, "Telegram", f"the bot is @{_plain(me['result'].get('username'))}")
    yield clock("Telegram", headers)
    hook, _ = await ask(http, f"{base}/getWebhookInfo")
    yield webhook(settings, hook.get("result") or {})


def webhook(settings: Settings, told: Mapping[str, Any]) -> Finding:
    """The webhook that Telegram knows, against the settings."""
    known, wanted = str(told.get("url") or ""), settings.telegram_webhook_secret is not None
    if not wanted:
        if known:
            todo = "the server takes it away when it starts polling; check that no other program uses this bot"
            return Finding(WARNING, "webhook", "is set at Telegram, but we poll", todo)
        return Finding(OK, "webhook", "none; we poll")
    if known != f"{settings.url}/telegram/webhook":
        return Finding(WARNING, "webhook", "is not ours yet", "the server sets it at its next start")
    if told.get("last_error_message"):
        todo = f"see that {settings.url} can be reached from outside, with a valid certificate"
        return Finding(FAULT, "webhook", f"Telegram could not deliver: {_plain(told['last_error_message'])}", todo)
    return Finding(OK, "webhook", f"is ours, {int(told.get('pending_update_count') or 0)} waiting")


async def slack(
    http: httpx2.AsyncClient, settings: Settings, token: str, scopes: Sequence[str]
) -> AsyncIterator[Finding]:
    base = settings.slack_api_url.rstrip("/")
    me, headers = await ask(http, f"{base}/auth.test", token)
    if not me.get("ok"):
        yield _refused("Slack", me, "copy the Bot User OAuth Token to STAFETT_SLACK_BOT_TOKEN")
        return
    yield Finding(OK, "Slack", f"{_plain(me.get('user'))} in workspace {_plain(me.get('team'))}")
    yield clock("Slack", headers)
    yield has_scopes(headers.get("x-oauth-scopes"), scopes)
    if settings.slack_app_token is not None:
        opened, _ = await ask(http, f"{base}/apps.connections.open", settings.slack_app_token.get_secret_value())
        if opened.get("ok"):
            yield Finding(OK, "Socket Mode", "opens")
        else:
            yield _refused(
                "Socket Mode", opened, "make an app-level token with connections:write and turn Socket Mode on"
            )
    if settings.slack_agent_channel is None:
        yield Finding(
            WARNING, "Slack", "no agents' channel", "set STAFETT_SLACK_AGENT_CHANNEL, or slack_channel in desk.yaml"
        )


def has_scopes(granted: str | None, needed: Sequence[str]) -> Finding:
    if granted is None:
        return Finding(WARNING, "scopes", "Slack did not tell them", "compare them with: stafett slack manifest")
    missing = sorted(set(needed) - {one.strip() for one in granted.split(",")})
    if missing:
        todo = "add them (stafett slack manifest has all), then install the app again"
        return Finding(FAULT, "scopes", f"missing: {', '.join(missing)}", todo)
    return Finding(OK, "scopes", f"all {len(needed)} are granted")


def clock(whose: str, headers: Mapping[str, str], now: datetime | None = None) -> Finding:
    """Our clock against the `Date` header of somebody whose clock is right."""
    try:
        theirs = parsedate_to_datetime(headers.get("date", ""))
    except ValueError:
        return Finding(OK, "clock", f"{whose} does not tell the time")
    off = abs(((now or datetime.now(UTC)) - theirs).total_seconds())
    if off > SKEW_S:
        return Finding(FAULT, "clock", f"{off:.0f} s off {whose}'s", "set it by NTP: timedatectl set-ntp true")
    return Finding(OK, "clock", f"agrees with {whose}'s")


async def ask(http: httpx2.AsyncClient, url: str, token: str | None = None) -> tuple[dict[str, Any], Mapping[str, str]]:
    """A platform's JSON and headers; what went wrong on the way is `{"ok": False, "error": …}`. Tokens are never in it."""
    import httpx2

    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        answer = await http.post(url, headers=headers)
        told = answer.json()
    except httpx2.HTTPError as error:
        return {"error": f"can't be reached ({type(error).__name__})", "unreached": True}, {}
    except (ValueError, httpx2.InvalidURL):
        return {"error": "does not answer as it should", "unreached": True}, {}
    return (told if isinstance(told, dict) else {"error": "does not answer as it should"}), answer.headers


def _refused(about: str, told: Mapping[str, Any], todo: str) -> Finding:
    why = _plain(told.get("description") or told.get("error") or "refused")
    return Finding(
        FAULT, about, why, "check the network, and the address in the settings" if told.get("unreached") else todo
    )


def _variable(name: str) -> str:
    return f"STAFETT_{name.upper()}"


def _plain(text: object) -> str:
    """A platform's word on one line."""
    return "".join(char for char in str(text or "?") if char.isprintable())[:200]
