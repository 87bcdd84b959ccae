"""What is due later: undo windows, surveys, queue updates, flow waits. Durable, once each.

A timer has a unique `key`: setting it again moves it. Its kind says which room acts (a table in `bot/app.py`); it acts in
the same transaction that removes it, so it happens once, also across crashes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Connection, delete, func, insert, select, update

from bot.model import new_id
from bot.storage import tables as t
from bot.storage.engine import Storage
from bot.storage.tx import Tx

log = structlog.get_logger()
TRIES = 5


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


Ringer = Callable[[Tx, Timer], None]


def set_timer(
    tx: Tx,
    kind: str,
    key: str,
    due_at: datetime,
    *,
    customer_id: str | None = None,
    case_id: str | None = None,
    data: Mapping[str, Any] | None = None,
) -> None:
    """Ring `kind` at `due_at`. A timer of the same key is replaced."""
    cancel(tx, key)
    tx.conn.execute(
        insert(t.timers).values(
            id=new_id(), kind=kind, key=key, due_at=due_at, customer_id=customer_id, case_id=case_id, data=dict(data or {})
        )
    )
    tx.wake("timers")


def cancel(tx: Tx, key: str) -> None:
    tx.conn.execute(delete(t.timers).where(t.timers.c.key == key))


def next_due(conn: Connection) -> datetime | None:
    due: datetime | None = conn.execute(select(func.min(t.timers.c.due_at))).scalar()
    return due


def due(conn: Connection, now: datetime, limit: int = 50) -> list[Timer]:
    query = select(t.timers).where(t.timers.c.due_at <= now).order_by(t.timers.c.due_at, t.timers.c.id).limit(limit)
    return [
        Timer(row.id, row.kind, row.key, row.due_at, row.customer_id, row.case_id, row.data, row.attempts)
        for row in conn.execute(query)
    ]


class Timers:
    """Rings what is due."""

    def __init__(self, storage: Storage, ringers: Mapping[str, Ringer]) -> None:
        self._storage = storage
        self._ringers = ringers

    async def run(self) -> datetime | None:
        """Ring all that is due; return when the next one is."""
        while ripe := await self._storage.read(lambda conn: due(conn, self._storage.clock())):
            for timer in ripe:
                await self._ring(timer)
        return await self._storage.read(next_due)

    async def _ring(self, timer: Timer) -> None:
        def unit(tx: Tx) -> None:
            if timer.customer_id is not None:
                tx.lock_customer(timer.customer_id)
            gone = tx.conn.execute(
                delete(t.timers).where(t.timers.c.id == timer.id, t.timers.c.due_at == timer.due_at).returning(t.timers.c.id)
            ).first()
            ringer = self._ringers.get(timer.kind)
            if gone is not None and ringer is not None:
                ringer(tx, timer)

        try:
            await self._storage.write(unit)
        except Exception as error:
            log.exception("timer failed", kind=timer.kind, timer=timer.id)
            await self._storage.write(lambda tx: _again(tx, timer, error))


def _again(tx: Tx, timer: Timer, error: Exception) -> None:
    """A timer that fails rings again after 2, 4, 8 … s; after TRIES it goes to the dead letters."""
    if timer.attempts + 1 >= TRIES:
        tx.conn.execute(delete(t.timers).where(t.timers.c.id == timer.id))
        tx.conn.execute(
            insert(t.dead_letters).values(
                id=new_id(), source="timer", key=timer.key, error=f"{timer.kind}: {error!r}", at=tx.now
            )
        )
        return
    later = tx.now + timedelta(seconds=2 ** (timer.attempts + 1))
    tx.conn.execute(
        update(t.timers)
        .where(t.timers.c.id == timer.id)
        .values(attempts=timer.attempts + 1, error=repr(error), due_at=later)
    )
