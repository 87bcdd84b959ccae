"""When to ask, and when to leave people alone: one pure decision per resolved case.

What lives here: the rules that a desk sets, and the ordered checks that give either a moment or the reason why
not. What it must not know: the database, channels, the clock (`now` is an argument).

Decisions. The first check that fails names the reason. A throttled invitation is dropped, not queued: asked
later it would be about something forgotten. Sampling is by a hash of the customer, so that it never changes
its mind. Whether a channel is reachable or the customer has written again can change until the moment comes:
the same function is asked again then. NPS asks about the whole relationship, never about a case: `campaign.py`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from bot.model import LIVE, CaseStatus
from bot.quiet import NEVER, after_quiet, quiet_of
from surveys.campaign import Relationship, relationship_from
from surveys.survey import RELATIONSHIP, instrument

EXPIRES_AFTER = timedelta(days=7)
"""After resolution: an ask that would come later is not sent, and an answer that comes later is not taken."""
EDIT_WINDOW = timedelta(hours=24)
"""After the first answer; a second press within it changes the score."""
TYPED_WINDOW = timedelta(hours=24)
"""After the question; a lone number typed later is a new message."""
COMMENT_WINDOW = timedelta(minutes=10)
"""After "why?"; a text typed later is a new message."""


class Reason(StrEnum):
    """Why a customer is not asked, in the order of the checks."""

    OFF = "off"
    OUTCOME = "outcome"
    OPTED_OUT = "opted_out"
    OPEN_CASE = "open_case"
    ALREADY_ASKED = "already_asked"
    UNREACHABLE = "unreachable"
    THROTTLED = "throttled"
    FATIGUE = "fatigue"
    NOT_SAMPLED = "not_sampled"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Rules:
    """What a desk says about asking. `quiet` is from and to in local time (equal: never); `share` 0…1 of customers.

    `fatigue_after` invitations in a row without an answer stop further ones until `fatigue_for` has passed.
    """

    instrument: str | None = "ces7"
    delay: timedelta = timedelta(minutes=1)
    quiet: tuple[time, time] = (time(21), time(8))
    throttle: timedelta = timedelta(days=30)
    fatigue_after: int = 3
    fatigue_for: timedelta = timedelta(days=180)
    share: float = 1.0
    outcomes: Mapping[str, bool] = field(default_factory=lambda: {"spam": False, "duplicate": False})
    """outcome → ask or not. One that is not named is asked; `abandoned` only where a person had answered."""
    flows: Mapping[str, str | None] = field(default_factory=dict)
    """flow → its instrument, or None: what ended in it is not asked. What the flow itself chose goes first, but for None."""
    goal: bool = False
    """Ask first whether they got what they came for; who did not has their case back."""
    review_url: str | None = None
    """Promoters are offered it, once in their life."""
    nps: Relationship | None = None


AT_ONCE = Rules(delay=timedelta(0), quiet=NEVER, throttle=timedelta(0), fatigue_after=0, share=1.0)
"""The demo desk's rules: a newcomer sees the question at once, every time."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of the resolved case and its customer when the decision is made.

    `chosen` is what a flow chose for this case: `{"instrument", "delay_s"}`, either may be missing. `answered`: a person
    wrote to the customer in it.
    """

    case_id: str
    customer_id: str
    outcome: str
    status: CaseStatus
    resolved_at: datetime
    opted_out: bool = False
    other_live_case: bool = False
    reachable: bool = True
    chosen: Mapping[str, Any] = field(default_factory=dict)
    flow: str | None = None
    answered: bool = False


@dataclass(frozen=True, slots=True)
class PastAsk:
    """An invitation that was really sent to this customer, on whichever of their identities."""

    case_id: str
    asked_at: datetime
    answered: bool
    instrument: str = ""


@dataclass(frozen=True, slots=True)
class Ask:
    instrument: str
    at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Skip:
    reason: Reason


def decide(facts: Facts, rules: Rules, past: Sequence[PastAsk], now: datetime, zone: ZoneInfo) -> Ask | Skip:
    """Ask at a moment that is never before `now`, or skip with the first reason that holds."""
    name = instrument_for(facts, rules)
    checks = (
        (Reason.OFF, name is None or name in RELATIONSHIP),
        (Reason.OUTCOME, not rules.outcomes.get(facts.outcome, facts.outcome != "abandoned" or facts.answered)),
        (Reason.OPTED_OUT, facts.opted_out),
        (Reason.OPEN_CASE, facts.status in LIVE or facts.other_live_case),
        (Reason.ALREADY_ASKED, any(ask.case_id == facts.case_id for ask in past)),
        (Reason.UNREACHABLE, not facts.reachable),
        (Reason.THROTTLED, any(now - ask.asked_at < rules.throttle for ask in past)),
        (Reason.FATIGUE, is_tired(rules, past, now)),
        (Reason.NOT_SAMPLED, not is_sampled(facts.customer_id, rules.share)),
    )
    for reason, holds in checks:
        if holds:
            return Skip(reason)
    at = after_quiet(max(now, facts.resolved_at + delay_of(facts, rules)), rules.quiet, zone)
    expires_at = facts.resolved_at + EXPIRES_AFTER
    return Ask(str(name), at, expires_at) if at < expires_at else Skip(Reason.EXPIRED)


def instrument_for(facts: Facts, rules: Rules) -> str | None:
    """What the case is asked with; None: its flow, or the desk, is not asked about."""
    own = rules.flows.get(facts.flow or "", rules.instrument)
    return None if own is None and facts.flow in rules.flows else facts.chosen.get("instrument") or own


def delay_of(facts: Facts, rules: Rules) -> timedelta:
    """From resolution to the question: what the flow chose, else what the desk says."""
    chosen = facts.chosen.get("delay_s")
    return rules.delay if chosen is None else timedelta(seconds=float(chosen))


def is_tired(rules: Rules, past: Sequence[PastAsk], now: datetime) -> bool:
    """Whether the last `fatigue_after` invitations all stayed unanswered, and the latest is not too long ago."""
    if rules.fatigue_after <= 0:
        return False
    latest = sorted(past, key=lambda ask: ask.asked_at, reverse=True)[: rules.fatigue_after]
    silent = len(latest) == rules.fatigue_after and not any(ask.answered for ask in latest)
    return silent and now - latest[0].asked_at < rules.fatigue_for


def is_sampled(customer_id: str, share: float) -> bool:
    """Whether the customer belongs to the `share` (0…1) that is asked; who is in at one share is in at every higher."""
    place = int.from_bytes(hashlib.sha256(f"survey:{customer_id}".encode()).digest()[:8]) / 2**64
    return place < share


def may_edit(answered_at: datetime, now: datetime) -> bool:
    return now - answered_at <= EDIT_WINDOW


def rules_from(section: Mapping[str, Any] | None) -> Rules:
    """The rules of desk.yaml's `surveys:`; ValueError in one line names the key that is wrong.

    `{instrument: ces7, delay: 1m, quiet_hours: "21:00-08:00", throttle_days: 30, fatigue_after: 3, sample: 1.0,
    outcomes: {spam: false}, flows: {greeting: off, refund: csat5}, goal: false, review_url: https://…, nps: {every: 90d}}`;
    every key is optional, `instrument: off`, `quiet_hours: off`, `nps: off` are understood.
    """
    if section is None:
        return Rules()
    unknown = sorted(set(section) - set(_READERS))
    if unknown:
        raise ValueError(f'surveys: unknown key "{unknown[0]}"; known are {", ".join(_READERS)}')
    found: dict[str, Any] = {}
    for key, value in section.items():
        try:
            found.update(_READERS[key](value))
        except (TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"surveys.{key}: {error}") from None
    return Rules(**{**found, "outcomes": {**Rules().outcomes, **found.get("outcomes", {})}})


def duration(value: object) -> timedelta:
    """`30s`, `5m`, `2h`, `1d`, or a number of seconds. ValueError for anything else or below zero."""
    text = str(value).strip()
    unit = {"s": 1, "m": 60, "h": 3600, "d": 86400}.get(text[-1:])
    digits = text[:-1] if unit else text
    if not digits.isdecimal():
        raise ValueError(f'"{text}" is not a duration; write 30s, 5m, 2h or 1d')
    return timedelta(seconds=int(digits) * (unit or 1))


def _whole(value: object) -> int:
    if isinstance(value, bool) or not str(value).isdecimal():
        raise ValueError(f"{value} is not a whole number from 0 up")
    return int(str(value))


def _share(value: object) -> float:
    share = float(str(value))
    if not 0 <= share <= 1:
        raise ValueError(f"{value} is not between 0 and 1")
    return share


def _instrument(value: object) -> str | None:
    return None if value in {False, None, "off"} else instrument(str(value)).id


_READERS: Mapping[str, Any] = {
    "instrument": lambda value: {"instrument": _instrument(value)},
    "delay": lambda value: {"delay": duration(value)},
    "quiet_hours": lambda value: {"quiet": NEVER if value in {False, None} else quiet_of(str(value))},
    "throttle_days": lambda value: {"throttle": timedelta(days=_whole(value))},
    "fatigue_after": lambda value: {"fatigue_after": _whole(value)},
    "sample": lambda value: {"share": _share(value)},
    "outcomes": lambda value: {"outcomes": {str(name): bool(ask) for name, ask in value.items()}},
    "flows": lambda value: {"flows": {str(name): _instrument(one) for name, one in value.items()}},
    "goal": lambda value: {"goal": bool(value)},
    "review_url": lambda value: {"review_url": str(value) if value else None},
    "nps": lambda value: {"nps": relationship_from(value)},
}
