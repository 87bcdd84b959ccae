"""The rows of what is to be mended. Rows never leave: the nouns do."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields, replace
from datetime import date, datetime
from typing import Any, TypeVar

from sqlalchemy import (
    Connection,
    Row,
    Select,
    Table,
    case,
    delete,
    distinct,
    func,
    insert,
    literal,
    not_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from bot.errors import NotFound
from bot.storage import tables as t
from bot.storage.tx import Tx
from surveys.insights.records.nouns import (
    Alarm,
    AlarmState,
    Area,
    Improvement,
    Label,
    LabelKind,
    Linked,
    Metric,
    Problem,
    ProblemState,
    Vote,
    Wish,
    WishState,
)

Reader = Connection
a, lb, p, pc, w, v, im, c = (
    t.topic_alarms,
    t.case_labels,
    t.problems,
    t.problem_cases,
    t.wishes,
    t.wish_votes,
    t.improvements,
    t.cases,
)
N = TypeVar("N", Alarm, Problem, Wish, Improvement)
DATES = ("due_on", "verified_on", "starts_on")
AT_ONCE = 500  # parameters of one statement
KNOWN_BY = 50  # a wish is known by the words of the first who had it: thousands say nothing new


# ── alarms ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def alarms(conn: Reader, *, topic: str | None = None, limit: int = 100) -> list[Alarm]:
    """The newest first."""
    query = select(a).order_by(a.c.week.desc(), a.c.at.desc(), a.c.id.desc()).limit(limit)
    return [_alarm(row) for row in conn.execute(query if topic is None else query.where(a.c.topic == topic))]


def held_alarm(tx: Tx, alarm_id: str) -> Alarm:
    """Nobody else changes it until the commit. Raises NotFound."""
    return _alarm(_one(tx.conn, select(a).where(a.c.id == alarm_id).with_for_update(), "alarm"))


def alarmed_weeks(conn: Reader, since: str) -> set[tuple[str, str]]:
    """(topic, week) of all alarms from that week on, dismissed or not: what was far above the usual is not the usual."""
    return {(row.topic, row.week) for row in conn.execute(select(a.c.topic, a.c.week).where(a.c.week >= since))}


def add_alarm(tx: Tx, one: Alarm) -> bool:
    """False where this topic's alarm of this week is there already, from whichever node."""
    made = _adder(tx)(a).values(**_values(one, a))
    return tx.conn.execute(made.on_conflict_do_nothing(index_elements=["topic", "week"])).rowcount == 1


def is_first(tx: Tx, what: str, name: str) -> bool:
    """Whether nobody has said this of `name` (a week) before, on whichever node; what was said of others is forgotten."""
    s, key = t.settings, f"{what}:{name}"
    if tx.conn.execute(_adder(tx)(s).values(key=key, value=True).on_conflict_do_nothing()).rowcount != 1:
        return False
    tx.conn.execute(delete(s).where(s.c.key.startswith(f"{what}:"), s.c.key != key))
    return True


def _adder(tx: Tx) -> Any:
    return postgresql.insert if tx.conn.dialect.name == "postgresql" else sqlite.insert


def end_alarm(tx: Tx, alarm_id: str, state: AlarmState, by: str, problem_id: str | None = None) -> None:
    values = {"state": state.value, "ended_at": tx.now, "ended_by": by}
    if problem_id is not None:
        values["problem_id"] = problem_id
    tx.conn.execute(update(a).where(a.c.id == alarm_id).values(**values))


# ── labels ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def labels(
    conn: Reader,
    *,
    kind: str | None = None,
    area: str | None = None,
    topic: str | None = None,
    case_id: str | None = None,
    label_id: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int | None = 500,
) -> list[Label]:
    """With the case's number, topic (its flow, where it has none) and channel; the newest first. `area` "" is for those
    without one.
    """
    about = func.coalesce(func.nullif(c.c.topic, ""), c.c.flow)
    query = select(lb, c.c.number, about.label("topic"), c.c.channel).outerjoin(c, c.c.id == lb.c.case_id)
    exact = ((kind, lb.c.kind), (topic, about), (case_id, lb.c.case_id), (label_id, lb.c.id))
    query = query.where(*(column == value for value, column in exact if value is not None))
    if area is not None:
        query = query.where(lb.c.area == area if area else lb.c.area.is_(None))
    if since is not None:
        query = query.where(lb.c.at >= since)
    if until is not None:
        query = query.where(lb.c.at < until)
    return [_label(row) for row in conn.execute(query.order_by(lb.c.at.desc(), lb.c.id.desc()).limit(limit))]


