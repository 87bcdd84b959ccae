"""What "what to mend" reads of cases, answers and customers. Only reading: records are written in `records/store.py`.

One scan a question: weeks and months are told apart in the query, by their bounds in the desk's time zone, so the same words
run on both engines and only sums come out of the database.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, and_, case, distinct, func, not_, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from bot.storage import tables as t
from bot.storage.tx import Tx
from surveys.insights.churn import Contact, Known
from surveys.insights.topics import Case

Reader = Connection
c, m, r, d, i = t.cases, t.messages, t.survey_responses, t.departures, t.survey_invitations
Bounds = Sequence[tuple[str, datetime, datetime]]
"""(name, from, until) of spans that don't overlap."""
AT_ONCE: Final = 500
MOST_LOOKED_AT: Final = 20_000  # cases
NO_SPEECH = ("spam", "duplicate")


def _topic() -> Any:
    """A tag, else the flow: `topics.topic_of` in the database."""
    return func.coalesce(func.nullif(c.c.topic, ""), c.c.flow)


def _span(at: Any, bounds: Bounds) -> Any:
    return case(*((and_(at >= since, at < until), name) for name, since, until in bounds))


# ── how often ──────────────────────────────────────────────────────────────────────────────────────────────────────
def counts(conn: Reader, bounds: Bounds) -> dict[tuple[str, str], int]:
    """(topic, span) → cases that opened then; spam and duplicates are none."""
    topic, span = _topic().label("topic"), _span(c.c.opened_at, bounds).label("span")
    query = (
        select(topic, span, func.count().label("n"))
        .where(c.c.opened_at >= bounds[0][1], c.c.opened_at < bounds[-1][2], _spoken(), _topic().is_not(None))
        .group_by(topic, span)
    )
    return {(row.topic, row.span): row.n for row in conn.execute(query) if row.span is not None}


def _spoken() -> Any:
    return or_(c.c.outcome.is_(None), c.c.outcome.not_in(NO_SPEECH))


def people(conn: Reader, topic: str, since: datetime, until: datetime) -> int:
    """How many customers came with a topic."""
    query = select(func.count(distinct(c.c.customer_id))).where(_of_topic(topic), *_opened(since, until))
    return int(conn.execute(query).scalar() or 0)


def count_of(conn: Reader, topic: str, since: datetime, until: datetime) -> int:
    query = select(func.count()).select_from(c).where(_of_topic(topic), _spoken(), *_opened(since, until))
    return int(conn.execute(query).scalar() or 0)


def cases_of(topic: str, since: datetime, until: datetime) -> Select[Any]:
    """The query for a topic's cases: `id`, `customer_id`."""
    return select(c.c.id, c.c.customer_id).where(_of_topic(topic), *_opened(since, until))


def topics(conn: Reader, since: datetime, limit: int = 100) -> list[str]:
    """Topics of late, the most frequent first."""
    topic = _topic()
    query = select(topic).where(c.c.opened_at >= since, topic.is_not(None)).group_by(topic)
    return list(conn.execute(query.order_by(func.count().desc(), topic).limit(limit)).scalars())


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
        mine = (m.c.case_id.in_(case_ids[start : start + AT_ONCE]), m.c.author_kind == "customer", m.c.seq.is_not(None))
        for row in conn.execute(select(m.c.case_id, m.c.text).where(*mine).order_by(m.c.case_id, m.c.seq)):
            if row.text.strip():
                found.setdefault(row.case_id, row.text)
    return found


# ── before and after ───────────────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True, slots=True)
class CaseFacts:
    """One case as a metric sees it. Times are seconds; None: it has not come to that."""

    opened_at: datetime
    channel: str
    topic: str | None
    reopened: bool
    escalated: bool
    unsolved: bool
    solved: bool
    ttr: float | None


@dataclass(frozen=True, slots=True)
class AnswerFacts:
    """One answer, with what is known of its case."""

    at: datetime
    instrument: str
    score: float
    channel: str | None
    topic: str | None
    frt: float | None = None
    ttr: float | None = None
    handoffs: int = 0
    questions: int = 0
    reopened: int = 0
    opened_at: datetime | None = None
    is_case: bool = False


