"""What "what to mend" reads of cases, answers and customers. Only reading: records are written in `records/store.py`.

What is counted is read from the facts that figures are made of (`happened.py`); here stands what rows alone can tell, each read
bounded by an index.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, and_, distinct, func, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from bot.storage import tables as t
from bot.storage.history import OF_ITS_CASE
from bot.storage.tx import Tx
from surveys.insights import happened
from surveys.insights.topics import Case

Reader = Connection
c, m, r, d, i = t.cases, t.messages, t.survey_responses, t.departures, t.survey_invitations
Bounds = Sequence[tuple[str, datetime, datetime]]
"""(name, from, until) of spans that don't overlap."""
AT_ONCE: Final = 500
MOST_LOOKED_AT: Final = 20_000  # cases
EVER: Final = datetime(2200, 1, 1, tzinfo=UTC)


def _topic() -> Any:
    """A tag, else the flow: `topics.topic_of` in the database."""
    return func.coalesce(func.nullif(c.c.topic, ""), c.c.flow)


# ── how often ──────────────────────────────────────────────────────────────────────────────────────────────────────
def counts(conn: Reader, bounds: Bounds) -> dict[tuple[str, str], int]:
    """(topic, span) → cases that opened then; spam and duplicates are none."""
    found = happened.cases(conn, bounds[0][1], bounds[-1][2])
    return {
        (topic, name): n
        for name, since, until in bounds
        for topic, n in found.between(since, until).counted(happened.TOPIC).items()
        if topic
    }


def _spoken() -> Any:
    return or_(c.c.outcome.is_(None), c.c.outcome.not_in(happened.NO_SPEECH))


def people(conn: Reader, topic: str, since: datetime, until: datetime) -> int:
    """How many customers came with a topic."""
    query = select(func.count(distinct(c.c.customer_id))).where(_of_topic(topic), *_opened(since, until))
    return int(conn.execute(query).scalar() or 0)


def count_of(conn: Reader, topic: str, since: datetime, until: datetime) -> int:
    """How many cases with a topic."""
    return len(happened.cases(conn, since, until).scoped({"topic": topic}))


def cases_of(topic: str, since: datetime, until: datetime) -> Select[Any]:
    """The query for a topic's cases: `id`, `customer_id`."""
    return select(c.c.id, c.c.customer_id).where(_of_topic(topic), *_opened(since, until))


def topics(conn: Reader, since: datetime, limit: int = 100) -> list[str]:
    """Topics since then, the most frequent first."""
    counted = happened.cases(conn, since, EVER).counted(happened.TOPIC)
    return sorted(filter(None, counted), key=lambda topic: (-counted[topic], topic))[:limit]


def _of_topic(topic: str) -> Any:
    return or_(c.c.topic == topic, and_(or_(c.c.topic.is_(None), c.c.topic == ""), c.c.flow == topic))


def _opened(since: datetime, until: datetime) -> tuple[Any, ...]:
    return c.c.opened_at >= since, c.c.opened_at < until


def unlabelled(conn: Reader, since: datetime, limit: int) -> list[Case]:
    """Cases that neither people nor a flow gave a topic, with what the customer said first; the newest first."""
    open_to = or_(c.c.topic.is_(None), c.c.topic == "")
    query = (
        select(c.c.id, c.c.customer_id, c.c.locale)
        .where(c.c.opened_at >= since, open_to, c.c.flow.is_(None), _spoken())
        .order_by(c.c.opened_at.desc(), c.c.id)
        .limit(limit)
    )
    rows = conn.execute(query).all()
    said = first_words(conn, [row.id for row in rows])
    return [Case(row.id, row.customer_id, said[row.id], row.locale) for row in rows if said.get(row.id)]


def first_words(conn: Reader, case_ids: Sequence[str]) -> dict[str, str]:
    """Case → the first thing that its customer wrote in it."""
    found: dict[str, str] = {}
    for start in range(0, len(case_ids), AT_ONCE):
        mine = (c.c.id.in_(case_ids[start : start + AT_ONCE]), m.c.author_kind == "customer", m.c.seq.is_not(None))
        said = select(m.c.case_id, m.c.text).join(c, OF_ITS_CASE).where(*mine)
        for row in conn.execute(said.order_by(m.c.case_id, m.c.seq)):
            if row.text.strip():
                found.setdefault(row.case_id, row.text)
    return found


# ── what goes with a score ─────────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True, slots=True)
class AnswerFacts:
    """One answer, with what is known of its case. Times are seconds; None: it has not come to that."""

    at: datetime
    score: int
    channel: str | None
    topic: str | None
    frt: float | None = None
    ttr: float | None = None
    handoffs: int = 0
    questions: int = 0
    reopened: int = 0
    opened_at: datetime | None = None


