"""Customers who waited are told: by a notice that a person sends with the press that closes the record."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from bot.model import new_id
from bot.outreach.notice import Audience, Kind, Notice, State
from bot.outreach.store import affected
from bot.outreach.telling import Notices
from bot.storage.tx import Tx
from bot.texts.titles import title_of

NEWS_FOR = timedelta(days=14)
"""What could not be told by then (quiet hours, an agent in the middle of it) is no news any more."""


def tell(
    tx: Tx,
    notices: Notices,
    *,
    message: Mapping[str, str],
    audience: Audience,
    by: str,
    title: str | None = None,
) -> str | None:
    """Tell those customers, once each; the notice's id, or None where there is nobody or nothing to say.

    Without a `title` the notice is called by what it says.
    """
    texts = {locale: text for locale, text in message.items() if text.strip()}
    if not texts or not affected(tx.conn, audience, None, 1)[0]:
        return None
    drafted = notices.draft(
        tx,
        Notice(
            id=new_id(),
            kind=Kind.INCIDENT,
            state=State.DRAFT,
            title=title or title_of(next(iter(texts.values()))),
            texts=texts,
            audience=audience,
            drafted_by=by,
            drafted_at=tx.now,
            ends_at=tx.now + NEWS_FOR,
        ),
        by,
    )
    return notices.approve(tx, drafted.id, by).id
