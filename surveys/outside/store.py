"""Feedback without a score: written and read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, insert, select

from bot.storage import tables as t
from surveys.responses import FeedbackRow

f = t.outside_feedback


def add(conn: Connection, rows: Sequence[FeedbackRow]) -> int:
    """Write them; those that are there already are passed over. Returns how many were new."""
    known: set[str] = set()
    ids = [row.id for row in rows]
    for start in range(0, len(ids), 500):  # engines limit the parameters of one statement
        known.update(conn.execute(select(f.c.id).where(f.c.id.in_(ids[start : start + 500]))).scalars())
    fresh = [
        {
            "id": row.id,
            "customer_id": row.customer_id,
            "case_id": row.case_id,
            "respondent": row.respondent,
            "source": row.source,
            "mode": row.mode,
            "text": row.comment,
            "agent_id": row.agent,
            "team": row.team,
            "topic": row.topic,
            "locale": row.locale,
            "extra": dict(row.extra),
            "at": row.at,
        }
        for row in rows
        if row.id not in known
    ]
    if fresh:
        conn.execute(insert(f), fresh)
    return len(fresh)


def listed(conn: Connection, *, since: datetime | None = None, until: datetime | None = None) -> list[FeedbackRow]:
    """What was said in a span (`since` ≤ at < `until`), by id."""
    query = select(f).order_by(f.c.id)
    query = query.where(f.c.at >= since) if since else query
    query = query.where(f.c.at < until) if until else query
    return [
        FeedbackRow(
            source=row.source,
            comment=row.text,
            at=row.at,
            id=row.id,
            case_id=row.case_id,
            customer_id=row.customer_id,
            respondent=row.respondent,
            agent=row.agent_id,
            team=row.team,
            topic=row.topic,
            locale=row.locale,
            extra=row.extra or {},
            mode=row.mode,
        )
        for row in conn.execute(query)
    ]
