"""Which questions with buttons are the last thing that was said: nobody has answered them yet."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, Text, cast, exists, select

from bot.model import HELD
from bot.storage import tables as t


def unanswered(conn: Connection, channel: str, since: datetime, until: datetime) -> list[tuple[str, str]]:
    """(customer, message) of questions that arrived on this channel and were asked in this time.

    Reads all conversations that changed since then; it is asked after an absence only.
    """
    m, c, r = t.messages.c, t.conversations.c, t.message_refs.c
    last = (m.customer_id == c.customer_id) & (m.seq == c.last_seq)
    query = select(m.customer_id, m.id).join_from(t.conversations, t.messages, last)
    query = query.where(c.updated_at >= since, m.at >= since, m.at < until, m.channel == channel)
    query = query.where(m.author_kind.in_(("bot", "system")), m.deleted_at.is_(None), cast(m.choices, Text) != "[]")
    arrived = exists().where(r.message_id == m.id, r.channel == channel)
    held = exists().where(t.cases.c.customer_id == m.customer_id, t.cases.c.status.in_(HELD))  # the bot asks nothing
    merged = exists().where(t.customers.c.id == m.customer_id, t.customers.c.merged_into.is_not(None))
    found = conn.execute(query.where(arrived, ~held, ~merged).order_by(m.at, m.id))
    return [(row.customer_id, row.id) for row in found]
