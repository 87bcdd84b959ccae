from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.fakes.slack import SlackServer
from tests.fakes.telegram import TelegramServer
from tests.faults.program import Nursery, Program


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    """Where servers come from, for the whole session."""
    made = Nursery()
    yield made
    made.close()


@pytest.fixture
async def tg() -> AsyncIterator[TelegramServer]:
    async with TelegramServer() as server:
        yield server


@pytest.fixture
async def slack() -> AsyncIterator[SlackServer]:
    async with SlackServer() as server:
        yield server


@pytest.fixture
async def web(nursery: Nursery, tmp_path: Path) -> AsyncIterator[Program]:
    """A server with the web alone; not yet started."""
    program = Program(nursery, tmp_path)
    yield program
    await program.dies()


@pytest.fixture
async def both(nursery: Nursery, tmp_path: Path, tg: TelegramServer) -> AsyncIterator[Program]:
    """A server with the web and Telegram; not yet started."""
    program = Program(nursery, tmp_path, tg)
    yield program
    await program.dies()


@pytest.fixture
async def office(nursery: Nursery, tmp_path: Path, slack: SlackServer) -> AsyncIterator[Program]:
    """A server with the web and Slack, whose agents work in C1; not yet started."""
    slack.channel("C1", members=[slack.person("U1", "Ann"), slack.person("U2", "Bob")])
    program = Program(nursery, tmp_path, slack=slack, STAFETT_SLACK_AGENT_CHANNEL="C1")
    yield program
    await program.dies()
