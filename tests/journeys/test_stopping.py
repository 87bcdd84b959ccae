"""A server that is told to stop lets what is on its way arrive."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from tests.fakes.faults import Fault
from tests.fakes.telegram import TelegramServer
from tests.support.house import House


@pytest.fixture
async def tg() -> AsyncIterator[TelegramServer]:
    async with TelegramServer() as server:
        yield server


async def test_what_is_on_its_way_to_telegram_when_we_stop_arrives_and_is_not_said_again(
    tmp_path: Path, tg: TelegramServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Telegram knows no key against doubles: a connection that is closed meanwhile would have it said twice."""
    answers = asyncio.Event()
    tg.script("sendMessage", Fault.slow(answers, acts_first=True))
    async with House(tmp_path, telegram_token=SecretStr(tg.token), telegram_api_url=tg.api_url) as house:
        await house.app.tokens_accepted()
        delivery = house.app.delivery
        stop = delivery.stop

        async def stops(grace: float = 10.0) -> None:
            answers.set()
            await stop(grace)

        monkeypatch.setattr(delivery, "stop", stops)
        await tg.person(501).says("hello")
        await tg.called("sendMessage")
    assert (delivery.counters.sent, delivery.counters.uncertain) == (1, 0)
