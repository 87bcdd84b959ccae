"""Many write at once while the server is killed or stopped: whatever was acknowledged is there, once, in order."""

from __future__ import annotations

import asyncio
import contextlib
import random
import uuid
from dataclasses import dataclass, field

import httpx2
import pytest
import websockets

from tests.fakes.telegram import TelegramServer
from tests.fakes.telegram_person import Person
from tests.faults import chance
from tests.faults.invariants import Books, check
from tests.faults.program import Program
from tests.support.house import Visitor

WRITERS = 5  # on each channel
LINES = 6  # of each
GONE = (AssertionError, OSError, websockets.WebSocketException, httpx2.HTTPError)


@dataclass
class Widget:
    """A widget as ours behaves: what is not acknowledged is sent again after every reconnect, with its id."""

    program: Program
    name: str
    token: str = ""
    acknowledged: list[str] = field(default_factory=list)

    async def writes(self, lines: list[str]) -> None:
        for line in lines:
            await self._writes(str(uuid.uuid4()), line)
            self.acknowledged.append(line)

    async def _writes(self, client_id: str, line: str) -> None:
        while True:
            visitor = Visitor(self.program)  # type: ignore[arg-type]
            with contextlib.suppress(*GONE):
                await visitor.begins("en", self.token or None)
                self.token = self.token or visitor.token
                answer = await visitor.says(line, id_=client_id)
                assert answer["type"] == "ack", answer
                await visitor.leaves()
                return
            with contextlib.suppress(*GONE):
                await visitor.leaves()
            await asyncio.sleep(0.05)


async def everybody_writes(program: Program, tg: TelegramServer) -> list[str]:
    """The lines, all different, of people on Telegram and at widgets; returns when all are written and acknowledged."""
    persons = [tg.person(2000 + number, f"Person {number}") for number in range(WRITERS)]
    widgets = [Widget(program, f"widget {number}") for number in range(WRITERS)]
    told = [f"{person.id} line {number}" for person in persons for number in range(LINES)]
    async with asyncio.TaskGroup() as group:
        for person in persons:
            group.create_task(speak(person, [line for line in told if line.startswith(str(person.id))]))
        for widget in widgets:
            group.create_task(widget.writes([f"{widget.name} line {number}" for number in range(LINES)]))
    return told + [line for widget in widgets for line in widget.acknowledged]


async def speak(person: Person, lines: list[str]) -> None:
    for line in lines:
        await person.says(line)
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("seed", chance.several(1, in_a_long_run=20))
async def test_f01_f08_killed_three_times_in_the_middle_nothing_is_lost(
    both: Program, tg: TelegramServer, seed: int
) -> None:
    luck = random.Random(seed)
    await both.starts()
    writing = asyncio.create_task(everybody_writes(both, tg))
    for _ in range(3):
        await asyncio.sleep(luck.uniform(0.05, 0.8))
        await both.dies()
        await both.starts()
    told = await asyncio.wait_for(writing, 120)
    await tg.settled(timeout=30)
    books = Books(both.database)
    await books.at_rest()
    check(books, told, tg)
    assert len(told) == 2 * WRITERS * LINES


@pytest.mark.parametrize("seed", chance.several(1, in_a_long_run=40))
async def test_f01_f08_killed_at_any_place_at_any_time_nothing_is_lost(
    both: Program, tg: TelegramServer, seed: int
) -> None:
    """A named place and how often it is come to are chosen by chance; three deaths, each at such a place or soon."""
    luck = random.Random(seed)
    writing = None
    for _ in range(3):
        place = luck.choice(["received", "turning", "committed", "claimed", "accepted", "polled", "stored"])
        both.runs("serve", "--port", str(both.port), failpoint=f"{place}:{luck.randrange(1, 8)}")
        writing = writing or asyncio.create_task(everybody_writes(both, tg))
        ends = asyncio.get_running_loop().time() + 4
        while both.exit_code is None and asyncio.get_running_loop().time() < ends:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.02)
        await both.dies()
    await both.starts()
    assert writing is not None
    told = await asyncio.wait_for(writing, 120)
    await tg.settled(timeout=30)
    books = Books(both.database)
    await books.at_rest()
    check(books, told, tg)


async def test_f09_sigterm_in_the_middle_ends_with_0_and_loses_nothing(both: Program, tg: TelegramServer) -> None:
    """What is on its way arrives; nothing is left `sending`, so nothing can come twice."""
    await both.starts()
    writing = asyncio.create_task(everybody_writes(both, tg))
    await asyncio.sleep(0.5)
    assert await both.stops() == 0, both.logged()
    books = Books(both.database)
    assert books.rows("SELECT * FROM outbox WHERE state IN ('sending', 'uncertain')") == []
    await both.starts()
    told = await asyncio.wait_for(writing, 120)
    await tg.settled(timeout=30)
    await books.at_rest()
    check(books, told, tg)
    assert books.one("SELECT count(*) FROM outbox WHERE doubled") == 0
    assert await both.stops() == 0
    before, traceback, after = both.logged().partition("Traceback")
    assert not traceback, before[-500:] + traceback + after[:4_000]
