"""The queries of `bot/timers.py`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, null, select, update
from sqlalchemy.dialects import postgresql, sqlite

from bot.model import new_id
from bot.storage import letters
from bot.storage import tables as t
from bot.storage.prepared import Prepared
from bot.storage.tx import Tx

_ADD = postgresql.insert(t.timers)  # SQLite's words are the same
_SET = Prepared(
    _ADD.on_conflict_do_update(
        index_elements=["key"],
        set_={
            name: _ADD.excluded[name] for name in ("id", "kind", "due_at", "customer_id", "case_id", "data", "attempts")
        }
        | {"error": null()},
    )
)
_REMOVE = Prepared(delete(t.timers).where(t.timers.c.key == bindparam("of")))
_TAKE = Prepared(
    delete(t.timers).where(t.timers.c.id == bindparam("of"), t.timers.c.due_at == bindparam("then", type_=t.Utc()))
)


@dataclass(frozen=True, slots=True)
class Timer:
    id: str
    kind: str
    key: str
    due_at: datetime
    customer_id: str | None
    case_id: str | None
    data: Mapping[str, Any]
    attempts: int = 0


def put(
    tx: Tx, kind: str, key: str, due_at: datetime, customer_id: str | None, case_id: str | None, data: Mapping[str, Any]
) -> None:
    """In the place of one of that key, if there is one; who rings that one just now finds it gone."""
    whose: dict[str, Any] = {"customer_id": customer_id, "case_id": case_id}
    _SET.run(tx.conn, id=new_id(), kind=kind, key=key, due_at=due_at, data=dict(data), **whose)


def add_once(tx: Tx, kind: str, key: str, due_at: datetime) -> None:
    made = (sqlite if tx.conn.dialect.name == "sqlite" else postgresql).insert(t.timers)
    made = made.values(id=new_id(), kind=kind, key=key, due_at=due_at, data={}, attempts=0)
    tx.conn.execute(made.on_conflict_do_nothing())


def due_at(conn: Connection, key: str) -> datetime | None:
    found: datetime | None = conn.execute(select(t.timers.c.due_at).where(t.timers.c.key == key)).scalar()
    return found


def remove(tx: Tx, key: str) -> None:
    _REMOVE.run(tx.conn, of=key)


def take(tx: Tx, timer: Timer) -> bool:
    """Remove it, if it is still there and still due then: whoever removes it rings it."""
    return _TAKE.run(tx.conn, of=timer.id, then=timer.due_at) > 0


def next_due(conn: Connection) -> datetime | None:
    found: datetime | None = conn.execute(select(func.min(t.timers.c.due_at))).scalar()
    return found


def due(conn: Connection, now: datetime, limit: int = 50) -> list[Timer]:
    query = select(t.timers).where(t.timers.c.due_at <= now).order_by(t.timers.c.due_at, t.timers.c.id).limit(limit)
    return [
        Timer(row.id, row.kind, row.key, row.due_at, row.customer_id, row.case_id, row.data, row.attempts)
        for row in conn.execute(query)
    ]


def postpone(tx: Tx, timer: Timer, due_at: datetime, error: str) -> None:
    values = {"attempts": timer.attempts + 1, "error": error, "due_at": due_at}
    tx.conn.execute(update(t.timers).where(t.timers.c.id == timer.id).values(**values))


def bury(tx: Tx, timer: Timer, error: str) -> None:
    if tx.conn.execute(delete(t.timers).where(t.timers.c.id == timer.id)).rowcount == 0:
        return  # another node did
    whose = {"customer_id": timer.customer_id, "case_id": timer.case_id}
    kept = json.dumps({"kind": timer.kind, "key": timer.key, "data": timer.data, **whose})
    letters.keep(tx, "timer", timer.key, kept.encode(), f"{timer.kind}: {error}")
