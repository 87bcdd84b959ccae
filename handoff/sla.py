"""Service levels: what is due when, in business time. Pure; the clocks of one case in, deadlines and alarms out.

The bot's time is not an agent's: everything counts from the escalation (or the claim, where an agent took the case from the
bot). `first_response` runs until an agent's first word; `next_response` from a customer's first word that nobody has answered
yet; `resolution` until the end, but not while the case waits for the customer. What a case waits for is in its `sla` column,
so that a restart, another node or a merge goes on counting where it stood.

An alarm is told once: `told` remembers it, written in the transaction that tells it. Of a warning and a breach that are both
past (the house was down), only the breach is told. Cases that are over have no alarms.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from bot.model import CaseStatus
from bot.staffing.hours import Hours, after_business, business_between

WARN = 0.8  # of a target has passed: colleagues are warned
TARGETS = ("first_response", "next_response", "resolution")


@dataclass(frozen=True, slots=True)
class Clock:
    """`waiting`: since when the customer is owed a word. `paused_at`: since when the case waits for them; `paused` is the
    business time that it did so before. `told` holds alarms as "target:level".
    """

    started: datetime
    waiting: datetime | None = None
    answered: bool = False
    paused_at: datetime | None = None
    paused: timedelta = timedelta()
    told: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "started": self.started.isoformat(),
            "waiting": self.waiting and self.waiting.isoformat(),
            "answered": self.answered,
            "paused_at": self.paused_at and self.paused_at.isoformat(),
            "paused_s": self.paused.total_seconds(),
            "told": list(self.told),
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any] | None) -> Clock | None:
        if not raw:
            return None
        waiting, paused_at = raw.get("waiting"), raw.get("paused_at")
        return cls(
            datetime.fromisoformat(raw["started"]),
            datetime.fromisoformat(waiting) if waiting else None,
            raw.get("answered", False),
            datetime.fromisoformat(paused_at) if paused_at else None,
            timedelta(seconds=raw.get("paused_s", 0)),
            tuple(raw.get("told", ())),
        )


@dataclass(frozen=True, slots=True)
class Targets:
    """Business time for each; None: no target. `warn` is the share of it at which colleagues are warned."""

    first_response: timedelta | None = None
    next_response: timedelta | None = None
    resolution: timedelta | None = None
    warn: float = WARN

    @property
    def any(self) -> bool:
        return (self.first_response or self.next_response or self.resolution) is not None


@dataclass(frozen=True, slots=True)
class Due:
    """A target that runs: by when it is to be met, and when its warning is due."""

    target: str
    at: datetime
    warn_at: datetime


@dataclass(frozen=True, slots=True)
class Alarm:
    """`level` is warning | breach."""

    target: str
    level: str
    due_at: datetime

    @property
    def key(self) -> str:
        return f"{self.target}:{self.level}"


@dataclass(frozen=True, slots=True)
class Ended:
    """A target whose time has ended by a step: how much business time it took."""

    target: str
    took: timedelta


def after(
    clock: Clock | None, event: str, status: CaseStatus, now: datetime, hours: Hours
) -> tuple[Clock | None, tuple[Ended, ...]]:
    """The clocks after a step of the lifecycle that led to `status`, and what ended by it."""
    if event == "reopen":
        return None, ()
    if clock is None:
        starts = event in {"escalate", "claim"}
        return (Clock(now, now) if starts else None), ()
    if event in {"resolve", "close"}:
        took = business_between(hours, clock.started, now) - _resumed(clock, now, hours).paused
        return replace(_resumed(clock, now, hours), waiting=None), (Ended("resolution", max(took, timedelta())),)
    ended: tuple[Ended, ...] = ()
    if event == "reply":
        if clock.waiting is not None:
            target = "next_response" if clock.answered else "first_response"
            ended = (Ended(target, business_between(hours, clock.waiting, now)),)
        kept = tuple(one for one in clock.told if not one.startswith("next_response"))
        clock = replace(clock, waiting=None, answered=True, told=kept)
    elif event == "await_customer":
        clock = replace(clock, waiting=None)
    elif event in {"customer_wrote", "escalate"} and clock.waiting is None:
        clock = replace(clock, waiting=now)
    if status is CaseStatus.PENDING:
        return (clock if clock.paused_at else replace(clock, paused_at=now)), ended
    return (clock if status is CaseStatus.SNOOZED else _resumed(clock, now, hours)), ended


def _resumed(clock: Clock, now: datetime, hours: Hours) -> Clock:
    if clock.paused_at is None:
        return clock
    return replace(clock, paused_at=None, paused=clock.paused + business_between(hours, clock.paused_at, now))


def dues(clock: Clock | None, targets: Targets, hours: Hours) -> Iterator[Due]:
    """The targets that run now. A target that no opening hours ever reach (none within a year) is none."""
    if clock is None:
        return
    if clock.waiting is not None:
        target = "next_response" if clock.answered else "first_response"
        span: timedelta | None = getattr(targets, target)
        yield from _due(target, clock.waiting, span, timedelta(), targets.warn, hours)
    if clock.paused_at is None:
        yield from _due("resolution", clock.started, targets.resolution, clock.paused, targets.warn, hours)


def _due(
    target: str, since: datetime, span: timedelta | None, more: timedelta, warn: float, hours: Hours
) -> Iterator[Due]:
    at = after_business(hours, since, span + more) if span is not None else None
    warn_at = after_business(hours, since, span * warn + more) if span is not None else None
    if at is not None and warn_at is not None:
        yield Due(target, at, warn_at)


def alarms(clock: Clock | None, targets: Targets, hours: Hours) -> list[tuple[datetime, Alarm]]:
    """What is still to be told, each with its moment, in order."""
    found: list[tuple[datetime, Alarm]] = []
    for due in dues(clock, targets, hours):
        for level, at in (("warning", due.warn_at), ("breach", due.at)):
            alarm = Alarm(due.target, level, due.at)
            if clock is not None and alarm.key not in clock.told and f"{due.target}:breach" not in clock.told:
                found.append((at, alarm))
    return sorted(found, key=lambda one: one[0])


def ring(clock: Clock, targets: Targets, hours: Hours, now: datetime) -> tuple[Clock, list[Alarm]]:
    """What is to be told now, and the clocks that remember it."""
    ripe = [alarm for at, alarm in alarms(clock, targets, hours) if at <= now]
    breached = {alarm.target for alarm in ripe if alarm.level == "breach"}
    told = [alarm for alarm in ripe if alarm.level == "breach" or alarm.target not in breached]
    return replace(clock, told=(*clock.told, *(alarm.key for alarm in ripe))), told
