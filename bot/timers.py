"""What is due later: undo windows, surveys, queue updates, flow waits. Durable, once each.

A timer has a unique `key`: setting it again moves it. Its kind says which room acts (a table in `bot/app.py`); it acts in
the same transaction that removes it, so it happens once, also across crashes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import structlog

from bot.errors import DatabaseFault
from bot.storage import timer_rows
from bot.storage.engine import Storage
from bot.storage.timer_rows import Timer
from bot.storage.tx import Tx

__all__ = ["Ringer", "Timer", "Timers", "cancel", "set_once", "set_timer"]

log = structlog.get_logger()
TRIES = 5

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
    timer_rows.put(tx, kind, key, due_at, customer_id, case_id, data or {})
    tx.wake("timers")


def set_once(tx: Tx, kind: str, key: str, due_at: datetime) -> datetime:
    """As `set_timer`, but a timer of that key that waits already stays as it is, also when two nodes set it at once.

    Returns when it is due.
    """
    timer_rows.add_once(tx, kind, key, due_at)
    tx.wake("timers")
    return timer_rows.due_at(tx.conn, key) or due_at  # another node may ring it at this moment


def cancel(tx: Tx, key: str) -> None:
    timer_rows.remove(tx, key)


class Timers:
    """Rings what is due."""

    def __init__(self, storage: Storage, ringers: Mapping[str, Ringer]) -> None:
        self._storage = storage
        self._ringers = ringers

    async def run(self) -> datetime | None:
        """Ring all that is due; return when the next one is."""
        while ripe := await self._storage.read(lambda conn: timer_rows.due(conn, self._storage.clock())):
            for timer in ripe:
                await self._ring(timer)
        return await self._storage.read(timer_rows.next_due)

    async def _ring(self, timer: Timer) -> None:
        def unit(tx: Tx) -> None:
            if timer.customer_id is not None:
                tx.lock_customer(timer.customer_id)
            if timer_rows.take(tx, timer):
                self._ringers[timer.kind](tx, timer)

        if timer.kind not in self._ringers:  # set by a newer program, before a step back to this one
            await self._storage.write(lambda tx: timer_rows.bury(tx, timer, "nobody knows this kind"))
            return
        try:
            await self._storage.write(unit)
        except DatabaseFault:
            raise  # not the timer's fault: it is still there
        except Exception as failure:
            log.exception("timer failed", kind=timer.kind, timer=timer.id)
            error = repr(failure)
            await self._storage.write(lambda tx: _again(tx, timer, error))


def _again(tx: Tx, timer: Timer, error: str) -> None:
    """A timer that fails rings again after 2, 4, 8 … s; after TRIES it goes to the dead letters."""
    if timer.attempts + 1 >= TRIES:
        timer_rows.bury(tx, timer, error)
    else:
        timer_rows.postpone(tx, timer, tx.now + timedelta(seconds=2 ** (timer.attempts + 1)), error)
