"""What the commands stand on: errors as one line, the settings, the desk, the database as a command may open it.

A command that reads opens the database read-only, beside a running server, and never makes one. A command that writes
takes the lock; where a server holds it, it asks the server, at its local door.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime, tzinfo
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from bot.errors import DatabaseFault, StafettError

if TYPE_CHECKING:
    from bot.desk_folder.desk import Desk
    from bot.settings import Settings
    from bot.storage.engine import Storage
    from bot.storage.tx import Subscriber, Tx

T = TypeVar("T")
ANSWER_WITHIN_S = 60.0
WRONG_USE = 2  # the exit code


class Commands(TyperGroup):
    """All commands. An error is one line on stderr, and exit 1, wrong use exit 2; `--debug`, wherever it stands, shows where
    an error came from.
    """

    debug = False

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        end = args.index("--") if "--" in args else len(args)
        self.debug = "--debug" in args[:end]
        with wrong_use(), all_written():
            return list(super().parse_args(ctx, [one for n, one in enumerate(args) if one != "--debug" or n > end]))

    def invoke(self, ctx: Any) -> Any:
        try:
            with wrong_use(), all_written():
                return super().invoke(ctx)
        except StafettError as error:
            if self.debug:
                raise
            complain(str(error))
        except OSError as error:
            if self.debug or isinstance(error, BrokenPipeError):
                raise
            complain(f"{error.filename}: {error.strerror}" if error.filename else str(error))
        except RuntimeError as error:
            if self.debug or isinstance(error, typer.Exit):
                raise
            complain(f"{error} (run it again with --debug to see where)")
        except Exception as error:
            if self.debug or isinstance(error, TyperException):
                raise  # a bare `stafett`: it shows the help
            complain(f"{type(error).__name__}: {error} (run it again with --debug to see where)")
        raise typer.Exit(1)


@contextmanager
def wrong_use() -> Iterator[None]:
    """Wrong use in one line, as any error, and exit 2. A group without a command still shows its help."""
    try:
        yield
    except TyperException as error:
        if error.exit_code != WRONG_USE or type(error).__name__ == "NoArgsIsHelpError":
            raise
        ctx = getattr(error, "ctx", None)
        told = " ".join(error.format_message().split()).rstrip(".").replace("Value error, ", "")  # pydantic's own word
        complain(f"{told} (see {ctx.command_path if ctx else 'stafett'} --help)")
        raise typer.Exit(WRONG_USE) from None


@contextmanager
def all_written() -> Iterator[None]:
    """What was printed leaves here, where a reader that has gone (`| head`) ends a command quietly: Python's own end
    would complain in words of its own.
    """
    try:
        yield
    finally:
        sys.stdout.flush()


def complain(message: str) -> None:
    print(f"stafett: {message}", file=sys.stderr)


def fail(message: str) -> typer.Exit:
    """Complain in one line on stderr; to be raised, which ends the command with status 1."""
    complain(message)
    return typer.Exit(1)


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def settings(**given: Any) -> Settings:
    """The settings; what the command line gives wins. Raises SettingsFault."""
    from bot import settings as read

    return read.load(**given)


def desk(folder: Path | None) -> Desk:
    """The desk in a folder, else that of STAFETT_DESK, else the demo desk. Raises DeskFault with all its faults."""
    from bot.desk_folder import DEMO_DESK, load

    return load(folder or settings().desk or DEMO_DESK)


def moment(told: str | None, option: str, zone: tzinfo) -> datetime | None:
    """A day or a time (ISO 8601) of an option; without an offset, by the clock of `zone`."""
    if told is None:
        return None
    try:
        found = datetime.fromisoformat(told)
    except ValueError as error:
        raise typer.BadParameter(f"--{option}: {told} is no day or time; write 2026-03-31") from error
    return found if found.tzinfo is not None else found.replace(tzinfo=zone)


# ── the database ───────────────────────────────────────────────────────────────────────────────────────────────────
@asynccontextmanager
async def reading(chosen: Settings) -> AsyncIterator[Storage]:
    """The database, read-only. Raises DatabaseFault: there is none, or its schema is not ours."""
    from bot.storage import schema
    from bot.storage.engine import Storage

    storage = Storage(chosen.database_url, read_only=True)
    try:
        must_exist(storage)
        await storage.read(schema.check)
        yield storage
    finally:
        await storage.close()


def must_exist(storage: Storage) -> None:
    if storage.is_sqlite and not storage.path.is_file():
        msg = f"there is no database {storage.path} yet; start the server: stafett serve"
        raise DatabaseFault(msg)


def read(chosen: Settings, query: Callable[[Any], T], *, snapshot: bool = False) -> T:
    """One query on the database; with `snapshot` all that it reads is of one moment."""

    async def work() -> T:
        async with reading(chosen) as storage:
            return await (storage.read_apart if snapshot else storage.read)(query)

    return run(work())


def write(chosen: Settings, command: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
    """One change of `bot/cli_writes.py`: here, or by the server that holds the database."""
    from bot.storage.engine import DatabaseInUse

    try:
        return run(_write_here(chosen, command, body))
    except DatabaseInUse as held:
        if not held.address:
            raise
        return run(_ask(chosen, held.address, command, body))


async def _write_here(chosen: Settings, command: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
    from bot.cli_writes import WRITES
    from bot.storage import schema
    from bot.storage.engine import Storage
    from bot.storage.tx import Wiring

    storage = Storage(chosen.database_url)
    must_exist(storage)
    rules = cache(lambda: desk(chosen.desk))
    try:
        heard = _of_settled(chosen, storage, rules) if command == "drop" else _of_erased()
        storage.wiring = Wiring(heard, desk=rules, public_url=chosen.url)
        await storage.open()
        await storage.read(schema.check)
        done = await storage.write(lambda tx: WRITES[command](tx, body))
        await storage.truncate_log()
        return done
    finally:
        await storage.close()


def _of_settled(chosen: Settings, storage: Storage, rules: Callable[[], Desk]) -> Mapping[type, Sequence[Subscriber]]:
    """What hangs on a send that is given up: a survey's question, a notice, an agent's mark at their desk."""
    from zoneinfo import ZoneInfo

    from bot.events import SendSettled
    from bot.outreach.telling import Notices
    from handoff import watch
    from handoff.desk import AgentDesk
    from handoff.web.desk import WebDesk
    from surveys.invitations import Invitations, Setup
    from surveys.timing import rules_from

    def setup() -> Setup:
        found = rules()
        return Setup(rules_from(found.surveys), ZoneInfo(found.time_zone), found.name, found.texts)

    desks: list[AgentDesk] = [WebDesk()]
    settled: list[Subscriber] = [Invitations(setup).on_send_settled, Notices(rules).on_send_settled]
    if chosen.slack_on:
        from channels.slack.connection import SlackConnection
        from handoff.slack.desk import SlackDesk

        slack = SlackDesk(SlackConnection(chosen, storage), storage, chosen, rules)
        desks.append(slack)
        settled.append(slack.on_settled)
    heard = watch.subscribers(desks)
    return {**heard, SendSettled: [*heard[SendSettled], *settled]}


def _of_erased() -> Mapping[type, Sequence[Subscriber]]:
    """What an erasure owes besides its rows: tokens of the customer's widgets die, and a notice waits for them no more."""
    from bot.events import CustomerErased
    from bot.outreach.telling import Notices
    from channels.web import store

    def on_erased(tx: Tx, event: CustomerErased) -> None:
        for channel, external_id in event.identities:
            if channel == "web":
                store.moved(tx, external_id)

    notices = Notices(lambda: desk(None))  # it asks for no desk here
    return {CustomerErased: [on_erased, notices.on_erased]}