def count_labels(
    conn: Reader, *, since: datetime | None = None, until: datetime | None = None
) -> dict[tuple[str, str | None], int]:
    """(kind, area) → how many."""
    query = select(lb.c.kind, lb.c.area, func.count().label("n")).group_by(lb.c.kind, lb.c.area)
    query = query if since is None else query.where(lb.c.at >= since)
    query = query if until is None else query.where(lb.c.at < until)
    return {(row.kind, row.area): row.n for row in conn.execute(query)}


def add_label(tx: Tx, one: Label) -> None:
    tx.conn.execute(insert(lb).values(**_values(one, lb)))


def change_label(tx: Tx, label_id: str, kind: LabelKind, area: Area | None, by: str, text: str = "") -> bool:
    """The words stay as they are where no `text` is given."""
    values = {"kind": kind.value, "area": area.value if area else None, "source": "agent", "by": by}
    values |= {"text": text} if text else {}
    return tx.conn.execute(update(lb).where(lb.c.id == label_id).values(**values)).rowcount > 0


def remove_label(tx: Tx, label_id: str) -> bool:
    return tx.conn.execute(delete(lb).where(lb.c.id == label_id)).rowcount > 0


# ── problems ───────────────────────────────────────────────────────────────────────────────────────────────────────
def problems(conn: Reader, states: Collection[ProblemState] = (), limit: int = 500) -> list[Problem]:
    query = select(p).order_by(p.c.created_at.desc(), p.c.id.desc()).limit(limit)
    return [_problem(row) for row in conn.execute(query.where(p.c.state.in_(states)) if states else query)]


def problem(conn: Reader, problem_id: str) -> Problem:
    """Raises NotFound."""
    return _problem(_one(conn, select(p).where(p.c.id == problem_id), "problem"))


def held_problem(tx: Tx, problem_id: str) -> Problem:
    """As `problem`; nobody else changes it until the commit: of two who close it, one tells the customers."""
    return _problem(_one(tx.conn, select(p).where(p.c.id == problem_id).with_for_update(), "problem"))


def put_problem(tx: Tx, one: Problem) -> None:
    _put(tx, p, one)


def linked(conn: Reader, problem_id: str, limit: int) -> list[Linked]:
    """Its cases: those that are not over yet, then the newest."""
    is_over = case((c.c.status.in_(("resolved", "closed")), 1), else_=0)
    query = (
        select(pc.c.case_id, c.c.customer_id, c.c.number, t.customers.c.name, c.c.status, c.c.topic, c.c.opened_at)
        .join(c, c.c.id == pc.c.case_id)
        .join(t.customers, t.customers.c.id == c.c.customer_id)
        .where(pc.c.problem_id == problem_id)
        .order_by(is_over, c.c.opened_at.desc(), c.c.id)
        .limit(limit)
    )
    return [
        Linked(row.case_id, row.customer_id, row.number, row.name, row.status, row.topic, row.opened_at)
        for row in conn.execute(query)
    ]


def linked_in_all(conn: Reader, problem_id: str) -> tuple[int, int]:
    """(how many cases, of how many customers)."""
    query = select(func.count(), func.count(distinct(pc.c.customer_id))).where(pc.c.problem_id == problem_id)
    cases, people = conn.execute(query).one()
    return int(cases), int(people)


def count_linked(conn: Reader) -> dict[str, int]:
    """Problem → how many cases."""
    query = select(pc.c.problem_id, func.count().label("n")).group_by(pc.c.problem_id)
    return {row.problem_id: row.n for row in conn.execute(query)}


def link(tx: Tx, problem_id: str, case_ids: Sequence[str], by: str) -> int:
    """How many were not linked before. Cases that are not there are passed over."""
    added = 0
    for start in range(0, len(case_ids), AT_ONCE):
        wanted = list(dict.fromkeys(case_ids[start : start + AT_ONCE]))
        mine = (pc.c.problem_id == problem_id, pc.c.case_id.in_(wanted))
        known = set(tx.conn.execute(select(pc.c.case_id).where(*mine)).scalars())
        rows = tx.conn.execute(select(c.c.id, c.c.customer_id).where(c.c.id.in_(wanted), c.c.id.not_in(known))).all()
        values = [
            {"problem_id": problem_id, "case_id": row.id, "customer_id": row.customer_id, "by": by, "at": tx.now}
            for row in rows
        ]
        if values:
            tx.conn.execute(insert(pc), values)
        added += len(values)
    return added


