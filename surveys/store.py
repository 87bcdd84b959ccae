"""What surveys read and write: queries over invitations, responses and cases. Rows never leave: dataclasses do.

A customer's past counts over all histories that were merged into one: rows keep the customer that they were
written under, so that a merge can be undone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, Table, bindparam, insert, literal_column, select, update
from sqlalchemy.dialects import postgresql, sqlite

from bot.model import LIVE, CaseStatus, new_id
from bot.storage import marks
from bot.storage import tables as t
from bot.storage.belongings import family, kin
from bot.storage.history import OF_ITS_CASE
from bot.storage.prepared import Prepared
from bot.storage.tx import Tx
from surveys.outside import store as outside
from surveys.responses import UNNAMED, FeedbackRow, Imported, ResponseRow, as_said
from surveys.rollups.raw.store import step_of
from surveys.timing import Facts, PastAsk

i, r, c = t.survey_invitations, t.survey_responses, t.cases
SENT_STATES = ("asked", "answered", "declined", "expired")


@dataclass(frozen=True, slots=True)
class Invitation:
    """The decision on a case: skipped, or planned → asked → answered | declined | expired | failed; or cancelled.

    `key` is the case's id, or of a campaign's question, which is about no case, `{campaign}/{customer}`.
    """

    id: str
    key: str
    case_id: str | None
    customer_id: str
    instrument: str
    state: str
    locale: str
    channel: str | None = None
    message_id: str | None = None
    why_message_id: str | None = None
    asked_at: datetime | None = None
    expires_at: datetime | None = None
    snapshot: Mapping[str, Any] = field(default_factory=dict)
    campaign: str | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """The answer to an invitation."""

    id: str
    invitation_id: str
    score: int
    comment: str | None
    extra: Mapping[str, Any]
    at: datetime
    edited_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ResolvedCase:
    """A case as the decision sees it; `snapshot` is what an answer will be attributed to."""

    facts: Facts
    locale: str
    snapshot: Mapping[str, Any]
    confirmed: bool | None = None


# Asked in every turn, built once: to build a statement costs more than to run it.
_OF_MESSAGE = Prepared(select(i).where(i.c.message_id == bindparam("of")))


def _latest_asked() -> Select[Any]:
    """Of the customer and all who were merged into them, in one go: every turn asks."""
    asked = i.c.state.in_([literal_column("'asked'"), literal_column("'answered'")])
    query = select(i).where(i.c.customer_id.in_(kin()), asked)
    return query.order_by(i.c.asked_at.desc()).limit(literal_column("1"))


_LATEST_ASKED = Prepared(_latest_asked())
_LIVE_CASE = Prepared(
    select(c.c.id)
    .where(
        c.c.customer_id.in_(kin()),
        c.c.status.in_([literal_column(f"'{status}'") for status in sorted(LIVE)]),
        c.c.id != bindparam("beside"),
    )
    .limit(literal_column("1"))
)
_RESOLVED = Prepared(
    select(c, t.customers.c.opted_out, t.customers.c.locale.label("speaks"))
    .join(t.customers, t.customers.c.id == c.c.customer_id)
    .where(c.c.id == bindparam("of"))
)
_STEPS = Prepared(
    select(t.messages.c.meta)
    .join(t.cases, OF_ITS_CASE)
    .where(t.cases.c.id == bindparam("of"), t.messages.c.seq.is_not(None))
    .order_by(t.messages.c.at.desc(), t.messages.c.seq.desc())
)
_PAST_ASKS = Prepared(
    select(i.c.case_id, i.c.asked_at, i.c.state, i.c.instrument)
    .where(
        i.c.customer_id.in_(kin()),
        i.c.asked_at.is_not(None),
        i.c.state.in_([literal_column(f"'{state}'") for state in SENT_STATES]),
    )
    .order_by(i.c.asked_at.desc())
    .limit(literal_column("50"))
)
_OF_CASE = Prepared(select(i).where(i.c.case_id == bindparam("of")))
_PLAN, _CHANGE = Prepared(insert(i)), Prepared(update(i).where(i.c.id == bindparam("of")))
_RESPONSE = Prepared(select(r).where(r.c.invitation_id == bindparam("of")))


# ── who and what ───────────────────────────────────────────────────────────────────────────────────────────────────
def has_live_case(conn: Connection, customer_id: str, but: str | None = None) -> bool:
    return live_case(conn, customer_id, but) is not None


def live_case(conn: Connection, customer_id: str, but: str | None = None) -> str | None:
    """The id of the case that is open for them."""
    found: str | None = _LIVE_CASE.scalar(conn, of=customer_id, beside=but or "")
    return found


def resolved_case(conn: Connection, case_id: str, *, reachable: bool, now: datetime) -> ResolvedCase | None:
    row = _RESOLVED.first(conn, of=case_id)
    if row is None:
        return None
    facts = Facts(
        case_id=row.id,
        customer_id=row.customer_id,
        outcome=row.outcome or "resolved",
        status=CaseStatus(row.status),
        resolved_at=row.resolved_at or now,
        opted_out=row.opted_out,
        other_live_case=has_live_case(conn, row.customer_id, but=row.id),
        reachable=reachable,
        chosen=row.survey or {},
        flow=row.flow,
        answered=row.first_reply_at is not None,
    )
    snapshot = {
        "agent": row.last_agent_id or row.agent_id,
        "agents": list(row.agents or ()),
        "team": row.team,
        "channel": row.channel,
        "flow": row.flow,
        "flow_version": row.flow_version,
        "topic": row.topic,
        "outcome": row.outcome,
        "handoffs": row.handoffs,
        "questions": row.questions,
        "reopened": row.reopened,
        "ttr": max(0.0, (facts.resolved_at - row.opened_at).total_seconds()),
    }
    step = last_step(conn, row.id)
    snapshot |= {"step": step} if step else {}
    return ResolvedCase(facts, row.speaks or row.locale, snapshot, row.confirmed)


def last_step(conn: Connection, case_id: str) -> str | None:
    """`flow/step` where the bot's part of a case ended, as its figures have it."""
    return next((step for (meta,) in _STEPS.all(conn, of=case_id) if (step := step_of(meta))), None)


