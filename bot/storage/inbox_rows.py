"""The queries of the door in: `bot/inbox.py`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    bindparam,
    delete,
    exists,
    func,
    insert,
    literal_column,
    null,
    or_,
    select,
    union_all,
    update,
)
from sqlalchemy.dialects import postgresql

from bot.model import FileRef
from bot.storage import tables as t
from bot.storage.prepared import Prepared, among
from bot.storage.tx import Tx

_BY_KEY = (t.inbox.c.source == bindparam("by"), t.inbox.c.key == bindparam("named"))
_FIND = Prepared(
    select(t.inbox)
    .where(t.inbox.c.source == bindparam("by"), among(t.inbox.c.key, "keys"))
    .order_by(t.inbox.c.state == literal_column("'alias'"))
)
_ROW = Prepared(select(t.inbox).where(*_BY_KEY))
_PARKED = Prepared(
    select(t.inbox)
    .outerjoin(
        t.messages, (t.messages.c.customer_id == t.inbox.c.customer_id) & (t.messages.c.id == t.inbox.c.message_id)
    )
    .where(t.inbox.c.waits_for == bindparam("what"), t.inbox.c.state == "parked")
    .order_by(t.inbox.c.received_at, t.messages.c.seq, t.inbox.c.key)
)
_KNOWN = Prepared(
    union_all(
        select(t.inbox.c.key, literal_column("0")).where(
            t.inbox.c.source == bindparam("by"), among(t.inbox.c.key, "keys")
        ),
        select(t.inbox.c.waits_for, literal_column("1")).where(
            among(t.inbox.c.waits_for, "named_so"), t.inbox.c.state == literal_column("'parked'")
        ),
    )
)
_ADD = Prepared(insert(t.inbox))
_PARKED_FOR = t.inbox.alias("p")
_AWAITED = exists().where(
    _PARKED_FOR.c.waits_for == bindparam("named_so"), _PARKED_FOR.c.state == literal_column("'parked'")
)
_ADD_NEW = Prepared(
    postgresql.insert(t.inbox).on_conflict_do_nothing().returning(_AWAITED)
)  # SQLite's words are the same
_MARK = Prepared(update(t.inbox).where(*_BY_KEY))
InboxRow = Any  # one row of t.inbox


def unhandled(state: ColumnElement[str]) -> ColumnElement[bool]:
    """What is new, parked or dead, written out as ix_inbox_unhandled has it: so it is found by it. Nearly every row is `done`."""
    return state.not_in([literal_column("'done'"), literal_column("'alias'")])


def find(tx: Tx, source: str, keys: Sequence[str]) -> InboxRow | None:
    """The row of one of these keys; rather the delivery itself than another name of it."""
    if len(keys) == 1:
        return _ROW.first(tx.conn, by=source, named=keys[0])
    return _FIND.first(tx.conn, by=source, keys=list(keys))


def row(tx: Tx, source: str, key: str) -> InboxRow:
    return _ROW.one(tx.conn, by=source, named=key)


def add(tx: Tx, **values: Any) -> None:
    _ADD.run(tx.conn, about=(values["key"],), received_at=tx.now, **values)


def add_new(tx: Tx, waits_for: str, **values: Any) -> bool | None:
    """Add a row unless its key is known: then None. Whether anything is parked for what it brings."""
    row = _ADD_NEW.first(tx.conn, about=(values["key"],), received_at=tx.now, named_so=waits_for, **values)
    return None if row is None else bool(row[0])


def add_unseen(tx: Tx, **values: Any) -> None:
    """Add a row whose key nobody has, as it was read in this transaction."""
    _ADD.later(tx.conn, received_at=tx.now, **values)


def known(tx: Tx, source: str, some: Sequence[str], names: Sequence[str]) -> tuple[set[str], set[str]]:
    """Those of the keys that are known, and those of the names for which something is parked."""
    rows = _KNOWN.all(tx.conn, by=source, keys=list(some), named_so=list(names))
    return {one for one, is_name in rows if not is_name}, {one for one, is_name in rows if is_name}


def mark(tx: Tx, source: str, key: str, **values: Any) -> None:
    about = () if values.get("waits_for") else (key,)  # who brings what it waits for is not known
    _MARK.run(tx.conn, about=about, by=source, named=key, **values)


def done(tx: Tx, source: str, key: str) -> None:
    mark(tx, source, key, state="done", handled_at=tx.now, due_at=None, waits_for=None, error=None)


def parked(tx: Tx, waits_for: str, customer_id: str | None = None) -> list[InboxRow]:
    """What waits for this, in the order in which it came."""
    rows = _PARKED.all(tx.conn, what=waits_for)
    return [row for row in rows if customer_id is None or row.customer_id == customer_id]


def parked_like(conn: Connection, prefix: str) -> list[str]:
    i = t.inbox
    such = (i.c.state == "parked", unhandled(i.c.state), i.c.waits_for.startswith(prefix, autoescape=True))
    return [str(one) for (one,) in conn.execute(select(i.c.waits_for).where(*such).distinct())]


def due(conn: Connection, now: datetime, limit: int = 20) -> list[Row[Any]]:
    """What has failed and is to be tried again now."""
    i = t.inbox
    query = select(i.c.source, i.c.key).where(i.c.state == "new", unhandled(i.c.state), i.c.due_at <= now)
    return list(conn.execute(query.order_by(i.c.due_at, i.c.key).limit(limit)))


def next_due(conn: Connection) -> datetime | None:
    state = t.inbox.c.state
    waiting = (state.in_(("new", "parked")), unhandled(state))
    found: datetime | None = conn.execute(select(func.min(t.inbox.c.due_at)).where(*waiting)).scalar()
    return found


def overdue(conn: Connection, now: datetime) -> list[str]:
    """What turns have been parked for longer than it takes: whoever was to release them may be gone."""
    i = t.inbox
    over = (i.c.state == "parked", unhandled(i.c.state), i.c.due_at <= now)
    return [str(one) for (one,) in conn.execute(select(i.c.waits_for).where(*over).distinct())]


def oldest_waiting(conn: Connection) -> datetime | None:
    """An edit of what we never got waits for ever, and is nobody's trouble: it does not count."""
    i = t.inbox
    somebody_waits = or_(i.c.message_id.is_not(None), i.c.waits_for.startswith("album:"))
    # Two queries, so that neither walks along ix_inbox_received_at.
    waiting = select(i.c.received_at).where(unhandled(i.c.state))
    each = (waiting.where(i.c.state == "new"), waiting.where(i.c.state == "parked", somebody_waits))
    found: datetime | None = conn.execute(select(func.min(union_all(*each).subquery().c.received_at))).scalar()
    return found