def answered_about_cases(conn: Reader, instruments: Sequence[str], since: datetime, until: datetime) -> dict[str, int]:
    """Instrument → how many answers about a case came in a span."""
    query = select(r.c.instrument, func.count().label("n")).where(*_of_cases(instruments, since, until))
    return {row.instrument: row.n for row in conn.execute(query.group_by(r.c.instrument))}


def answer_facts(conn: Reader, instrument: str, since: datetime, until: datetime, nth: int = 1) -> list[AnswerFacts]:
    """Every `nth` answer about a case that came in a span, in the order of their times."""
    place = func.row_number().over(order_by=(r.c.at, r.c.id)).label("place")
    numbered = select(r.c.id, place).where(*_of_cases((instrument,), since, until)).subquery()
    topic = func.coalesce(func.nullif(c.c.topic, ""), func.nullif(r.c.topic, ""), c.c.flow).label("topic")
    query = (
        select(r.c.at, r.c.score, c.c.channel, topic, c.c.opened_at, c.c.first_reply_at, c.c.first_resolved_at)
        .add_columns(c.c.handoffs, c.c.questions, c.c.reopened)
        .join(numbered, numbered.c.id == r.c.id)
        .join(c, c.c.id == r.c.case_id)
        .where(numbered.c.place % nth == 0)
        .order_by(r.c.at, r.c.id)
    )
    return [_answer_facts(row) for row in conn.execute(query)]


def _of_cases(instruments: Sequence[str], since: datetime, until: datetime) -> tuple[Any, ...]:
    return r.c.instrument.in_(instruments), r.c.at >= since, r.c.at < until, r.c.case_id.is_not(None)


def _answer_facts(row: Row[Any]) -> AnswerFacts:
    def since_opening(at: datetime | None) -> float | None:
        return (at - row.opened_at).total_seconds() if at is not None else None

    return AnswerFacts(
        at=row.at,
        score=row.score,
        channel=row.channel,
        topic=row.topic,
        frt=since_opening(row.first_reply_at),
        ttr=since_opening(row.first_resolved_at),
        handoffs=row.handoffs or 0,
        questions=row.questions or 0,
        reopened=row.reopened or 0,
        opened_at=row.opened_at,
    )


# ── who may leave, who left ────────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True, slots=True)
class Departure:
    """What another system told: `kind` left | back."""

    customer_id: str
    kind: str
    reason: str | None
    value: float | None
    at: datetime


def depart(tx: Tx, departure_id: str, one: Departure) -> bool:
    """False where this event was told before."""
    add = postgresql.insert if tx.conn.dialect.name == "postgresql" else sqlite.insert
    values = {"customer_id": one.customer_id, "kind": one.kind, "reason": one.reason, "value": one.value, "at": one.at}
    return tx.conn.execute(add(d).values(id=departure_id, **values).on_conflict_do_nothing()).rowcount == 1


def departures(conn: Reader) -> list[Departure]:
    """In the order in which they happened."""
    query = select(d.c.customer_id, d.c.kind, d.c.reason, d.c.value, d.c.at).order_by(d.c.at, d.c.id)
    return [Departure(*row) for row in conn.execute(query)]


def living(conn: Reader) -> dict[str, str]:
    """Id of somebody who was merged into another → whose id it is now."""
    k = t.customers.c
    into = {
        row.id: row.merged_into for row in conn.execute(select(k.id, k.merged_into).where(k.merged_into.is_not(None)))
    }
    for one in list(into):
        while into[one] in into:
            into[one] = into[into[one]]
    return into


def values(conn: Reader) -> dict[str, float]:
    """Customer → what they are worth, where a slot or another system said so (`value`)."""
    k = t.customers.c
    if conn.dialect.name == "postgresql":
        is_number = func.jsonb_typeof(func.jsonb_extract_path(k.attributes, "value")) == "number"
    else:
        is_number = func.json_type(k.attributes, "$.value").in_(("integer", "real"))
    return {row.id: float(row.attributes["value"]) for row in conn.execute(select(k.id, k.attributes).where(is_number))}


def opted_out(conn: Reader) -> list[str]:
    k = t.customers.c
    return list(conn.execute(select(k.id).where(k.opted_out.is_(True))).scalars())


@dataclass(frozen=True, slots=True)
class Opened:
    """A case for the list of those at risk: whose it is, by the id that they have now."""

    id: str
    customer_id: str
    name: str
    topic: str | None


def opened_at(conn: Reader, moments: Sequence[datetime], now: Mapping[str, str]) -> list[Opened]:
    """The cases that were opened just then. `now` is what `living` found."""
    query = select(c.c.id, c.c.customer_id, _topic().label("topic")).where(c.c.opened_at.in_(moments))
    rows = conn.execute(query).all()
    k = t.customers.c
    ids = [now.get(row.customer_id, row.customer_id) for row in rows]
    names = {row.id: row.name for row in conn.execute(select(k.id, k.name).where(k.id.in_(ids)))}
    return [Opened(row.id, who, names[who], row.topic) for row, who in zip(rows, ids, strict=True) if who in names]
