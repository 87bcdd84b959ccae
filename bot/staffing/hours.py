"""Opening hours in a time zone, with holidays, and time counted in them. Pure; DST safe.

Hours are given in local time and compared in local time: a shop that opens at nine opens at nine on the day the clock
changes. A time that the clock skips is read as Python does (PEP 495): the moment after the gap. An interval that ends
at or before its beginning runs past midnight. No hours at all means always open.

Business time is the time that passes while somebody is there: an hour is an hour of the clock on the wall, so that the night
of a clock change counts what really passed.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

Week = Mapping[str, tuple[tuple[time, time], ...]]
"""mon … sun → spans of local time; a day that is not named is closed. 24:00 is time(0)."""

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
HORIZON = 366  # days that are searched for the next opening
_ALL_DAY = ((time(0), time(0)),)


@dataclass(frozen=True, slots=True)
class Hours:
    """`week` maps mon … sun to intervals of local time; a day that is not named is closed. None: always open."""

    zone: tzinfo
    week: Week | None = None
    holidays: Container[date] = frozenset()

    def intervals(self, day: date) -> Iterator[tuple[datetime, datetime]]:
        """The open intervals that begin on that local day, in UTC."""
        if day in self.holidays:
            return
        for begin, end in _ALL_DAY if self.week is None else self.week.get(DAYS[day.weekday()], ()):
            last = day if end > begin else day + timedelta(days=1)
            start = datetime.combine(day, begin, self.zone).astimezone(UTC)
            stop = datetime.combine(last, end, self.zone).astimezone(UTC)
            if stop > start:
                yield start, stop


def is_open_at(hours: Hours, now: datetime) -> bool:
    if hours.week is None and hours.holidays == frozenset():
        return True
    today = now.astimezone(hours.zone).date()
    days = (today - timedelta(days=1), today)
    return any(start <= now < stop for day in days for start, stop in hours.intervals(day))


def next_opening(hours: Hours, now: datetime) -> datetime | None:
    """The next moment at which they are open: now if they are; None if never within a year."""
    return next((max(start, now) for start, _ in spans(hours, now)), None)


def spans(hours: Hours, since: datetime, horizon: int = HORIZON) -> Iterator[tuple[datetime, datetime]]:
    """The open time that is left after `since`, as (start, stop) in UTC: ascending, and none twice."""
    today = since.astimezone(hours.zone).date()
    reached = since.astimezone(UTC)
    for ahead in range(-1, horizon + 1):
        for start, stop in sorted(hours.intervals(today + timedelta(days=ahead))):
            if stop > reached:
                yield max(start, reached), stop
                reached = stop


def business_between(hours: Hours, start: datetime, end: datetime) -> timedelta:
    """How much of the time from `start` to `end` they are open; nothing where `end` is not after `start`."""
    open_for = timedelta()
    for begin, stop in spans(hours, start, (end - start).days + 2) if end > start else ():
        if begin >= end:
            break
        open_for += min(stop, end) - begin
    return open_for


def after_business(hours: Hours, start: datetime, span: timedelta) -> datetime | None:
    """The moment at which `span` of business time has passed since `start`; None if not within a year.

    A span that ends just when they close ends there, not at the next opening.
    """
    left = span
    for begin, stop in spans(hours, start):
        if stop - begin >= left:
            return begin + left
        left -= stop - begin
    return None
