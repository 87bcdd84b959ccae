"""(g): every report over a million cases and ten million messages, on SQLite and on PostgreSQL; and what the chat feels of it.

The past is made up (tests/support/synthetic.py) and written once: with `--data DIR` it stays there for the next time. Its facts
are the product's own: those of one slice and of the last days are made as always, those of the others are copied like their rows,
and some of all of them are held to what the raw rows say.

What is measured is a question answered as the product answers it, from its connection to its figures: once with nothing in
memory but the libraries, else as in a server that has answered one.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, timedelta
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from sqlalchemy import func, select, text

from bot.staffing.hours import Hours
from bot.storage import kept, schema
from bot.storage import tables as t
from bot.storage.engine import Storage
from bot.storage.marks import FAMILIES, PROGRESS
from bot.storage.tx import Tx
from surveys.figures.shape import Question
from surveys.for_api import make
from surveys.insights.reports import REPORTS as TO_MEND
from surveys.insights.reports import Setting
from surveys.pages import board
from surveys.pages import store as pages
from surveys.rollups import store
from surveys.rollups.keeping import Rollups
from surveys.rollups.raw import store as raw
from surveys.rollups.shelf import Shelf
from tests.bench.table import Row
from tests.support import past, postgres, synthetic

DAYS = 365
END = synthetic.START + timedelta(days=DAYS)
NOW = END + timedelta(days=1)
BOUNDS = {"SQLite": 2.0, "PostgreSQL": 1.0}  # seconds
AT_ONCE = 5_000  # facts in one transaction: nobody waits for this one
LOOKED_AT = 2_000  # facts of each family that are held to the raw rows

REPORTS: dict[str, Question] = {
    "all figures": Question(),
    **{
        f"all by {name}": Question(by=(name,))
        for name in ("channel", "team", "agent", "flow", "step", "topic", "locale", "week")
    },
    "all by team and topic": Question(by=("team", "topic")),
    "all by agent, of one channel": Question(by=("agent",), where=(("channel", "web"),)),
    "all of the last month, by day": Question(END - timedelta(days=30), by=("day",)),
    "one score by week": Question(by=("week",), metrics=("ces7",)),
    "times by week and team": Question(by=("week", "team"), metrics=("ttr", "frt", "next_response")),
    "load by weekday and hour": Question(by=("weekday", "hour"), metrics=("escalated",)),
}


YEAR = Question(END - timedelta(days=DAYS), END)
PAGE = (
    YEAR,
    replace(YEAR, since=synthetic.START - timedelta(days=DAYS), until=synthetic.START),
    replace(YEAR, by=("week",), metrics=("ces7", "ttr")),
    replace(YEAR, by=("weekday", "hour"), metrics=("escalated",)),
    replace(YEAR, by=("week", "topic"), metrics=("escalated",)),
    replace(YEAR, by=("channel",), metrics=("ces7", *board.COLUMNS)),
)
"""What the console's page of figures asks."""


def always(_team: str | None) -> Hours:
    return Hours(UTC)


async def run(
    *, quick: bool = False, tiny: bool = False, cases: int | None = None, data: Path | None = None
) -> list[Row]:
    many = cases or (300 if tiny else 20_000 if quick else 1_000_000)
    rounds = 1 if tiny else 3
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        async with _sqlite((data or Path(folder)) / f"reports-{many}.db", many) as storage:
            rows += await _measure("SQLite", storage, many, rounds)
    if not tiny and postgres.find_binaries() is not None:
        async with _postgresql(many, data) as storage:
            rows += await _measure("PostgreSQL", storage, many, rounds)
    return rows


# ── the past ───────────────────────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True, slots=True)
class Filled:
    """How an engine is filled. `at` is a time in its SQL."""

    url: str
    lay: Callable[[list[past.Laid]], Awaitable[None]]
    lay_facts: Callable[[past.Laid], Awaitable[None]]
    at: str


@asynccontextmanager
async def _opened(url: str) -> AsyncIterator[Storage]:
    storage = Storage(url, lambda: NOW)
    await storage.open()
    try:
        yield storage
    finally:
        await storage.close()


