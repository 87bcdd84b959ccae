"""NPS asks about the relationship: all customers by and by, whatever their last case was. Pure.

What lives here: when a campaign runs, who belongs to it, and the ordered checks for one customer. What it must not know:
the database, channels, the clock (`now` is an argument).

Decisions. A campaign begins by the calendar: every `every`, counted from `first`, in the desk's time zone. Its name is its
first day, so that every node and every start after a crash means the same one; each customer has at most one question in
it. Nobody is asked twice within 90 days, however often campaigns begin, nor while a case of theirs is open: that waits, a
day at a time, until the campaign has run for `run_for`. The sample is drawn by the seed, the campaign and the customer: a
new one each time, the same one whenever it is drawn again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

THROTTLE = timedelta(days=90)
"""Between two such questions to one customer."""
NAMED: Final = "nps-"
"""Begins a campaign's name; its first day follows."""


@dataclass(frozen=True, slots=True)
class Relationship:
    """What a desk says about its campaigns. `share` 0…1 of those who had to do with us within `active`."""

    every: timedelta = timedelta(days=90)
    first: date = date(2026, 1, 5)
    at: time = time(10)
    run_for: timedelta = timedelta(days=14)
    active: timedelta = timedelta(days=180)
    share: float = 1.0
    seed: str = ""


@dataclass(frozen=True, slots=True)
class Campaign:
    """One run: `id` names it, from `begins_at` to `ends_at` (UTC) its questions leave."""

    id: str
    begins_at: datetime
    ends_at: datetime


def current(rules: Relationship, now: datetime, zone: ZoneInfo) -> Campaign | None:
    """The campaign that runs now; None: none does."""
    step = max(rules.every.days, 1)
    turn = (now.astimezone(zone).date() - rules.first).days // step
    for number in (turn, turn - 1):  # on its first day, before it begins, the one before may still run
        day = rules.first + timedelta(days=number * step)
        begins_at, ends_at = _span(day, rules, zone)
        if number >= 0 and begins_at <= now < ends_at:
            return Campaign(f"{NAMED}{day.isoformat()}", begins_at, ends_at)
    return None


def end_of(campaign: str, rules: Relationship, zone: ZoneInfo) -> datetime:
    """When the campaign of this name is over, by what the desk says now (UTC)."""
    return _span(date.fromisoformat(campaign.removeprefix(NAMED)), rules, zone)[1]


def _span(first: date, rules: Relationship, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """It ends when the next one begins, at the latest: a day of which the clock takes an hour is that much shorter."""
    following = first + timedelta(days=max(rules.every.days, 1))
    begins_at, next_at = (datetime.combine(day, rules.at, zone).astimezone(UTC) for day in (first, following))
    return begins_at, min(begins_at + rules.run_for, next_at)


def is_drawn(customer_id: str, campaign: Campaign, rules: Relationship) -> bool:
    """Whether the customer is in this campaign's sample."""
    drawn = hashlib.sha256(f"{rules.seed}:{campaign.id}:{customer_id}".encode()).digest()[:8]
    return int.from_bytes(drawn) / 2**64 < rules.share


def relationship_from(value: Any) -> Relationship | None:
    """Of desk.yaml's `surveys: nps:`, in plain values (`every_s`, `run_for_s`, `active_s` seconds). ValueError in a line."""
    if value in (None, False, "off"):
        return None
    if not isinstance(value, Mapping):
        value = {"": value}
    unknown = next((name for name in value if name not in READERS), None)
    if unknown is not None:
        raise ValueError(f'unknown "{unknown}"; known are {", ".join(READERS)}')
    read: dict[str, Any] = {READERS[name][0]: READERS[name][1](one) for name, one in value.items()}
    return Relationship(**read)


READERS: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "every_s": ("every", lambda seconds: timedelta(seconds=seconds)),
    "run_for_s": ("run_for", lambda seconds: timedelta(seconds=seconds)),
    "active_s": ("active", lambda seconds: timedelta(seconds=seconds)),
    "first": ("first", lambda text: date.fromisoformat(str(text))),
    "at": ("at", lambda text: time.fromisoformat(str(text))),
    "sample": ("share", float),
    "seed": ("seed", str),
}
"""Key of the desk's section → our field, and how it is read."""
