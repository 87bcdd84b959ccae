"""What the conversations tell of the articles: questions that nothing answered, and answers that helped or did not. Read-only."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, TypeAlias

from sqlalchemy import Connection, select

from bot.answers.calibration import Question
from bot.answers.dialogue import NO, YES
from bot.answers.unanswered import Asked
from bot.storage import tables as t
from bot.storage.history import OF_ITS_CASE

Reader: TypeAlias = Connection
"""What queries run on. Files outside the fence around SQLAlchemy know it by this name."""

SOURCE = "article:"


def unanswered(conn: Connection, since: datetime | None = None) -> list[Asked]:
    """Every question for which nothing was found, and every one whose answer did not help; the oldest first."""
    return sorted([*_not_found(conn, since), *_not_helped(conn, since)], key=lambda one: one.at)


def _not_found(conn: Connection, since: datetime | None) -> Iterator[Asked]:
    e, c = t.case_events.c, t.cases.c
    query = select(e.data, e.at, c.locale).join(t.cases, c.id == e.case_id).where(e.kind == "unanswered")
    for row in conn.execute(query.where(e.at >= since) if since is not None else query):
        question = str(row.data.get("question") or "")
        if question:
            yield Asked(question, row.locale, row.at)


def _not_helped(conn: Connection, since: datetime | None) -> Iterator[Asked]:
    for said, value, locale, at in _pressed(conn, since):
        question = str(said.get("question") or "")
        if value == NO and question:
            yield Asked(question, locale, at, str(said.get("source", "")).removeprefix(SOURCE))


def verdicts(conn: Connection, since: datetime | None = None) -> list[tuple[Question, bool]]:
    """What customers said to "did this help?", as ((question, locale, the article that was told), whether it did)."""
    found: list[tuple[Question, bool]] = []
    for said, value, locale, _ in _pressed(conn, since):
        question, source = str(said.get("question") or ""), str(said.get("source") or "")
        if question and source.startswith(SOURCE) and value in {YES, NO}:
            found.append(((question, locale, source.removeprefix(SOURCE)), value == YES))
    return found


def marks(conn: Connection, articles: set[str], since: datetime | None = None) -> list[Question]:
    """Questions that nothing answered, in cases that agents have since resolved under the id of an article as topic."""
    e, c = t.case_events.c, t.cases.c
    query = select(e.data, c.locale, c.topic).join(t.cases, c.id == e.case_id)
    query = query.where(e.kind == "unanswered", c.resolved_by == "agent", c.topic.is_not(None))
    rows = conn.execute(query.where(e.at >= since) if since is not None else query)
    asked = ((str(row.data.get("question") or ""), row.locale, row.topic) for row in rows)
    return [(question, locale, topic) for question, locale, topic in asked if question and topic in articles]


def _pressed(conn: Connection, since: datetime | None) -> Iterator[tuple[dict[str, Any], str, str, datetime]]:
    """Pressed buttons below articles: the message's meta, the value, the language, when. Merged copies count once."""
    m, on, c = t.messages, t.messages.alias(), t.cases.c
    value = m.c.meta["pressed"]["value"].as_string()
    query = (
        select(on.c.meta, value.label("value"), c.locale, m.c.at)
        .join(on, (on.c.customer_id == m.c.customer_id) & (on.c.id == m.c.meta["pressed"]["message"].as_string()))
        .join(t.cases, OF_ITS_CASE)
        .where(m.c.author_kind == "customer", value.in_((YES, NO)), on.c.meta["source"].as_string().startswith(SOURCE))
        .order_by(m.c.at, m.c.id)
    )
    rows = conn.execute(query.where(m.c.at >= since) if since is not None else query)
    return ((dict(row.meta), row.value, row.locale, row.at) for row in rows)
