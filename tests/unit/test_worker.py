"""The loop below all that is done in the background."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from bot.worker import Worker

NOON = datetime(2026, 3, 9, 12, tzinfo=UTC)


@pytest.mark.parametrize("rounds", range(6))
async def test_who_is_stopped_as_it_is_woken_stops(rounds: int) -> None:
    """The event and the cancellation may meet at any place of the wait: none of them may lose the other."""
    worked = asyncio.Event()

    async def work() -> datetime:
        worked.set()
        return NOON + timedelta(seconds=30)

    worker = Worker("of a test", work, lambda: NOON)
    worker.start()
    await worked.wait()
    for _ in range(5):  # it waits again
        await asyncio.sleep(0)
    worker.wake()
    for _ in range(rounds):
        await asyncio.sleep(0)
    stopping = asyncio.create_task(worker.stop())
    done, _ = await asyncio.wait({stopping}, timeout=10)
    stopping.cancel()
    assert done == {stopping}