def case_facts(
    conn: Reader, scope: Mapping[str, str], since: datetime, until: datetime, *, outside: bool = False
) -> list[CaseFacts]:
    """Cases that opened in a span and lie in a scope; `outside`: all that don't."""
    columns = (c.c.opened_at, c.c.channel, _topic().label("topic"), c.c.reopened, c.c.escalated_at, c.c.outcome)
    query = select(*columns, c.c.first_resolved_at, c.c.resolved_at).where(*_opened(since, until), _spoken())
    return [_case_facts(row) for row in conn.execute(_scoped(query, scope, outside=outside))]


def answer_facts(
    conn: Reader,
    instruments: Sequence[str],
    scope: Mapping[str, str],
    since: datetime,
    until: datetime,
    *,
    outside: bool = False,
) -> list[AnswerFacts]:
    """Answers that came in a span, in the order of their times. Imported ones have no case and lie in no narrower scope."""
    within = _answers_own()
    columns = (r.c.at, r.c.instrument, r.c.score, within["channel"].label("channel"), within["topic"].label("topic"))
    of_case = (
        c.c.id,
        c.c.opened_at,
        c.c.first_reply_at,
        c.c.first_resolved_at,
        c.c.handoffs,
        c.c.questions,
        c.c.reopened,
    )
    query = (
        select(*columns, *of_case)
        .outerjoin(c, c.c.id == r.c.case_id)
        .where(r.c.instrument.in_(instruments), r.c.at >= since, r.c.at < until)
        .order_by(r.c.at, r.c.id)
    )
    if scope:
        inside = and_(*(within[name] == value for name, value in scope.items()))
        query = query.where(not_(func.coalesce(inside, False)) if outside else inside)
    return [_answer_facts(row) for row in conn.execute(query)]


def _answers_own() -> dict[str, Any]:
    """Where an answer belongs: its case as it is now, else what came with it when it was imported."""
    return {
        "topic": func.coalesce(func.nullif(c.c.topic, ""), func.nullif(r.c.topic, ""), c.c.flow),
        "flow": c.c.flow,
        "channel": func.coalesce(c.c.channel, r.c.channel),
        "team": func.coalesce(c.c.team, r.c.team),
    }


def surveyed(
    conn: Reader, instruments: Sequence[str], scope: Mapping[str, str], since: datetime, until: datetime
) -> tuple[int, int]:
    """(delivered, answered) of the questions of these instruments that were asked in a span; a campaign's have no case."""
    query: Any = (
        select(func.count(i.c.delivered_at), func.count(case((i.c.state == "answered", 1))))
        .outerjoin(c, c.c.id == i.c.case_id)
        .where(
            i.c.instrument.in_(instruments), i.c.asked_at >= since, i.c.asked_at < until, i.c.delivered_at.is_not(None)
        )
    )
    row: Sequence[int] = conn.execute(_scoped(query, scope)).one()
    return int(row[0]), int(row[1])


def _scoped(query: Select[Any], scope: Mapping[str, str], *, outside: bool = False) -> Select[Any]:
    conditions = [_of_topic(value) if name == "topic" else c.c[name] == value for name, value in scope.items()]
    if not conditions:
        return query
    inside = and_(*conditions)
    return query.where(not_(func.coalesce(inside, False)) if outside else inside)


def _case_facts(row: Row[Any]) -> CaseFacts:
    end = row.first_resolved_at or row.resolved_at
    return CaseFacts(
        opened_at=row.opened_at,
        channel=row.channel,
        topic=row.topic,
        reopened=bool(row.reopened),
        escalated=row.escalated_at is not None,
        unsolved=row.outcome in {"no_solution", "abandoned"},
        solved=end is not None,
        ttr=(end - row.opened_at).total_seconds() if end is not None else None,
    )


