"""The database: opened, written, read, closed; SQLite or PostgreSQL by its URL.

SQLite has one writer that also checkpoints, with group commit (writer.py); reads go through aiosqlite on read-only
connections. PostgreSQL has asyncpg and its own row locks; any number of nodes share it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import IO, Any, TypeVar
from urllib.parse import quote

from sqlalchemy import URL, Connection, event, make_url, text
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from bot.errors import DatabaseFault
from bot.model import Clock, system_clock
from bot.storage.ahead import Coming, read_ahead
from bot.storage.apart import Apart
from bot.storage.json_text import JSON_TEXT
from bot.storage.prepared import Pending, Prepared, look_first, put_in, put_off
from bot.storage.shared_clock import SharedClock
from bot.storage.together import Asked, Together
from bot.storage.tx import Tx, Undone, Wiring, follow
from bot.storage.writer import SqliteWriter

T = TypeVar("T")
TRIES = 5  # of one unit on PostgreSQL, when it asks for a retry
POLL = timedelta(seconds=1)
LOCK_STATES = {"40001", "40P01", "55P03"}  # serialization, deadlock, lock timeout
GONE_STATES = {"57P01", "57P02", "57P03", "25P03", "25006"}
"""Shut down, crashed, not yet up, frozen for too long, read-only because another server has taken over; and of these classes …"""
GONE_CLASSES = ("08", "53", "58")  # the connection; no connection, disk or memory left; the server's own machine
RETRY_STATES = {*LOCK_STATES, "23505"}  # … or lost an insert race
ASK_AGAIN = 10  # times, how a commit ended whose answer was lost
SESSION = {  # of each connection to PostgreSQL
    "application_name": "stafett",
    "idle_in_transaction_session_timeout": "7000",  # ms; a node that was frozen inside a turn lets its customer go
    "lock_timeout": "15000",  # ms; then the unit is tried again
    "tcp_keepalives_idle": "5",  # seconds, and so on: a node whose machine is gone is noticed, its locks end
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
}
ANSWER_WITHIN = 60.0  # seconds for one statement; beyond that the server is taken for gone
CONNECT_WITHIN = 5.0
POSTGRESQL = {"server_settings": SESSION, "timeout": CONNECT_WITHIN, "command_timeout": ANSWER_WITHIN}
REPORTING = {**SESSION, "idle_in_transaction_session_timeout": "60000"}  # ms; it holds no lock, and counts in between


class DatabaseInUse(DatabaseFault):
    """Another process holds the SQLite file. `address` is where it answers, if it left word."""

    def __init__(self, database: Path, owner: str, address: str = "") -> None:
        super().__init__(
            f"{database} is in use by another stafett (process {owner}); stop that one, or name another database"
        )
        self.address = address


class Storage:
    """The database. `write` and `read` take plain functions; see `bot.storage.tx`."""

    def __init__(self, url: str, clock: Clock = system_clock, *, read_only: bool = False) -> None:
        self.url = checked_url(url)
        self.shared_clock = SharedClock() if clock is system_clock and not self.is_sqlite else None
        self.clock: Clock = self.shared_clock or clock
        self.read_only = read_only
        self.wiring = Wiring()
        self.db_retries = 0
        self._commits = 0
        self._writer: SqliteWriter | None = None
        self._lock: IO[bytes] | None = None
        self._is_open = False
        self._engine: AsyncEngine = self._async_engine()
        self._turns = Together(self._write_shared, lambda unit: self._write_alone(unit, self._engine))
        self._apart, self._soon = (Apart(self.url, {**POSTGRESQL, "server_settings": REPORTING}) for _ in range(2))
        self._urgent: AsyncEngine | None = None if self.is_sqlite else self._on_postgresql(pool_size=1, max_overflow=1)

    @property
    def is_sqlite(self) -> bool:
        return str(self.url.get_backend_name()) == "sqlite"

    @property
    def path(self) -> Path:
        """The SQLite file."""
        return Path(self.url.database or "")

    def answers_at(self, address: str) -> None:
        """Leave word beside the SQLite file where this process can be asked, for commands of this machine."""
        if self._lock is not None:
            with contextlib.suppress(OSError):
                self._lock.truncate(0)
                self._lock.write(f"{os.getpid()} {address}".encode())
                self._lock.flush()

    @property
    def poll(self) -> timedelta | None:
        """How often to look for work that other nodes may have left; None where there are no others."""
        return None if self.is_sqlite else POLL

    @property
    def is_open(self) -> bool:
        """Whether it takes writes: not before `open`, and not once `close` has begun."""
        return self._is_open

    @property
    def commits(self) -> int:
        """How many transactions were committed since the start."""
        return self._commits + (self._writer.commits if self._writer else 0)

    async def open(self) -> None:
        """Take the lock (SQLite) and begin to write. Raises DatabaseFault in one line."""
        if self.read_only:
            return
        if self.is_sqlite:
            self._lock = lock_file(self.path)
            self._writer = SqliteWriter(self.path, self.clock, self.wiring)
        else:
            try:
                await self.read(lambda _: None)
            except Exception as error:
                if isinstance(error, DatabaseFault):
                    raise
                # No such database, a wrong password: asyncpg's own errors, which nobody translates.
                raise self._fault(error) from error
        self._is_open = True

    async def close(self) -> None:
        self._is_open = False
        if self._writer is not None:
            await asyncio.to_thread(self._writer.close)
            self._writer = None
        await self._turns.idle()
        await self._engine.dispose()
        await self._apart.close()
        await self._soon.close()
        if self._urgent is not None:
            await self._urgent.dispose()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    async def write(
        self, unit: Callable[[Tx], T], *, urgent: bool = False, quick: bool = False, coming: Coming | None = None
    ) -> T:
        """Run the unit in a transaction and return its result once that is durable. It may be run again from the start.

        `urgent` work (a lease to be renewed) stands in no queue for one of the shared connections to PostgreSQL. `quick` work
        takes a few milliseconds at most: SQLite runs it on the event loop, see `bot.storage.writer`. `coming` is the delivery
        that it takes in, for which may be read ahead.
        """
        if self._writer is not None:
            return await self._writer.submit(unit, quick=quick, coming=coming)
        if coming is not None and self._is_open:
            return await self._turns.submit(unit, coming)
        if self.is_sqlite or self.read_only:
            msg = "this command only reads; the database was opened read-only"
            raise DatabaseFault(msg)
        return await self._write_alone(unit, self._urgent if urgent and self._urgent else self._engine)

    async def _write_alone(self, unit: Callable[[Tx], T], engine: AsyncEngine) -> T:
        for attempt in range(TRIES):
            try:
                return await self._try_to_write(unit, engine)
            except PoolTimeout as error:
                raise self._fault(error) from error
            except (OSError, DBAPIError) as error:
                if attempt < TRIES - 1 and asks_for_retry(error):
                    self.db_retries += 1
                    await asyncio.sleep(0.01 * 2**attempt * random.random())  # noqa: S311 - so that two don't meet again
                elif isinstance(error, OSError) or _is_connection_error(error) or lost_a_lock(error):
                    raise self._fault(error) from error
                else:
                    raise
        raise AssertionError("unreachable")  # pragma: no cover

    async def _try_to_write(self, unit: Callable[[Tx], T], engine: AsyncEngine) -> T:
        """First as if nothing could go wrong (`bot.storage.tx.Undone`)."""
        try:
            return await self._write_once(unit, engine, careful=False)
        except Undone:
            pass
        except DBAPIError as error:
            if asks_for_retry(error) or _is_connection_error(error):
                raise
        return await self._write_once(unit, engine, careful=True)

    async def turns_taken(self) -> None:
        """PostgreSQL: wait for the turns that share a transaction just now; for none that comes later, or who is told to stop
        while many write would wait for a moment at which nobody does.
        """
        await self._turns.shared()

    async def truncate_log(self) -> None:
        """SQLite: leave no copy of erased rows in the write-ahead log. PostgreSQL recycles its own."""
        if self._writer is not None:
            await self._writer.truncate_log()

    @contextlib.asynccontextmanager
    async def own_connection(self) -> AsyncIterator[tuple[AsyncConnection, Any]]:
        """PostgreSQL: a connection of the caller's own, outside of the pool; and asyncpg's below it."""
        engine = self._on_postgresql(poolclass=NullPool)
        try:
            async with engine.connect() as connection:
                yield connection, (await connection.get_raw_connection()).driver_connection
        finally:
            await engine.dispose()

    async def _write_once(self, unit: Callable[[Tx], T], engine: AsyncEngine, *, careful: bool) -> T:
        """Raises Undone unless it is careful."""

        def run(tx: Tx) -> T:
            return unit(tx) if careful else _put_off(tx.conn, lambda _: unit(tx))

        return await self._in_transaction(run, engine, careful=careful)

    async def _write_shared(self, batch: Sequence[Asked]) -> dict[int, Any]:
        """See `bot.storage.together`. Raises what one of them raised; of none of them anything is left then."""
        began = monotonic()

        def run(tx: Tx) -> dict[int, Any]:
            return _put_off(tx.conn, lambda pending: _send_off(tx, _turns(tx, batch, pending), began))

        try:
            return await self._in_transaction(run, self._engine, careful=False, stamped=False)
        except Undone:
            return {}

    async def _in_transaction(
        self, work: Callable[[Tx], T], engine: AsyncEngine, *, careful: bool, stamped: bool = True
    ) -> T:
        """What follows the commit is done, each thing once. Not `stamped`: its first statement tells what the stamp would."""
        afterwards: list[Callable[[], None]] = []
        stamps: list[tuple[datetime, str, str]] = []

        def run(conn: Connection) -> T:
            stamps.extend([_STAMP.one(conn)] if stamped else [])
            now = self.shared_clock.heard(stamps[0][0]) if self.shared_clock and stamps else self.clock()
            return work(Tx(conn, now, self.wiring, afterwards, self.shared_clock, stamps=stamps, careful=careful))

        async with engine.connect() as conn:
            transaction = await conn.begin()
            result = await conn.run_sync(run)
            try:
                await transaction.commit()
            except (OSError, DBAPIError) as error:
                if not (isinstance(error, OSError) or _is_connection_error(error)):
                    raise
                if stamps and not await self._was_committed(Stamp(*stamps[0])):
                    raise
        self._commits += 1
        follow(afterwards)
        return result

    async def _was_committed(self, stamp: Stamp) -> bool:
        """How a commit ended whose answer never came. Raises DatabaseFault where nobody can know: ask by your own key."""
        for attempt in range(ASK_AGAIN):
            try:
                state = await self.read(stamp.state)
            except DatabaseFault:
                state = "in progress"
            if state in {"committed", "aborted"}:
                return state == "committed"
            if state != "in progress":
                break
            await asyncio.sleep(0.02 * 2**attempt if attempt < 6 else 1)
        msg = "the database went away while it committed, and nobody knows whether it did"
        raise DatabaseFault(msg)

    async def read(self, query: Callable[[Connection], T]) -> T:
        """Run a query on a read-only snapshot. Raises DatabaseFault when the database can't be reached."""
        again = not self.is_sqlite  # a connection that lay idle while PostgreSQL was restarted is found dead only now
        while True:
            try:
                async with self._engine.connect() as conn:
                    return await conn.run_sync(query)
            except (OSError, SQLAlchemyError) as error:
                if isinstance(error, OSError) or _is_connection_error(error):
                    if again:
                        again = False
                        continue
                    raise self._fault(error) from error
                if isinstance(error, PoolTimeout):
                    raise self._fault(error) from error
                raise

    async def read_apart(self, query: Callable[[Connection], T], *, soon: bool = False) -> T:
        """As `read`, for what takes long: on a thread and a connection of its own, in nobody's way. See `bot.storage.apart`.

        `soon`: somebody waits for it who gives up within seconds, as Slack does; it stands in no line behind a report.
        """
        try:
            return await (self._soon if soon else self._apart).read(query)
        except (OSError, SQLAlchemyError) as error:
            if isinstance(error, OSError) or _is_connection_error(error):
                raise self._fault(error) from error
            raise

    def _fault(self, error: BaseException) -> DatabaseFault:
        return DatabaseFault(unreachable(self.url.render_as_string(hide_password=True), error))

    def _async_engine(self) -> AsyncEngine:
        if not self.is_sqlite:
            return self._on_postgresql(pool_size=8, max_overflow=4)
        place = f"file:{quote(str(self.path.absolute()))}"
        url = URL.create("sqlite+aiosqlite", database=place, query={"mode": "ro", "uri": "true"})
        engine = create_async_engine(url, connect_args={"timeout": 5.0}, pool_size=4, **JSON_TEXT)

        @event.listens_for(engine.sync_engine, "connect")
        def prepare(dbapi: Any, _record: Any) -> None:
            dbapi.isolation_level = None

        @event.listens_for(engine.sync_engine, "begin")
        def begin(conn: Connection) -> None:
            conn.exec_driver_sql("BEGIN")

        return engine

    def _on_postgresql(self, **pool: Any) -> AsyncEngine:
        engine = create_async_engine(self.url, connect_args=dict(POSTGRESQL), **JSON_TEXT, **pool)
        event.listen(engine.sync_engine, "before_cursor_execute", look_first)
        return engine


