"""The queries of the door out: `bot/outbox.py` writes rows, `channels/delivery` drains them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, exists, func, insert, or_, select, update

from bot.storage import tables as t
from bot.storage.tx import Tx

LIVE = ("ready", "sending", "retry", "uncertain")
MAY_LEAVE = ("ready", "retry", "uncertain")


def add(tx: Tx, values: Mapping[str, Any]) -> None:
    tx.conn.execute(insert(t.outbox).values(state="ready", created_at=tx.now, **values))


def end(tx: Tx, outbox_id: str, state: str, ext_id: str | None, error: str | None) -> Row[Any]:
    """Mark a row as sent, failed or expired, and return it."""
    o = t.outbox
    values: dict[str, Any] = {"state": state, "ext_id": ext_id, "error": error, "lease_owner": None}
    if state == "sent":
        values["sent_at"] = tx.now
    return tx.conn.execute(update(o).where(o.c.id == outbox_id).values(**values).returning(o)).one()


def expire_unsent(tx: Tx, message_id: str, why: str) -> int:
    """Returns how many rows will not leave any more."""
    o = t.outbox
    unsent = (o.c.message_id == message_id, o.c.state.in_(("ready", "retry")))
    return tx.conn.execute(update(o).where(*unsent).values(state="expired", error=why)).rowcount


def address_of(conn: Connection, message_id: str) -> str | None:
    """Where this message was sent."""
    o = t.outbox
    query = select(o.c.payload).where(o.c.message_id == message_id).order_by(o.c.n).limit(1)
    payload = conn.execute(query).scalar()
    return payload.get("address") if isinstance(payload, dict) else None


def is_held(tx: Tx, outbox_id: str, owner: str) -> bool:
    """Whether this owner still holds the row: who was away for longer than its lease writes nothing (fencing)."""
    o = t.outbox
    query = select(o.c.id).where(o.c.id == outbox_id, o.c.lease_owner == owner)
    if tx.conn.dialect.name == "postgresql":
        query = query.with_for_update()
    return tx.conn.execute(query).first() is not None


def strand(
    tx: Tx, owner: str, in_flight: Collection[str], *, others_may_live: bool, grace: timedelta = timedelta()
) -> int:
    """Rows that were on their way when their sender died are uncertain now. Returns how many.

    What this owner itself holds without knowing of it (a commit whose answer was lost) is stranded too, after its lease.
    """
    o = t.outbox
    over = o.c.lease_until < tx.now - grace
    if not others_may_live:
        over = or_(over, o.c.lease_owner.is_(None), o.c.lease_owner != owner)
    mine = (o.c.lease_owner == owner) & o.c.id.in_(in_flight)
    values = {"lease_owner": None, "due_at": tx.now}
    asking = (o.c.state == "uncertain", o.c.lease_owner.is_not(None))
    tx.conn.execute(update(o).where(*asking, over, ~mine).values(**values))
    sending = update(o).where(o.c.state == "sending", over, or_(o.c.lease_owner.is_(None), ~mine))
    return tx.conn.execute(sending.values(**values, state="uncertain", attempts=0)).rowcount


def renew(tx: Tx, owner: str, in_flight: Collection[str], lease: timedelta) -> set[str]:
    """This owner lives, and goes on with these. Returns those that are still its own."""
    o = t.outbox
    held = update(o).where(o.c.lease_owner == owner, o.c.id.in_(in_flight))
    return set(tx.conn.execute(held.values(lease_until=tx.now + lease).returning(o.c.id)).scalars())


def bucket(tx: Tx, outbox_id: str) -> str | None:
    """Whose rate this row spends."""
    found: str | None = tx.conn.execute(select(t.outbox.c.bucket).where(t.outbox.c.id == outbox_id)).scalar()
    return found


def heads(conn: Connection, now: datetime, vias: Iterable[str], limit: int) -> list[Row[Any]]:
    """The first live row of each lane, where it is due, oldest first."""
    o, before = t.outbox, t.outbox.alias("before")
    earlier = exists().where(before.c.lane == o.c.lane, before.c.n < o.c.n, before.c.state.in_(LIVE))
    query = (
        select(o)
        .where(o.c.state.in_(MAY_LEAVE), o.c.due_at <= now, ~earlier)
        .where(o.c.via.in_(list(vias)))  # what stands in the timeline needs no send: the web's rows wait to be shown
        .where(or_(o.c.lease_owner.is_(None), o.c.lease_until < now))
        .order_by(o.c.n)
        .limit(limit)
    )
    if conn.dialect.name == "postgresql":
        query = query.with_for_update(skip_locked=True, of=o)
    return list(conn.execute(query))


def next_due(conn: Connection, now: datetime, vias: Iterable[str]) -> datetime | None:
    o = t.outbox
    waiting = (o.c.state.in_(MAY_LEAVE), o.c.due_at > now, o.c.via.in_(list(vias)))
    due: datetime | None = conn.execute(select(func.min(o.c.due_at)).where(*waiting)).scalar()
    return due


def epoch(conn: Connection, customer_id: str) -> int | None:
    c = t.conversations
    found: int | None = conn.execute(select(c.c.epoch).where(c.c.customer_id == customer_id)).scalar()
    return found


def change(tx: Tx, outbox_id: str, **values: Any) -> None:
    tx.conn.execute(update(t.outbox).where(t.outbox.c.id == outbox_id).values(**values))


def change_mine(tx: Tx, outbox_id: str, owner: str, **values: Any) -> None:
    """Change a row and let it go, if this owner still holds it."""
    o = t.outbox
    where = (o.c.id == outbox_id, o.c.lease_owner == owner)
    tx.conn.execute(update(o).where(*where).values(lease_owner=None, **values))


def count_by_state(conn: Connection) -> dict[str, int]:
    o = t.outbox
    rows = conn.execute(select(o.c.state, func.count()).group_by(o.c.state))
    return {str(state): int(count) for state, count in rows}
