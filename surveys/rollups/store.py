"""What is to be made, and what was: marks, facts and blocks read and written. Rows never leave: facts and columns do."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import orjson
from sqlalchemy import Connection, delete, func, insert, select, text
from sqlalchemy.dialects import postgresql, sqlite

from bot.model import new_id
from bot.storage import kept
from bot.storage import tables as t
from bot.storage.marks import ANSWERS, ASKS, CASES, FAMILIES, MONTH, PROGRESS, drop_days, month_of, months_of
from bot.storage.tx import Tx
from surveys.rollups.blocks import FORMAT, Table, join, of, pack, unpack
from surveys.rollups.facts import WHO, Fact, day_of, who
from surveys.rollups.raw.store import Made, slices
from surveys.rollups.shelf import Shelf

Reader: TypeAlias = Connection
"""What queries run on. Files outside the fence around SQLAlchemy know it by this name."""

FAR: Mapping[str, int] = {CASES: 2_000, ANSWERS: 5_000, ASKS: 5_000}
"""From so many on that are still to be made, a question leaves them to the worker; `patience` is how many times more it makes."""
SHELF = Shelf()
Days: TypeAlias = tuple[int | None, int | None]
"""From one day to another, both counting in; None: no end."""
_TABLES = {CASES: t.cases, ANSWERS: t.survey_responses, ASKS: t.survey_invitations}


# ── what is to be made ─────────────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True, slots=True)
class Progress:
    """`cursors`: family → up to which id facts were made. `turn` counts the batches that were written, over all nodes.

    `format` is that of the facts that there are; None: none were ever made.
    """

    format: int | None = None
    turn: int = 0
    cursors: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_ours(self) -> bool:
        return self.format == FORMAT

    def cursor(self, family: str) -> str:
        return self.cursors.get(family, "") if self.is_ours else ""

    def to_json(self) -> dict[str, Any]:
        return {"format": self.format, "turn": self.turn, "cursors": dict(self.cursors)}


def progress(conn: Connection, *, held: bool = False) -> Progress:
    """How far facts are made; `held`: until the end of this transaction nobody else gets further."""
    query = select(t.settings.c.value).where(t.settings.c.key == PROGRESS)
    value = conn.execute(query.with_for_update() if held else query).scalar()
    return Progress(**value) if value else Progress()


def marked(conn: Connection, family: str, limit: int | None = None) -> list[tuple[int, str]]:
    """(number, id) of marks, oldest first."""
    m = t.figure_marks.c
    query = select(m.n, m.ref).where(m.family == family).order_by(m.n).limit(limit)
    return [(row.n, row.ref) for row in conn.execute(query)]


def unmade(conn: Connection, family: str, above: str, limit: int | None = None) -> list[str]:
    """Ids above the cursor, ascending."""
    table = _TABLES[family]
    return list(conn.execute(select(table.c.id).where(table.c.id > above).order_by(table.c.id).limit(limit)).scalars())


def few_to_make(conn: Connection, family: str, patience: int = 1) -> list[str]:
    """What is marked and what was never made, where each is so little that a question makes it by itself."""
    far = FAR[family] * patience
    marks = [ref for _, ref in marked(conn, family, far)]
    new = unmade(conn, family, progress(conn).cursor(family), far)
    return [*(marks if len(marks) < far else ()), *(new if len(new) < far else ())]


def is_far_behind(conn: Connection) -> bool:
    """Whether so much is still to be made that a question leaves it to the worker: after an upgrade, or an import."""
    known = progress(conn)
    return any(
        len(unmade(conn, family, known.cursor(family), far)) == far or len(marked(conn, family, far)) == far
        for family, far in FAR.items()
    )


def pending(conn: Connection, patience: int = 1) -> int:
    """How many cases, answers and decisions on asking figures do not hold yet; 0 where a question makes the rest by itself."""
    known, m, found = progress(conn), t.figure_marks.c, 0
    for family in FAMILIES:
        own = _TABLES[family].c.id
        for query in (
            select(func.count()).where(own > known.cursor(family)),
            select(func.count()).where(m.family == family),
        ):
            n = int(conn.execute(query).scalar() or 0)
            found += n if n >= FAR[family] * patience else 0
    return found


# ── facts and blocks ───────────────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True, slots=True)
class Batch:
    """Facts that were made from one snapshot: those of `ids`; who is not among the `facts` is gone.

    `turn` is that of the snapshot. `marks` are the numbers of those that it answers, `to` how far it brings the cursor.
    """

    family: str
    turn: int
    ids: Sequence[str]
    facts: Made
    marks: Sequence[int] = ()
    to: str = ""


def write(tx: Tx, batch: Batch) -> bool:
    """Write a batch's facts in place of what was there, take its marks, and drop the blocks of the days that it touches.

    False, and nothing is written: another node wrote since, and perhaps knows better.
    """
    known = progress(tx.conn, held=True)
    if known.turn != batch.turn or not known.is_ours:
        return False
    family, f, m = batch.family, t.figure_facts, t.figure_marks
    for some in slices(batch.marks):
        tx.conn.execute(delete(m).where(m.c.n.in_(some)))
    days: set[int] = set()
    for some in slices(batch.ids):
        days |= set(_days_of(tx.conn, family, some))
        gone = [one for one in some if one not in batch.facts]
        if gone:
            tx.conn.execute(delete(f).where(f.c.family == family, f.c.id.in_(gone)))
    rows = [_row(family, one, *batch.facts[one]) for one in batch.ids if one in batch.facts]
    if rows:
        tx.conn.execute(_upsert(tx), rows)
    drop_days(tx, family, sorted(days | {int(row["day"]) for row in rows}))
    cursors = {**known.cursors, family: max(known.cursor(family), batch.to)}
    kept.swap(tx, PROGRESS, replace(known, turn=known.turn + 1, cursors=cursors).to_json())
    return True


def _row(family: str, one: str, customer_id: str | None, fact: Fact) -> dict[str, Any]:
    text = orjson.dumps(fact).decode()
    return {"family": family, "id": one, "day": day_of(fact), "customer_id": customer_id, "fact": text}


def _upsert(tx: Tx) -> Any:
    f = t.figure_facts
    statement: Any = (postgresql if tx.conn.dialect.name == "postgresql" else sqlite).insert(f)
    new = {name: statement.excluded[name] for name in ("day", "customer_id", "fact")}
    return statement.on_conflict_do_update(index_elements=["family", "id"], set_=new)


def begin_anew(tx: Tx) -> None:
    """Throw away what was made, in another format or by hand: everything is made again from the raw rows."""
    known = progress(tx.conn, held=True)
    for table in (t.figure_facts, t.figure_blocks, t.figure_marks):
        tx.conn.execute(delete(table))
    kept.swap(tx, PROGRESS, Progress(FORMAT, known.turn + 1).to_json())


_DAYS = text(
    "WITH RECURSIVE d(day) AS (SELECT min(day) FROM figure_facts WHERE family = :family AND day >= :first UNION ALL"
    " SELECT (SELECT min(f.day) FROM figure_facts f WHERE f.family = :family AND f.day > d.day) FROM d WHERE d.day <= :last)"
    " SELECT day FROM d WHERE day <= :last"
)
"""Jumps along the index from day to day: a plain DISTINCT would read a million entries for a year's days."""
ANY_TIME = (-(2**31), 2**31 - 1)