def link_topic(tx: Tx, problem_id: str, chosen: Select[Any], by: str) -> int:
    """Link all cases of a query (`id`, `customer_id`), however many; how many were not linked before."""
    found = chosen.subquery()
    known = select(pc.c.case_id).where(pc.c.problem_id == problem_id, pc.c.case_id == found.c.id).exists()
    said = literal(problem_id), found.c.id, found.c.customer_id, literal(by), literal(tx.now, t.Utc())
    columns = ["problem_id", "case_id", "customer_id", "by", "at"]
    return tx.conn.execute(insert(pc).from_select(columns, select(*said).where(not_(known)))).rowcount


def unlink(tx: Tx, problem_id: str, case_id: str) -> bool:
    mine = (pc.c.problem_id == problem_id, pc.c.case_id == case_id)
    return tx.conn.execute(delete(pc).where(*mine)).rowcount > 0


def customer_of(conn: Reader, case_id: str) -> str | None:
    found: str | None = conn.execute(select(c.c.customer_id).where(c.c.id == case_id)).scalar()
    return found


def case_by_number(conn: Reader, number: int) -> str | None:
    found: str | None = conn.execute(select(c.c.id).where(c.c.number == number)).scalar()
    return found


# ── wishes ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def wishes(conn: Reader, states: Collection[WishState] = ()) -> list[Wish]:
    """Those with the most votes first; merged ones only when asked for."""
    query = select(w).where(w.c.state.in_(states) if states else w.c.state != WishState.MERGED.value)
    votes = count_votes(conn)
    found = [replace(_wish(row), votes=votes.get(row.id, 0)) for row in conn.execute(query)]
    return sorted(found, key=lambda one: (-one.votes, one.title.casefold(), one.id))


def wish(conn: Reader, wish_id: str) -> Wish:
    """Raises NotFound."""
    found = _wish(_one(conn, select(w).where(w.c.id == wish_id), "wish"))
    voters = select(func.count(distinct(v.c.customer_id))).where(v.c.wish_id == wish_id)
    return replace(found, votes=int(conn.execute(voters).scalar() or 0))


def held_wish(tx: Tx, wish_id: str) -> Wish:
    """As `wish`; nobody else changes it until the commit."""
    _one(tx.conn, select(w.c.id).where(w.c.id == wish_id).with_for_update(), "wish")
    return wish(tx.conn, wish_id)


def put_wish(tx: Tx, one: Wish) -> None:
    _put(tx, w, one)


def count_votes(conn: Reader) -> dict[str, int]:
    """Wish → how many customers have it; somebody with two histories that were joined counts once."""
    voted = func.count(distinct(v.c.customer_id)).label("n")
    return {row.wish_id: row.n for row in conn.execute(select(v.c.wish_id, voted).group_by(v.c.wish_id))}


def votes(conn: Reader, wish_id: str) -> list[Vote]:
    query = (
        select(v, t.customers.c.name, c.c.number)
        .outerjoin(t.customers, t.customers.c.id == v.c.customer_id)
        .outerjoin(c, c.c.id == v.c.case_id)
        .where(v.c.wish_id == wish_id)
        .order_by(v.c.at, v.c.id)
    )
    return [
        Vote(
            row.id, row.wish_id, row.customer_id, row.case_id, row.text, row.locale, row.at, row.name or "", row.number
        )
        for row in conn.execute(query)
    ]


def texts(conn: Reader, wish_ids: Collection[str], each: int = KNOWN_BY) -> dict[str, list[tuple[str, str]]]:
    """Wish → (text, locale) of its votes, the oldest first, at most so many of `each` wish and language."""
    found: dict[str, list[tuple[str, str]]] = {}
    place = func.row_number().over(partition_by=(v.c.wish_id, v.c.locale), order_by=(v.c.at, v.c.id)).label("place")
    said = select(v.c.wish_id, v.c.text, v.c.locale, place).where(v.c.wish_id.in_(wish_ids)).subquery()
    for row in conn.execute(
        select(said).where(said.c.place <= each).order_by(said.c.wish_id, said.c.place, said.c.locale)
    ):
        found.setdefault(row.wish_id, []).append((row.text, row.locale))
    return found