def _answer_facts(row: Any) -> AnswerFacts:
    def since_opening(at: datetime | None) -> float | None:
        return (at - row.opened_at).total_seconds() if at is not None and row.opened_at is not None else None

    return AnswerFacts(
        at=row.at,
        instrument=row.instrument,
        score=row.score,
        channel=row.channel,
        topic=row.topic,
        frt=since_opening(row.first_reply_at),
        ttr=since_opening(row.first_resolved_at),
        handoffs=row.handoffs or 0,
        questions=row.questions or 0,
        reopened=row.reopened or 0,
        opened_at=row.opened_at,
        is_case=row.id is not None,
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
    rows = conn.execute(select(d).order_by(d.c.at, d.c.id))
    return [Departure(row.customer_id, row.kind, row.reason, row.value, row.at) for row in rows]


def seen_in(conn: Reader, bounds: Bounds) -> set[tuple[str, str]]:
    """(customer, span) for each span in which they came with something; customers by the id that they have now."""
    span = _span(c.c.opened_at, bounds).label("span")
    query = select(c.c.customer_id, span).where(c.c.opened_at >= bounds[0][1], c.c.opened_at < bounds[-1][2]).distinct()
    now = living(conn)
    return {
        (now.get(row.customer_id, row.customer_id), row.span) for row in conn.execute(query) if row.span is not None
    }


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


def values(conn: Reader, customer_ids: Sequence[str]) -> dict[str, float]:
    """Customer → what they are worth, where a slot or another system said so (`value`)."""
    k, found = t.customers.c, {}
    for start in range(0, len(customer_ids), AT_ONCE):
        ids = customer_ids[start : start + AT_ONCE]
        for row in conn.execute(select(k.id, k.attributes).where(k.id.in_(ids))):
            worth = (row.attributes or {}).get("value")
            if isinstance(worth, int | float) and not isinstance(worth, bool):
                found[row.id] = float(worth)
    return found


@dataclass(frozen=True, slots=True)
class Person:
    """A customer for the list of those at risk."""

    known: Known
    name: str
    last_topic: str | None
    last_case: str


def people_between(
    conn: Reader, since: datetime, until: datetime, detractor_to: Mapping[str, int], limit: int = MOST_LOOKED_AT
) -> list[Person]:
    """Everybody who came in a span, with their cases in it; of very many the latest `limit` cases. `detractor_to` is by
    instrument the highest bad score.
    """
    query = (
        select(c.c.id, c.c.customer_id, c.c.opened_at, _topic().label("topic"), c.c.outcome, c.c.last_customer_at)
        .where(*_opened(since, until), _spoken())
        .order_by(c.c.opened_at.desc(), c.c.id.desc())
        .limit(limit)
    )
    rows = conn.execute(query).all()[::-1]
    bad = {
        row.case_id: row.score <= detractor_to[row.instrument]
        for row in conn.execute(select(r.c.case_id, r.c.instrument, r.c.score).where(r.c.at >= since))
        if row.case_id and row.instrument in detractor_to
    }
    now = living(conn)
    by_customer: dict[str, list[Any]] = {}
    for row in rows:
        by_customer.setdefault(now.get(row.customer_id, row.customer_id), []).append(row)
    who = _customers(conn, list(by_customer))
    return [
        Person(_known(customer_id, who[customer_id][1], own, bad), who[customer_id][0], own[-1].topic, own[-1].id)
        for customer_id, own in by_customer.items()
        if customer_id in who
    ]


def _known(customer_id: str, opted_out: bool, rows: Sequence[Row[Any]], bad: Mapping[str, bool]) -> Known:
    contacts = [
        Contact(row.opened_at, row.topic, row.outcome in {"no_solution", "abandoned"}, bad.get(row.id)) for row in rows
    ]
    last = max((row.last_customer_at or row.opened_at for row in rows), default=None)
    return Known(customer_id, opted_out, contacts, last)


def _customers(conn: Reader, ids: Sequence[str]) -> dict[str, tuple[str, bool]]:
    k, found = t.customers.c, {}
    for start in range(0, len(ids), AT_ONCE):
        query = select(k.id, k.name, k.opted_out).where(k.id.in_(ids[start : start + AT_ONCE]))
        found.update({row.id: (row.name, bool(row.opted_out)) for row in conn.execute(query)})
    return found