def _put_off(conn: Connection, work: Callable[[Pending], T]) -> T:
    """What rows may wait within it go in at its end."""
    pending = put_off(conn)
    try:
        result = work(pending)
    except BaseException:
        put_in(conn, write=False)
        raise
    put_in(conn)
    return result


def _turns(tx: Tx, batch: Sequence[Asked], pending: Pending) -> dict[int, Any]:
    """Of those turns that can be taken now, what they give."""
    ahead = read_ahead(tx, pending, [one.coming for one in batch])
    results: dict[int, Any] = {}
    for place, one in enumerate(batch):
        customer_id = ahead.of(one.coming)
        if customer_id is not None:
            known = ahead.known(one.coming)
            results[place] = one.unit(replace(tx, known=known, locked={customer_id}, shared=True))
    return results


def _send_off(tx: Tx, results: dict[int, Any], began: float) -> dict[int, Any]:
    """What these turns put into the outbox is taken up within their commit, as far as it waits for nobody."""
    courier, woken = tx.wiring.courier, tx.wiring.waker("outbox")
    asked = tx.afterwards.count(woken)
    if courier is not None and asked and courier(tx, asked, began):
        tx.afterwards[:] = [action for action in tx.afterwards if action is not woken]
    return results


@dataclass(frozen=True, slots=True)
class Stamp:
    """A transaction on PostgreSQL: its time, its number, and since when that server runs."""

    now: datetime
    number: str
    server: str

    def state(self, conn: Connection) -> str | None:
        """One of committed, aborted, in progress; None: the server was started anew, and its numbers may mean others."""
        if conn.exec_driver_sql(SERVER).scalar_one() != self.server:
            return None
        found: str | None = conn.exec_driver_sql(f"SELECT pg_xact_status('{int(self.number)}'::xid8)").scalar()
        return found


