"""The rows behind figures: raw rows read in batches, marks, facts and blocks read and written. Rows never leave: facts do."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, TypeAlias

import orjson
from sqlalchemy import Connection, and_, delete, exists, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from bot.model import WITH_PEOPLE
from bot.storage import kept
from bot.storage import tables as t
from bot.storage.marks import ANSWERS, ASKS, CASES, COUNTED, PROGRESS, drop_days
from bot.storage.tx import Tx
from surveys.rollups import facts as made
from surveys.rollups.blocks import FORMAT, Table, join, of, pack, unpack
from surveys.rollups.facts import EPOCH, Fact, Happened, HoursOf, Promise, RawCase, Word, day_of

Reader: TypeAlias = Connection
"""What queries run on. Files outside the fence around SQLAlchemy know it by this name."""

BATCH = 200  # ids in one statement
_TABLES = {CASES: t.cases, ANSWERS: t.survey_responses, ASKS: t.survey_invitations}


# ── raw rows to facts ──────────────────────────────────────────────────────────────────────────────────────────────
def make(conn: Connection, family: str, ids: Sequence[str], hours_of: HoursOf) -> dict[str, tuple[str | None, Fact]]:
    """The facts of these cases, answers or invitations as they are now: id → (customer id, fact). Who is gone has none."""
    found: dict[str, tuple[str | None, Fact]] = {}
    for some in _slices(ids):
        if family == CASES:
            raw = _raw_cases(conn, some)
            found |= {one.row["id"]: (one.row["customer_id"], made.of_case(one, hours_of)) for one in raw}
        elif family == ANSWERS:
            found |= _answers(conn, some)
        else:
            found |= _asks(conn, some)
    return found


def _raw_cases(conn: Connection, ids: Sequence[str]) -> Iterator[RawCase]:
    rows = conn.execute(select(t.cases).where(t.cases.c.id.in_(ids))).mappings().all()
    events, words, promises = _events(conn, ids), _words(conn, ids), _promises(conn, ids)
    again = _again(conn, rows)
    for row in rows:
        of = row["id"]
        yield RawCase(dict(row), events.get(of, ()), words.get(of, ()), promises.get(of, ()), again.get(of))


def _events(conn: Connection, ids: Sequence[str]) -> Mapping[str, list[Happened]]:
    e = t.case_events.c
    query = select(e.case_id, e.kind, e.at, e.data).where(e.case_id.in_(ids), e.kind.in_(COUNTED)).order_by(e.n)
    found = defaultdict(list)
    for case_id, kind, at, data in conn.execute(query):
        found[case_id].append(Happened(kind, at, data or {}))
    return found


def _words(conn: Connection, ids: Sequence[str]) -> Mapping[str, list[Word]]:
    """What the customers see, each message once: a merge copies them, and the copies are taken where there are any."""
    m = t.messages.c
    query = select(m.case_id, m.customer_id, m.author_kind, m.at, m.meta, m.copied_from)
    query = query.where(m.case_id.in_(ids), m.seq.is_not(None)).order_by(m.at, m.seq)
    found: dict[str, list[tuple[str, Word]]] = defaultdict(list)
    originals: set[tuple[str, str]] = set()  # case, customer: rows that were copied to somebody else
    for case_id, customer_id, by, at, meta, copied_from in conn.execute(query):
        if copied_from:
            originals.add((case_id, copied_from))
        found[case_id].append((customer_id, Word(by, at, _step(meta))))
    return {of: [word for who, word in words if (of, who) not in originals] for of, words in found.items()}


def _step(meta: Mapping[str, Any] | None) -> str | None:
    """`flow/step` where the flow rested after this was said."""
    source = (meta or {}).get("source")
    return source.removeprefix("step:") or None if isinstance(source, str) and source.startswith("step:") else None


def _promises(conn: Connection, ids: Sequence[str]) -> Mapping[str, list[Promise]]:
    p = t.promises.c
    query = select(p.case_id, p.kind, p.told_at, p.wait_s, p.outcome, p.ended_at).where(p.case_id.in_(ids))
    found = defaultdict(list)
    for case_id, *rest in conn.execute(query.order_by(p.told_at, p.id)):
        found[case_id].append(Promise(*rest))
    return found


def _again(conn: Connection, rows: Sequence[Mapping[Any, Any]]) -> Mapping[str, datetime]:
    """Case → when its customer next opened one on the same topic, after it ended."""
    ended = [(row, end) for row in rows if (end := made.ended_at(row)) is not None]
    if not ended:
        return {}
    c = t.cases.c
    theirs = {row["customer_id"] for row, _ in ended}
    since = min(end for _, end in ended)
    query = select(c.id, c.customer_id, c.topic, c.opened_at).where(c.customer_id.in_(theirs), c.opened_at > since)
    opened: dict[tuple[str, str | None], list[tuple[datetime, str]]] = defaultdict(list)
    for case_id, customer_id, topic, at in conn.execute(query):
        opened[customer_id, topic].append((at, case_id))
    found = {}
    for row, end in ended:
        later = [at for at, one in opened[row["customer_id"], row["topic"]] if at > end and one != row["id"]]
        if later:
            found[row["id"]] = min(later)
    return found


def _answers(conn: Connection, ids: Sequence[str]) -> dict[str, tuple[str | None, Fact]]:
    r, i = t.survey_responses, t.survey_invitations
    query = select(r, i.c.snapshot).join(i, i.c.id == r.c.invitation_id, isouter=True).where(r.c.id.in_(ids))
    rows = conn.execute(query).mappings()
    return {
        row["id"]: (row["customer_id"], made.of_answer(dict(row), row["snapshot"] or {}))
        for row in rows
        if made.is_known(row["instrument"])
    }


def _asks(conn: Connection, ids: Sequence[str]) -> dict[str, tuple[str | None, Fact]]:
    i, r = t.survey_invitations, t.survey_responses
    query = select(i, r.c.score).join(r, r.c.invitation_id == i.c.id, isouter=True).where(i.c.id.in_(ids))
    return {
        row["id"]: (row["customer_id"], made.of_ask(dict(row), row["score"])) for row in conn.execute(query).mappings()
    }


def waiting(conn: Connection, now: datetime) -> list[Fact]:
    """The cases that people have, or are to take, now."""
    c = t.cases.c
    query = select(t.cases).where(c.status.in_([status.value for status in WITH_PEOPLE])).order_by(c.id)
    return [made.of_waiting(dict(row), now) for row in conn.execute(query).mappings()]


def steps(conn: Connection, days: tuple[int | None, int | None]) -> list[Fact]:
    """The steps of flows from one day to another, both counting in."""
    s = t.step_counts.c
    first, last = (None if day is None else (EPOCH + timedelta(days=day)).date().isoformat() for day in days)
    query = select(s.flow, s.step, s.day, s.reached, s.answered).order_by(s.flow, s.step, s.day)
    query = query if first is None else query.where(s.day >= first)
    query = query if last is None else query.where(s.day <= last)
    return [made.of_step(*row) for row in conn.execute(query)]


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


def returned_to(conn: Connection, ids: Sequence[str]) -> list[str]:
    """Cases of the same customers that ended not long before one of these opened: whether they came back may be new."""
    c, mine = t.cases.alias(), t.cases
    found: list[str] = []
    for some in _slices(ids):
        query = (
            select(c.c.id)
            .join(mine, and_(mine.c.customer_id == c.c.customer_id, mine.c.id != c.c.id))
            .where(mine.c.id.in_(some), c.c.opened_at < mine.c.opened_at, c.c.resolved_at.is_not(None))
            .where(c.c.resolved_at < mine.c.opened_at)
            .distinct()
        )
        found += conn.execute(query).scalars()
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
    facts: Mapping[str, tuple[str | None, Fact]]
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
    for some in _slices(batch.marks):
        tx.conn.execute(delete(m).where(m.c.n.in_(some)))
    days: set[int] = set()
    for some in _slices(batch.ids):
        where = (f.c.family == family, f.c.id.in_(some))
        days |= {int(day) for day in tx.conn.execute(select(f.c.day).where(*where).distinct()).scalars()}
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


def _slices(every: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Engines limit the parameters of one statement."""
    return (every[start : start + BATCH] for start in range(0, len(every), BATCH))


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


