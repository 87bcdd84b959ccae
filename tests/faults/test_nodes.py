"""Two `stafett serve` on one PostgreSQL: killed, frozen, cut off from the database; what one does the other's customers see."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import signal
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest
import websockets

from bot.storage import schema
from tests.fakes.telegram import TelegramServer
from tests.faults.invariants import check
from tests.faults.nodes import SharedBooks, node
from tests.faults.program import Nursery, Program
from tests.support import needs, postgres
from tests.support.house import Visitor

QUESTION = "where is my order?"
PATIENCE = 30.0  # seconds; that it is 10 at most is shown by its numbers in tests/unit/test_many_nodes.py
MARKED = "SELECT count(*) FROM outbox WHERE via = 'telegram' AND doubled"
GONE = (AssertionError, OSError, TimeoutError, websockets.WebSocketException, httpx2.HTTPError)
pytestmark = pytest.mark.postgresql


@pytest.fixture(scope="module")
def cluster() -> Iterator[postgres.Cluster]:
    """A server of our own, because we crash it; it keeps what it commits."""
    binaries = postgres.find_binaries()
    if binaries is None:
        needs.missing(needs.GET_POSTGRESQL)
    made = postgres.Cluster(binaries, durable=True).create().start()
    yield made
    made.remove()


@dataclass
class Pair:
    """Two nodes, their database, and Telegram."""

    a: Program
    b: Program
    books: SharedBooks
    tg: TelegramServer

    async def start(self, failpoint: str = "") -> None:
        """`a` first, so that it polls Telegram; the failpoint is its own."""
        await self.a.starts(failpoint=failpoint)
        await self.tg.called("getUpdates")
        await self.b.starts()
        await self.tg.called("deleteWebhook", times=2)  # `b` stands by

    async def check(self, told: Sequence[str]) -> None:
        await self.tg.settled(timeout=30)
        await self.books.at_rest()
        check(self.books, told, self.tg)


@pytest.fixture
async def pair(cluster: postgres.Cluster, nursery: Nursery, tmp_path: Path, tg: TelegramServer) -> AsyncIterator[Pair]:
    name = f"nodes_{uuid.uuid4().hex}"
    url = postgres.create_database(cluster.url(), name)
    await schema.upgrade(url)
    a, b = (node(nursery, tmp_path / one, url, tg) for one in "ab")
    made = Pair(a, b, SharedBooks(url), tg)
    yield made
    for one in (made.a, made.b):
        if one.pid:
            await one.dies()
        print(one.url, one.logged())  # shown where the test failed
    postgres.drop_database(cluster.url(), name)


@dataclass
class Widget:
    """A widget behind a load balancer: it repeats what was not acknowledged, with its id, each time at the next node."""

    nodes: Iterator[Program]
    token: str = ""
    acknowledged: list[str] = field(default_factory=list)

    async def writes(self, lines: Sequence[str]) -> None:
        for line in lines:
            client_id = str(uuid.uuid4())
            while not await self._wrote(next(self.nodes), client_id, line):  # noqa: ASYNC110 - as a widget waits
                await asyncio.sleep(0.1)
            self.acknowledged.append(line)

    async def _wrote(self, at: Program, client_id: str, line: str) -> bool:
        visitor = Visitor(at)  # type: ignore[arg-type]
        try:
            async with asyncio.timeout(3):
                await visitor.begins("en", self.token or None)
                self.token = self.token or visitor.token
                return bool((await visitor.says(line, id_=client_id))["type"] == "ack")
        except GONE:
            return False
        finally:
            with contextlib.suppress(*GONE):
                await visitor.leaves()


async def everybody_writes(pair: Pair, writers: int = 4, lines: int = 3) -> list[str]:
    """People on Telegram and at widgets; returns all lines, once all are written and acknowledged."""
    persons = [pair.tg.person(2000 + number, f"Person {number}") for number in range(writers)]
    nodes = itertools.cycle([pair.a, pair.b])
    told: list[str] = []
    async with asyncio.TaskGroup() as group:
        for person in persons:
            for number in range(lines):
                told.append(f"{person.id} line {number}")
                await person.says(told[-1])
        for number in range(writers):
            mine = [f"widget {number} line {line}" for line in range(lines)]
            told += mine
            group.create_task(Widget(nodes).writes(mine))
    return told


async def test_f01_f08_a_node_that_is_killed_in_the_middle_loses_nothing(pair: Pair) -> None:
    """The other one has it all within seconds, and answers whoever writes now."""
    await pair.start()
    writing = asyncio.create_task(everybody_writes(pair))
    await asyncio.sleep(0.7)
    await pair.a.dies()
    late = pair.tg.person(3001)
    began = time.monotonic()
    await late.says(QUESTION)
    await late.hears("order number", timeout=PATIENCE)
    print(f"went on after {time.monotonic() - began:.1f} s")
    told = await asyncio.wait_for(writing, 120)
    await pair.check([*told, QUESTION])


@pytest.mark.parametrize("place", ["claimed", "accepted"])
async def test_f35_a_node_that_freezes_while_it_sends_is_replaced_and_writes_nothing_when_it_wakes(
    pair: Pair, place: str
) -> None:
    """Frozen with a lease in its hand, it is overtaken; woken, it neither sends nor marks."""
    await pair.start(failpoint=f"{place}:1:stop")
    kari, ola = pair.tg.person(1001), pair.tg.person(1002)
    began = time.monotonic()
    await kari.says(QUESTION)
    await pair.books.has(MARKED)
    print(f"taken over after {time.monotonic() - began:.1f} s")
    await ola.says("Where is my order, then?")
    await ola.hears("order number", timeout=PATIENCE)
    await kari.hears("order number", timeout=PATIENCE)
    taken_over = pair.books.rows("SELECT id, state, ext_id, attempts FROM outbox ORDER BY n")
    pair.a.signals(signal.SIGCONT)
    await ola.says("thank you")
    await pair.check([QUESTION, "Where is my order, then?", "thank you"])
    copies = sum("order number" in text for text in kari.texts)
    assert copies == {"claimed": 1, "accepted": 2}[place]
    after = {row["id"]: row for row in pair.books.rows("SELECT id, state, ext_id, attempts FROM outbox")}
    assert [after[row["id"]] for row in taken_over if row["state"] == "sent"] == [
        row for row in taken_over if row["state"] == "sent"
    ]
    assert pair.a.exit_code is None, "it serves on"


async def test_f35_a_node_that_freezes_inside_a_turn_lets_its_customer_go(pair: Pair) -> None:
    """It holds the customer's lock; the server takes it away, the widget comes again at the other node; all once."""
    await pair.start(failpoint="turning:1:stop")
    kari = await pair.a.visitor()
    mine = str(uuid.uuid4())
    began = time.monotonic()
    await kari.sends({"type": "message", "id": mine, "text": QUESTION, "files": []})
    again = await pair.b.visitor(kari.token)
    await again.sends({"type": "message", "id": mine, "text": QUESTION, "files": []})
    async with asyncio.timeout(PATIENCE):
        while not [one for one in again.frames if one["type"] == "ack"]:  # noqa: ASYNC110 - its own patience is shorter
            await asyncio.sleep(0.05)
    print(f"let go after {time.monotonic() - began:.1f} s")
    pair.a.signals(signal.SIGCONT)
    await again.hears("order number", "bot")
    await pair.check([QUESTION])
    assert again.said().count(QUESTION) <= 1
    await again.leaves()
    await kari.leaves()


