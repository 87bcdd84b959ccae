"""How often the bot told each article, for those who keep the articles."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, func, select

from bot.storage import tables as t

_MARK = "article:"


def articles(conn: Connection, since: datetime) -> Mapping[tuple[str, str], int]:
    """(article's id, language of the case) → how often it was told in cases that were opened since then."""
    m, c = t.messages.c, t.cases.c
    source = m.meta["source"].as_string()
    query = (
        select(source.label("source"), c.locale, func.count().label("n"))
        .join(t.cases, (c.id == m.case_id) & (c.customer_id == m.customer_id))
        .where(c.opened_at >= since, m.author_kind == "bot", source.startswith(_MARK), m.copied_from.is_(None))
        .group_by(source, c.locale)
    )
    return {(row.source.removeprefix(_MARK), row.locale): row.n for row in conn.execute(query)}
