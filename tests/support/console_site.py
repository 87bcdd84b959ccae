"""The console alone, over HTTP without a socket: a database, and somebody who is signed in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
from starlette.applications import Starlette

from bot.console.page import Wing
from bot.console.routes import Console
from bot.desk_folder.watch import DeskInForce
from bot.model import Clock, system_clock
from bot.settings import Settings
from bot.storage import tables as t
from bot.storage.engine import Storage
from channels.preview import PREVIEWS

HERE = "http://localhost:8080"
OURS = {"Origin": HERE}
PASSWORD = "open sesame"


@asynccontextmanager
async def a_database(folder: Path, clock: Clock = system_clock) -> AsyncIterator[Storage]:
    made = Storage(f"sqlite+aiosqlite:///{folder / 'console.db'}", clock)
    await made.open()
    await made.write(lambda tx: t.metadata.create_all(tx.conn))
    yield made
    await made.close()


async def _nothing() -> dict[str, Any]:
    return {}


@asynccontextmanager
async def signed_in(storage: Storage, name: str = "", wings: Sequence[Wing] = ()) -> AsyncIterator[httpx2.AsyncClient]:
    """The built-in desk's console, come into by the password."""
    settings = Settings(_env_file=None, admin_password=PASSWORD)
    console = Console(settings, "a secret of the house", storage, DeskInForce(), _nothing, PREVIEWS, wings=wings)
    transport = httpx2.ASGITransport(app=Starlette(routes=list(console.routes())))
    async with httpx2.AsyncClient(transport=transport, base_url=HERE) as client:
        await client.post("/admin/sign-in", data={"password": PASSWORD, "name": name}, headers=OURS)
        yield client
