"""The commands around the database: report, responses, export, erase, audit, db, agent invite."""

from __future__ import annotations

import os
import sqlite3
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import typer

from bot.cli_ground import columns, complain, desk, fail, must_exist, plain, read, run, settings, write
from bot.errors import StafettError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import tzinfo

    from bot.desk_folder.desk import Desk
    from surveys.responses import ResponseRow

LATEST = 5  # answers below the report's table
PATIENCE = 20  # times what a page waits for: no house may be running that counts what is new


# ── figures ────────────────────────────────────────────────────────────────────────────────────────────────────────
def report(since: str | None, until: str | None, by: str | None, where: Sequence[str], form: str) -> None:
    """The figures of a span. The table ends with its latest answers, so that a first one is seen; not where it is filtered."""
    from functools import partial

    from bot.model import system_clock
    from bot.staffing.people import hours_of
    from surveys import drawn, store
    from surveys.for_api import make, question

    chosen, in_force = settings(), _desk()
    zone = ZoneInfo(in_force.time_zone)
    try:
        asked = question(since, until, by, where, in_force)
    except ValueError as error:
        raise typer.BadParameter(f"--{error}") from error
    hours, now = partial(hours_of, in_force), system_clock()
    made, latest = read(
        chosen,
        lambda conn: (
            make(conn, asked, hours, now, PATIENCE, in_force.targets),
            store.latest_responses(conn, 0 if where else LATEST, asked.since, asked.until),
        ),
        snapshot=True,
    )
    if form == "json":
        sys.stdout.write(drawn.as_json(made))
    elif form == "csv":
        sys.stdout.write(drawn.as_csv(made).replace("\r\n", "\n"))
    else:
        print(drawn.as_table(made, zone).rstrip("\n"))
        if latest:
            print(
                f"\nLatest answers\n{columns([('time', 'instrument', 'score', 'channel', 'comment'), *_lines(latest, zone)])}"
            )


def _lines(given: Iterable[ResponseRow], zone: tzinfo) -> Iterator[tuple[str, ...]]:
    for one in given:
        at, score = f"{one.at.astimezone(zone):%Y-%m-%d %H:%M}", f"{one.score:g}"
        yield at, one.instrument, score, one.channel or "–", plain(one.comment or "", 80)


def _desk() -> Desk:
    """The desk in force; while it is broken one that is always open, in UTC, and a word about it."""
    from bot.desk_folder.desk import Desk

    try:
        return desk(None)
    except StafettError as error:
        complain(f"the desk can't be read, so days are in UTC ({error})")
        return Desk("")


def import_responses(file: Path) -> None:
    """All or nothing; every refused row on stdout with its line."""
    from bot.model import system_clock
    from surveys.responses import parse

    raw = file.read_bytes()
    _, refusals = parse(raw, system_clock())
    for one in refusals:
        print(f"{file}:{one.line}: {one.why}")
    if refusals:
        raise fail(f"nothing was imported: {len(refusals)} row{'s' if len(refusals) > 1 else ''} refused")
    done = write(settings(), "import", {"csv": raw.decode("utf-8-sig")})
    known = done["rows"] - done["new"]
    print(f"{file}: {_answers(done['new'])} imported" + (f", {known} were there already" if known else ""))


def export_responses(file: Path) -> None:
    from surveys.for_api import everything
    from surveys.responses import render

    rows = read(settings(), everything)
    text = render(rows)
    if str(file) == "-":
        sys.stdout.write(text)
        return
    with file.open("w", encoding="utf-8", newline="") as out:
        out.write(text)
    print(f"{file}: {_answers(len(rows))}")


def _answers(number: int) -> str:
    return f"{number} answer{'' if number == 1 else 's'}"


# ── customers ──────────────────────────────────────────────────────────────────────────────────────────────────────
def export_customer(customer: str) -> None:
    import json

    from bot.model import system_clock
    from bot.storage.export import export

    held = read(settings(), lambda conn: export(conn, customer, system_clock()))
    if held is None:
        raise fail(f"there is no customer {customer}; name an id, or channel:external-id")
    print(json.dumps(held, ensure_ascii=False, indent=2))


def erase_customer(customer: str) -> None:
    gone = write(settings(), "erase", {"customer": customer})
    print(f"customer {gone['customer']} is erased: {sum(gone['rows'].values())} rows")
    for one in gone["left"]:
        print(f"not in our hands: {one}")


# ── operating ──────────────────────────────────────────────────────────────────────────────────────────────────────
def audit(retry: str | None, drop: str | None) -> None:
    """What did not go as it should; or one thing of it tried again or given up."""
    if retry and drop:
        raise typer.BadParameter("--retry and --drop are two different things; give one")
    if retry or drop:
        print(write(settings(), "retry" if retry else "drop", {"id": retry or drop})["done"])
        return
    from bot.model import system_clock
    from bot.storage import trouble

    found = read(settings(), lambda conn: trouble.find(conn, system_clock()))
    if not found:
        print("nothing is stuck, delayed, uncertain, failed or dead")
        return
    head = ("kind", "since (UTC)", "what", "id", "why")
    lines = [(one.kind, f"{one.at:%Y-%m-%d %H:%M}", one.what, one.id or "–", plain(one.why)) for one in found]
    print(columns([head, *lines]))
    print(f"\n{len(found)} in all. Try one again: stafett audit --retry ID; give it up: stafett audit --drop ID")


def upgrade() -> None:
    from bot.storage import schema

    done = run(schema.upgrade(settings().database_url))
    print(f"the database {'has now' if done else 'already has'} schema {schema.HEAD}")


def backup(file: Path) -> None:
    """An online copy. Its own connection only reads, so a running server is not disturbed."""
    from bot.storage.engine import Storage

    storage = Storage(settings().database_url, read_only=True)
    if not storage.is_sqlite:
        raise fail("this copies SQLite databases; use pg_dump for PostgreSQL")
    must_exist(storage)
    if file.exists():
        raise fail(f"{file} is there already; name a new file")
    if not file.parent.is_dir():
        raise fail(f"there is no folder {file.parent}")
    made = file.with_name(f"{file.name}.{os.getpid()}.part")
    try:
        _copy(storage.path, made)
        made.replace(file)
    except sqlite3.Error as error:
        raise fail(f"{storage.path}: {error}") from error
    finally:
        made.unlink(missing_ok=True)
    print(f"{file}: {file.stat().st_size} bytes. The secret beside the database is not in it; keep that too.")


def _copy(source: Path, target: Path) -> None:
    """Read in one snapshot; what is written is whole, has no log beside it, and is for its owner alone."""
    target.unlink(missing_ok=True)  # what a backup left that was killed
    target.touch(mode=0o600)
    reader = sqlite3.connect(f"file:{quote(str(source.absolute()))}?mode=ro", uri=True)
    copy = sqlite3.connect(target)
    try:
        reader.backup(copy)
        fault: Any = copy.execute("PRAGMA quick_check(1)").fetchone()[0]
        if fault != "ok":
            msg = f"the copy is not whole: {fault}"
            raise sqlite3.DatabaseError(msg)
        copy.execute("PRAGMA journal_mode=DELETE").close()
    finally:
        copy.close()
        reader.close()


def invite(agent: str) -> None:
    print(write(settings(), "invite", {"agent": agent})["link"])
    print("good once, for 24 hours", file=sys.stderr)