def past_asks(conn: Connection, customer_id: str, but_planned_for: str | None = None) -> list[PastAsk]:
    """What this customer was really asked, on any of their identities, latest first; at most fifty."""
    return [
        PastAsk(row.case_id, row.asked_at, row.state == "answered", row.instrument)
        for row in _PAST_ASKS.all(conn, of=customer_id)
        if row.case_id != but_planned_for
    ]


# ── invitations ────────────────────────────────────────────────────────────────────────────────────────────────────
def invitation(conn: Connection, invitation_id: str) -> Invitation | None:
    return _invitation(conn.execute(select(i).where(i.c.id == invitation_id)).first())


def invitation_of_case(conn: Connection, case_id: str) -> Invitation | None:
    return _invitation(_OF_CASE.first(conn, of=case_id))


def invitation_of_message(conn: Connection, message_id: str) -> Invitation | None:
    return _invitation(_OF_MESSAGE.first(conn, of=message_id))


def latest_asked(conn: Connection, customer_id: str) -> Invitation | None:
    """The question that the customer was asked last, answered or not."""
    return _invitation(_LATEST_ASKED.first(conn, of=customer_id))


def plan(conn: Connection, known: Invitation | None, **values: Any) -> None:
    """Write the decision on a case, or a new decision over one that never reached the customer."""
    if known is None:
        made = new_id()
        _PLAN.run(conn, id=made, **values)
        marks.mark(conn, marks.ASKS, made)
    else:
        change(conn, known.id, **values)


def change(conn: Connection, invitation_id: str, **values: Any) -> None:
    _CHANGE.run(conn, of=invitation_id, **values)
    marks.mark(conn, marks.ASKS, invitation_id)


