"""When people are there: opening hours of a team in its time zone, with holidays. Pure; DST safe.

Hours are given in local time and compared in local time: a shop that opens at nine opens at nine on the day the clock
changes. A time that the clock skips is read as Python does (PEP 495): the moment after the gap. An interval that ends
at or before its beginning runs past midnight. No hours at all means always open.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import TYPE_CHECKING

from handoff import terms

if TYPE_CHECKING:
    from bot.desk_folder.desk import Desk, Week

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
HORIZON = 366  # days that are searched for the next opening


@dataclass(frozen=True, slots=True)
class Hours:
    """`week` maps mon … sun to intervals of local time; a day that is not named is closed. None: always open."""

    zone: tzinfo
    week: Week | None = None
    holidays: frozenset[date] = field(default_factory=frozenset)

    def intervals(self, day: date) -> Iterator[tuple[datetime, datetime]]:
        """The open intervals that begin on that local day, in UTC."""
        if day in self.holidays or self.week is None:
            return
        for begin, end in self.week.get(DAYS[day.weekday()], ()):
            last = day if end > begin else day + timedelta(days=1)
            start = datetime.combine(day, begin, self.zone).astimezone(UTC)
            stop = datetime.combine(last, end, self.zone).astimezone(UTC)
            if stop > start:
                yield start, stop


def is_open_at(hours: Hours, now: datetime) -> bool:
    if hours.week is None:
        return now.astimezone(hours.zone).date() not in hours.holidays
    today = now.astimezone(hours.zone).date()
    days = (today - timedelta(days=1), today)
    return any(start <= now < stop for day in days for start, stop in hours.intervals(day))


def next_opening(hours: Hours, now: datetime) -> datetime | None:
    """The next moment at which they are open: now if they are; None if never within a year."""
    if is_open_at(hours, now):
        return now
    today = now.astimezone(hours.zone).date()
    for ahead in range(HORIZON):
        day = today + timedelta(days=ahead)
        if hours.week is None:
            if day not in hours.holidays:
                return datetime.combine(day, time.min, hours.zone).astimezone(UTC)
            continue
        starts = [start for start, _ in hours.intervals(day) if start > now]
        if starts:
            return min(starts)
    return None


def is_open(desk: Desk | None, team: str | None, now: datetime) -> bool:
    """Whether that team of the desk is there now."""
    return is_open_at(of(desk, team), now)


def next_open(desk: Desk | None, team: str | None, now: datetime) -> datetime | None:
    """When that team is there again (now, if it is)."""
    return next_opening(of(desk, team), now)


def of(desk: Desk | None, team: str | None) -> Hours:
    """The hours of a team: its own, else the desk's, in its time zone."""
    return Hours(*terms.opening(desk, team))
