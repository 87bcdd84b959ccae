"""One transaction, as the rest of the house sees it.

Every change is a *unit*: a plain function `(tx) -> result` without `await`. So no transaction can ever be open
during a network call, the same unit runs on both engines (in SQLite's writer thread, or under PostgreSQL's
driver), and it may be run again from the start when the database asks for a retry.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import Connection, NestedTransaction, select, text

from bot.storage import tables as t

if TYPE_CHECKING:
    from bot.outbox import Outlet
    from bot.storage.shared_clock import SharedClock

Subscriber = Callable[["Tx", Any], None]


@dataclass(slots=True)
class Wiring:
    """What the composition root ties to every transaction: who listens, how channels render, whom to wake.

    `wake` is called on the event loop after a commit with the name of the worker that has new work: "outbox",
    "timers" or "inbox".
    """

    subscribers: Mapping[type, Sequence[Subscriber]] = field(default_factory=dict)
    outlets: Mapping[str, Outlet] = field(default_factory=dict)
    wake: Callable[[str], None] = lambda _worker: None
    desk: Callable[[], Any] = lambda: None  # the desk folder in force: a bot.desk_folder.Desk
    public_url: str = ""


@dataclass(slots=True)
class Tx:
    """An open transaction: its connection, the time it began (UTC), the wiring, and what follows the commit."""

    conn: Connection
    now: datetime
    wiring: Wiring = field(default_factory=Wiring)
    afterwards: list[Callable[[], None]] = field(default_factory=list)
    clock: SharedClock | None = None  # where nodes share the database: its own

    def emit(self, event: object) -> None:
        """Tell every subscriber of this event, inside this transaction: all of it commits, or none."""
        for subscriber in self.wiring.subscribers.get(type(event), ()):
            subscriber(self, event)

    def wake(self, worker: str) -> None:
        self.after_commit(lambda: self.wiring.wake(worker))

    def after_commit(self, action: Callable[[], None]) -> None:
        """Run on the event loop once this is durable, never if it is rolled back."""
        self.afterwards.append(action)

    def savepoint(self) -> Savepoint | NestedTransaction:
        """What follows can be undone alone: `commit()` or `rollback()` it; `is_active` until then, or until all is undone."""
        return savepoint(self.conn)

    def lock_customer(self, customer_id: str) -> bool:
        """One turn at a time per customer, over all nodes (SQLite has one writer, and needs nothing): whether it may have
        waited for others.

        We may have waited: `now` becomes the moment after that, so that whoever writes later in a timeline wrote later.
        """
        if self.conn.dialect.name != "postgresql":
            return False
        if self.clock is None:
            c = t.conversations
            self.conn.execute(select(c.c.customer_id).where(c.c.customer_id == customer_id).with_for_update())
            return True
        now = self.conn.execute(LOCK, {"customer_id": customer_id}).scalar()
        if now is not None:
            self.now = self.clock.heard(now)
        return True


class Savepoint:
    """SQLite's, as it is: SQLAlchemy's own costs more than most of what is done within it."""

    __slots__ = ("_name", "_raw", "is_open")

    def __init__(self, raw: sqlite3.Connection) -> None:
        self._raw = raw
        self.is_open = True
        self._name = f"s{next(_names)}"
        raw.execute(f"SAVEPOINT {self._name}").close()

    @property
    def is_active(self) -> bool:
        return self.is_open and self._raw.in_transaction

    def commit(self) -> None:
        self._raw.execute(f"RELEASE {self._name}").close()
        self.is_open = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.commit()
        elif self.is_active:
            self.rollback()

    def rollback(self) -> None:
        self.is_open = False
        self._raw.execute(f"ROLLBACK TO {self._name}").close()
        self._raw.execute(f"RELEASE {self._name}").close()


_names = itertools.count()


def savepoint(conn: Connection) -> Savepoint | NestedTransaction:
    raw: Any = conn.connection.dbapi_connection if conn.dialect.name == "sqlite" else None
    return Savepoint(raw) if isinstance(raw, sqlite3.Connection) else conn.begin_nested()


LOCK = text(
    "WITH locked AS MATERIALIZED (SELECT 1 FROM conversations WHERE customer_id = :customer_id FOR UPDATE) "
    "SELECT clock_timestamp() FROM locked"
)
"""The time is read from what the lock gave out, so after it."""
