"""The queries of the door out: `bot/outbox.py` writes rows, `channels/delivery` drains them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Text,
    and_,
    bindparam,
    exists,
    func,
    insert,
    literal_column,
    not_,
    null,
    or_,
    select,
    union_all,
    update,
)

from bot.storage import tables as t
from bot.storage.prepared import Changes, Prepared, Waiting, among, is_changed
from bot.storage.tx import Tx

LIVE = ("ready", "sending", "retry", "uncertain")
MAY_LEAVE = ("ready", "retry", "uncertain")
SPREAD = 500  # rows of a lane that get a time of their own


# What every send asks and writes, made ready once.
_ADD = Prepared(insert(t.outbox))
_OF_MESSAGE = Prepared(select(t.outbox.c.n).where(t.outbox.c.message_id == bindparam("of")).limit(literal_column("1")))
_END = Prepared(update(t.outbox).where(t.outbox.c.id == bindparam("of")).returning(t.outbox))
_SENT = Prepared(
    update(t.outbox)
    .where(t.outbox.c.id == bindparam("of"))
    .values(
        state="sent",
        ext_id=bindparam("called"),
        error=null(),
        lease_owner=null(),
        sent_at=bindparam("then", type_=t.Utc()),
    ),
    beside=True,
)
_ENDS = Changes(t.outbox, "id")
_HELD_BY = (
    select(
        *(t.outbox.c[name] for name in ("id", "lane", "kind", "bucket", "customer_id", "doubled")),
        t.messages.c.channel.label("said_on"),
        t.messages.c.author_kind.label("said_by"),
        t.messages.c.meta.label("said_meta"),
    )
    .outerjoin(
        t.messages, (t.messages.c.id == t.outbox.c.message_id) & (t.messages.c.customer_id == t.outbox.c.customer_id)
    )
    .where(among(t.outbox.c.id, "ids"), t.outbox.c.lease_owner == bindparam("by"))
)
_HELD_AND_LOCKED = Prepared(_HELD_BY.order_by(t.outbox.c.n).with_for_update(of=t.outbox), beside=True)
_TAKE = Prepared(
    update(t.outbox)
    .where(t.outbox.c.n == bindparam("head"))
    .values(
        state=bindparam("into"),
        attempts=t.outbox.c.attempts + 1,
        lease_owner=bindparam("by"),
        lease_until=bindparam("until"),
        started_at=bindparam("began"),
    )
)


NOBODYS: Mapping[str, Any] = {"attempts": 0, "lease_owner": None, "lease_until": None, "started_at": None}


def add(tx: Tx, values: Mapping[str, Any]) -> None:
    _ADD.later(tx.conn, **{"state": "ready", "created_at": tx.now, **values, **NOBODYS})


def just_added(tx: Tx) -> list[Waiting]:
    """This transaction's own rows, which nobody but it has seen; none where the baton may have moved since they were said."""
    return [] if is_changed(tx.conn, t.conversations) else _ADD.waiting(tx.conn)


def is_of(tx: Tx, message_id: str) -> bool:
    """Whether any row is this message's."""
    waits = any(row.values["message_id"] == message_id for row in _ADD.waiting(tx.conn))
    return waits or _OF_MESSAGE.first(tx.conn, of=message_id) is not None


def start_at_once(tx: Tx, owner: str, lease: timedelta, rows: Collection[Waiting]) -> None:
    """As `start`, before they are even written: their lanes are free, see `busy`. Nothing may look at the outbox before."""
    for row in rows:
        if not row.change(
            state="sending", attempts=1, lease_owner=owner, lease_until=tx.now + lease, started_at=tx.now
        ):
            raise AssertionError("it is written already, as one that anybody may send")


def busy(tx: Tx, lanes: Collection[str]) -> bool:
    """Whether anything was in one of these lanes before this transaction, and has not come to its end."""
    return _BUSY.first(tx.conn, lanes=list(lanes)) is not None


def end(tx: Tx, outbox_id: str, state: str, ext_id: str | None, error: str | None) -> Any:
    """Mark a row as sent, failed or expired, and return it."""
    values: dict[str, Any] = {"state": state, "ext_id": ext_id, "error": error, "lease_owner": None}
    if state == "sent":
        values["sent_at"] = tx.now
    return _END.one(tx.conn, of=outbox_id, **values)


def expire_unsent(tx: Tx, message_id: str, why: str) -> int:
    """Returns how many rows will not leave any more."""
    o = t.outbox
    unsent = (o.c.message_id == message_id, o.c.state.in_(("ready", "retry")))
    return tx.conn.execute(update(o).where(*unsent).values(state="expired", error=why)).rowcount


