"""(g): every report over a million cases and ten million messages, on SQLite and on PostgreSQL; and what the chat feels of it.

The past is made up (tests/support/synthetic.py) and written once: with `--data DIR` SQLite's file stays there for the next time.
What is measured is a question answered as the product answers it, from its connection to its figures; numpy and SciPy are loaded
before, as in a server that has answered one.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, timedelta
from pathlib import Path
from statistics import median

from sqlalchemy import func, select

from bot.staffing.hours import Hours
from bot.storage import schema
from bot.storage import tables as t
from bot.storage.engine import Storage
from surveys.figures.shape import Question
from surveys.rollups.keeping import Rollups
from tests.bench.table import Row
from tests.support import postgres, synthetic

DAYS = 365
END = synthetic.START + timedelta(days=DAYS)
BOUNDS = {"SQLite": 2.0, "PostgreSQL": 1.0}  # seconds
AT_ONCE = 5_000  # facts in one transaction: nobody waits for this one

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
        async with _postgresql(many) as storage:
            rows += await _measure("PostgreSQL", storage, many, rounds)
    return rows


@asynccontextmanager
async def _sqlite(path: Path, cases: int) -> AsyncIterator[Storage]:
    await asyncio.to_thread(_write_sqlite, path, cases)
    url = f"sqlite+aiosqlite:///{path}"
    await schema.upgrade(url)
    storage = Storage(url, lambda: END + timedelta(days=1))
    await storage.open()
    try:
        yield storage
    finally:
        await storage.close()


def _write_sqlite(path: Path, cases: int) -> None:
    """Unless it is there already."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)
    asyncio.run(schema.upgrade(f"sqlite+aiosqlite:///{part}"))
    _tell(f"SQLite: writing {cases:,} cases")
    synthetic.fill_sqlite(part, synthetic.batches(cases, days=DAYS))
    part.rename(path)


@asynccontextmanager
async def _postgresql(cases: int) -> AsyncIterator[Storage]:
    binaries = postgres.find_binaries()
    if binaries is None:
        raise RuntimeError("there are no programs of PostgreSQL")
    cluster = postgres.Cluster(binaries).create()
    try:
        url = postgres.create_database(cluster.start().url(), "reports")
        await schema.upgrade(url)
        _tell(f"PostgreSQL: writing {cases:,} cases")
        await synthetic.fill_postgresql(url, synthetic.batches(cases, days=DAYS))
        storage = Storage(url, lambda: END + timedelta(days=1))
        await storage.open()
        try:
            yield storage
        finally:
            await storage.close()
    finally:
        cluster.remove()


async def _measure(engine: str, storage: Storage, cases: int, rounds: int) -> list[Row]:
    rollups = Rollups(storage, lambda _team: Hours(UTC), AT_ONCE)
    began = time.perf_counter()
    await rollups.run()
    _tell(f"{engine}: what figures are made of, made in {time.perf_counter() - began:.0f} s")
    messages = await storage.read(lambda conn: conn.execute(select(func.count()).select_from(t.messages)).scalar())
    await rollups.ask(Question(since=END))  # loads what is loaded on first use
    rows: list[Row] = []
    for name, question in REPORTS.items():
        taken = []
        for _ in range(rounds):
            began = time.perf_counter()
            found = await rollups.ask(question)
            taken.append(time.perf_counter() - began)
        what = f"{engine}: {name}"
        detail = f"{len(found.figures):,} figures" + (f"; {cases:,} cases, {messages:,} messages" if not rows else "")
        rows.append(Row("g", what, median(taken), BOUNDS[engine], unit=" s", detail=detail))
    return [*rows, await _felt(engine, storage, rollups, 20 * rounds)]


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
