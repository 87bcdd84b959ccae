"""One transaction, as the rest of the house sees it.

Every change is a *unit*: a plain function `(tx) -> result` without `await`. So no transaction can ever be open
during a network call, the same unit runs on both engines (in SQLite's writer thread, or under PostgreSQL's
driver), and it may be run again from the start when the database asks for a retry.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import Connection, DateTime, Text, text

from bot.storage.prepared import Prepared, command, is_alive

if TYPE_CHECKING:
    from bot.outbox import Outlet
    from bot.storage.shared_clock import SharedClock

Subscriber = Callable[["Tx", Any], None]


@dataclass(slots=True)
class Wiring:
    """What the composition root ties to every transaction: who listens, how channels render, whom to wake.

    `wake` is called on the event loop after a commit with the name of the worker that has new work: "outbox",
    "timers" or "inbox". A commit of turns does the outbox's work as its last unit: `courier`, which is told how often that was
    asked for and when the transaction began (seconds, monotonic). It says whether nobody needs to be woken for it any more.
    """

    subscribers: Mapping[type, Sequence[Subscriber]] = field(default_factory=dict)
    outlets: Mapping[str, Outlet] = field(default_factory=dict)
    wake: Callable[[str], None] = lambda _worker: None
    desk: Callable[[], Any] = lambda: None  # the desk folder in force: a bot.desk_folder.Desk
    public_url: str = ""
    courier: Callable[[Tx, int, float], bool] | None = None
    spare_numbers: deque[int] = field(default_factory=deque)  # of cases, that this node has taken and not given out yet
    _wakers: dict[str, Callable[[], None]] = field(default_factory=dict)

    def waker(self, worker: str) -> Callable[[], None]:
        """What wakes it: one and the same thing, so that many turns of one commit wake it once."""
        return self._wakers.setdefault(worker, lambda: self.wake(worker))


@dataclass(slots=True)
class Tx:
    """An open transaction: its connection, the time it began (UTC), the wiring, and what follows the commit.

    `known` is what stores have read or written in it and what therefore still stands, so that a turn reads its customer and
    its case once. A store writes there what it writes to the database; whoever changes rows past their store calls `forget`.
    """

    conn: Connection
    now: datetime
    wiring: Wiring = field(default_factory=Wiring)
    afterwards: list[Callable[[], None]] = field(default_factory=list)
    clock: SharedClock | None = None  # where nodes share the database: its own
    known: dict[Any, Any] = field(default_factory=dict)
    locked: set[str] = field(default_factory=set)  # customers
    depth: int = 0  # savepoints that are open
    stamps: list[tuple[datetime, str, str]] = field(default_factory=list)  # PostgreSQL: see `bot.storage.engine.Stamp`
    shared: bool = False  # turns of other customers are in it as well: nobody waits for a lock (`bot.storage.together`)
    careful: bool = True  # savepoints are real; else they are pretended, and undoing one takes `Undone`

    def emit(self, event: object) -> None:
        """Tell every subscriber of this event, inside this transaction: all of it commits, or none."""
        for subscriber in self.wiring.subscribers.get(type(event), ()):
            subscriber(self, event)

    def wake(self, worker: str) -> None:
        self.after_commit(self.wiring.waker(worker))

    def after_commit(self, action: Callable[[], None]) -> None:
        """Run on the event loop once this is durable, never if it is rolled back."""
        self.afterwards.append(action)

    def lock_free(self, channel: str, external_ids: Sequence[str]) -> set[str]:
        """PostgreSQL: of the customers behind these senders lock those whose turn nobody has, and return them. `now` is then."""
        rows = LOCK_FREE.all(self.conn, on=channel, called=list(external_ids))
        if rows and self.clock is not None:
            self.now = self.clock.heard(max(row.now for row in rows))
        self.stamps += [(row.now, row.number, row.server) for row in rows[:1]]
        return {row.customer_id for row in rows}

    def forget(self) -> None:
        """Rows may be other than we know: somebody else's transaction was waited for, or ours was undone in part."""
        self.known.clear()

    def savepoint(self) -> Savepoint:
        """What follows can be undone alone: `commit()` or `rollback()` it; `is_active` until then, or until all is undone."""
        return Savepoint(self)

    def holds(self, customer_id: str) -> bool:
        """Whether nobody else can write about them before this transaction ends."""
        return customer_id in self.locked or self.conn.dialect.name != "postgresql"

    def lock_customer(self, customer_id: str) -> bool:
        """One turn at a time per customer, over all nodes (SQLite has one writer, and needs nothing): whether it may have
        waited for others.

        We may have waited: `now` becomes the moment after that, so that whoever writes later in a timeline wrote later. Raises
        Undone where turns of others would wait with us.
        """
        if self.conn.dialect.name != "postgresql":
            return False
        if customer_id in self.locked:
            return False
        if self.shared:
            raise Undone
        now = LOCK.scalar(self.conn, customer_id=customer_id)
        self.locked.add(customer_id)
        self.forget()
        if now is not None and self.clock is not None:
            self.now = self.clock.heard(now)
        return True


