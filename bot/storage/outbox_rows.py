"""The queries of the door out: `bot/outbox.py` writes rows, `channels/delivery` drains them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    Text,
    TextClause,
    TextualSelect,
    bindparam,
    func,
    insert,
    literal_column,
    or_,
    select,
    text,
    update,
)

from bot.storage import tables as t
from bot.storage.tx import Tx

LIVE = ("ready", "sending", "retry", "uncertain")
MAY_LEAVE = ("ready", "retry", "uncertain")
SPREAD = 500  # rows of a lane that get a time of their own


# What every send writes, built once: to build a statement costs more than to run it.
_ADD = insert(t.outbox)
_END = update(t.outbox).where(t.outbox.c.id == bindparam("of")).returning(t.outbox)
_HELD = select(t.outbox.c.id).where(t.outbox.c.id == bindparam("of"), t.outbox.c.lease_owner == bindparam("by"))
_HELD_AND_LOCKED = _HELD.with_for_update()


def add(tx: Tx, values: Mapping[str, Any]) -> None:
    tx.conn.execute(_ADD, {"state": "ready", "created_at": tx.now, **values})


def end(tx: Tx, outbox_id: str, state: str, ext_id: str | None, error: str | None) -> Row[Any]:
    """Mark a row as sent, failed or expired, and return it."""
    values: dict[str, Any] = {"state": state, "ext_id": ext_id, "error": error, "lease_owner": None}
    if state == "sent":
        values["sent_at"] = tx.now
    return tx.conn.execute(_END, {"of": outbox_id, **values}).one()


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
    query = _HELD_AND_LOCKED if tx.conn.dialect.name == "postgresql" else _HELD
    return tx.conn.execute(query, {"of": outbox_id, "by": owner}).first() is not None


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


def heads(
    tx: Tx, windows: Collection[tuple[str, bool]], limit: int, shut: Collection[str] = (), aside: Collection[str] = ()
) -> list[Row[Any]]:
    """The first live row of each lane that is due: replies before bulk, then who waits longest.

    `windows` are (via, bulk); each gives at most `limit`, so that none hides another. A bucket that several lanes share
    sends one at a time, and while it is `shut` none; rows of a kind that stands `aside` don't count there. Besides the
    row's columns: `held_epoch`, the baton's just now, and `follower_due`, of the next row in its lane. Two statements; the
    first reads as many entries of ix_outbox_waiting as it returns, and those that wait behind a head which is under way.
    """
    if not windows:
        return []
    given = {"now": tx.now, "at_most": limit, "shut": sorted(shut), "aside": sorted(aside)}
    found = tx.conn.execute(_due(tuple(sorted(windows))), given).scalars().all()
    if not found:
        return []
    query = _HEADS
    if tx.conn.dialect.name == "postgresql":
        query = query.with_for_update(skip_locked=True, of=t.outbox)
    return list(tx.conn.execute(query, {"found": found, "now": tx.now}))


@lru_cache(maxsize=64)
def _due(windows: tuple[tuple[str, bool], ...]) -> TextClause:
    """As text: to build it afresh each time would cost more than to run it. The states are written out, since SQLite takes
    an index with a condition only where it reads the same condition.
    """
    each = " UNION ALL ".join(
        f"SELECT * FROM (SELECT o.n FROM outbox o WHERE o.via = :via{number} AND o.bulk = {bulk} "  # noqa: S608 - a Boolean
        "AND o.state IN ('ready','retry','uncertain') AND o.due_at <= :now "
        "AND (o.lease_owner IS NULL OR o.lease_until < :now) "
        "AND NOT EXISTS (SELECT 1 FROM outbox b WHERE b.lane = o.lane AND b.n < o.n "
        "AND b.state IN ('ready','sending','retry','uncertain')) "
        "AND o.lane NOT IN (SELECT s.lane FROM outbox s WHERE s.state = 'sending') "
        "AND (o.bucket IS NULL OR o.bucket = o.lane OR o.kind IN :aside OR o.state = 'uncertain' OR (o.bucket NOT IN :shut "
        "AND o.bucket NOT IN (SELECT s.bucket FROM outbox s WHERE s.state = 'sending' AND s.bucket <> s.lane "
        "AND s.kind NOT IN :aside))) "
        f"ORDER BY o.due_at, o.n LIMIT :at_most) w{number}"
        for number, (_, bulk) in enumerate(windows)
    )
    vias = {f"via{number}": via for number, (via, _) in enumerate(windows)}
    lists = (bindparam(name, type_=Text(), expanding=True) for name in ("shut", "aside"))
    return text(each).bindparams(bindparam("now", type_=t.Utc()), *lists, **vias)


def live(state: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether a row has not come to its end, written out as ix_outbox_live has it: so rows of one lane are found by it."""
    return state.in_([literal_column(f"'{one}'") for one in LIVE])


def may_leave(state: ColumnElement[str]) -> ColumnElement[bool]:
    """As `live`, for ix_outbox_waiting."""
    return state.in_([literal_column(f"'{one}'") for one in MAY_LEAVE])


def _heads() -> Select[Any]:
    o, c, f = t.outbox, t.conversations, t.outbox.alias("f")
    follower = select(f.c.due_at).where(f.c.lane == o.c.lane, f.c.n > o.c.n, live(f.c.state)).order_by(f.c.n).limit(1)
    query = select(o, c.c.epoch.label("held_epoch"), follower.scalar_subquery().label("follower_due"))
    query = query.outerjoin_from(o, c, (c.c.customer_id == o.c.customer_id) & o.c.epoch.is_not(None))
    now = bindparam("now", type_=t.Utc())
    free = (o.c.state.in_(MAY_LEAVE), or_(o.c.lease_owner.is_(None), o.c.lease_until < now), o.c.due_at <= now)
    mine = o.c.n.in_(bindparam("found", expanding=True))
    return query.where(mine, *free).order_by(o.c.bulk, o.c.due_at, o.c.n)


