"""SQLite's one writer: one connection, group commit, and the only checkpointer.

Units that arrive while a commit is under way share the next one: one fsync for up to BATCH of them. synchronous=FULL: what we
acknowledged survives a power cut. One connection writes *and* checkpoints, which keeps clear of SQLite's WAL-reset race
(sqlite.org, "WAL-reset bug", 3.7.0–3.51.2, needs two).

They run first as if nothing could go wrong (`bot.storage.tx.Undone`). Where one fails, all of that is undone, and they run again,
each in its SAVEPOINT, so that one that fails never takes its neighbours along.

*Quick* units, a turn or what came of a send, run on the event loop itself; only the commit, which waits for the disk, is left to
the writer's thread. Each statement lets go of Python's lock and has to get it back: between two threads that are both busy that
cost as much as the statements. What may take long (a report's facts, an erasure) runs on the thread as a whole, in nobody's way.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, create_engine, event
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.pool import StaticPool

from bot.errors import DatabaseFault
from bot.model import Clock
from bot.nouns import noun
from bot.storage.ahead import Coming, read_ahead
from bot.storage.json_text import JSON_TEXT
from bot.storage.prepared import look_first, put_in, put_off, translated
from bot.storage.tx import Tx, Undone, Wiring, follow

T = TypeVar("T")
BATCH = 256
BUSY_MS = 5_000
CACHE_KIB = 32 * 1024
STATEMENTS = 512  # that SQLite keeps prepared
PAGE = 8_192
"""Bytes of a page of a new SQLite file. A commit of many turns touches some ten pages a message, and each costs what it costs
to write and to bring over, whatever its size: a sixth less CPU than with SQLite's own 4,096. One turn's commit takes as long.
"""
CHECKPOINT = 4_000
"""Pages of the log after which they are brought over into the file (SQLite: 1,000). What is written again and again is brought
over once: a third less of what a commit costs, for a log of some 32 MB; now and then a commit waits for the disk to take it.
"""

QUICK = 0.02  # seconds that quick units may hold the event loop, in one commit

Unit = Callable[[Tx], Any]
Answer = tuple[
    asyncio.Future[Any], Any, BaseException | None, list[Callable[[], None]]
]  # whose, what, why not, what follows


@noun(frozen=True, slots=True)
class Asked:
    """A unit that waits, and who waits for it."""

    unit: Unit
    future: asyncio.Future[Any]
    quick: bool
    coming: Coming | None = None


class SqliteWriter:
    """Takes units from any event loop; runs them one after the other; answers after their commit."""

    def __init__(self, path: Path, clock: Clock, wiring: Wiring) -> None:
        self._clock = clock
        self._wiring = wiring
        url = URL.create("sqlite+pysqlite", database=str(path))
        how = {"check_same_thread": False, "cached_statements": STATEMENTS}
        self._engine = create_engine(url, poolclass=StaticPool, connect_args=how, **JSON_TEXT)
        self._waiting: deque[Asked] = deque()
        self._lock = threading.RLock()  # of what follows, and of `_waiting`
        self._busy = False  # somebody has the connection, and will look at `_waiting` again
        self._on: asyncio.AbstractEventLoop | None = None  # the loop that is about to
        self._closed = False
        self.commits = 0
        event.listen(self._engine, "connect", _prepare)
        event.listen(self._engine, "begin", _begin_immediate)
        event.listen(self._engine, "before_cursor_execute", look_first)
        try:
            self._conn = self._engine.connect()
            self._conn.exec_driver_sql("SELECT count(*) FROM sqlite_master").all()
            self._conn.rollback()
            self._be_patient(0)
        except Exception as error:
            self._engine.dispose()
            msg = f"can't open the database {path}: {getattr(error, 'orig', error)}"
            raise DatabaseFault(msg) from error
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="stafett-writer", daemon=True)
        self._thread.start()

    async def submit(self, unit: Callable[[Tx], T], *, quick: bool = False, coming: Coming | None = None) -> T:
        """`quick`: it takes a few milliseconds at most, and may run on the event loop."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        with self._lock:  # nothing is taken in after the end: nobody would answer it
            if self._closed:
                msg = "the database is closed; stafett is stopping"
                raise DatabaseFault(msg)
            self._waiting.append(Asked(unit, future, quick, coming))
            begins, self._busy = not self._busy, True
            self._on = loop if begins else self._on
        if begins:
            loop.call_soon(self._go_on)  # with what else comes in this round of the loop
        return await future  # who gives up cancels this; what is queued is committed all the same

    async def truncate_log(self) -> None:
        """Checkpoint and cut the WAL to nothing, so that it holds no copy of what was erased. Readers may delay that."""
        await self.submit(_cut)

    def close(self) -> None:
        """Finish what is queued, checkpoint, and stop. Not on the event loop, which may have to run what is queued."""
        with self._lock:
            self._closed = True
            is_idle = not self._busy
        if is_idle:
            self._work.put(None)
        while self._thread.is_alive():
            self._thread.join(0.1)
            self._take_over()
        self._conn.close()
        self._engine.dispose()

    def _run(self) -> None:
        for work in iter(self._work.get, None):
            work()
            del work  # a whole batch, which would be taken apart here, and only when the next one waits to be committed

    def _come(self) -> None:
        """On an event loop, with the connection ours: what it hears of in its next round shares the commit."""
        asyncio.get_running_loop().call_later(0, self._go_on)

    def _go_on(self) -> None:
        """On an event loop, with the connection ours: what waits."""
        batch = self._next()
        try:
            began = self._begin(batch) if batch[0].quick else None
        except BaseException:  # a second Ctrl-C: whoever waits is answered, and nothing of it is committed
            self._work.put(lambda: self._end(batch, KeyboardInterrupt()))
            raise
        if began is None or _is_locked(began):  # the thread may wait for somebody else's lock
            self._work.put(lambda: self._whole(batch))
        else:
            self._work.put(lambda: self._end(batch, began))

    def _take_over(self) -> None:
        """The loop that was to go on is closed: what is queued is committed all the same."""
        with self._lock:
            if self._on is None or not self._on.is_closed():
                return
            batch = self._next()
        self._work.put(lambda: self._whole(batch))

    def _next(self) -> list[Asked]:
        """What waits, as it came: quick ones by themselves, so that none of them is held up on the thread for no reason."""
        with self._lock:
            self._on, batch = None, [self._waiting.popleft()]
            while self._waiting and len(batch) < BATCH and self._waiting[0].quick == batch[0].quick:
                batch.append(self._waiting.popleft())
        return batch

    def _whole(self, batch: list[Asked]) -> None:
        """On the thread."""
        self._be_patient(BUSY_MS)
        began = self._begin(batch)
        self._be_patient(0)
        self._end(batch, began)

    def _be_patient(self, ms: int) -> None:
        """How long to wait for another process that holds SQLite's lock. On an event loop: not at all."""
        raw: Any = self._conn.connection.dbapi_connection
        raw.execute(f"PRAGMA busy_timeout={ms}").close()

    def _begin(self, batch: list[Asked]) -> list[Answer] | Exception:
        """Run the units in a transaction that stays open. An error: nobody in this batch may believe in a commit."""
        try:
            try:
                return self._units(batch, careful=False)
            except (Undone, Exception) as error:  # noqa: BLE001 - it is raised again, by the unit whose own it is
                put_in(self._conn, write=False)
                self._roll_back()
                if len(batch) == 1 and not isinstance(error, Undone | SQLAlchemyError):
                    return [(batch[0].future, None, error, [])]
            return self._units(batch, careful=True)
        except Exception as error:  # noqa: BLE001 - whatever it was, it is answered
            return error

    def _units(self, batch: list[Asked], *, careful: bool) -> list[Answer]:
        """Raises what a unit raised, unless with care: then it stands in its answer, and only what broke the whole is raised."""
        conn, answers, many, ahead = self._conn, list[Answer](), len(batch), None
        conn.begin()
        if not careful:
            ahead = read_ahead(
                self._tx(careful=False), put_off(conn), [one.coming for one in batch if one.coming is not None]
            )
        until = monotonic() + QUICK
        for place, one in enumerate(batch):
            tx = self._tx(careful=careful)
            if ahead is not None:
                tx.known = ahead.known(one.coming)
            if careful:
                result, failed = _guarded(conn, one.unit, tx)
            else:
                result, failed = one.unit(tx), None
            answers.append((one.future, result, failed, [] if failed else tx.afterwards))
            if one.quick and place + 1 < many and monotonic() > until:
                self._put_back(batch, place + 1)
                break
        self._send_off([afterwards for *_, afterwards in answers], careful=careful)
        put_in(conn)
        return answers

    def _tx(self, *, careful: bool) -> Tx:
        return Tx(self._conn, self._clock(), self._wiring, careful=careful)

    def _put_back(self, batch: list[Asked], place: int) -> None:
        """The event loop has other work as well: these are next."""
        with self._lock:
            self._waiting.extendleft(reversed(batch[place:]))
        del batch[place:]

    def _end(self, batch: list[Asked], answers: list[Answer] | BaseException) -> None:
        """On the thread: bring it to the disk, answer, and see to it that somebody goes on."""
        error = answers if isinstance(answers, BaseException) else self._committed()
        if error is not None or isinstance(answers, BaseException):
            fault = DatabaseFault(f"the database did not take the change: {getattr(error, 'orig', error)}")
            fault.__cause__ = error
            answers = [(one.future, None, fault, []) for one in batch]
            self._roll_back()
        if any(one.unit is _cut for one in batch):
            _truncate(self._conn)
        self._answer(answers)

    def _committed(self) -> Exception | None:
        """What kept it from being brought to the disk: nobody in this batch may believe in a commit."""
        try:
            self._conn.commit()
        except Exception as error:  # noqa: BLE001 - whatever it was, it is answered
            return error
        self.commits += 1
        return None

    def _answer(self, answers: list[Answer]) -> None:
        """Each on its own loop. The first of those who wait goes on, on theirs; where that is closed, the thread does."""
        with self._lock:
            following = self._on = self._waiting[0].future.get_loop() if self._waiting else None
            self._busy = following is not None
            stops = self._closed and not self._busy
        for loop in {future.get_loop() for future, *_ in answers}:
            mine = [one for one in answers if one[0].get_loop() is loop]
            with contextlib.suppress(RuntimeError):  # that loop is closed: nobody waits for the answer
                loop.call_soon_threadsafe(_tell, mine)
        if following is not None:
            with contextlib.suppress(RuntimeError):
                following.call_soon_threadsafe(self._come)
            if following.is_closed():
                self._take_over()
        if stops:
            self._work.put(None)

    def _roll_back(self) -> None:
        """After a COMMIT that failed SQLite keeps the transaction open, and SQLAlchemy believes it is over."""
        with contextlib.suppress(Exception):
            self._conn.rollback()
        raw: Any = self._conn.connection.dbapi_connection
        with contextlib.suppress(sqlite3.Error):
            raw.rollback()

    def _send_off(self, following: Sequence[list[Callable[[], None]]], *, careful: bool) -> None:
        """What this commit put into the outbox is taken up within it: a second commit before it leaves is one too many."""
        courier, woken = self._wiring.courier, self._wiring.waker("outbox")
        asking = [afterwards for afterwards in following if woken in afterwards]
        if courier is None or not asking:
            return
        asked = sum(afterwards.count(woken) for afterwards in asking)
        tx, began = self._tx(careful=careful), monotonic()
        failed = (_guarded if careful else _run)(self._conn, lambda tx: courier(tx, asked, began), tx)[1]
        if failed is not None and not careful:
            raise Undone from failed  # it is no unit's own fault
        if failed is None:  # else its worker tries, and says what is wrong
            for afterwards in asking:
                afterwards[:] = [action for action in afterwards if action is not woken]
            asking[-1].extend(tx.afterwards)