@asynccontextmanager
async def _sqlite(path: Path, cases: int) -> AsyncIterator[Storage]:
    if not path.exists():  # noqa: ASYNC240 - nothing else runs yet
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.part")
        part.unlink(missing_ok=True)
        lay, lay_facts = (
            lambda made: asyncio.to_thread(past.lay_sqlite, part, made),
            lambda one: asyncio.to_thread(past.lay_facts_sqlite, part, one),
        )
        await _write("SQLite", Filled(f"sqlite+aiosqlite:///{part}", lay, lay_facts, "'{time}'"), cases)
        part.rename(path)
    async with _opened(f"sqlite+aiosqlite:///{path}") as storage:
        yield storage


@asynccontextmanager
async def _postgresql(cases: int, data: Path | None) -> AsyncIterator[Storage]:
    binaries = postgres.find_binaries()
    if binaries is None:
        raise RuntimeError("there are no programs of PostgreSQL")
    size = ("shared_buffers=256MB", "max_wal_size=8GB")
    cluster = postgres.Cluster(binaries, settings=size)
    if data is not None:
        root = data / f"reports-{cases}-postgresql"
        root.mkdir(parents=True, exist_ok=True)
        cluster = postgres.Cluster(binaries, kept=True, settings=size, root=root)
    done = cluster.root / "filled"
    try:
        server = cluster.create().start().url()
        if not done.exists():
            postgres.drop_database(server, "reports")
            url = postgres.create_database(server, "reports")
            lay, lay_facts = partial(past.lay_postgresql, url), partial(past.lay_facts_postgresql, url)
            await _write("PostgreSQL", Filled(url, lay, lay_facts, "'{time}+00'::timestamptz"), cases)
            done.touch()
        async with _opened(cluster.url("reports")) as storage:
            yield storage
    finally:
        cluster.remove()


async def _write(engine: str, of: Filled, cases: int) -> None:
    """The rows, what people found in them, and the facts of all of it."""
    began = time.perf_counter()
    await schema.upgrade(of.url)
    _tell(f"{engine}: writing {cases:,} cases")
    parts = past.laid(cases, DAYS)
    await of.lay(parts)
    _tell(f"{engine}: written after {time.perf_counter() - began:.0f} s; making facts")
    repeated = parts[0] if len(parts) > 1 else None
    if repeated is not None:
        async with _opened(of.url) as storage:
            await _make_first(storage)
        await of.lay_facts(repeated)
    async with _opened(of.url) as storage:
        if repeated is not None:
            await storage.write(partial(_are_made_up_to, turn=repeated.turns[-1] + 1))
        for statement in past.records(cases, NOW, of.at):
            await storage.write(lambda tx, sql=statement: tx.conn.execute(text(sql.replace(":", r"\:"))))  # type: ignore[misc]
        await Rollups(storage, always, AT_ONCE).run()
    _tell(f"{engine}: made after {time.perf_counter() - began:.0f} s")


async def _make_first(storage: Storage) -> None:
    """The facts of the first turn, as the product makes them."""
    rollups, count, began = Rollups(storage, always, AT_ONCE), 0, time.perf_counter()
    await storage.write(store.begin_anew)
    for family in FAMILIES:
        while True:
            batch = await storage.read_apart(partial(rollups._of_new, family=family))
            if batch is None or batch.ids[0] >= past.of_turn(1):
                break
            await storage.write(partial(store.write, batch=batch))
            count += len(batch.ids)
    _tell(f"{count / (time.perf_counter() - began):,.0f} facts a second")


def _are_made_up_to(tx: Tx, turn: int) -> None:
    cursors = dict.fromkeys(FAMILIES, past.of_turn(turn))
    kept.swap(tx, PROGRESS, replace(store.progress(tx.conn, held=True), cursors=cursors).to_json())


