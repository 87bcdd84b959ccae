"""A made-up past, written: its rows as they are, or a slice of them laid end to end by the database itself.

A large past is a week's cases, made once and written again with other ids, some days later, and every second time of the same
customers. Ten million messages take a minute or two that way, where Python alone takes ten.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tests.support.synthetic import COLUMNS, START, TOPICS, Batch, Row, Span, batches, stretch


@dataclass(frozen=True, slots=True)
class Laid:
    """Rows that are written `times` times: each time `every` later, with ids and numbers of their own. The customers are the same
    ones again after `round` times. `first` is how many times before these were written.
    """

    rows: Iterator[Batch]
    times: int = 1
    every: timedelta = timedelta()
    cases: int = 0
    round: int = 1
    first: int = 0

    @property
    def is_plain(self) -> bool:
        """Whether the rows are written as they are."""
        return self.times == 1 and not self.first

    @property
    def turns(self) -> range:
        return range(self.first, self.first + self.times)


SLICE = 20_000  # cases


def laid(cases: int, days: int = 365) -> list[Laid]:
    """A past of `cases`, which are rounded to whole slices where there are many. Its last slice has the cases that still wait."""
    slices = cases // SLICE
    if slices < 3:
        return [Laid(batches(cases, days=days))]
    every = timedelta(days=days) / slices
    span = Span(SLICE, every / timedelta(days=1), START, START + timedelta(days=10 * days), SLICE // 2)
    begins = START + every * (slices - 1)
    last = replace(span, start=begins, end=START + timedelta(days=days), people=cases // 2, seed=2)
    around = slices // 2
    return [
        Laid(stretch(span), slices - 1, every, SLICE, around),
        Laid(stretch(last), 1, timedelta(), SLICE, around, slices - 1),
    ]


# ── written ────────────────────────────────────────────────────────────────────────────────────────────────────────
OF_CASE = {"id", "case_id", "invitation_id"}  # named anew each time
MISSING = (
    "INSERT INTO customers (id, name, locale, created_at, attributes, opted_out)"
    " SELECT customer_id, '', min(locale), min(opened_at), '{}', {no} FROM cases"
    " WHERE customer_id NOT IN (SELECT id FROM customers) GROUP BY customer_id"
)


def fill_sqlite(path: Path, made: Iterator[Batch]) -> None:
    """As `lay_sqlite`, each row once."""
    lay_sqlite(path, [Laid(made)])


def lay_sqlite(path: Path, made: Sequence[Laid]) -> None:
    """Into a database that has the schema; not durable while it runs. Customers who stand in no row of their own are added."""
    with closing(sqlite3.connect(path)) as db, db:
        for pragma in (
            "journal_mode=OFF",
            "synchronous=OFF",
            "foreign_keys=OFF",
            "cache_size=-1000000",
            "temp_store=2",
        ):
            db.execute(f"PRAGMA {pragma}")
        indexes = db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL").fetchall()
        for name, _ in indexes:  # made again at the end: sorted once, not one row at a time
            db.execute(f"DROP INDEX {name}")
        for one in made:
            _lay_sqlite(db, one)
        db.execute(MISSING.replace("{no}", "0"))
        for _, sql in indexes:
            db.execute(sql)
        db.commit()
        db.execute("PRAGMA journal_mode=WAL")


def _lay_sqlite(db: sqlite3.Connection, one: Laid) -> None:
    into = "main" if one.is_plain else "temp"
    for table, columns in COLUMNS.items() if into == "temp" else ():
        db.execute(f"CREATE TEMP TABLE {table} AS SELECT {columns.replace(' ', ', ')} FROM main.{table} WHERE false")
    for batch in one.rows:
        for table, rows in batch.items():
            names = COLUMNS[table].split()
            sql = f"INSERT INTO {into}.{table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
            db.executemany(sql, map(_plain, rows))
    for table, columns in COLUMNS.items() if into == "temp" else ():
        for turn in one.turns if table != "customers" else ():
            later = f"+{one.every * turn / timedelta(seconds=1):.3f} seconds"
            copied = [
                _copied(name, one, turn, f"strftime('%Y-%m-%d %H:%M:%f000', {name}, '{later}')")
                for name in columns.split()
            ]
            into_table = f"INSERT INTO main.{table} ({columns.replace(' ', ', ')})"
            db.execute(f"{into_table} SELECT {', '.join(copied)} FROM temp.{table} ORDER BY rowid")
        db.execute(f"DROP TABLE temp.{table}")


def _copied(name: str, one: Laid, turn: int, moved: str) -> str:
    """A column as it is the `turn`th time."""
    if name in OF_CASE:
        return f"'{of_turn(turn)}' || {name}"
    if name == "customer_id":
        return f"'g{turn % one.round:04}-' || {name}"
    if name == "number":
        return f"number + {turn * one.cases}"
    return moved if name == "at" or name.endswith("_at") else name


def of_turn(turn: int) -> str:
    """What the ids of a turn begin with; they are in the order of the turns."""
    return f"s{turn:04}-"


def _plain(row: Row) -> Sequence[Any]:
    """As SQLAlchemy writes it to SQLite: times naive, in UTC."""
    return [one.strftime("%Y-%m-%d %H:%M:%S.%f") if isinstance(one, datetime) else one for one in row]


async def fill_postgresql(url: str, made: Iterator[Batch]) -> None:
    """As `lay_postgresql`, each row once."""
    await lay_postgresql(url, [Laid(made)])


async def lay_postgresql(url: str, made: Sequence[Laid]) -> None:
    """Into a database that has the schema, by COPY. Customers who stand in no row of their own are added."""
    import asyncpg

    db = await asyncpg.connect(url.replace("postgresql+asyncpg", "postgresql"))
    try:
        await db.execute("SET session_replication_role = replica")  # customers come last
        await db.execute("SET synchronize_seqscans = off")  # copies come in the order of their originals
        await db.execute("SET maintenance_work_mem = '512MB'")
        large = any(not one.is_plain for one in made)
        again = await _without_keys(db, *(name for name in COLUMNS if name != "customers")) if large else []
        for one in made:
            await _lay_postgresql(db, one)
        await db.execute(MISSING.replace("{no}", "false"))
        for sql in again:
            await db.execute(sql)
        if large:
            await db.execute("VACUUM ANALYZE")
    finally:
        await db.close()


async def _without_keys(db: Any, *names: str) -> list[str]:
    """Take away the indexes of tables; what makes them again."""
    tables = ", ".join(f"'{name}'" for name in names)
    keys = await db.fetch(
        "SELECT conrelid::regclass::text AS of, conname AS name, pg_get_constraintdef(oid) AS made FROM pg_constraint"
        f" WHERE contype IN ('p', 'u') AND conrelid::regclass::text IN ({tables})"
    )
    for one in keys:
        await db.execute(f"ALTER TABLE {one['of']} DROP CONSTRAINT {one['name']}")
    indexes = await db.fetch(
        f"SELECT indexname AS name, indexdef AS made FROM pg_indexes WHERE schemaname = 'public' AND tablename IN ({tables})"
    )
    for one in indexes:
        await db.execute(f"DROP INDEX {one['name']}")
    return [f"ALTER TABLE {one['of']} ADD CONSTRAINT {one['name']} {one['made']}" for one in keys] + [
        one["made"] for one in indexes
    ]


async def _lay_postgresql(db: Any, one: Laid) -> None:
    if not one.is_plain:
        for table, names in COLUMNS.items():
            await db.execute(
                f"CREATE TEMP TABLE {table} AS SELECT {', '.join(names.split())} FROM public.{table} WHERE false"
            )
    schema = "public" if one.is_plain else None
    for batch in one.rows:
        for table, rows in batch.items():
            await db.copy_records_to_table(table, records=rows, columns=COLUMNS[table].split(), schema_name=schema)
    if one.is_plain:
        return
    for table, names in COLUMNS.items():
        if table != "customers":
            for turn in one.turns:
                later = f"interval '{one.every * turn / timedelta(milliseconds=1):.0f} milliseconds'"
                copied = (_copied(name, one, turn, f"{name} + {later}") for name in names.split())
                await db.execute(
                    f"INSERT INTO public.{table} ({', '.join(names.split())}) SELECT {', '.join(copied)} FROM pg_temp.{table}"
                )
        await db.execute(f"DROP TABLE pg_temp.{table}")


# ── the facts of a large past ──────────────────────────────────────────────────────────────────────────────────────
def lay_facts_sqlite(path: Path, made: Laid) -> None:
    """The facts of the first turn, which are there, as those of all others: a case's fact tells nothing of the year it lies in."""
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("PRAGMA synchronous=OFF")
        db.execute("PRAGMA cache_size=-1000000")
        indexes = (
            "SELECT name, sql FROM sqlite_master WHERE tbl_name = 'figure_facts' AND type = 'index' AND sql IS NOT NULL"
        )
        again = db.execute(indexes).fetchall()
        for name, _ in again:
            db.execute(f"DROP INDEX {name}")
        for turn in made.turns[1:]:
            moved = f"json_extract(fact, '$.at') + {_micros(made.every) * turn}"
            text = f"json_set(fact, '$.at', {moved})"
            db.execute(f"INSERT OR REPLACE {_facts_of(made, turn, f'({moved}) / {DAY_US}', text)}")
        for _, sql in again:
            db.execute(sql)