def revive(tx: Tx, message_id: str, why: str, **values: Any) -> int:
    """Rows of a message that expired for this reason may leave after all, as if they were new. Returns how many."""
    o = t.outbox
    mine = (o.c.message_id == message_id, o.c.state == "expired", o.c.error == why)
    fresh = {"state": "ready", "error": None, "created_at": tx.now, "due_at": tx.now, "attempts": 0, "delayed_at": None}
    return tx.conn.execute(update(o).where(*mine).values(**fresh, **values)).rowcount


def address_of(conn: Connection, message_id: str) -> str | None:
    """Where this message was sent."""
    o = t.outbox
    query = select(o.c.payload).where(o.c.message_id == message_id).order_by(o.c.n).limit(1)
    payload = conn.execute(query).scalar()
    return payload.get("address") if isinstance(payload, dict) else None


def end_sent(tx: Tx, sent: Collection[tuple[str, str | None]]) -> None:
    """Mark rows as sent: (id, the platform's name of it).

    On PostgreSQL with what else there is to write. On SQLite at once: the courier, at this commit's end, looks at lanes `beside`
    what waits, and would take them for busy.
    """
    if tx.conn.dialect.name != "postgresql":
        _SENT.run_many(tx.conn, [{"of": one, "called": ext_id, "then": tx.now} for one, ext_id in sent])
        return
    ended: dict[str, Any] = {"state": "sent", "error": None, "lease_owner": None, "sent_at": tx.now}
    for one, ext_id in sent:
        _ENDS.later(tx.conn, one, {**ended, "ext_id": ext_id})


def held(tx: Tx, ids: Collection[str], owner: str) -> dict[str, Any]:
    """Those of the rows that this owner still holds: who was away for longer than its lease writes nothing (fencing).

    Of each what may have changed since it was claimed, and of its message `said_on`, `said_by` and `said_meta` (None where
    that is not with the row's customer). On SQLite with `is_awaited`: whether another row waits for its end in its lane.
    """
    query = _HELD_AND_LOCKED if tx.conn.dialect.name == "postgresql" else _HELD
    return {row.id: row for row in query.all(tx.conn, ids=list(ids), by=owner)}


def strand(
    tx: Tx, owner: str, in_flight: Collection[str], *, others_may_live: bool, grace: timedelta = timedelta()
) -> int:
    """Rows that were on their way when their sender died are uncertain now. Returns how many.

    What this owner itself holds without knowing of it (a commit whose answer was lost) is stranded too, after its lease.
    """
    given: dict[str, Any] = {"by": owner, "held": list(in_flight), "then": tx.now, "dead": tx.now - grace}
    asking, sending = _STRANDED[others_may_live]
    asking.run(tx.conn, **given)
    return sending.run(tx.conn, **given)


def _stranded(*, others_may_live: bool) -> tuple[Prepared, Prepared]:
    """What was being asked about, and what was being sent."""
    o = t.outbox.c
    by = bindparam("by", type_=Text)  # PostgreSQL wants to be told, of what stands in two places
    over = o.lease_until < bindparam("dead", type_=t.Utc())
    if not others_may_live:
        over = or_(over, o.lease_owner.is_(None), o.lease_owner != by)
    mine = (o.lease_owner == by) & among(o.id, "held")
    freed: dict[str, Any] = {"lease_owner": None, "due_at": bindparam("then", type_=t.Utc())}
    asking = (o.state == literal_column("'uncertain'"), unsent(o.state), o.lease_owner.is_not(None), over, ~mine)
    sending = (o.state == literal_column("'sending'"), unsent(o.state), over, or_(o.lease_owner.is_(None), ~mine))
    return (
        Prepared(update(t.outbox).where(*asking).values(freed)),
        Prepared(update(t.outbox).where(*sending).values({**freed, "state": "uncertain", "attempts": 0})),
    )


def renew(tx: Tx, owner: str, in_flight: Collection[str], lease: timedelta) -> set[str]:
    """This owner lives, and goes on with these. Returns those that are still its own."""
    mine = set(held(tx, in_flight, owner))  # locked in the order in which groups of outcomes are: no deadlocks
    _RENEW.run(tx.conn, mine=list(mine), until=tx.now + lease)
    return mine