def forget_before(tx: Tx, when: datetime) -> int:
    """Keys and raw copies are kept for as long as platforms repeat, and no longer."""
    i = t.inbox
    amends_nothing = (i.c.state == "parked") & i.c.message_id.is_(None) & ~i.c.waits_for.startswith("album:")
    over = or_(i.c.state.in_(("done", "alias")), amends_nothing)
    return tx.conn.execute(delete(i).where(i.c.received_at < when, over)).rowcount


def expect_file(tx: Tx, file: FileRef, customer_id: str, via: str, ref: str) -> None:
    tx.conn.execute(
        insert(t.files).values(
            id=file.id,
            customer_id=customer_id,
            name=file.name,
            type=file.type,
            size=file.size,
            remote={"via": via, "ref": ref},
            created_at=tx.now,
        )
    )


def forget_raw(tx: Tx, source: str, key: str) -> None:
    """What this delivery said is not wanted any more; its key stays."""
    mark(tx, source, key, raw=None, happening=null())


def forget_words(tx: Tx, message_id: str, refs: Sequence[str]) -> None:
    """A message was taken back: its raw copies, and those of its edits, lose their words; their keys stay.

    They are with a customer who has the message: after a merge, and its undoing, that may be either of two.
    """
    i, m = t.inbox, t.messages
    edits = i.c.happening["is"]["ref"].as_string().in_(list(refs))
    handled = i.c.state.in_(("done", "alias", "dead"))
    theirs = i.c.customer_id.in_(select(m.c.customer_id).where(m.c.id == message_id))
    said = (theirs, handled, (i.c.message_id == message_id) | edits)
    tx.conn.execute(update(i).where(*said).values(raw=None, happening=null()))
