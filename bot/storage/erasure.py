"""Forgetting a customer: rows, files, timeline, raw copies, in one transaction, with a line in the audit that names nobody.

A send that is on its way at this moment keeps an emptied row, so that its receipt finds something to be written on; it is
never sent again. What lies on other people's machines is told, not hidden: posts in the agents' Slack, and the customer's
own chats. Backups hold what they held until they expire.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, func, select, update

from bot.errors import NotFound
from bot.events import CustomerErased
from bot.storage import audit, belongings, marks, wish_titles
from bot.storage import tables as t
from bot.storage.belongings import Belongings
from bot.storage.outbox_rows import unsent
from bot.storage.tx import Tx


@dataclass(frozen=True, slots=True)
class Erased:
    """What went: the customer's id, rows by table, and in words what is left elsewhere."""

    customer: str
    rows: Mapping[str, int]
    left: tuple[str, ...]


def erase(tx: Tx, customer_id: str, *, by: str) -> Erased:
    """Forget the customer of that id, with every history that was merged into theirs. Raises NotFound."""
    found = belongings.find(tx.conn, customer_id)
    if found is None:
        msg = f"there is no customer {customer_id}"
        raise NotFound(msg)
    for one in sorted(found.customers):
        tx.lock_customer(one)
    mine = belongings.find(tx.conn, found.id) or found  # as it is now that nothing of theirs moves
    left = _left(tx, mine)
    identities = _addresses(tx, mine)
    on_their_way = _empty_sends(tx, mine)
    marks.forget(tx, mine.customers)
    wish_titles.forget(tx, mine.customers)
    rows = {}
    for table in reversed(t.metadata.sorted_tables):
        count = tx.conn.execute(delete(table).where(mine.where(table))).rowcount
        if count:
            rows[str(table.name)] = count
    if on_their_way:
        rows["outbox"] = rows.get("outbox", 0) + on_their_way
    audit.note(tx, by, "customer erased", customer=mine.id, rows=rows, left=list(left))
    tx.forget()
    tx.emit(CustomerErased(mine.id, identities))
    return Erased(mine.id, rows, left)


def _empty_sends(tx: Tx, mine: Belongings) -> int:
    """Sends whose bytes are leaving right now lose everything that tells whose they are."""
    o = t.outbox
    tombstone: dict[str, Any] = {
        "state": "expired",
        "error": "the customer was erased",
        "payload": {},
        "lane": "erased",
        "bucket": None,
        "customer_id": None,
        "case_id": None,
        "message_id": None,
        "lease_owner": None,
        "ext_id": None,
    }
    leaving = (mine.where(o), o.c.state == "sending", unsent(o.c.state))
    return tx.conn.execute(update(o).where(*leaving).values(**tombstone)).rowcount


def _addresses(tx: Tx, mine: Belongings) -> tuple[tuple[str, str], ...]:
    i = t.identities.c
    rows = tx.conn.execute(select(i.channel, i.external_id).where(i.customer_id.in_(mine.customers)))
    return tuple((row.channel, row.external_id) for row in rows)


def _left(tx: Tx, mine: Belongings) -> tuple[str, ...]:
    d, o = t.desk_threads.c, t.outbox.c
    threads = tx.conn.execute(
        select(d.desk, d.channel, d.root).where(d.case_id.in_(mine.cases), d.root.is_not(None)).order_by(d.created_at)
    )
    left = [f"the thread {row.root} in the agents' channel {row.channel} ({row.desk})" for row in threads]
    a = t.survey_alerts.c
    alerts = tx.conn.execute(
        select(a.ref).where(a.customer_id.in_(mine.customers), a.ref.is_not(None)).order_by(a.opened_at)
    )
    left += [
        f"the card {ref.partition(':')[2]} of a low score in the agents' channel {ref.partition(':')[0]}"
        for (ref,) in alerts
    ]
    said = select(t.messages.c.id).where(t.messages.c.customer_id.in_(mine.customers))
    arrived = (o.message_id.in_(said), o.customer_id.in_(mine.customers), o.state == "sent")
    sent = tx.conn.execute(select(o.via, func.count().label("n")).where(*arrived).group_by(o.via).order_by(o.via))
    chats = [f"{row.n} message{'s' if row.n > 1 else ''} in the customer's own {row.via} chat" for row in sent]
    wishes = wish_titles.count_of(tx.conn, mine.customers)
    told = [f"what the week's post and webhooks told of {wishes} wish{'es' if wishes > 1 else ''} of theirs"]
    return (*left, *chats, *(told if wishes else ()))