async def lay_facts_postgresql(url: str, made: Laid) -> None:
    """As `lay_facts_sqlite`."""
    import asyncpg

    db = await asyncpg.connect(url.replace("postgresql+asyncpg", "postgresql"))
    try:
        await db.execute("SET maintenance_work_mem = '512MB'")
        await db.execute(f"DELETE FROM figure_facts WHERE id >= '{of_turn(1)}'")
        again = await _without_keys(db, "figure_facts")
        for turn in made.turns[1:]:
            moved = f"((fact::jsonb ->> 'at')::bigint + {_micros(made.every) * turn})"
            text = f"jsonb_set(fact::jsonb, '{{at}}', to_jsonb({moved}))::text"
            await db.execute(f"INSERT {_facts_of(made, turn, f'({moved} / {DAY_US})::integer', text)}")
        for sql in again:
            await db.execute(sql)
        await db.execute("VACUUM ANALYZE figure_facts")
    finally:
        await db.close()


DAY_US = 86_400_000_000


def _micros(span: timedelta) -> int:
    return span // timedelta(microseconds=1)


def _facts_of(made: Laid, turn: int, day: str, fact: str) -> str:
    own = len(of_turn(turn)) + 1
    customer = f"'g{turn % made.round:04}' || substr(customer_id, 6)"
    return (
        f"INTO figure_facts (family, id, day, customer_id, fact) SELECT family, '{of_turn(turn)}' || substr(id, {own}), {day},"
        f" {customer}, {fact} FROM figure_facts WHERE id >= '{of_turn(0)}' AND id < '{of_turn(1)}' ORDER BY family, id"
    )