_HEADS = _heads()


def is_due(conn: Connection, now: datetime, vias: Iterable[str]) -> bool:
    """Whether anything could leave now."""
    windows = tuple(sorted((via, bulk) for via in vias for bulk in (False, True)))
    return (
        bool(windows)
        and conn.execute(_due(windows), {"now": now, "at_most": 1, "shut": [], "aside": []}).first() is not None
    )


def next_due(conn: Connection, now: datetime, vias: Collection[str]) -> datetime | None:
    """When the next one that is not due yet is. One look into the index for each channel, however much waits."""
    due: datetime | None = conn.execute(_next(tuple(sorted(vias))), {"now": now}).scalar() if vias else None
    return due


@lru_cache(maxsize=16)
def _next(vias: tuple[str, ...]) -> TextualSelect:
    each = " UNION ALL ".join(
        f"SELECT min(o.due_at) AS due_at FROM outbox o WHERE o.via = :via{number} AND o.bulk = {bulk} "  # noqa: S608 - a Boolean
        "AND o.state IN ('ready','retry','uncertain') AND o.due_at > :now"
        for number in range(len(vias))
        for bulk in (False, True)
    )
    query = text(f"SELECT min(due_at) AS due_at FROM ({each}) each")  # noqa: S608 - made of the above
    named = {f"via{number}": via for number, via in enumerate(vias)}
    return query.bindparams(bindparam("now", type_=t.Utc()), **named).columns(due_at=t.Utc())


def start(tx: Tx, owner: str, lease: timedelta, rows: Collection[Row[Any]]) -> None:
    """This owner has them now: those that are sent are `sending`, before their first byte leaves."""
    if not rows:
        return
    o = t.outbox
    taken = (
        update(o)
        .where(o.c.n == bindparam("head"))
        .values(
            state=bindparam("into"),
            attempts=o.c.attempts + 1,
            lease_owner=owner,
            lease_until=tx.now + lease,
            started_at=bindparam("began"),
        )
    )
    values = [
        {"head": row.n, "into": "uncertain", "began": row.started_at}
        if row.state == "uncertain"
        else {"head": row.n, "into": "sending", "began": tx.now}
        for row in rows
    ]
    tx.conn.execute(taken, values)


def put_off(tx: Tx, due: Mapping[int, datetime]) -> None:
    """These can't leave before then."""
    if due:
        o = t.outbox
        later = update(o).where(o.c.n == bindparam("one")).values(due_at=bindparam("then"))
        tx.conn.execute(later, [{"one": n, "then": then} for n, then in due.items()])


def hurry(tx: Tx, beyond: datetime) -> None:
    """What is due later than that, by a clock that has been set back since, is due now."""
    o = t.outbox
    tx.conn.execute(update(o).where(o.c.state.in_(MAY_LEAVE), o.c.due_at > beyond).values(due_at=tx.now))


def spread(tx: Tx, lane: str, after: int, first: datetime, step: timedelta) -> list[Any]:
    """Who waits in a lane behind row `after` gets the time at which it can leave at the soonest: `first`, then by steps.

    So they stand in nobody's way, and are not looked at before. Returns those that were put off: n, due_at, created_at,
    delayed_at, message_id. A row is put off about once, however long the lane is.
    """
    o = t.outbox
    query = select(o.c.n, o.c.due_at, o.c.created_at, o.c.delayed_at, o.c.message_id)
    query = query.where(o.c.lane == lane, o.c.n > after, live(o.c.state), o.c.state.in_(("ready", "retry")))
    rows = tx.conn.execute(query.order_by(o.c.n).limit(SPREAD)).all()
    times = {row.n: first + step * number for number, row in enumerate(rows)}
    late = [row for row in rows if row.due_at < times[row.n]]
    put_off(tx, {row.n: times[row.n] for row in late})
    if len(rows) == SPREAD:
        behind = (o.c.lane == lane, o.c.n > rows[-1].n, live(o.c.state), o.c.state.in_(("ready", "retry")))
        last = times[rows[-1].n]
        tx.conn.execute(update(o).where(*behind, o.c.due_at < last).values(due_at=last))
    return late


def grown_late(tx: Tx, after: datetime, until: datetime, vias: Collection[str]) -> list[int]:
    """The `n` of messages' rows that still wait, due in this span, and of whose delay nobody knows."""
    o = t.outbox
    waiting = (o.c.via.in_(vias), o.c.bulk.in_((False, True)), may_leave(o.c.state), o.c.state != "uncertain")
    span = (o.c.due_at > after, o.c.due_at <= until, o.c.message_id.is_not(None), o.c.delayed_at.is_(None))
    return list(tx.conn.execute(select(o.c.n).where(*waiting, *span)).scalars())


def mark_delayed(tx: Tx, ns: Collection[int]) -> list[Any]:
    """They leave later than a minute after they were said. Returns those of which nobody knew."""
    o = t.outbox
    new = update(o).where(o.c.n.in_(ns), o.c.delayed_at.is_(None)).values(delayed_at=tx.now)
    return list(tx.conn.execute(new.returning(o)))


def place_of(tx: Tx, outbox_id: str) -> Any:
    """Where a row stands: n, lane, bucket, kind, bulk, message_id, due_at, created_at, delayed_at."""
    o = t.outbox.c
    query = select(o.n, o.lane, o.bucket, o.kind, o.bulk, o.message_id, o.due_at, o.created_at, o.delayed_at)
    return tx.conn.execute(query.where(o.id == outbox_id)).first()


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
