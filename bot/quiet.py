"""Quiet hours: when customers are left alone, by the clock of the desk."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

NEVER = (time(0), time(0))
"""Equal ends: there are no quiet hours."""


def after_quiet(at: datetime, quiet: tuple[time, time], zone: ZoneInfo) -> datetime:
    """`at`, or where it falls into the quiet hours, their end; in the zone of `at`. The hours may span midnight."""
    start, end = quiet
    local = at.astimezone(zone)
    clock = local.time()
    is_quiet = start <= clock < end if start <= end else clock >= start or clock < end
    if not is_quiet:
        return at
    day = local.date() + timedelta(days=1 if start > end and clock >= start else 0)
    fold = local.fold if day == local.date() else 0  # in the hour that comes twice, stay in the same one
    return datetime.combine(day, end.replace(fold=fold), zone).astimezone(at.tzinfo)


def next_quiet(at: datetime, quiet: tuple[time, time], zone: ZoneInfo) -> datetime | None:
    """When the next quiet hours begin, always after `at` and in its zone; None: never. What was said before must have left."""
    if quiet[0] == quiet[1]:
        return None
    day = at.astimezone(zone).date()
    begins = (datetime.combine(day + timedelta(days=n), quiet[0], zone).astimezone(at.tzinfo) for n in range(3))
    return next(one for one in begins if one > at)


def quiet_of(text: str) -> tuple[time, time]:
    """`"21:00-08:00"`, or `off`. Raises ValueError in one line."""
    if text in {"off", ""}:
        return NEVER
    start, dash, end = text.partition("-")
    try:
        if dash:
            return time.fromisoformat(start.strip()), time.fromisoformat(end.strip())
    except ValueError:
        pass
    raise ValueError(f'"{text}" is not a span of hours; write "21:00-08:00" or off')