def _invitation(row: Any | None) -> Invitation | None:
    if row is None:
        return None
    return Invitation(
        id=row.id,
        key=row.case_id,
        case_id=None if row.campaign else row.case_id,
        customer_id=row.customer_id,
        instrument=row.instrument,
        state=row.state,
        locale=row.locale,
        channel=row.channel,
        message_id=row.message_id,
        why_message_id=row.why_message_id,
        asked_at=row.asked_at,
        expires_at=row.expires_at,
        snapshot=row.snapshot or {},
        campaign=row.campaign,
    )


# ── campaigns ──────────────────────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True, slots=True)
class Person:
    """Somebody whom a campaign might ask."""

    id: str
    locale: str
    opted_out: bool


def people(conn: Connection, since: datetime, after: str, limit: int) -> list[Person]:
    """Customers who had to do with us since then, by id, above `after`."""
    who, talk = t.customers.c, t.conversations.c
    query = (
        select(who.id, who.locale, who.opted_out)
        .join(t.conversations, talk.customer_id == who.id)
        .where(who.id > after, who.merged_into.is_(None), talk.updated_at >= since)
        .order_by(who.id)
        .limit(limit)
    )
    return [Person(row.id, row.locale, row.opted_out) for row in conn.execute(query)]


def person(conn: Connection, customer_id: str) -> Person | None:
    who = t.customers.c
    row = conn.execute(select(who.id, who.locale, who.opted_out).where(who.id == customer_id)).first()
    return None if row is None else Person(row.id, row.locale, row.opted_out)


def plan_of_campaign(tx: Tx, who: Person, campaign: str, due_at: datetime) -> str | None:
    """One question for one customer; its key, or None where they have one in this campaign already."""
    key = f"{campaign}/{who.id}"
    made = (sqlite if tx.conn.dialect.name == "sqlite" else postgresql).insert(i)
    row: dict[str, Any] = {
        "id": new_id(),
        "case_id": key,
        "customer_id": who.id,
        "instrument": "nps",
        "state": "planned",
    }
    row |= {"locale": who.locale, "snapshot": {}, "decided_at": tx.now, "due_at": due_at, "campaign": campaign}
    found = tx.conn.execute(made.values(**row).on_conflict_do_nothing().returning(i.c.id)).first()
    if found is None:
        return None
    marks.mark(tx.conn, marks.ASKS, found.id)
    return key


# ── responses ──────────────────────────────────────────────────────────────────────────────────────────────────────
def response(conn: Connection, invitation_id: str) -> Response | None:
    row = _RESPONSE.first(conn, of=invitation_id)
    if row is None:
        return None
    return Response(row.id, row.invitation_id, row.score, row.comment, row.extra or {}, row.at, row.edited_at)


def was_offered_review(conn: Connection, customer_id: str) -> bool:
    """Whether this customer, in whichever of their histories, was offered the link before."""
    given = conn.execute(select(r.c.extra).where(r.c.customer_id.in_(family(conn, customer_id))))
    return any((row.extra or {}).get("review") for row in given)


def add_response(conn: Connection, asked: Invitation, score: int, channel: str | None, now: datetime) -> Response:
    """The first answer to an invitation, with the case's snapshot beside it."""
    given = Response(new_id(), asked.id, score, None, {}, now)
    conn.execute(
        insert(r).values(
            id=given.id,
            invitation_id=asked.id,
            case_id=asked.case_id,
            customer_id=asked.customer_id,
            instrument=asked.instrument,
            score=score,
            channel=channel,
            source="campaign" if asked.campaign else None,
            agent_id=asked.snapshot.get("agent"),
            team=asked.snapshot.get("team"),
            topic=asked.snapshot.get("topic"),
            locale=asked.locale,
            extra={},
            at=now,
        )
    )
    marks.mark(conn, marks.ANSWERS, given.id)
    return given


