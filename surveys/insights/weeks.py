"""Weeks and months in a desk's time zone, as spans of UTC. Pure."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from itertools import pairwise

Spans = list[tuple[str, datetime, datetime]]


def week_of(at: datetime, zone: tzinfo) -> str:
    """The ISO week, "2026-W47"."""
    year, week, _ = at.astimezone(zone).isocalendar()
    return f"{year}-W{week:02}"


def start_of_week(at: datetime, zone: tzinfo) -> date:
    day = at.astimezone(zone).date()
    return day - timedelta(days=day.weekday())


def monday_of(week: str) -> date:
    """The first day of the ISO week "2026-W47"."""
    return datetime.strptime(f"{week}-1", "%G-W%V-%u").date()  # noqa: DTZ007 - a day, no moment


def midnight(day: date, zone: tzinfo) -> datetime:
    return datetime.combine(day, time(0), zone).astimezone(UTC)


def weeks(now: datetime, count: int, zone: tzinfo) -> Spans:
    """The last `count` weeks, oldest first, the one that goes on included."""
    first = start_of_week(now, zone) - timedelta(weeks=count - 1)
    starts = [first + timedelta(weeks=place) for place in range(count + 1)]
    bounds = [midnight(day, zone) for day in starts]
    return [(_name(day), bounds[place], bounds[place + 1]) for place, day in enumerate(starts[:-1])]


def months(now: datetime, count: int, zone: tzinfo) -> Spans:
    """The last `count` months that are over, oldest first, "2026-03"."""
    day = now.astimezone(zone).date().replace(day=1)
    starts = [day]
    for _ in range(count):
        starts.append((starts[-1] - timedelta(days=1)).replace(day=1))
    starts.reverse()
    return [(f"{start:%Y-%m}", midnight(start, zone), midnight(end, zone)) for start, end in pairwise(starts)]


def days_from(day: date, count: int, zone: tzinfo) -> tuple[datetime, datetime]:
    """`count` days from the beginning of a day on."""
    return midnight(day, zone), midnight(day + timedelta(days=count), zone)


def _name(monday: date) -> str:
    year, week, _ = monday.isocalendar()
    return f"{year}-W{week:02}"
