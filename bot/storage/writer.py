"""SQLite's one writer: a thread with one connection, group commit, and the only checkpointer.

Units that arrive while a commit is under way share the next one: one fsync for up to BATCH of them, each in its own
SAVEPOINT, so that one that fails never takes its neighbours along. synchronous=FULL: what we acknowledged survives
a power cut. One connection writes *and* checkpoints, which keeps clear of SQLite's WAL-reset race (sqlite.org,
"WAL-reset bug", 3.7.0–3.51.2, needs two).
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, create_engine, event
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import StaticPool

from bot.errors import DatabaseFault
from bot.model import Clock
from bot.storage.json_text import JSON_TEXT
from bot.storage.tx import Tx, Wiring

T = TypeVar("T")
BATCH = 256
BUSY_MS = 5_000
CACHE_KIB = 32 * 1024
STATEMENTS = 512  # that SQLite keeps prepared

Unit = Callable[[Tx], Any]
Answer = tuple[
    asyncio.Future[Any], Any, BaseException | None, list[Callable[[], None]]
]  # whose, what, why not, what follows


class SqliteWriter:
    """Takes units from any event loop; runs them one after the other; answers after their commit."""

    def __init__(self, path: Path, clock: Clock, wiring: Wiring) -> None:
        self._clock = clock
        self._wiring = wiring
        self._queue: queue.SimpleQueue[tuple[Unit, asyncio.Future[Any]] | None] = queue.SimpleQueue()
        url = URL.create("sqlite+pysqlite", database=str(path))
        how = {"check_same_thread": False, "cached_statements": STATEMENTS}
        self._engine = create_engine(url, poolclass=StaticPool, connect_args=how, **JSON_TEXT)
        self._closing = threading.Lock()
        self._closed = False
        self.commits = 0
        event.listen(self._engine, "connect", _prepare)
        event.listen(self._engine, "begin", _begin_immediate)
        try:
            self._conn = self._engine.connect()
            self._conn.exec_driver_sql("SELECT count(*) FROM sqlite_master").all()
            self._conn.rollback()
        except Exception as error:
            self._engine.dispose()
            msg = f"can't open the database {path}: {getattr(error, 'orig', error)}"
            raise DatabaseFault(msg) from error
        self._thread = threading.Thread(target=self._run, name="stafett-writer", daemon=True)
        self._thread.start()

    async def submit(self, unit: Callable[[Tx], T]) -> T:
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        with self._closing:  # nothing is queued behind the last item: nobody would answer it
            if self._closed:
                msg = "the database is closed; stafett is stopping"
                raise DatabaseFault(msg)
            self._queue.put((unit, future))
        return await future  # who gives up cancels this; what is queued is committed all the same

    async def truncate_log(self) -> None:
        """Checkpoint and cut the WAL to nothing, so that it holds no copy of what was erased. Readers may delay that."""
        await self.submit(_cut)

    def close(self) -> None:
        """Finish what is queued, checkpoint, and stop."""
        with self._closing:
            self._closed = True
            self._queue.put(None)
        self._thread.join()
        self._conn.close()
        self._engine.dispose()

    def _run(self) -> None:
        while True:
            item = self._queue.get()
            batch = [] if item is None else [item]
            stop = item is None
            while len(batch) < BATCH and not stop:
                try:
                    item = self._queue.get_nowait()
                except queue.Empty:
                    break
                if item is None:
                    stop = True
                else:
                    batch.append(item)
            if batch:
                self._commit(batch)
            if stop:
                return

    def _commit(self, batch: list[tuple[Unit, asyncio.Future[Any]]]) -> None:
        answers: list[Answer] = []
        try:
            with self._conn.begin():
                for unit, future in batch:
                    tx = Tx(self._conn, self._clock(), self._wiring)
                    result, failed = _guarded(self._conn, unit, tx)
                    answers.append((future, result, failed, [] if failed else tx.afterwards))
                self._send_off([afterwards for *_, afterwards in answers])
            self.commits += 1
        except Exception as error:  # noqa: BLE001 - whatever it was, nobody in this batch may believe in a commit
            fault = DatabaseFault(f"the database did not take the change: {getattr(error, 'orig', error)}")
            fault.__cause__ = error
            answers = [(future, None, fault, []) for _, future in batch]
            _end_transaction(self._conn)
        if any(unit is _cut for unit, _ in batch):
            _truncate(self._conn)
        for loop in {future.get_loop() for _, future in batch}:
            with contextlib.suppress(RuntimeError):  # that loop is closed: nobody waits for the answer
                loop.call_soon_threadsafe(_tell, [one for one in answers if one[0].get_loop() is loop])

    def _send_off(self, following: Sequence[list[Callable[[], None]]]) -> None:
        """What this commit put into the outbox is taken up within it: a second commit before it leaves is one too many."""
        courier, woken = self._wiring.courier, self._wiring.waker("outbox")
        asking = [afterwards for afterwards in following if woken in afterwards]
        if courier is None or not asking:
            return
        tx = Tx(self._conn, self._clock(), self._wiring)
        _, failed = _guarded(self._conn, courier, tx)
        if failed is None:  # else its worker tries, and says what is wrong
            for afterwards in asking:
                afterwards[:] = [action for action in afterwards if action is not woken]
            asking[-1].extend(tx.afterwards)


def _tell(answers: Sequence[Answer]) -> None:
    """On the event loop, once for all of a commit: what is to follow it, each thing once, then its results."""
    told: set[Callable[[], None]] = set()
    for _, _, _, afterwards in answers:
        for action in afterwards:
            if action not in told:  # a hundred turns wake a worker once
                told.add(action)
                asyncio.get_running_loop().call_soon(action)
    for future, result, error, _ in answers:
        if future.done():
            continue
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)


def _cut(_tx: Tx) -> None:
    """The unit that asks for the log to be cut after its batch's commit."""