def heads(
    tx: Tx, windows: Collection[tuple[str, bool]], limit: int, shut: Collection[str] = (), aside: Collection[str] = ()
) -> list[Any]:
    """The first live row of each lane that is due: replies before bulk, then who waits longest.

    `windows` are (via, bulk); each gives at most `limit`, so that none hides another. A bucket that several lanes share
    sends one at a time, and while it is `shut` none; rows of a kind that stands `aside` don't count there. Besides the
    row's columns: `held_epoch`, the baton's just now, and `follower_due`, of the next row in its lane. Two statements; the
    first reads as many entries of ix_outbox_waiting as it returns, and those that wait behind a head which is under way.
    """
    if not windows:
        return []
    given: dict[str, Any] = {"now": tx.now, "at_most": limit, "shut": sorted(shut), "aside": sorted(aside)}
    found = [row.n for row in _due(tuple(sorted(windows))).all(tx.conn, **given)]
    if not found:
        return []
    if tx.conn.dialect.name == "postgresql":
        return _HEADS_LOCKED.all(tx.conn, found=found, now=tx.now)
    return _HEADS.all(tx.conn, found=found)


@lru_cache(maxsize=64)
def _due(windows: tuple[tuple[str, bool], ...]) -> Prepared:
    return Prepared(union_all(*(_window(via, bulk) for via, bulk in windows)))


def _window(via: str, bulk: bool) -> Select[Any]:
    """The heads of one channel's lanes that are due, whoever waits longest first."""
    o, b, s = t.outbox.alias("o"), t.outbox.alias("b"), t.outbox.alias("s")
    now = bindparam("now", type_=t.Utc())
    behind = exists().where(b.c.lane == o.c.lane, b.c.n < o.c.n, live(b.c.state))
    sending = select(s.c.lane).where(s.c.state == literal_column("'sending'"), unsent(s.c.state))
    posting = sending.where(s.c.bucket != s.c.lane, not_(among(s.c.kind, "aside"))).with_only_columns(s.c.bucket)
    free_place = and_(not_(among(o.c.bucket, "shut")), o.c.bucket.not_in(posting))
    alone = or_(o.c.bucket.is_(None), o.c.bucket == o.c.lane, o.c.state == "uncertain", among(o.c.kind, "aside"))
    due = select(o.c.n).where(
        o.c.via == via,
        o.c.bulk == literal_column(str(bulk).lower()),
        may_leave(o.c.state),
        o.c.due_at <= now,
        or_(o.c.lease_owner.is_(None), o.c.lease_until < now),
        not_(behind),
        o.c.lane.not_in(sending),
        or_(alone, free_place),
    )
    return select(due.order_by(o.c.due_at, o.c.n).limit(bindparam("at_most")).subquery())


