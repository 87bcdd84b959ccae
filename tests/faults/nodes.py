"""Several `stafett serve` on one PostgreSQL: how they are started, and how their common database is read."""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import asyncpg

from tests.fakes.telegram import TelegramServer
from tests.faults.invariants import Books
from tests.faults.program import Nursery, Program
from tests.support import postgres


class SharedBooks(Books):
    """The database that the nodes share, read beside them."""

    def __init__(self, url: str) -> None:
        self._dsn = url.replace("+asyncpg", "")

    def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        if query.startswith("PRAGMA"):
            return [{"integrity": "ok"}]  # PostgreSQL's own business
        numbers = iter(range(1, 100))
        asked = re.sub(r"\?", lambda _: f"${next(numbers)}", query)
        found: list[dict[str, Any]] = []

        async def read() -> None:
            connection = await asyncpg.connect(self._dsn)
            try:
                found.extend(dict(row) for row in await connection.fetch(asked, *values))
            finally:
                await connection.close()

        apart = threading.Thread(target=lambda: asyncio.run(read()))  # the test's loop is busy with the platform
        apart.start()
        apart.join()
        return found


def node(nursery: Nursery, folder: Path, url: str, telegram: TelegramServer | None = None, **settings: str) -> Program:
    """One of them; not yet started. `folder` is its own, for its log."""
    folder.mkdir()
    return Program(nursery, folder, telegram, STAFETT_DATABASE_URL=url, **settings)


@dataclass
class Standby(postgres.Cluster):
    """Follows another server from the moment of its `create`; by `promote` it becomes the primary itself."""

    of: postgres.Cluster | None = None

    def promote(self) -> None:
        self._pg_ctl("-w", "promote")

    def _run(self, program: str, *args: str) -> None:
        if program == "initdb":
            assert self.of is not None
            asked = ("-h", "127.0.0.1", "-p", str(self.of.port), "-U", postgres.SUPERUSER)
            program, args = "pg_basebackup", ("-D", str(self.root / "data"), *asked, "-R", "-c", "fast", "--no-sync")
        super()._run(program, *args)


class Gate:
    """The one address behind which the primary is, whichever it is: what Patroni or a provider moves. `async with Gate(port)`."""

    def __init__(self, to: int) -> None:
        self.to = to
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._let_in, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def _let_in(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        writers = [writer]
        try:
            inside, outwards = await asyncio.open_connection("127.0.0.1", self.to)
            writers.append(outwards)
            async with asyncio.TaskGroup() as both:
                both.create_task(_pass_on(reader, outwards))
                both.create_task(_pass_on(inside, writer))
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            for one in writers:
                one.transport.abort()
            self._open.discard(task)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()
