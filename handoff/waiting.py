"""What a waiting customer is told, and when again. Pure: places and times in, words' keys out.

A promise is kept or mended: when the time that was told has passed, the customer hears so, with a new estimate that
doubles each time it breaks (3, 3, 6, 12 … minutes), so that nobody is nagged through the night. In between they hear
of a new place at most once in the desk's interval, and at once when they are next. Who was told when people are back, and
finds nobody there, hears so once, without another time: one interval later, for who comes at nine signs in at nine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import ceil
from typing import Any

from handoff.terms import DEFAULT_WAIT_S


@dataclass(frozen=True, slots=True)
class Told:
    """What the customer was last told. `position` None: that nobody is here, until `back_at` where that is known.

    `wait_s` seconds from `at`.
    """

    at: datetime
    position: int | None = None
    wait_s: int | None = None
    broken: int = 0  # how many promises of this wait were not kept
    mode: str = (
        ""  # what the customer chose to do meanwhile: contact (they are writing it) | callback | bot; else they wait
    )
    back_at: datetime | None = None

    def to_json(self) -> dict[str, Any]:
        told = {"position": self.position, "wait_s": self.wait_s, "at": self.at.isoformat(), "broken": self.broken}
        back = {"back_at": self.back_at.isoformat()} if self.back_at else {}
        return told | ({"mode": self.mode} if self.mode else {}) | back

    @classmethod
    def from_json(cls, raw: Mapping[str, Any] | None) -> Told | None:
        if not raw:
            return None
        return cls(
            datetime.fromisoformat(raw["at"]),
            raw.get("position"),
            raw.get("wait_s"),
            raw.get("broken", 0),
            raw.get("mode", ""),
            datetime.fromisoformat(raw["back_at"]) if raw.get("back_at") else None,
        )


@dataclass(frozen=True, slots=True)
class Outlook:
    """How it stands now. `back_at`: nobody is here before then. `staffed` false: nobody is here, no one knows when.

    `raw_s` is the estimate before what earlier errors taught.
    """

    position: int
    wait_s: int
    staffed: bool = True
    back_at: datetime | None = None
    raw_s: int | None = None

    @property
    def served(self) -> bool:
        return self.staffed and self.back_at is None


def estimate_s(position: int, handling_s: float | None, agents: int, bias: float = 1.0) -> int:
    """Place × handling time ÷ agents, in seconds, rounded up to whole minutes.

    `agents` counts one who holds several cases at once as so many; `bias` is by what earlier estimates turned out too short
    (or, below one, too long). While nothing has been measured: three minutes each, and never a promise of less than that.
    """
    each, least = (DEFAULT_WAIT_S, DEFAULT_WAIT_S) if handling_s is None else (handling_s, 60)
    return max(least, 60 * ceil(position * each * bias / max(agents, 1) / 60))


def tell(told: Told | None, outlook: Outlook, now: datetime, every: timedelta) -> tuple[str, Told] | None:
    """What to say now, as (text key, what is then told); None: nothing.

    Who left a contact, or is writing one, hears nothing more of the queue.
    """
    if told is not None and told.mode in {"contact", "callback"}:
        return None
    if not outlook.served:
        return _nobody(told, outlook, now, every)
    fresh = Told(now, outlook.position, outlook.wait_s, mode=told.mode if told else "")
    if told is None or told.position is None or told.wait_s is None:
        return "queue_place", fresh
    if now >= told.at + timedelta(seconds=told.wait_s):
        broken = told.broken + 1
        longer = outlook.wait_s * 2 ** min(broken - 1, 10)
        return "queue_longer", replace(fresh, wait_s=longer, broken=broken)
    if outlook.position == told.position:
        return None
    if outlook.position == 1:
        return "queue_next", replace(fresh, broken=told.broken)
    if now >= told.at + every:
        return "queue_place", replace(fresh, broken=told.broken)
    return None


def _nobody(told: Told | None, outlook: Outlook, now: datetime, every: timedelta) -> tuple[str, Told] | None:
    """While nobody is here: that it is so, and once more when they should have been back by now."""
    fresh = Told(now, mode=told.mode if told else "", back_at=outlook.back_at)
    if told is None or told.position is not None:
        return ("no_agents_until" if outlook.back_at else "no_agents_now"), fresh
    signs_in = timedelta() if outlook.back_at else every
    if told.back_at is None or now < told.back_at + signs_in:
        return None
    return ("no_agents_until" if outlook.back_at else "no_agents_yet"), fresh


def next_look(told: Told | None, outlook: Outlook, now: datetime, every: timedelta) -> datetime:
    """When to look again: at the desk's interval, when the promise ends, or when people are back."""
    looks = [now + every]
    if told is not None and told.wait_s is not None:
        looks.append(told.at + timedelta(seconds=told.wait_s))
        looks.append(told.at + every)
    if outlook.back_at is not None:
        return max(outlook.back_at, now + timedelta(seconds=1))
    return min((look for look in looks if look > now), default=now + every)
