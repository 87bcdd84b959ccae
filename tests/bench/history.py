"""(e): the last 50 messages of a customer, while the number of stored messages grows a hundredfold."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import tempfile
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from sqlalchemy import Engine, create_engine, event

from bot.storage import history, schema
from tests.bench.table import Row

EACH = 100  # messages a customer
ASKED = 300  # customers a round
FIRST = datetime(2026, 1, 1, tzinfo=UTC)
INDEX = "ix_messages_customer_id_seq"


def fill(path: Path, count: int) -> list[str]:
    """`count` messages, the customers' talks interleaved as they come in life; the customers' ids."""
    customers = [f"c{number:06d}" for number in range(max(1, count // EACH))]
    with closing(sqlite3.connect(path)) as db, db:
        at = FIRST.replace(tzinfo=None)
        db.executemany(
            "INSERT INTO customers (id, name, locale, created_at, attributes, opted_out) VALUES (?,'Kari','en',?,'{}',0)",
            [(one, str(at)) for one in customers],
        )
        db.executemany(
            "INSERT INTO messages (customer_id, id, seq, author_kind, author_name, channel, text, markdown, choices, files, meta,"
            " at) VALUES (?,?,?,'customer','Kari','web',?,0,'[]','[]','{}',?)",
            (
                (
                    customers[number % len(customers)],
                    f"m{number:09d}",
                    number // len(customers) + 1,
                    f"Where is my order {number}? It should have been here on Monday, and nobody answers the phone.",
                    str(at + timedelta(seconds=number)),
                )
                for number in range(count)
            ),
        )
    return customers


async def run(*, quick: bool = False, tiny: bool = False) -> list[Row]:
    small, large, rounds = (500, 5_000, 1) if tiny else (10_000, 100_000, 3) if quick else (10_000, 1_000_000, 5)
    with tempfile.TemporaryDirectory() as folder:
        asked = {}
        for count in (small, large):
            path = Path(folder) / f"{count}.db"
            await schema.upgrade(f"sqlite+aiosqlite:///{path}")
            customers = await asyncio.to_thread(fill, path, count)
            asked[count] = (create_engine(f"sqlite:///{path}"), customers)
        chance = random.Random(7)
        taken: dict[int, list[float]] = {small: [], large: []}
        for _ in range(rounds):
            for count, (engine, customers) in asked.items():
                taken[count].append(
                    await asyncio.to_thread(_ask, engine, chance.choices(customers, k=20 if tiny else ASKED))
                )
        plan = _plan(*asked[large])
        for engine, _ in asked.values():
            engine.dispose()
    few, many = median(taken[small]), median(taken[large])
    return [
        Row("e", f"last 50 messages, at {large:,} stored to {small:,}", many / few, 4.0,
            detail=f"{many * 1e6:.0f} µs to {few * 1e6:.0f} µs"),
        Row("e", "the plan uses the index, and sorts nothing (1: yes)", float(INDEX in plan and "TEMP B-TREE" not in plan),
            1.0, at_least=True, unit="", detail=plan),
    ]  # fmt: skip


def _plan(engine: Engine, customers: list[str]) -> str:
    """How SQLite answers the very statement that the product runs."""
    ran: list[tuple[str, Any]] = []
    event.listen(engine, "before_cursor_execute", lambda _c, _cu, sql, values, *_: ran.append((sql, values)))
    with engine.connect() as conn:
        history.latest(conn, customers[0], 50)
        [(statement, values)] = ran
        return " ".join(str(row[-1]) for row in conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values))


def _ask(engine: Engine, customers: list[str]) -> float:
    """The median of the seconds that one answer takes."""
    taken = []
    with engine.connect() as conn:
        for one in customers:
            began = time.perf_counter()
            found = history.latest(conn, one, 50)
            taken.append(time.perf_counter() - began)
            if not found:
                raise RuntimeError(f"{one} has no messages")
    return median(taken)
