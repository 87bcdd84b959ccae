"""What the journeys by Telegram share: a clock that is set, a Bot API server that goes by it, and no pace of ours."""

from __future__ import annotations

from collections.abc import AsyncIterator
from importlib import import_module

import pytest

from channels.delivery import paces
from channels.delivery.paces import Rate
from tests.fakes.telegram import TelegramServer
from tests.support.telegram_house import SetClock


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Telegram asks us to wait (429) as ever, but our own pace lets everything through: it would wait for a clock that
    stands still. The pace itself is a matter of tests/unit/test_delivery.py.
    """
    patient = {name: Rate(rate.per_second, 100_000) for name, rate in paces.RATES.items()}
    monkeypatch.setattr(paces, "RATES", patient)


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
async def tg(clock: SetClock) -> AsyncIterator[TelegramServer]:
    import_module("channels.telegram.calls")  # seconds, once a process: they come off nobody's patience with the bot
    async with TelegramServer(clock=clock) as server:
        yield server