def follow(afterwards: Iterable[Callable[[], None]]) -> None:
    """On the event loop, after a commit: each thing once. What fails is nobody's who waits for the commit: that stands."""
    for action in dict.fromkeys(afterwards):  # a hundred turns wake a worker once
        try:
            action()
        except Exception as error:  # noqa: BLE001 - the loop's handler logs it
            told = {"message": "what was to follow a commit failed", "exception": error}
            asyncio.get_running_loop().call_exception_handler(told)


class Undone(BaseException):
    """A part of this transaction is to be undone alone, and no savepoint was set: run all of it again, with care.

    Or it wants what only a transaction of its own may wait for. Turns hardly ever fail, and a savepoint costs as much as what is
    done within it. So whoever runs units runs them first as if nothing could go wrong, and only where something does, from the
    start and with real savepoints. No room catches this.
    """


class Savepoint:
    """By the driver, as it is: SQLAlchemy's own costs more than most of what is done within it. Named by their depth."""

    __slots__ = ("_afterwards", "_depth", "_tx", "is_open")

    def __init__(self, tx: Tx) -> None:
        self._tx = tx
        self._depth = tx.depth
        self._afterwards = len(tx.afterwards)
        self.is_open = True
        tx.depth += 1
        if tx.careful:
            command(tx.conn, f"SAVEPOINT s{self._depth}")

    @property
    def is_active(self) -> bool:
        return self.is_open and is_alive(self._tx.conn)

    def commit(self) -> None:
        if self._tx.careful:
            command(self._tx.conn, f"RELEASE SAVEPOINT s{self._depth}")
        self._close()

    def rollback(self) -> None:
        """Raises Undone where the savepoint was pretended."""
        self._close()
        if not self._tx.careful:
            raise Undone
        del self._tx.afterwards[self._afterwards :]
        self._tx.locked.clear()  # PostgreSQL lets go of what was locked since
        self._tx.forget()
        command(self._tx.conn, f"ROLLBACK TO SAVEPOINT s{self._depth}")
        command(self._tx.conn, f"RELEASE SAVEPOINT s{self._depth}")

    def _close(self) -> None:
        self.is_open = False
        self._tx.depth = self._depth

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.commit()
        elif self.is_active:
            self.rollback()


LOCK = Prepared(
    text(
        "WITH locked AS MATERIALIZED (SELECT 1 FROM conversations WHERE customer_id = :customer_id FOR UPDATE) "
        "SELECT clock_timestamp() FROM locked"
    )
)
"""The time is read from what the lock gave out, so after it."""

LOCK_FREE = Prepared(
    text(
        "WITH locked AS MATERIALIZED (SELECT customer_id FROM conversations WHERE customer_id IN "
        "(SELECT customer_id FROM identities WHERE channel = :on AND external_id = ANY(:called)) "
        "FOR UPDATE SKIP LOCKED) SELECT customer_id, clock_timestamp() AS now, "
        "CAST(pg_current_xact_id() AS text) AS number, CAST(pg_postmaster_start_time() AS text) AS server FROM locked"
    ).columns(customer_id=Text, now=DateTime(timezone=True), number=Text, server=Text)
)
