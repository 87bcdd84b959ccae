"""A wish is called by the words of the customer who had it first, wherever it is named: in its record, its notice, the audit,
what webhooks were told. When that customer is forgotten it is called by the next one's words; where nobody else has it, it goes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import delete, or_, select, update

from bot.storage import tables as t
from bot.storage.tx import Tx
from bot.texts.titles import title_of

BY_FLOW = "flow"
"""Who made a wish that a customer told the bot; one that a colleague wrote down stays, without a name."""
NAMELESS = "–"
w, v, n, a, o = t.wishes, t.wish_votes, t.notices, t.audit, t.outbox


def forget(tx: Tx, customer_ids: Collection[str]) -> None:
    """Before their votes are gone: no wish is called by these customers' words any more."""
    said = tx.conn.execute(select(v.c.text).where(v.c.customer_id.in_(customer_ids))).scalars()
    titles = {title_of(text) for text in said}
    called = (w.c.id, w.c.title, w.c.created_by, w.c.merged_into, w.c.notice_id)
    found = tx.conn.execute(select(*called).where(w.c.title.in_(titles))).all() if titles else []
    new = {}
    for wish in found:
        others = (v.c.wish_id == (wish.merged_into or wish.id), v.c.customer_id.not_in(customer_ids))
        heir = tx.conn.execute(select(v.c.text).where(*others).order_by(v.c.at, v.c.id).limit(1)).scalar()
        new[wish.title] = title = title_of(heir) if heir is not None else NAMELESS
        if heir is None and wish.created_by == BY_FLOW:
            tx.conn.execute(delete(w).where(w.c.id == wish.id))
        else:
            tx.conn.execute(update(w).where(w.c.id == wish.id).values(title=title))
        if wish.notice_id is not None:
            tx.conn.execute(update(n).where(n.c.id == wish.notice_id, n.c.title == wish.title).values(title=title))
    if new:
        _rename(tx, new)


def _rename(tx: Tx, new: Mapping[str, str]) -> None:
    """Where a wish was named in passing; `new` tells what each title is now."""
    about = or_(a.c.what.startswith("console: wish"), a.c.what.startswith("console: notice"))
    for line in tx.conn.execute(select(a.c.n, a.c.data).where(about)).all():
        data = {key: new.get(value, value) if isinstance(value, str) else value for key, value in line.data.items()}
        if data != line.data:
            tx.conn.execute(update(a).where(a.c.n == line.n).values(data=data))
    for row in tx.conn.execute(select(o.c.id, o.c.payload).where(o.c.via == "webhook", o.c.kind == "wish")).all():
        told: dict[str, Any] = row.payload.get("body", {}).get("data", {})
        if told.get("title") in new:
            body = {**row.payload["body"], "data": {**told, "title": new[told["title"]]}}
            tx.conn.execute(update(o).where(o.c.id == row.id).values(payload={**row.payload, "body": body}))
