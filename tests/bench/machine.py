"""What one node of this machine holds, for docs/scaling.md: whole cases of the demo desk's order flow, by Telegram webhook.

A case is three messages: "where is my order", its number, which the desk's own table is asked about (a call, and a turn of its
own when it answers), and "yes". All that they bring about counts: cases opened and resolved, answers sent, marks made. A message
counts when the last of that is done; nobody waits for the answer to one before the next is written, but for the number in flight.

Nothing here has a bound. CPU a message is held against that of the bare bot, which has no cases, in the same run.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from statistics import median

from bot.storage import schema
from tests.bench.child import ROOT, Child
from tests.bench.pipeline import IN_FLIGHT, Rounds, flood, free_port, settings, start
from tests.bench.table import Row
from tests.bench.telegram import BotApi, Crowd
from tests.support.postgres import Cluster, find_binaries

DESK = ROOT / "bot" / "demo_desk"
CASE = ("where is my order", "AB123456", "yes")
KNOWN = 150  # customers
FEW = 8  # in flight
QUIET = 0.5  # seconds without a send, and the house is at rest


@dataclass(slots=True)
class Held:
    """Of each round: CPU in seconds a message, and messages a second."""

    cpu: list[float]
    rate: list[float]


class Node:
    """One `stafett serve` on the demo desk, with a Telegram of its own."""

    def __init__(self, tg: BotApi, child: Child, port: int) -> None:
        self._tg = tg
        self._child = child
        self._port = port
        self._first = 1_000
        self._known = Crowd(tg, port, KNOWN, CASE, hears=False)

    async def known(self, at_once: int, count: int, into: Held) -> None:
        await self._measure(self._known, at_once, count, into)

    async def newcomers(self, count: int, into: Held) -> None:
        """Each of them writes one case."""
        self._first += 1_000_000
        crowd = Crowd(self._tg, self._port, count // len(CASE), CASE, first=self._first, hears=False)
        await self._measure(crowd, IN_FLIGHT, count, into)

    async def _measure(self, crowd: Crowd, at_once: int, count: int, into: Held) -> None:
        before, began = await self._child.used(), time.perf_counter()
        await crowd.in_flight(at_once, count)
        ended = await self._at_rest()
        after = await self._child.used()
        into.cpu.append((after.cpu - before.cpu) / count)
        into.rate.append(count / (ended - began))

    async def _at_rest(self) -> float:
        """When the last send came."""
        sent, since = self._tg.sent, time.perf_counter()
        while time.perf_counter() - since < QUIET:
            await asyncio.sleep(0.02)
            if self._tg.sent != sent:
                sent, since = self._tg.sent, time.perf_counter()
        return since


async def run(*, quick: bool = False, tiny: bool = False, **_: object) -> list[Row]:
    count, rounds = (24, 1) if tiny else (600, 2) if quick else (3_000, 5)
    async with AsyncExitStack() as stack:
        bare = await start(stack, "bare", "sqlite+aiosqlite:///none", chats=KNOWN)
        theirs, nodes = Rounds(), dict[str, Node]()
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        nodes["SQLite"] = await _node(stack, f"sqlite+aiosqlite:///{folder}/bench.db")
        binaries = find_binaries()
        if binaries is not None:
            cluster = await asyncio.to_thread(lambda: Cluster(binaries, durable=True).create().start())
            stack.push_async_callback(asyncio.to_thread, cluster.remove)
            stack.push_async_callback(asyncio.to_thread, cluster.stop)
            url = f"postgresql+asyncpg://stafett@127.0.0.1:{cluster.port}/postgres"
            await schema.upgrade(url)
            nodes["PostgreSQL"] = await _node(stack, url)
        held = {(engine, way): Held([], []) for engine in nodes for way in _ways()}
        for bot in (bare,):
            await flood(bot, count // 2, Rounds())
        for node in nodes.values():
            await node.known(IN_FLIGHT, count // 2, Held([], []))  # warm: imports, caches, customers known
        for _round in range(rounds):
            await flood(bare, count, theirs)
            for engine, node in nodes.items():
                await node.newcomers(count, held[engine, "new customers, 64 in flight"])
                await node.known(IN_FLIGHT, count, held[engine, "known customers, 64 in flight"])
                await node.known(FEW, count, held[engine, "known customers, 8 in flight"])
    floor = median(theirs.cpu)
    return [
        Row("", f"{engine}, {way}: CPU a message, to the bare bot's", median(one.cpu) / floor,
            detail=f"{median(one.cpu) * 1e3:.1f} ms to {floor * 1e3:.1f} ms, {median(one.rate):.0f}/s")
        for (engine, way), one in held.items()
    ]  # fmt: skip


def _ways() -> Iterator[str]:
    yield "new customers, 64 in flight"
    yield "known customers, 64 in flight"
    yield "known customers, 8 in flight"


async def _node(stack: AsyncExitStack, url: str) -> Node:
    tg, port = await stack.enter_async_context(BotApi()), free_port()
    child = await stack.enter_async_context(Child("stafett", {**settings(tg, port, url), "STAFETT_DESK": str(DESK)}))
    await tg.webhook_set.wait()
    return Node(tg, child, port)