def live(state: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether a row has not come to its end, written out as ix_outbox_live has it: so rows of one lane are found by it."""
    return or_(*(state == literal_column(f"'{one}'") for one in LIVE))


def may_leave(state: ColumnElement[str]) -> ColumnElement[bool]:
    """As `live`, for ix_outbox_waiting."""
    return or_(*(state == literal_column(f"'{one}'") for one in MAY_LEAVE))


def unsent(state: ColumnElement[str]) -> ColumnElement[bool]:
    """As `live`, for ix_outbox_unsent: what waits, and what failed or came too late. Nearly every row is `sent`."""
    return state != literal_column("'sent'")


def _heads() -> Select[Any]:
    o, c, f = t.outbox, t.conversations, t.outbox.alias("f")
    follower = select(f.c.due_at).where(f.c.lane == o.c.lane, f.c.n > o.c.n, live(f.c.state)).order_by(f.c.n).limit(1)
    query = select(o, c.c.epoch.label("held_epoch"), follower.scalar_subquery().label("follower_due"))
    query = query.outerjoin_from(o, c, (c.c.customer_id == o.c.customer_id) & o.c.epoch.is_not(None))
    return query.where(among(o.c.n, "found")).order_by(o.c.bulk, o.c.due_at, o.c.n)


def _still_free() -> Select[Any]:
    """As `_heads`, locked: another node may have taken one between our two statements."""
    o, now = t.outbox, bindparam("now", type_=t.Utc())
    free = (may_leave(o.c.state), or_(o.c.lease_owner.is_(None), o.c.lease_until < now), o.c.due_at <= now)
    return _heads().where(*free).with_for_update(skip_locked=True, of=o)


def _held_and_awaited() -> Select[Any]:
    o, f = t.outbox, t.outbox.alias("f")
    awaited = exists().where(f.c.lane == o.c.lane, f.c.n > o.c.n, live(f.c.state))
    return _HELD_BY.add_columns(awaited.label("is_awaited"))


_HELD = Prepared(_held_and_awaited(), beside=True)
_BUSY = Prepared(
    select(t.outbox.c.n).where(among(t.outbox.c.lane, "lanes"), live(t.outbox.c.state)).limit(1), beside=True
)
_HEADS, _HEADS_LOCKED = Prepared(_heads()), Prepared(_still_free())
_STRANDED = {others_may_live: _stranded(others_may_live=others_may_live) for others_may_live in (False, True)}
_RENEW = Prepared(
    update(t.outbox).where(among(t.outbox.c.id, "mine")).values(lease_until=bindparam("until", type_=t.Utc()))
)


_POSTING = Prepared(
    select(t.outbox.c.bucket).where(
        t.outbox.c.state == literal_column("'sending'"),
        unsent(t.outbox.c.state),
        among(t.outbox.c.bucket, "places"),
        t.outbox.c.bucket != t.outbox.c.lane,
        not_(among(t.outbox.c.kind, "aside")),
    )
)


def posting(tx: Tx, places: Collection[str], aside: Collection[str]) -> set[str]:
    """Those of the places that lanes share in which one is under way just now. See `heads`."""
    return {row.bucket for row in _POSTING.all(tx.conn, places=sorted(places), aside=sorted(aside))}


def is_due(conn: Connection, now: datetime, vias: Iterable[str]) -> bool:
    """Whether anything could leave now."""
    windows = tuple(sorted((via, bulk) for via in vias for bulk in (False, True)))
    asked: dict[str, Any] = {"now": now, "at_most": 1, "shut": [], "aside": []}
    return bool(windows) and _due(windows).first(conn, **asked) is not None


def next_due(conn: Connection, now: datetime, vias: Collection[str]) -> datetime | None:
    """When the next one that is not due yet is. One look into the index for each channel, however much waits."""
    due: datetime | None = _next(tuple(sorted(vias))).scalar(conn, now=now) if vias else None
    return due


@lru_cache(maxsize=16)
def _next(vias: tuple[str, ...]) -> Prepared:
    o, now = t.outbox, bindparam("now", type_=t.Utc())
    later = (may_leave(o.c.state), o.c.due_at > now)
    each = [
        select(func.min(o.c.due_at).label("due_at")).where(o.c.via == via, o.c.bulk == literal_column(bulk), *later)
        for via in vias
        for bulk in ("false", "true")
    ]
    return Prepared(select(func.min(union_all(*each).subquery().c.due_at)))


def start(tx: Tx, owner: str, lease: timedelta, rows: Collection[Any]) -> None:
    """This owner has them now: those that are sent are `sending`, before their first byte leaves."""
    if not rows:
        return
    mine = {"by": owner, "until": tx.now + lease}
    values = [
        {"head": row.n, "into": "uncertain", "began": row.started_at, **mine}
        if row.state == "uncertain"
        else {"head": row.n, "into": "sending", "began": tx.now, **mine}
        for row in rows
    ]
    _TAKE.run_many(tx.conn, values)


def put_off(tx: Tx, due: Mapping[int, datetime]) -> None:
    """These can't leave before then."""
    if due:
        o = t.outbox
        later = update(o).where(o.c.n == bindparam("one")).values(due_at=bindparam("then"))
        tx.conn.execute(later, [{"one": n, "then": then} for n, then in due.items()])


def hurry(tx: Tx, beyond: datetime) -> None:
    """What is due later than that, by a clock that has been set back since, is due now."""
    o = t.outbox
    later = (o.c.state.in_(MAY_LEAVE), unsent(o.c.state), o.c.due_at > beyond)
    tx.conn.execute(update(o).where(*later).values(due_at=tx.now))


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
    return [row.n for row in _late(tuple(sorted(vias))).all(tx.conn, after=after, until=until)] if vias else []


@lru_cache(maxsize=16)
def _late(vias: tuple[str, ...]) -> Prepared:
    o = t.outbox.c
    after, until = (bindparam(name, type_=t.Utc()) for name in ("after", "until"))
    each = [
        select(o.n).where(
            o.via == via,
            o.bulk == literal_column(bulk),
            may_leave(o.state),
            o.state != literal_column("'uncertain'"),
            o.due_at > after,
            o.due_at <= until,
            o.message_id.is_not(None),
            o.delayed_at.is_(None),
        )
        for via in vias
        for bulk in ("false", "true")
    ]
    return Prepared(union_all(*each))


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
    """Those that were sent are what is left of all: the others alone are told apart, by ix_outbox_unsent."""
    o = t.outbox
    others = select(o.c.state, func.count().label("n")).where(unsent(o.c.state)).group_by(o.c.state)
    everything = select(null().label("state"), func.count().label("n")).select_from(o)
    counted = {state: int(count) for state, count in conn.execute(union_all(others, everything))}
    sent = counted.pop(None) - sum(counted.values())
    return counted | ({"sent": sent} if sent else {})