def days_with_facts(conn: Connection, family: str, days: Days = (None, None)) -> list[int]:
    first, last = (end if day is None else day for day, end in zip(days, ANY_TIME, strict=True))
    return [int(day) for day in conn.execute(_DAYS, {"family": family, "first": first, "last": last}).scalars()]


def unpacked_days(conn: Connection, family: str, before: int) -> list[tuple[int, int]]:
    """Days before that one which have facts, but no block, each with how many."""
    f = t.figure_facts.c
    packed, _ = _blocks_of(conn, family)
    bare = [day for day in days_with_facts(conn, family, (None, before - 1)) if day not in packed]
    found: list[tuple[int, int]] = []
    for some in slices(bare):
        query = select(f.day, func.count()).where(f.family == family, f.day.in_(some)).group_by(f.day)
        found += [(int(day), int(n)) for day, n in conn.execute(query)]
    return sorted(found)


def loose_months(conn: Connection, family: str, before: int) -> list[int]:
    """First days of months that were over before that day and have no block, though each of their days with facts has one."""
    packed, months = _blocks_of(conn, family)
    bare = {month_of(day) for day in days_with_facts(conn, family) if day not in packed}
    over = {month_of(day) for day in packed if month_of(day) + MONTH <= before}
    return sorted(over - bare - set(months))


def _blocks_of(conn: Connection, family: str, days: Days = (None, None)) -> tuple[dict[int, str], dict[int, str]]:
    """(day → its block's name, first day of a month → its block's name): those that touch these days."""
    b = t.figure_blocks.c
    first, last = days
    query = select(b.family, b.day, b.made).where(b.family.in_((family, months_of(family))), b.made.is_not(None))
    query = query if first is None else query.where(b.day > first - MONTH)
    query = query if last is None else query.where(b.day <= last)
    found: dict[str, dict[int, str]] = {family: {}, months_of(family): {}}
    for of_family, day, made in conn.execute(query):
        found[of_family][int(day)] = made
    return {day: made for day, made in found[family].items() if first is None or day >= first}, found[months_of(family)]


@dataclass(frozen=True, slots=True)
class Packed:
    """Blocks as one snapshot has them: day → (facts in it, block); `family` is of days or of months. `turn` as in a Batch."""

    family: str
    turn: int
    blocks: Mapping[int, tuple[int, bytes]]


