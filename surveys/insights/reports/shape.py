"""What every report here needs: the setting, and how values stand in JSON. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from typing import Any

from bot.intervals import Interval

Report = dict[str, Any]
IsOpen = Callable[[datetime], bool]
"""Whether the desk was open at a moment."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What a report needs of the desk. `is_open` None: it keeps no hours. `since` and `until` are the span that was asked for,
    where a report has no span of its own.
    """

    now: datetime
    zone: tzinfo
    is_open: IsOpen | None = None
    since: datetime | None = None
    until: datetime | None = None


def tidy(value: float | None) -> float | None:
    """Six decimals: enough for any use."""
    return None if value is None else round(value, 6) + 0.0


def pair(interval: Interval | None) -> list[float | None] | None:
    return None if interval is None else [tidy(interval.low), tidy(interval.high)]


def at_text(at: datetime | None) -> str | None:
    return at.isoformat().replace("+00:00", "Z") if at else None


def day_text(day: date | None) -> str | None:
    return day.isoformat() if day else None