def change_response(conn: Connection, response_id: str, **values: Any) -> None:
    changed = conn.execute(update(r).where(r.c.id == response_id).values(**values).returning(r.c.invitation_id)).first()
    marks.mark(conn, marks.ANSWERS, response_id)
    if changed is not None and changed.invitation_id:
        marks.mark(conn, marks.ASKS, changed.invitation_id)


def responses(
    conn: Connection,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    after: str | None = None,
    limit: int | None = None,
    customer_id: str | None = None,
) -> list[ResponseRow]:
    """Answers of a span (`since` ≤ at < `until`); by id, so that a page can go on `after` the last one."""
    query = _span(select(r), r.c.at, since, until).order_by(r.c.id)
    if after:
        query = query.where(r.c.id > after)
    if customer_id:
        query = query.where(r.c.customer_id.in_(family(conn, customer_id)))
    return [_response_row(row) for row in conn.execute(query.limit(limit))]


def latest_responses(
    conn: Connection, limit: int, since: datetime | None = None, until: datetime | None = None
) -> list[ResponseRow]:
    """The last answers of a span, since ≤ at < until, newest first."""
    query = select(r).order_by(r.c.at.desc(), r.c.id.desc()).limit(limit)
    query = query if since is None else query.where(r.c.at >= since)
    query = query if until is None else query.where(r.c.at < until)
    return [_response_row(row) for row in conn.execute(query)]


def add_imported(conn: Connection, rows: Sequence[Imported]) -> int:
    """Write rows of a CSV file; those that are there, imported or given to us, are passed over. Returns how many were new."""
    scored = [row for row in rows if isinstance(row, ResponseRow)]
    known = _known(conn, r, [row.id for row in scored])
    said = outside.already_said(conn, r, r.c.instrument, scored)
    fresh = [_imported(row) for row in scored if row.id not in known and as_said(row) not in said]
    if fresh:
        conn.execute(insert(r), fresh)
        for row in fresh:
            marks.mark(conn, marks.ANSWERS, row["id"])
    return len(fresh) + outside.add(conn, [row for row in rows if isinstance(row, FeedbackRow)])


def add_talk(conn: Connection, row: ResponseRow) -> None:
    """A score that an agent asked for elsewhere."""
    whose = {"case_id": row.case_id, "customer_id": row.customer_id}
    conn.execute(insert(r).values(**_imported(row), **whose))
    marks.mark(conn, marks.ANSWERS, row.id)


def case_of(conn: Connection, case_id: str) -> str | None:
    """Whose case it is."""
    found: str | None = conn.execute(select(c.c.customer_id).where(c.c.id == case_id)).scalar()
    return found


def _known(conn: Connection, table: Table, ids: Sequence[str]) -> set[str]:
    known: set[str] = set()
    for start in range(0, len(ids), 500):  # engines limit the parameters of one statement
        found = conn.execute(select(table.c.id).where(table.c.id.in_(ids[start : start + 500])))
        known.update(row.id for row in found)
    return known


def _imported(row: ResponseRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "respondent": row.respondent,
        "instrument": row.instrument,
        "score": row.score,
        "comment": row.comment,
        "channel": row.channel,
        "agent_id": row.agent,
        "team": row.team,
        "topic": row.topic,
        "locale": row.locale,
        "extra": dict(row.extra),
        "at": row.at,
        "source": row.source or UNNAMED,
        "mode": row.mode,
    }


def _response_row(row: Row[Any]) -> ResponseRow:
    return ResponseRow(
        instrument=row.instrument,
        score=row.score,
        at=row.at,
        id=row.id,
        case_id=row.case_id,
        customer_id=row.customer_id,
        respondent=row.respondent,
        comment=row.comment,
        channel=row.channel,
        agent=row.agent_id,
        team=row.team,
        topic=row.topic,
        locale=row.locale,
        extra=row.extra or {},
        source=row.source,
        mode=row.mode,
    )


def _span(query: Select[Any], at: Any, since: datetime | None, until: datetime | None) -> Select[Any]:
    query = query.where(at >= since) if since else query
    return query.where(at < until) if until else query
