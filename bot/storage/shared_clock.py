"""Time for many nodes: the database's, because theirs differ, jump, and stand still while a node is frozen.

Every transaction asks PostgreSQL for the time that it begins at; what is compared over nodes (leases, timers, the order of
a timeline) is that time. Between transactions the last answer is carried on by the monotonic clock, which knows no daylight
saving and no step of NTP. A clock that somebody handed in (a test's) is obeyed instead.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from bot.model import system_clock

NOISE = timedelta(milliseconds=50)  # by which an answer may be late; our time does not run backwards for that


class SharedClock:
    """`clock()` is the last answer, carried on. Until the first one it is this machine's clock."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._told: tuple[datetime, float] | None = None

    def __call__(self) -> datetime:
        if self._told is None:
            return system_clock()
        at, since = self._told
        return at + timedelta(seconds=self._monotonic() - since)

    def heard(self, now: datetime) -> datetime:
        """Set ourselves by an answer, and return it. One that was a little late sets nothing."""
        if self._told is None or not timedelta() <= self() - now < NOISE:
            self._told = (now, self._monotonic())
        return now