def unpacked_days(conn: Connection, family: str, before: int) -> list[tuple[int, int]]:
    """Days before that one which have facts, but no block, each with how many."""
    f, b = t.figure_facts, t.figure_blocks
    packed = exists().where(b.c.family == f.c.family, b.c.day == f.c.day)
    query = select(f.c.day, func.count()).where(f.c.family == family, f.c.day < before, ~packed)
    return [(int(day), int(n)) for day, n in conn.execute(query.group_by(f.c.day).order_by(f.c.day))]


@dataclass(frozen=True, slots=True)
class Packed:
    """Blocks of days as one snapshot has them: day → (facts in it, block). `turn` as in a Batch."""

    family: str
    turn: int
    blocks: Mapping[int, tuple[int, bytes]]


def pack_days(conn: Connection, family: str, days: Collection[int]) -> Packed:
    found = defaultdict(list)
    for _, fact in _facts_of_days(conn, family, days):
        found[day_of(fact)].append(fact)
    return Packed(family, progress(conn).turn, {day: (len(some), pack(family, some)) for day, some in found.items()})


def keep_blocks(tx: Tx, made: Packed) -> bool:
    """Put days into blocks. False, and nothing is written: a fact was written since."""
    if progress(tx.conn, held=True).turn != made.turn:
        return False
    drop_days(tx, made.family, sorted(made.blocks))
    rows = [{"family": made.family, "day": day, "n": n, "block": block} for day, (n, block) in made.blocks.items()]
    if rows:
        tx.conn.execute(insert(t.figure_blocks), rows)
    return True