async def test_f32_f33_a_database_that_crashes_and_comes_back_under_load_loses_nothing(
    pair: Pair, cluster: postgres.Cluster
) -> None:
    """What was acknowledged is there; whatever was in doubt is asked for again or told twice to us, not twice by us."""
    await pair.start()
    writing = asyncio.create_task(everybody_writes(pair))
    await asyncio.sleep(0.8)
    await asyncio.to_thread(cluster.stop, "immediate")
    await asyncio.sleep(0.5)
    await asyncio.to_thread(cluster.start)
    told = await asyncio.wait_for(writing, 120)
    await pair.check(told)
    assert pair.a.exit_code is None
    assert pair.b.exit_code is None


async def test_f32_a_database_that_ends_our_connections_again_and_again_loses_nothing(pair: Pair) -> None:
    """pg_terminate_backend of whatever both nodes hold, under load."""
    await pair.start()
    writing = asyncio.create_task(everybody_writes(pair, writers=3, lines=2))
    theirs = "datname = current_database() AND pid != pg_backend_pid()"
    for _ in range(4):
        await asyncio.sleep(0.4)
        pair.books.rows(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {theirs}")
    told = await asyncio.wait_for(writing, 120)
    await pair.check(told)
    assert pair.a.exit_code is None
    assert pair.b.exit_code is None


async def test_what_is_said_through_one_node_shows_at_the_other(pair: Pair) -> None:
    """One conversation, two tabs at two nodes: same lines, same numbers, no gap."""
    await pair.start()
    here = await pair.a.visitor()
    await here.says("hello")
    there = await pair.b.visitor(here.token)
    await there.hears("hello", "customer")
    began = time.monotonic()
    await here.says(QUESTION)
    await there.hears("order number", "bot")
    print(f"seen at the other node after {time.monotonic() - began:.2f} s")
    await there.says("K1001")
    await here.hears("K1001", "customer")
    last = max(here.last_seq, there.last_seq)
    for tab in (here, there):
        await tab.gets(lambda frame: frame.get("seq", 0) >= last) if tab.last_seq < last else None
        assert tab.seqs == list(range(tab.seqs[0], tab.last_seq + 1))
        await tab.leaves()