async def _ask(chosen: Settings, address: str, command: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
    import httpx2

    from bot.api.local import token
    from bot.model import system_clock
    from bot.settings import kept_secret

    headers = {"Authorization": f"Bearer {token(kept_secret(chosen), system_clock())}"}
    try:
        async with httpx2.AsyncClient(trust_env=False, timeout=ANSWER_WITHIN_S) as http:
            answer = await http.post(f"{address}/api/local/{command}", json=dict(body), headers=headers)
    except httpx2.HTTPError as error:
        msg = (
            f"the running server at {address} does not answer ({type(error).__name__}); stop it, and run the same again"
        )
        raise StafettError(msg) from error
    if answer.status_code == 200:
        done: Mapping[str, Any] = answer.json()
        return done
    try:
        told = str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        told = f"status {answer.status_code}"
    if told == "there is nothing here":
        told = f"the server at {address} does not let this command in; is STAFETT_SECRET the same here as there?"
    raise StafettError(told)


# ── drawing ────────────────────────────────────────────────────────────────────────────────────────────────────────
def columns(lines: Sequence[Sequence[str]]) -> str:
    """Lines of cells under each other, nothing wrapped."""
    widths = [max(len(line[n]) for line in lines) for n in range(len(lines[0]))] if lines else []
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def plain(text: str, limit: int = 200) -> str:
    """A text of somebody else's on one line of a terminal: no control characters, no turning of the line."""
    import unicodedata

    shown = "".join(" " if unicodedata.category(char) in {"Cc", "Zl", "Zp"} else char for char in text)
    shown = "".join(char for char in shown if unicodedata.category(char) != "Cf").strip()
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"