def add_vote(tx: Tx, one: Vote) -> None:
    tx.conn.execute(insert(v).values(**_values(one, v)))


def has_voted(conn: Reader, wish_id: str, customer_id: str) -> bool:
    mine = (v.c.wish_id == wish_id, v.c.customer_id == customer_id)
    return conn.execute(select(v.c.id).where(*mine).limit(1)).first() is not None


def move_votes(tx: Tx, from_id: str, to_id: str) -> None:
    tx.conn.execute(update(v).where(v.c.wish_id == from_id).values(wish_id=to_id))


def move_vote(tx: Tx, vote_id: str, to_id: str) -> bool:
    return tx.conn.execute(update(v).where(v.c.id == vote_id).values(wish_id=to_id)).rowcount > 0


# ── improvements ───────────────────────────────────────────────────────────────────────────────────────────────────
def improvements(conn: Reader) -> list[Improvement]:
    """The latest change first."""
    return [_improvement(row) for row in conn.execute(select(im).order_by(im.c.starts_on.desc(), im.c.id.desc()))]


def improvement(conn: Reader, improvement_id: str) -> Improvement:
    """Raises NotFound."""
    return _improvement(_one(conn, select(im).where(im.c.id == improvement_id), "improvement"))


def held_improvement(tx: Tx, improvement_id: str) -> Improvement:
    """As `improvement`; nobody else changes it until the commit."""
    return _improvement(_one(tx.conn, select(im).where(im.c.id == improvement_id).with_for_update(), "improvement"))


def put_improvement(tx: Tx, one: Improvement) -> None:
    _put(tx, im, one)


def remove_improvement(tx: Tx, improvement_id: str) -> None:
    tx.conn.execute(delete(im).where(im.c.id == improvement_id))


# ── in and out of rows ─────────────────────────────────────────────────────────────────────────────────────────────
def _one(conn: Reader, query: Select[Any], what: str) -> Row[Any]:
    row = conn.execute(query).first()
    if row is None:
        raise NotFound(f"there is no such {what} any more")
    return row


def _put(tx: Tx, table: Table, one: Problem | Wish | Improvement) -> None:
    values = _values(one, table)
    if not tx.conn.execute(update(table).where(table.c.id == one.id).values(**values)).rowcount:
        tx.conn.execute(insert(table).values(**values))


def _values(one: Any, table: Table) -> dict[str, Any]:
    """A noun's fields as its table keeps them."""
    found = {item.name: getattr(one, item.name) for item in fields(one) if item.name in table.c}
    return {name: _plain(value) for name, value in found.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    return str(value) if isinstance(value, AlarmState | LabelKind | Area | ProblemState | WishState | Metric) else value


def _read(row: Row[Any], kind: type[N], **more: Any) -> N:
    known = {item.name for item in fields(kind)}
    values = {name: value for name, value in row._mapping.items() if name in known}  # noqa: SLF001 - SQLAlchemy's name
    values |= {name: date.fromisoformat(values[name]) for name in DATES if values.get(name)}
    return kind(**{**values, **more})


def _alarm(row: Row[Any]) -> Alarm:
    return _read(row, Alarm, state=AlarmState(row.state))


def _label(row: Row[Any]) -> Label:
    return Label(
        id=row.id,
        case_id=row.case_id,
        customer_id=row.customer_id,
        kind=LabelKind(row.kind),
        area=Area(row.area) if row.area else None,
        text=row.text,
        source=row.source,
        by=row.by,
        at=row.at,
        number=row.number,
        topic=row.topic,
        channel=row.channel,
    )


def _problem(row: Row[Any]) -> Problem:
    return _read(row, Problem, state=ProblemState(row.state), message=row.message or {})


def _wish(row: Row[Any]) -> Wish:
    area = Area(row.area) if row.area else None
    return _read(row, Wish, state=WishState(row.state), area=area, message=row.message or {})


def _improvement(row: Row[Any]) -> Improvement:
    return _read(row, Improvement, metric=Metric(row.metric), scope=row.scope or {})
