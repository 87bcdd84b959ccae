"""Who polls Telegram, where nodes share a database."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import pytest

from bot.inbox import Inbox
from bot.settings import Settings
from bot.storage.engine import Storage
from channels.telegram.channel import TelegramChannel

if TYPE_CHECKING:
    from channels.telegram.calls import Calls

PATIENCE = 30.0  # seconds


class Silent:
    """Telegram, which never answers."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def delete_webhook(self) -> None:
        self.asked.set()
        await asyncio.Event().wait()


async def test_a_node_that_stops_while_the_database_is_away_does_not_go_on_polling() -> None:
    """Its lease can't be given back then; were that raised, the cancellation would be lost, and the stop would never end."""
    storage = Storage("postgresql+asyncpg://nobody@127.0.0.1:1/nothing")
    settings = Settings(_env_file=None, telegram_token="42:" + "a" * 35)
    channel = TelegramChannel(settings, storage, Inbox(storage, ()))
    telegram = Silent()
    polling = asyncio.create_task(channel._poll(cast("Calls", telegram)))
    async with asyncio.timeout(PATIENCE):
        await telegram.asked.wait()
        polling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await polling
    await storage.close()
