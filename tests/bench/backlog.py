"""(h): after an outage of ours so many messages wait at Telegram; they drain by polling, and memory does not grow."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable
from contextlib import AsyncExitStack

from tests.bench.child import Child
from tests.bench.pipeline import TEXTS, free_port, settings
from tests.bench.table import Row
from tests.bench.telegram import BotApi, update

CHATS = 2_000
SLACK = 1.2  # of what it held after the first fifth: caches fill, the allocator keeps what it had


async def run(*, quick: bool = False, tiny: bool = False) -> list[Row]:
    count = 60 if tiny else 5_000 if quick else 100_000
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        tg = await stack.enter_async_context(BotApi())
        for number in range(count):
            chat = 1_000 + number % min(CHATS, count // 10)
            tg.waiting.append(update(number + 1, chat, TEXTS[number // min(CHATS, count // 10) % len(TEXTS)]))
        given = settings(tg, free_port(), f"sqlite+aiosqlite:///{folder}/bench.db")
        del given["STAFETT_TELEGRAM_WEBHOOK_SECRET"]
        began = time.perf_counter()
        child = await stack.enter_async_context(Child("stafett", given))
        await _until(lambda: tg.sent >= count // 5)
        early = await child.used()
        await _until(lambda: tg.sent >= count)
        late = await child.used()
        taken = time.perf_counter() - began
    return [
        Row("h", f"memory after a backlog of {count:,}, to that after its first fifth", late.rss / early.rss, SLACK,
            detail=f"{late.rss / 2**20:.0f} MiB to {early.rss / 2**20:.0f} MiB; {count / taken:.0f} messages/s"),
    ]  # fmt: skip


async def _until(done: Callable[[], bool]) -> None:
    """Raises TimeoutError when nothing gets on for long."""
    async with asyncio.timeout(3_600):
        while not done():  # noqa: ASYNC110 - the count is the server's own, and nobody waits for us
            await asyncio.sleep(0.2)
