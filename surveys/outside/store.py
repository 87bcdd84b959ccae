"""Feedback without a score: written and read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Connection, Table, insert, select

from bot.storage import tables as t
from surveys.responses import FeedbackRow, Imported, as_said

f = t.outside_feedback


def add(conn: Connection, rows: Sequence[FeedbackRow]) -> int:
    """Write them; those that are there already are passed over. Returns how many were new."""
    known: set[str] = set()
    ids = [row.id for row in rows]
    for start in range(0, len(ids), 500):  # engines limit the parameters of one statement
        known.update(conn.execute(select(f.c.id).where(f.c.id.in_(ids[start : start + 500]))).scalars())
    said = already_said(conn, f, f.c.text, rows)
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
        if row.id not in known and as_said(row) not in said
    ]
    if fresh:
        conn.execute(insert(f), fresh)
    return len(fresh)


def already_said(
    conn: Connection, table: Table, what: Column[Any], rows: Sequence[Imported]
) -> set[tuple[str, str, datetime]]:
    """Of what named people said, what is there: as our own export writes it, whoever changed the other columns meanwhile."""
    looked_for = {one for row in rows if (one := as_said(row)) is not None}
    if not looked_for:
        return set()
    times = [at for _, __, at in looked_for]
    query = select(table.c.respondent, table.c.customer_id, what, table.c.at)
    stored = conn.execute(query.where(table.c.at.between(min(times), max(times))))
    return {
        one
        for respondent, customer_id, said, at in stored
        if (one := (respondent or customer_id, said, at)) in looked_for
    }


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
