"""When the people of a team are there: `bot.staffing.hours` over what the desk in force says."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING

from bot.staffing.hours import Hours, after_business, business_between, is_open_at, next_opening
from handoff import terms

if TYPE_CHECKING:
    from bot.desk_folder.desk import Desk

__all__ = ["Hours", "after_business", "business_between", "is_open", "is_open_at", "next_open", "next_opening", "of"]


def is_open(desk: Desk | None, team: str | None, now: datetime) -> bool:
    """Whether that team of the desk is there now."""
    return is_open_at(of(desk, team), now)


def next_open(desk: Desk | None, team: str | None, now: datetime) -> datetime | None:
    """When that team is there again (now, if it is)."""
    return next_opening(of(desk, team), now)


def of(desk: Desk | None, team: str | None) -> Hours:
    """The hours of a team: its own, else the desk's, in its time zone."""
    return Hours(*terms.opening(desk, team))


def snooze_choices(hours: Hours, now: datetime) -> list[tuple[str, datetime]]:
    """What an agent is offered to put a case aside until, as (key, moment in UTC): in an hour, in three, the next working
    day's opening, next week's. A moment is offered once.
    """
    local = now.astimezone(hours.zone)
    midnight = datetime.combine(local.date() + timedelta(days=1), time.min, hours.zone)
    monday = datetime.combine(local.date() + timedelta(days=7 - local.weekday()), time.min, hours.zone)
    found = [("hour", now + timedelta(hours=1)), ("three_hours", now + timedelta(hours=3))]
    for key, day in (("next_day", midnight), ("next_week", monday)):
        opens = next_opening(hours, day.astimezone(UTC))
        if opens is not None and all(opens != at for _, at in found):
            found.append((key, opens))
    return found