SERVER = "SELECT pg_postmaster_start_time()::text"
_STAMP = Prepared(
    text("SELECT clock_timestamp(), CAST(pg_current_xact_id() AS text), CAST(pg_postmaster_start_time() AS text)")
)


def checked_url(url: str) -> Any:
    """The parsed URL. Raises DatabaseFault unless it is one of the two engines that we run on."""
    try:
        parsed = make_url(url)
    except SQLAlchemyError as error:
        msg = "STAFETT_DATABASE_URL is not a database URL; use sqlite+aiosqlite:///stafett.db or postgresql+asyncpg://…"
        raise DatabaseFault(msg) from error
    if parsed.drivername not in {"sqlite+aiosqlite", "postgresql+asyncpg"}:
        msg = f"STAFETT_DATABASE_URL: {parsed.drivername} is not supported; use sqlite+aiosqlite or postgresql+asyncpg"
        raise DatabaseFault(msg)
    if parsed.get_backend_name() == "sqlite" and parsed.database in {None, "", ":memory:"}:
        msg = "STAFETT_DATABASE_URL names no file; use sqlite+aiosqlite:///stafett.db"
        raise DatabaseFault(msg)
    return parsed


def lock_file(database: Path) -> IO[bytes]:
    """Hold an OS lock beside the SQLite file for as long as this process lives. Raises DatabaseFault if taken."""
    import fcntl

    path = database.with_name(database.name + ".lock")
    try:
        handle = path.open("a+b", buffering=0)  # what a full disk refuses is not tried once more when it is closed
    except OSError as error:
        msg = f"{database}: can't write in its folder ({error.strerror}); choose another place by STAFETT_DATABASE_URL"
        raise DatabaseFault(msg) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        handle.seek(0)
        owner, _, address = handle.read(300).decode(errors="replace").strip().partition(" ")
        handle.close()
        raise DatabaseInUse(database, owner or "unknown", address) from error
    if is_gone_under(handle, database):
        handle.close()
        msg = f"{database} is gone, though a stafett has served it: put it back, or a backup; to begin anew, delete {path}"
        raise DatabaseFault(msg)
    with contextlib.suppress(OSError):
        handle.truncate(0)
        handle.write(str(os.getpid()).encode())
        handle.flush()
    return handle


