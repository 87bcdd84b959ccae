"""Several `stafett serve` on one PostgreSQL: how they are started, and how their common database is read."""

from __future__ import annotations

import asyncio
import re
import threading
from pathlib import Path
from typing import Any

import asyncpg

from tests.fakes.telegram import TelegramServer
from tests.faults.invariants import Books
from tests.faults.program import Nursery, Program


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
