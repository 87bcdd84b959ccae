"""What one node of this machine holds, for docs/scaling.md: whole cases of the demo desk, by Telegram webhook.

A customer's first case is three messages: "where is my order", its number, which the desk's own table is asked about (a call, and a
turn of its own when it answers), and "yes". Their next one asks for the opening hours, for something that an article knows, and
ends with a choice. All that they bring about counts: cases opened and closed, answers sent, marks made, surveys asked. A message
counts when the last of that is done; nobody waits for the answer to one before the next is written, but for the number in flight.

Nothing here has a bound. CPU a message is held against that of the bare bot, which has no cases, in the same run.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from statistics import median

from bot.storage import schema
from tests.bench.child import ROOT, Child
from tests.bench.pipeline import IN_FLIGHT, Rounds, flood, free_port, settings, start
from tests.bench.table import Row
from tests.bench.telegram import BotApi, Crowd
from tests.support.postgres import Cluster, find_binaries

DESK = ROOT / "bot" / "demo_desk"
FIRST = ("where is my order", "AB123456", "yes")
NEXT = ("what are your opening hours", "can I return a sale item?", "2")
FEW = 8  # in flight
QUIET = 0.5  # seconds without a send, and the house is at rest


class Node:
    """One `stafett serve` on the demo desk, with a Telegram of its own."""

    def __init__(self, tg: BotApi, child: Child, port: int) -> None:
        self._tg = tg
        self._child = child
        self._port = port
        self._first = 1_000

    async def cases(self, at_once: int, count: int) -> AsyncIterator[tuple[float, float]]:
        """New customers write so many messages: the first case of each, then the next. CPU in seconds a message, and messages a
        second, of each.
        """
        self._first += 1_000_000
        crowd = Crowd(self._tg, self._port, count // len(FIRST), (*FIRST, *NEXT), first=self._first, hears=False)
        for _case in (FIRST, NEXT):
            yield await self._measured(crowd, at_once, count)

    async def _measured(self, crowd: Crowd, at_once: int, count: int) -> tuple[float, float]:
        before, began = await self._child.used(), time.perf_counter()
        await crowd.in_flight(at_once, count)
        ended = await self._at_rest()
        after = await self._child.used()
        return (after.cpu - before.cpu) / count, count / (ended - began)

    async def _at_rest(self) -> float:
        """When the last send came."""
        sent, since = self._tg.sent, time.perf_counter()
        while time.perf_counter() - since < QUIET:
            await asyncio.sleep(0.02)
            if self._tg.sent != sent:
                sent, since = self._tg.sent, time.perf_counter()
        return since


async def run(*, quick: bool = False, tiny: bool = False, **_: object) -> list[Row]:
    count, rounds = (24, 1) if tiny else (600, 3) if quick else (3_000, 5)
    async with AsyncExitStack() as stack:
        bare, theirs = await start(stack, "bare", "sqlite+aiosqlite:///none", chats=500), Rounds()
        nodes, found = await _nodes(stack), defaultdict[str, list[tuple[float, float]]](list)
        await flood(bare, count // 2, Rounds())  # warm: imports, caches, the words of a language
        for node in nodes.values():
            _ = [case async for case in node.cases(IN_FLIGHT, count)]
        for _round in range(rounds):
            await flood(bare, count, theirs)
            for engine, node in nodes.items():
                for at_once in (IN_FLIGHT, FEW):
                    whose = iter(("a new customer's case", "their next"))
                    async for case in node.cases(at_once, count):
                        found[f"{engine}, {at_once} in flight, {next(whose)}"].append(case)
    floor = median(theirs.cpu)
    return [_row(what, measured, floor) for what, measured in found.items()]


def _row(what: str, measured: Sequence[tuple[float, float]], floor: float) -> Row:
    cpu, rate = (median(found) for found in zip(*measured, strict=True))
    detail = f"{cpu * 1e3:.1f} ms to {floor * 1e3:.1f} ms, {rate:.0f}/s"
    return Row("", f"{what}: CPU a message, to the bare bot's", cpu / floor, detail=detail)


async def _nodes(stack: AsyncExitStack) -> dict[str, Node]:
    """One by each database that there is here."""
    folder = stack.enter_context(tempfile.TemporaryDirectory())
    nodes = {"SQLite": await _node(stack, f"sqlite+aiosqlite:///{folder}/bench.db")}
    binaries = find_binaries()
    if binaries is not None:
        cluster = await asyncio.to_thread(lambda: Cluster(binaries, durable=True).create().start())
        stack.push_async_callback(asyncio.to_thread, cluster.remove)
        stack.push_async_callback(asyncio.to_thread, cluster.stop)
        url = f"postgresql+asyncpg://stafett@127.0.0.1:{cluster.port}/postgres"
        await schema.upgrade(url)
        nodes["PostgreSQL"] = await _node(stack, url)
    return nodes


async def _node(stack: AsyncExitStack, url: str) -> Node:
    tg, port = await stack.enter_async_context(BotApi()), free_port()
    child = await stack.enter_async_context(Child("stafett", {**settings(tg, port, url), "STAFETT_DESK": str(DESK)}))
    await tg.webhook_set.wait()
    return Node(tg, child, port)
