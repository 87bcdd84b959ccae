"""Reading that must not be in anybody's way: reports, on a thread and a connection of their own.

A report reads much and counts long. On the event loop it would hold up every turn meanwhile, and on one of the shared
connections everybody who waits for one. So there is one thread, with a connection of its own and (PostgreSQL) its own loop below
it; what is asked of it is answered one after the other. What it sees is one snapshot of the database, which it can't change.
There is a second one for what somebody waits for within seconds: `Storage.read_apart`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from bot.storage.json_text import JSON_TEXT

T = TypeVar("T")
BUSY_S = 5.0  # a connection to SQLite waits so long for a lock
CACHE_KIB = 16_384  # pages that SQLite keeps for it


class Apart:
    """`url` of the database; `how` are asyncpg's settings for a connection. Nothing is opened before the first question."""

    def __init__(self, url: URL, how: Mapping[str, Any]) -> None:
        self._url, self._how = url, how
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="stafett-apart")
        self._engine: Engine | None = None
        self._runner: asyncio.Runner | None = None
        self._async_engine: AsyncEngine | None = None

    async def read(self, query: Callable[[Connection], T]) -> T:
        """What the query gives on one snapshot. SQLAlchemy's errors and OSError pass."""
        answer = self._on_sqlite if self._url.get_backend_name() == "sqlite" else self._on_postgresql
        return await asyncio.get_running_loop().run_in_executor(self._thread, answer, query)

    async def close(self) -> None:
        """Let go of the connection, once what is being asked is answered."""
        if self._engine is not None or self._runner is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._let_go)
        self._thread.shutdown(wait=False)

    # ── on the thread ──────────────────────────────────────────────────────────────────────────────────────────────
    def _on_sqlite(self, query: Callable[[Connection], T]) -> T:
        if self._engine is None:
            self._engine = _read_only(Path(self._url.database or ""))
        with self._engine.connect() as conn:
            return query(conn)

    def _on_postgresql(self, query: Callable[[Connection], T]) -> T:
        if self._runner is None:
            self._runner = asyncio.Runner()
        return self._runner.run(self._asked(query))

    async def _asked(self, query: Callable[[Connection], T]) -> T:
        if self._async_engine is None:
            self._async_engine = create_async_engine(
                self._url, connect_args=dict(self._how), isolation_level="REPEATABLE READ", pool_size=1, max_overflow=0,
                pool_pre_ping=True, **JSON_TEXT,
            )  # fmt: skip
        async with self._async_engine.connect() as conn:
            return await conn.run_sync(partial(_far_up, query))

    def _let_go(self) -> None:
        if self._engine is not None:
            self._engine.dispose()
        if self._runner is not None:
            if self._async_engine is not None:
                with contextlib.suppress(OSError):
                    self._runner.run(self._async_engine.dispose())
            self._runner.close()


def _far_up(query: Callable[[Connection], T], conn: Connection, calls: int = 10) -> T:
    """What the query gives, asked with so many calls from C on the stack.

    numpy walks ten frames up the stack before it adds large arrays (its `temp_elide.c`). A greenlet, as SQLAlchemy has it for
    asyncpg, stands on one that ends nowhere: on Python 3.13 a report broke the process off.
    """
    return next(map(partial(_far_up, query, calls=calls - 1), [conn])) if calls else query(conn)


def _read_only(path: Path) -> Engine:
    place = f"file:{quote(str(path.absolute()))}"
    url = URL.create("sqlite+pysqlite", database=place, query={"mode": "ro", "uri": "true"})
    engine = create_engine(url, connect_args={"timeout": BUSY_S}, poolclass=NullPool, **JSON_TEXT)

    @event.listens_for(engine, "connect")
    def prepare(dbapi: Any, _record: Any) -> None:
        dbapi.isolation_level = None
        dbapi.execute(f"PRAGMA cache_size = -{CACHE_KIB}")

    @event.listens_for(engine, "begin")
    def begin(conn: Connection) -> None:
        conn.exec_driver_sql("BEGIN")

    return engine
