"""(a) (b) (c): the whole way of a message, against a bare aiogram echo bot without storage; (d): the same on PostgreSQL.

Ours: the secret checked, the update deduplicated, stored, a step of a two-step flow run, the answer stored and put into the
outbox, committed, acknowledged, claimed, sent, marked as sent. Theirs: `message.answer(message.text)`. For (c) a third one is measured
beside them, theirs with one row brought to the disk before it answers: what nothing lost costs alone.
"""

from __future__ import annotations

import socket
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from tests.bench.child import Child
from tests.bench.table import Row, of_rounds
from tests.bench.telegram import SECRET, TOKEN, BotApi, Crowd

DESK = Path(__file__).with_name("desk")
TEXTS = ("book a table", "four")  # they begin the flow, and answer its question
IN_FLIGHT = 64


@dataclass(slots=True)
class Rounds:
    rate: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)  # seconds a message
    commits: list[float] = field(default_factory=list)  # a message
    latency: list[float] = field(default_factory=list)  # the median of a round, seconds


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def settings(tg: BotApi, port: int, database_url: str) -> dict[str, str]:
    return {
        "STAFETT_TELEGRAM_TOKEN": TOKEN,
        "STAFETT_TELEGRAM_API_URL": tg.url,
        "STAFETT_TELEGRAM_WEBHOOK_SECRET": SECRET,
        "STAFETT_DATABASE_URL": database_url,
        "STAFETT_DESK": str(DESK),
        "STAFETT_PORT": str(port),
        "STAFETT_LOG": "json",
        "STAFETT_SECRET": "bench-" * 8,
        "STAFETT_ADMIN_PASSWORD": "bench-password",
    }


async def start(stack: AsyncExitStack, kind: str, database_url: str, chats: int) -> tuple[Child, Crowd]:
    """One bot with its own Telegram and its own customers."""
    tg, port = await stack.enter_async_context(BotApi()), free_port()
    child = await stack.enter_async_context(Child(kind, settings(tg, port, database_url)))
    if kind == "stafett":
        await tg.webhook_set.wait()
    return child, Crowd(tg, port, chats, TEXTS)


async def flood(bot: tuple[Child, Crowd], count: int, into: Rounds) -> None:
    child, crowd = bot
    before = await child.used()
    into.rate.append(await crowd.in_flight(IN_FLIGHT, count))
    after = await child.used()
    into.cpu.append((after.cpu - before.cpu) / count)
    into.commits.append((after.commits - before.commits) / count)


async def run(*, quick: bool = False, rounds: int = 5, tiny: bool = False) -> list[Row]:
    count, steady = (40, 20) if tiny else (1_000, 200) if quick else (4_000, 1_000)
    rounds = 1 if tiny else 3 if quick else rounds
    ours, theirs, least = Rounds(), Rounds(), Rounds()
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        url = f"sqlite+aiosqlite:///{folder}/bench.db"
        bare = await start(stack, "bare", url, chats=500)
        stafett = await start(stack, "stafett", url, chats=500)
        noting = await start(stack, "noting", f"sqlite:///{folder}/noting.db", chats=500)
        for bot in (bare, stafett, noting):
            await flood(bot, count // 2, Rounds())  # warm: imports, caches, customers known
        for _ in range(rounds):
            await flood(bare, count, theirs)
            await flood(stafett, count, ours)
        for _ in range(rounds):
            for bot, found in ((bare, theirs), (stafett, ours), (noting, least)):
                found.latency.append(median(await bot[1].at_rate(100, steady)))
    return _rows(ours, theirs, least)


def _rows(ours: Rounds, theirs: Rounds, least: Rounds) -> list[Row]:
    rate, cpu, slow = (median(found) for found in (ours.rate, ours.cpu, ours.latency))
    rate0, cpu0, slow0 = (median(found) for found in (theirs.rate, theirs.cpu, theirs.latency))
    return [
        Row("a", "messages a second, 64 in flight, to the bare bot's", of_rounds(ours.rate, theirs.rate), 2.0,
            at_least=True, detail=f"{rate:.0f}/s to {rate0:.0f}/s"),
        Row("a", "CPU a message, to the bare bot's", of_rounds(ours.cpu, theirs.cpu), 0.5,
            detail=f"{cpu * 1e3:.2f} ms to {cpu0 * 1e3:.2f} ms"),
        Row("b", "commits a message, 64 in flight", median(ours.commits), 0.1, unit=""),
        Row("c", "median latency at 100 messages/s, to the bare bot's", of_rounds(ours.latency, theirs.latency), 1.5,
            detail=f"{slow * 1e3:.1f} ms to {slow0 * 1e3:.1f} ms"),
        Row("c", "the same of a bare bot that commits one row before it answers", of_rounds(least.latency, theirs.latency),
            detail=f"{median(least.latency) * 1e3:.1f} ms to {slow0 * 1e3:.1f} ms"),
    ]  # fmt: skip
