"""The queries of `bot/alerts.py`. Rows never leave: `Alert`s do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from sqlalchemy import Connection, Row, Select, select, update
from sqlalchemy.dialects import postgresql, sqlite

from bot.storage import belongings
from bot.storage import tables as t
from bot.storage.tx import Tx

Reader: TypeAlias = Connection

a, r = t.survey_alerts, t.survey_responses
REMEMBERED = timedelta(days=90)
"""So long a bad experience stands on the customer's next cards."""


@dataclass(frozen=True, slots=True)
class Alert:
    """A low score that somebody should look after.

    `state` is open | claimed | closed; `agent_id` who claimed it. `contact`: whether the customer wants to be contacted;
    None: not asked, or no answer. `due_at` is by when it should be closed, `reminded` how often that passed. `ref` is the
    Slack desk's own name of its post.
    """

    id: str
    response_id: str
    case_id: str | None
    case_number: int | None
    customer_id: str
    customer: str
    instrument: str
    score: int
    comment: str | None
    reason: str | None
    channel: str | None
    team: str | None
    topic: str | None
    state: str
    agent_id: str | None
    outcome: str | None
    contact: bool | None
    follow_up: str | None
    reminded: int
    ref: str | None
    opened_at: datetime
    due_at: datetime
    claimed_at: datetime | None
    closed_at: datetime | None


def add(tx: Tx, values: dict[str, Any]) -> bool:
    """Write an alert; False where this answer has one already."""
    made = (sqlite if tx.conn.dialect.name == "sqlite" else postgresql).insert(a)
    found = tx.conn.execute(made.values(**values).on_conflict_do_nothing().returning(a.c.id)).first()
    return found is not None


def change(tx: Tx, alert_id: str, *states: str, **values: Any) -> bool:
    """Compare and set: False where it is in none of these states any more."""
    where = (a.c.id == alert_id, a.c.state.in_(states or ("open", "claimed", "closed")))
    return tx.conn.execute(update(a).where(*where).values(**values)).rowcount > 0


def one(conn: Connection, alert_id: str) -> Alert | None:
    return _alert(conn.execute(_query().where(a.c.id == alert_id)).first())


def of_response(conn: Connection, response_id: str) -> Alert | None:
    return _alert(conn.execute(_query().where(a.c.response_id == response_id)).first())


def listed(conn: Connection, *, closed: bool = False, limit: int = 100) -> list[Alert]:
    """Those that wait for somebody, the longest waiting first; or with `closed` those that are done, the latest first."""
    if closed:
        query = _query().where(a.c.state == "closed").order_by(a.c.closed_at.desc(), a.c.id.desc())
    else:
        query = _query().where(a.c.state != "closed").order_by(a.c.due_at, a.c.id)
    return [found for row in conn.execute(query.limit(limit)) if (found := _alert(row)) is not None]


def bad_experience(conn: Connection, customer_id: str, now: datetime) -> Alert | None:
    """The customer's last low score of the past 90 days, under whichever of their histories: for the next card."""
    family = belongings.family(conn, customer_id)
    mine = (a.c.customer_id.in_(family), a.c.opened_at > now - REMEMBERED, a.c.withdrawn_at.is_(None))
    return _alert(conn.execute(_query().where(*mine).order_by(a.c.opened_at.desc()).limit(1)).first())


def _query() -> Select[Any]:
    c, who = t.cases, t.customers
    return (
        select(a, r.c.comment, r.c.extra, r.c.topic, c.c.number.label("case_number"), who.c.name.label("customer"))
        .outerjoin_from(a, r, r.c.id == a.c.response_id)
        .outerjoin(c, c.c.id == a.c.case_id)
        .outerjoin(who, who.c.id == a.c.customer_id)
    )


def _alert(row: Row[Any] | None) -> Alert | None:
    if row is None:
        return None
    return Alert(
        id=row.id,
        response_id=row.response_id,
        case_id=row.case_id,
        case_number=row.case_number,
        customer_id=row.customer_id,
        customer=row.customer or "",
        instrument=row.instrument,
        score=row.score,
        comment=row.comment,
        reason=(row.extra or {}).get("reason"),
        channel=row.channel,
        team=row.team,
        topic=row.topic,
        state=row.state,
        agent_id=row.agent_id,
        outcome=row.outcome,
        contact=row.contact,
        follow_up=row.follow_up,
        reminded=row.reminded,
        ref=row.ref,
        opened_at=row.opened_at,
        due_at=row.due_at,
        claimed_at=row.claimed_at,
        closed_at=row.closed_at,
    )
