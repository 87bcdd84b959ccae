"""How often the bot told each article, for those who keep the articles."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, func, select

from bot.storage import tables as t
from bot.storage.history import OF_ITS_CASE

_MARK = "article:"
MOST = 10_000
"""Cases that are looked through."""


def articles(conn: Connection, since: datetime) -> Mapping[tuple[str, str], int]:
    """(article's id, language of the case) → how often it was told in cases that were opened since then.

    Of more than MOST cases the newest count: a page must not read all that was ever said.
    """
    m, c = t.messages.c, t.cases.c
    newest = select(c.id).where(c.opened_at >= since).order_by(c.opened_at.desc()).limit(MOST)
    source = m.meta["source"].as_string()
    query = (
        select(source.label("source"), c.locale, func.count().label("n"))
        .join(t.cases, OF_ITS_CASE)
        .where(c.id.in_(newest), m.author_kind == "bot", source.startswith(_MARK), m.copied_from.is_(None))
        .group_by(source, c.locale)
    )
    return {(row.source.removeprefix(_MARK), row.locale): row.n for row in conn.execute(query)}
