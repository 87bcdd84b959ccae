"""A loop that sleeps until its next due time or until it is woken: no busy polling anywhere."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import structlog

from bot.model import Clock

log = structlog.get_logger()
LONGEST = 60.0  # seconds: the wall clock may jump, and stands still for the loop while a laptop sleeps
REST = timedelta(seconds=5)  # after a failure of the loop itself (the database is away)


class Worker:
    """Runs `work` whenever something is due. `work` returns when it wants to run next, or None: when woken."""

    def __init__(
        self, name: str, work: Callable[[], Awaitable[datetime | None]], clock: Clock, poll: timedelta | None = None
    ) -> None:
        self.name = name
        self._work = work
        self._clock = clock
        self._poll = poll
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.fault: str | None = None

    def wake(self) -> None:
        self._woken.set()

    def start(self) -> None:
        self._woken.set()
        self._task = asyncio.create_task(self._run(), name=f"stafett-{self.name}")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def run_once(self) -> datetime | None:
        return await self._work()

    async def _run(self) -> None:
        wait: float | None = 0.0
        while True:
            with contextlib.suppress(TimeoutError):
                # Not `wait_for`: before Python 3.12 it loses a cancellation that comes as the event does, and `stop` hangs.
                async with asyncio.timeout(wait):
                    await self._woken.wait()
            self._woken.clear()
            try:
                due = await self._work()
                self.fault = None
            except Exception as error:
                log.exception("worker failed", worker=self.name)
                self.fault = f"{self.name}: {error}"
                wait = REST.total_seconds()
                continue
            wait = self._until(due)

    def _until(self, due: datetime | None) -> float | None:
        waits = [min(max(0.0, (due - self._clock()).total_seconds()), LONGEST)] if due is not None else []
        if self._poll is not None:
            waits.append(self._poll.total_seconds())
        return min(waits) if waits else None