def _facts_of_days(conn: Connection, family: str, days: Collection[int]) -> Iterator[tuple[str, Fact]]:
    f = t.figure_facts.c
    for some in _slices(sorted(days)):
        where = (f.family == family, f.day.in_(some))
        for one, fact in conn.execute(select(f.id, f.fact).where(*where).order_by(f.id)):
            yield one, orjson.loads(fact)


def table(
    conn: Connection,
    family: str,
    days: tuple[int | None, int | None],
    instead: Mapping[str, Fact | None],
    wanted: Collection[str] | None = None,
) -> Table:
    """All facts from one day to another (both count in; None: no end), those in `instead` in place of the stored ones."""
    f, b = t.figure_facts.c, t.figure_blocks.c
    fresh = set(_days_of(conn, family, list(instead)))
    inside = [column >= days[0] for column in (b.day,) if days[0] is not None]
    inside += [column <= days[1] for column in (b.day,) if days[1] is not None]
    query = select(b.day, b.block).where(b.family == family, *inside).order_by(b.day)
    blocks = [(int(day), block) for day, block in conn.execute(query) if day not in fresh]
    packed = {day for day, _ in blocks}
    span = [f.day >= days[0]] if days[0] is not None else []
    span += [f.day <= days[1]] if days[1] is not None else []
    known = conn.execute(select(f.day).where(f.family == family, *span).distinct()).scalars()
    loose = [
        fact for one, fact in _facts_of_days(conn, family, {int(day) for day in known} - packed) if one not in instead
    ]
    loose += [fact for fact in instead.values() if fact is not None and _is_within(day_of(fact), days)]
    tables = [unpack(block, wanted) for _, block in blocks]
    if loose:
        tables.append(of(family, loose, wanted))
    return join(family, tables)


def _is_within(day: int, days: tuple[int | None, int | None]) -> bool:
    return (days[0] is None or day >= days[0]) and (days[1] is None or day <= days[1])


def _days_of(conn: Connection, family: str, ids: Sequence[str]) -> Iterator[int]:
    """The days that the stored facts of these lie in."""
    f = t.figure_facts.c
    for some in _slices(ids):
        query = select(f.day).where(f.family == family, f.id.in_(some)).distinct()
        yield from (int(day) for day in conn.execute(query).scalars())