def _wrong(conn: Any) -> int:
    """Of some facts from all of the past, how many are not as the raw rows say."""
    wrong = 0
    for family in FAMILIES:
        ids = store.unmade(conn, family, "")
        some = ids[:: max(1, len(ids) // LOOKED_AT)]
        told = raw.make(conn, family, some, always)
        f = t.figure_facts.c
        for part in raw.slices(some):
            query = select(f.id, f.customer_id, f.fact).where(f.family == family, f.id.in_(part))
            there = {row.id: (row.customer_id, store.read_fact(row.fact)) for row in conn.execute(query)}
            wrong += sum(there.get(one) != told.get(one) for one in part)
    return wrong


# ── measured ───────────────────────────────────────────────────────────────────────────────────────────────────────
async def _measure(engine: str, storage: Storage, cases: int, rounds: int) -> list[Row]:
    rollups = Rollups(storage, always, AT_ONCE)
    await rollups.run()
    messages = await storage.read(lambda conn: conn.execute(select(func.count()).select_from(t.messages)).scalar())
    wrong = await storage.read_apart(_wrong)
    said = f"{cases:,} cases, {messages:,} messages"
    rows = [Row("g", f"{engine}: facts that are not as the raw rows say", wrong, 0, unit="", detail=said)]
    await rollups.ask(Question(since=END))  # loads what is loaded on first use
    store.SHELF = Shelf()
    asked: dict[str, Callable[[], Awaitable[Any]]] = {
        "all by agent, the first time": partial(rollups.ask, REPORTS["all by agent"])
    }
    asked |= {name: partial(rollups.ask, question) for name, question in REPORTS.items()}
    whole = Question(by=("team",))
    asked["stafett report --by team"] = lambda: storage.read_apart(lambda conn: make(conn, whole, always, NOW))
    asked["the page of figures, of a year"] = partial(_page, storage, rollups)
    setting = Setting(NOW, UTC, lambda at: at.hour >= 8)
    for name, report in TO_MEND.items():
        asked[f"to mend: {name}"] = lambda report=report: storage.read_apart(lambda conn: report(conn, setting))  # type: ignore[misc]
    for name, ask in asked.items():
        taken, worked = [], []
        for _ in range(1 if "first" in name else rounds):
            began, at_work = time.perf_counter(), time.process_time()
            found = await ask()
            taken.append(time.perf_counter() - began)
            worked.append(time.process_time() - at_work)
        detail = (
            f"{median(worked):.2f} s of a core"  # what it takes where nobody else is at work; PostgreSQL's own apart
        )
        detail += f", {len(found.figures):,} figures" if hasattr(found, "figures") else ""
        rows.append(Row("g", f"{engine}: {name}", median(taken), BOUNDS[engine], unit=" s", detail=detail))
    return [*rows, await _felt(engine, storage, rollups, 20 * rounds)]


async def _page(storage: Storage, rollups: Rollups) -> None:
    await asyncio.gather(*(rollups.ask(question) for question in PAGE))
    await storage.read_apart(pages.values)


async def _felt(engine: str, storage: Storage, rollups: Rollups, writes: int) -> Row:
    """How much longer a small write takes, of the worst twentieth, while one report follows another."""
    alone = await _writes(storage, writes)
    reports = asyncio.create_task(_one_after_another(rollups))
    beside = await _writes(storage, writes)
    reports.cancel()
    await asyncio.wait({reports})
    more = 1000 * max(0.0, beside - alone)
    detail = f"{1000 * alone:.1f} ms without, {1000 * beside:.1f} ms beside"
    return Row("g", f"{engine}: a write beside reports waits longer by", more, 100.0, unit=" ms", detail=detail)


async def _writes(storage: Storage, count: int) -> float:
    """Seconds of the slowest twentieth of small writes, one every 20 ms."""
    taken = []
    for n in range(count):
        await asyncio.sleep(0.02)
        row = {"at": END, "who": "bench", "what": "write", "data": {"n": n}}
        began = time.perf_counter()
        await storage.write(lambda tx, row=row: tx.conn.execute(t.audit.insert().values(**row)))  # type: ignore[misc]
        taken.append(time.perf_counter() - began)
    return sorted(taken)[int(0.95 * count)]


async def _one_after_another(rollups: Rollups) -> None:
    while True:
        await rollups.ask(Question(by=("agent",)))


def _tell(line: str) -> None:
    print(f"  {line} …", file=sys.stderr, flush=True)
