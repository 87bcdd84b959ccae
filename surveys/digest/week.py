"""Which week a digest tells of, and when. Pure.

It tells of the last whole ISO week (Monday to Sunday by the desk's clock). What was missed because nothing ran is told for as
long as it is the last week; older weeks are not told after the event.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True, slots=True)
class Plan:
    """desk.yaml's `digest:`. `channel` None: where the first team's cases are shown."""

    day: int = 0  # of the week, Monday first
    at: time = time(9)
    channel: str | None = None


def plan_from(section: Mapping[str, Any] | None) -> Plan | None:
    """The section as the desk's loader has checked it; None where it is `off`."""
    found = section or {}
    if found.get("off"):
        return None
    day, at = found.get("day", "mon"), found.get("at", "09:00")
    return Plan(DAYS.index(day), time.fromisoformat(at), found.get("slack_channel"))


def monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def due(plan: Plan, now: datetime, zone: ZoneInfo) -> tuple[date, datetime]:
    """(the Monday of the week that is to be told now or next, the moment of telling in UTC).

    The moment lies behind `now` when that week can be told.
    """
    this = monday(now.astimezone(zone).date())
    return this - timedelta(days=7), _moment(plan, this, zone)


def next_due(plan: Plan, now: datetime, zone: ZoneInfo) -> datetime:
    """The first moment of telling after `now`."""
    this = monday(now.astimezone(zone).date())
    found = _moment(plan, this, zone)
    return found if found > now else _moment(plan, this + timedelta(days=7), zone)


def _moment(plan: Plan, week: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(week + timedelta(days=plan.day), plan.at, zone).astimezone(UTC)