def pack_days(conn: Connection, family: str, days: Collection[int]) -> Packed:
    found = defaultdict(list)
    for _, fact in _facts_of_days(conn, family, days):
        found[day_of(fact)].append(fact)
    made = {day: (len(some), pack(of(family, some))) for day, some in found.items()}
    return Packed(family, progress(conn).turn, made)


def pack_month(conn: Connection, family: str, month: int) -> Packed:
    """A month's days as one block."""
    b = t.figure_blocks.c
    query = select(b.block).where(b.family == family, b.day >= month, b.day < month + MONTH).order_by(b.day)
    whole = join(family, [unpack(family, block) for block in conn.execute(query).scalars()])
    return Packed(months_of(family), progress(conn).turn, {month: (whole.n, pack(whole))})


def keep_blocks(tx: Tx, made: Packed) -> bool:
    """Put days, or a month, into blocks. False, and nothing is written: a fact was written since."""
    if progress(tx.conn, held=True).turn != made.turn:
        return False
    b = t.figure_blocks
    for some in slices(sorted(made.blocks)):
        tx.conn.execute(delete(b).where(b.c.family == made.family, b.c.day.in_(some)))
    rows = [
        {"family": made.family, "day": day, "n": n, "block": block, "made": new_id()}
        for day, (n, block) in made.blocks.items()
    ]
    if rows:
        tx.conn.execute(insert(b), rows)
    return True


def _facts_of_days(conn: Connection, family: str, days: Collection[int]) -> Iterator[tuple[str, Fact]]:
    f = t.figure_facts.c
    for some in slices(sorted(days)):
        where = (f.family == family, f.day.in_(some))
        rows = conn.execute(select(f.id, f.customer_id, f.fact).where(*where)).all()
        for one, customer_id, fact in sorted(
            rows, key=lambda row: row.id
        ):  # asked to, SQLite would read the whole family
            yield one, {**read_fact(fact), WHO: who(customer_id)}


def read_fact(text: str) -> Fact:
    """A fact as it is stored."""
    fact: Fact = orjson.loads(text)
    return fact


def table(
    conn: Connection,
    family: str,
    days: Days,
    instead: Mapping[str, Fact | None],
    wanted: Collection[str] | None = None,
) -> Table:
    """All facts from one day to another (both count in; None: no end), those in `instead` in place of the stored ones."""
    if not progress(conn).is_ours:  # of another program, or none: they are read as nothing
        return of(
            family, [fact for fact in instead.values() if fact is not None and _is_within(day_of(fact), days)], wanted
        )
    fresh = set(_days_of(conn, family, list(instead)))
    packed, months = _blocks_of(conn, family, days)
    whole = {month: made for month, made in months.items() if not any(month_of(day) == month for day in fresh)}
    single = {day: made for day, made in packed.items() if day not in fresh and month_of(day) not in whole}
    known = {day for span in _between(days, sorted(whole)) for day in days_with_facts(conn, family, span)}
    loose = [fact for one, fact in _facts_of_days(conn, family, known - set(single)) if one not in instead]
    loose += [fact for fact in instead.values() if fact is not None and _is_within(day_of(fact), days)]
    tables = _taken(conn, family, months_of(family), whole) + _taken(conn, family, family, single)
    if loose:
        tables.append(SHELF.numbered(of(family, loose)))
    return join(family, tables, wanted)


def _taken(conn: Connection, family: str, level: str, blocks: Mapping[int, str]) -> list[Table]:
    """The tables of blocks: of days, or of months."""
    day_named = {made: day for day, made in sorted(blocks.items())}

    def read(names: Sequence[str]) -> dict[str, bytes]:
        b = t.figure_blocks.c
        found: dict[str, bytes] = {}
        for some in slices([day_named[name] for name in names]):
            query = select(b.made, b.block).where(b.family == level, b.day.in_(some))
            found |= {row.made: row.block for row in conn.execute(query)}
        return found

    return SHELF.take(family, list(day_named), read)


def _between(days: Days, months: Sequence[int]) -> Iterator[Days]:
    """The days that lie in none of these months, as spans."""
    first, last = days
    for month in months:
        if first is None or first < month:
            yield first, month - 1
        first = month + MONTH
    if first is None or last is None or first <= last:
        yield first, last


def _is_within(day: int, days: Days) -> bool:
    return (days[0] is None or day >= days[0]) and (days[1] is None or day <= days[1])


def _days_of(conn: Connection, family: str, ids: Sequence[str]) -> Iterator[int]:
    """The days that the stored facts of these lie in.

    Not DISTINCT: for that SQLite would read the days of the whole family.
    """
    f = t.figure_facts.c
    for some in slices(ids):
        query = select(f.day).where(f.family == family, f.id.in_(some))
        yield from {int(day) for day in conn.execute(query).scalars()}
