"""A wish is called by the words of the customer who had it first, and by that name in its record alone.

Whoever names it elsewhere (the audit, a webhook, the week's post) writes down its id, and reads what it is called when it is
shown or sent. So when that customer is forgotten, one place has to change: it is called by the next one's words then, and where
nobody else has it, it goes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import Connection, delete, func, select, update

from bot.storage import tables as t
from bot.storage.tx import Tx
from bot.texts.titles import title_of

BY_FLOW = "flow"
"""Who made a wish that a customer told the bot."""
NAMELESS = "–"
"""What a wish is called that is not there any more."""
w, v = t.wishes, t.wish_votes


def titles(conn: Connection, wish_ids: Collection[str]) -> Mapping[str, str]:
    """What these wishes are called now, by id; those that are gone are left out."""
    found = conn.execute(select(w.c.id, w.c.title).where(w.c.id.in_(wish_ids)))
    return {str(row.id): str(row.title) for row in found}


def title(conn: Connection, wish_id: str) -> str:
    """What it is called now; NAMELESS where it is gone."""
    return titles(conn, [wish_id]).get(wish_id, NAMELESS)


def count_of(conn: Connection, customer_ids: Collection[str]) -> int:
    """How many wishes these customers have."""
    voted = select(func.count(v.c.wish_id.distinct())).where(v.c.customer_id.in_(customer_ids))
    return int(conn.execute(voted).scalar() or 0)


def forget(tx: Tx, customer_ids: Collection[str]) -> None:
    """Before their votes are gone: no wish is called by these customers' words any more.

    What a colleague had called so before they said it is the colleague's own name for it, and stays.
    """
    said = tx.conn.execute(select(v.c.text, v.c.at).where(v.c.customer_id.in_(customer_ids))).all()
    first = {title_of(row.text): row.at for row in sorted(said, key=lambda row: row.at, reverse=True)}
    called = (w.c.id, w.c.title, w.c.created_by, w.c.created_at, w.c.merged_into)
    found = tx.conn.execute(select(*called).where(w.c.title.in_(first))).all() if first else []
    for wish in found:
        if wish.created_by != BY_FLOW and wish.created_at < first[wish.title]:
            continue
        others = (v.c.wish_id == (wish.merged_into or wish.id), v.c.customer_id.not_in(customer_ids))
        heir = tx.conn.execute(select(v.c.text).where(*others).order_by(v.c.at, v.c.id).limit(1)).scalar()
        if heir is None:
            tx.conn.execute(delete(w).where(w.c.id == wish.id))
        else:
            tx.conn.execute(update(w).where(w.c.id == wish.id).values(title=title_of(heir)))
