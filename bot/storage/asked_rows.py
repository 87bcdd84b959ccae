"""Which questions with buttons are the last thing that was said: nobody has answered them yet."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Text, and_, cast, exists, func, or_, select

from bot.model import HELD, WITH_PEOPLE, CaseStatus
from bot.storage import tables as t


def unanswered(conn: Connection, channel: str, since: datetime, until: datetime) -> list[tuple[str, str]]:
    """(customer, message) of questions that arrived on this channel and were asked in this time.

    Found by the outbox's newest rows, read from its end to the first that is older: nothing leaves before it is said, and
    nothing is read of those to whom nothing was. (A conversation does not say in an index when it changed.)
    """
    m, o = t.messages.c, t.outbox.c
    older = conn.execute(select(o.n).where(o.created_at < since).order_by(o.n.desc()).limit(1)).scalar()
    # Its own statement: PostgreSQL plans the next one by the number, and would go through all messages without it.
    left = select(o.message_id).where(o.n > (older or 0), o.state == "sent", o.message_id.is_not(None))
    asked = (m.id.in_(left), m.at >= since, m.at < until, m.channel == channel)
    found = conn.execute(_open_questions().where(*asked).order_by(m.at, m.id))
    return [(row.customer_id, row.id) for row in found]


def is_unanswered(conn: Connection, customer_id: str, message_id: str) -> bool:
    """Whether this is a question that arrived, and still the last thing that was said to this customer."""
    m = t.messages.c
    return conn.execute(_open_questions().where(m.customer_id == customer_id, m.id == message_id)).first() is not None


def _open_questions() -> Select[Any]:
    m, c, r = t.messages.c, t.conversations.c, t.message_refs.c
    last = (m.customer_id == c.customer_id) & (m.seq == c.last_seq)
    arrived = exists().where(r.message_id == m.id, r.channel == m.channel)
    merged = exists().where(t.customers.c.id == m.customer_id, t.customers.c.merged_into.is_not(None))
    by_the_house = (m.author_kind.in_(("bot", "system")), m.deleted_at.is_(None), cast(m.choices, Text) != "[]")
    query = select(m.customer_id, m.id).join_from(t.messages, t.conversations, last)
    return query.where(*by_the_house, arrived, ~merged, ~_with_a_person(), ~_about_what_is_over())


def _with_a_person() -> ColumnElement[bool]:
    """Somebody holds the customer's case, or fetches them: the bot's question was before that. What they were offered
    while they wait in the queue stands.
    """
    m, case = t.messages.c, t.cases.c
    in_queue = and_(case.status.in_(WITH_PEOPLE - HELD), case.escalated_at > m.at)
    return exists().where(case.customer_id == m.customer_id, or_(case.status.in_(HELD), in_queue))


def _about_what_is_over() -> ColumnElement[bool]:
    """It belongs to a case that ended after it; the survey's question comes after the end."""
    m, case = t.messages.c, t.cases.c
    ended = case.status.in_((CaseStatus.RESOLVED, CaseStatus.CLOSED))
    return exists().where(case.id == m.case_id, ended, func.coalesce(case.resolved_at, case.closed_at) > m.at)
