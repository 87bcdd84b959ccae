"""Whether Telegram and we have been talking all along: it forgets pressed buttons after 150 seconds.

What counts is that what people did reaches us: an answered poll; with a webhook, a post that was taken, or Telegram's word
that nothing waits. That Telegram answers our calls says nothing: its posts may still be held up before our door.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from bot import absence
from bot.storage.engine import Storage
from channels.telegram.inbound import CHANNEL

log = structlog.get_logger()
EVERY = 30.0  # seconds between two notes of it; with a poll's 25 well below what Telegram keeps
SHOWN = timedelta(hours=1)  # for so long an absence is a fault that health shows
GONE = "buttons pressed meanwhile are gone; who was asked something with buttons is asked again"


def since_boot() -> float:
    """Seconds that don't care for the wall clock's jumps, and count a machine's sleep where the system tells of it."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Heard:
    """Called at each sign of life, on whichever node sees it. `fault` says what was missed lately."""

    def __init__(self, storage: Storage, elapsed: Callable[[], float] = since_boot) -> None:
        self._storage = storage
        self._elapsed = elapsed
        self._last: float | None = None
        self._one_at_a_time = asyncio.Lock()  # a webhook's posts come together
        self._missed: tuple[datetime, timedelta] | None = None

    async def __call__(self) -> None:
        async with self._one_at_a_time:
            await self._hear()

    async def _hear(self) -> None:
        at, last = self._elapsed(), self._last
        if last is not None and at - last < EVERY:
            return
        at_most = None if last is None else timedelta(seconds=at - last)
        away = await self._storage.write(lambda tx: absence.heard(tx, CHANNEL, at_most))
        self._last = at
        if away is not None:
            self._missed = (self._storage.clock(), away)
            log.warning("telegram was not heard", for_s=int(away.total_seconds()), told=GONE)

    def fault(self) -> str | None:
        if self._missed is None or self._storage.clock() - self._missed[0] >= SHOWN:
            return None
        minutes = self._missed[1].total_seconds() / 60
        return f"Telegram was not heard for {minutes:.0f} minutes, until {self._missed[0]:%H:%M} UTC: {GONE}"