# ── what people found in it ────────────────────────────────────────────────────────────────────────────────────────
def records(cases: int, now: datetime, at: str) -> list[str]:
    """Statements for both engines: a wish, a complaint, a linked problem for every twentieth case or fewer, a customer in fifty
    who left, and one improvement for each metric. `at` is a time in SQL, with `{time}` where it stands.
    """

    def moment(days: float) -> str:
        return at.replace("{time}", f"{now - timedelta(days=days):%Y-%m-%d %H:%M:%S.%f}")

    def every(nth: int) -> str:
        return f"FROM cases WHERE number % {nth} = 0"

    topics = [topic for topic in TOPICS if topic]
    found = [
        (
            f"INSERT INTO case_labels (id, case_id, customer_id, kind, area, text, source, at) SELECT 'l' || id, id, customer_id,"
            f" 'complaint', 'product', 'It broke.', 'flow', opened_at {every(20)}"
        ),
        (
            f"INSERT INTO departures (id, customer_id, kind, reason, at) SELECT 'd' || id, customer_id, 'left', 'price', opened_at"
            f" {every(50)}"
        ),
        (
            f"INSERT INTO wish_votes (id, wish_id, customer_id, case_id, text, locale, at) SELECT 'v' || id, 'wish' || (number % 30),"
            f" customer_id, id, 'I want it in another colour.', locale, opened_at {every(40)}"
        ),
    ]
    for n in range(30):
        told = f"'{{}}', 'ann', {moment(200)}, {moment(100)}"
        found.append(
            "INSERT INTO wishes (id, title, state, message, created_by, created_at, updated_at)"
            f" VALUES ('wish{n}', 'Another colour, {n}', 'open', {told})"
        )
        if n >= 20:
            continue
        topic = topics[n % len(topics)]
        found += [
            (
                "INSERT INTO problems (id, title, topic, cause, owner, fix, state, fixed_at, message, created_by, created_at,"
                f" updated_at) VALUES ('problem{n}', 'It breaks, {n}', '{topic}', '', '', '', 'fixed', {moment(60 + n)}, {told})"
            ),
            (
                f"INSERT INTO problem_cases (problem_id, case_id, customer_id, at) SELECT 'problem{n}', id, customer_id, opened_at"
                f" FROM cases WHERE number <= {cases // 50} AND number % 20 = {n}"
            ),
        ]
    scopes = ('{"topic": "delivery"}', '{"flow": "flow1"}', '{"channel": "web"}', "{}")
    for n, metric in enumerate(
        ("csat", "ces", "ces_good", "nps", "contacts", "reopened", "escalated", "unsolved", "ttr")
    ):
        found.append(
            "INSERT INTO improvements (id, title, what, starts_on, days, scope, metric, cost, unit_value, currency,"
            " metric_fixed_at, created_by, created_at, updated_at) VALUES"
            f" ('better{n}', 'Better, {n}', '', '{now - timedelta(days=100 + n):%Y-%m-%d}', 56, '{scopes[n % len(scopes)]}',"
            f" '{metric}', 1000, 5, 'EUR', {moment(200)}, 'ann', {moment(200)}, {moment(200)})"
        )
    return found