def is_gone_under(handle: IO[bytes], database: Path) -> bool:
    """Whether the last server left its address in the lock file, and there is nothing (or an empty file) beside it now."""
    handle.seek(0)
    was_served = b" http" in handle.read(300)
    return was_served and not (database.exists() and database.stat().st_size)


def sqlstate(error: DBAPIError) -> str | None:
    found = getattr(error.orig, "sqlstate", None) or getattr(getattr(error.orig, "__cause__", None), "sqlstate", None)
    return None if found is None else str(found)


def is_gone(error: DBAPIError) -> bool:
    """Whether the connection ended under our hands."""
    state = sqlstate(error) or ""
    return error.connection_invalidated or state.startswith(GONE_CLASSES) or state in GONE_STATES


def lost_a_lock(error: BaseException) -> bool:
    """Whether PostgreSQL undid this only because of what another transaction did at the same time."""
    return isinstance(error, DBAPIError) and (sqlstate(error) in LOCK_STATES or is_gone(error))


def asks_for_retry(error: OSError | DBAPIError) -> bool:
    if isinstance(error, OSError):
        return True  # the server is not there: it may be in a moment
    state = sqlstate(error)
    return state in RETRY_STATES or (isinstance(error, IntegrityError) and state is None) or is_gone(error)


def _is_connection_error(error: SQLAlchemyError) -> bool:
    return isinstance(error, DBAPIError) and (
        is_gone(error) or "unable to open" in str(error) or "not a database" in str(error)
    )


def unreachable(url: str, error: BaseException) -> str:
    reason = str(getattr(error, "orig", error)).strip().splitlines()[0]
    return f"can't open the database {url}: {reason}"