def _end_transaction(conn: Connection) -> None:
    """After a COMMIT that failed SQLite keeps the transaction open, and SQLAlchemy believes it is over."""
    raw: Any = conn.connection.dbapi_connection
    with contextlib.suppress(sqlite3.Error):
        raw.rollback()


def _truncate(conn: Connection) -> None:
    """As far as readers let us, now: nobody's turn waits for a reader. What stays is overwritten in time."""
    raw: Any = conn.connection.dbapi_connection
    with contextlib.suppress(sqlite3.Error):
        for pragma in ("busy_timeout=200", "wal_checkpoint(TRUNCATE)", f"busy_timeout={BUSY_MS}"):
            raw.execute(f"PRAGMA {pragma}").close()


def _guarded(conn: Connection, unit: Unit, tx: Tx) -> tuple[Any, BaseException | None]:
    """Run one unit in its SAVEPOINT. An error that broke the whole transaction is raised, any other returned."""
    savepoint = tx.savepoint()
    try:
        result = unit(tx)
        savepoint.commit()
    except Exception as error:
        raw: Any = conn.connection.dbapi_connection
        if isinstance(raw, sqlite3.Connection) and not raw.in_transaction:
            raise  # SQLite rolled everything back by itself: disk full, I/O error
        if savepoint.is_active:
            savepoint.rollback()
        if isinstance(error, OperationalError):  # disk full, locked, I/O: the database's own trouble
            fault = DatabaseFault(f"the database did not take the change: {error.orig}")
            fault.__cause__ = error
            return None, fault
        return None, error
    return result, None


def _prepare(dbapi: sqlite3.Connection, _record: object) -> None:
    dbapi.isolation_level = None
    for pragma in (
        f"busy_timeout={BUSY_MS}",
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "secure_delete=ON",  # erased means erased, also from free pages
        "temp_store=MEMORY",  # what a SAVEPOINT may have to put back
        f"cache_size=-{CACHE_KIB}",
    ):
        dbapi.execute(f"PRAGMA {pragma}").close()


def _begin_immediate(conn: Connection) -> None:
    conn.exec_driver_sql("BEGIN IMMEDIATE")