def _tell(answers: Sequence[Answer]) -> None:
    """On the event loop, once for all of a commit: what is to follow it, each thing once, then its results.

    At once, so that what leaves is on its way before those who wait for the commit go on.
    """
    follow(action for *_, afterwards in answers for action in afterwards)
    for future, result, error, _ in answers:
        if future.done():
            continue
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)


def _cut(_tx: Tx) -> None:
    """The unit that asks for the log to be cut after its batch's commit."""


def _truncate(conn: Connection) -> None:
    """As far as readers let us, now: nobody's turn waits for a reader. What stays is overwritten in time."""
    raw: Any = conn.connection.dbapi_connection
    with contextlib.suppress(sqlite3.Error):
        for pragma in ("busy_timeout=200", "wal_checkpoint(TRUNCATE)", "busy_timeout=0"):
            raw.execute(f"PRAGMA {pragma}").close()


def _run(_conn: Connection, unit: Unit, tx: Tx) -> tuple[Any, BaseException | None]:
    """As `_guarded`, without a savepoint."""
    try:
        return unit(tx), None
    except Exception as error:  # noqa: BLE001 - who asked decides
        return None, error


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


def _is_locked(began: list[Answer] | Exception) -> bool:
    """Whether another process holds the lock just now."""
    code = getattr(getattr(began, "orig", None), "sqlite_errorname", "")
    return isinstance(began, OperationalError) and str(code).startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))


def _prepare(dbapi: sqlite3.Connection, _record: object) -> None:
    dbapi.isolation_level = None
    for pragma in (
        f"page_size={PAGE}",  # of an empty file, which the next ones settle: a server opens it before its tables are made
        f"busy_timeout={BUSY_MS}",
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "secure_delete=ON",  # erased means erased, also from free pages
        "temp_store=MEMORY",  # what a SAVEPOINT may have to put back
        f"cache_size=-{CACHE_KIB}",
        f"wal_autocheckpoint={CHECKPOINT}",
    ):
        dbapi.execute(f"PRAGMA {pragma}").close()


def _begin_immediate(conn: Connection) -> None:
    """By the driver: it is asked for with each commit, and there is a transaction only after it."""
    raw: Any = conn.connection.dbapi_connection
    try:
        raw.execute("BEGIN IMMEDIATE").close()
    except sqlite3.Error as error:
        raise translated(conn, "BEGIN IMMEDIATE", error) from error
