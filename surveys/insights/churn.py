"""Who may leave, and who left. Pure.

*Risk* is a guess from what the house sees, and is called risk wherever it is shown: opted out, a bad score last, the last case
unsolved, three contacts on one topic, silence after a bad case. *Churn* needs to be told from outside: lost in a period ÷
active at its start, with Wilson's interval. Where both are there, the guess is held against what came of it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from bot.intervals import CONFIDENCE, Interval, newcombe, wilson

SILENCE = timedelta(days=90)
"""Without a word after a bad case."""
SAME_TOPIC = 3
"""Contacts on one topic within SAME_TOPIC_WITHIN."""
SAME_TOPIC_WITHIN = timedelta(days=90)
ACTIVE_WITHIN = timedelta(days=365)
"""Who wrote within this time before a period counts as active at its start, until they are told to have left."""
BAD_OUTCOMES = frozenset({"no_solution", "abandoned"})
LEAST_PERIODS = 4


class Sign(StrEnum):
    """Why somebody is at risk."""

    OPTED_OUT = "opted_out"
    DETRACTOR = "detractor"
    UNSOLVED = "unsolved"
    SAME_TOPIC = "same_topic"
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class Contact:
    """One case of a customer, as far as risk needs it. `bad`: unsolved, or scored so."""

    at: datetime
    topic: str | None
    unsolved: bool
    detractor: bool | None  # None: not asked or not answered


@dataclass(frozen=True, slots=True)
class Known:
    """What the house knows of a customer: contacts, oldest first, and when they wrote last."""

    customer_id: str
    opted_out: bool
    contacts: Sequence[Contact]
    last_at: datetime | None


def signs(who: Known, now: datetime) -> tuple[Sign, ...]:
    """The signs of risk, in the order of their names above."""
    past = [one for one in who.contacts if one.at <= now]
    scored = [one for one in past if one.detractor is not None]
    recent: dict[str, int] = {}
    for one in past:
        if one.topic and now - one.at <= SAME_TOPIC_WITHIN:
            recent[one.topic] = recent.get(one.topic, 0) + 1
    last = past[-1] if past else None
    bad = last is not None and (last.unsolved or bool(last.detractor))
    checks = (
        (Sign.OPTED_OUT, who.opted_out),
        (Sign.DETRACTOR, bool(scored and scored[-1].detractor)),
        (Sign.UNSOLVED, last is not None and last.unsolved),
        (Sign.SAME_TOPIC, any(count >= SAME_TOPIC for count in recent.values())),
        (Sign.SILENT, bad and who.last_at is not None and now - who.last_at >= SILENCE),
    )
    return tuple(sign for sign, holds in checks if holds)


# ── the rate, where another system tells of leaving ────────────────────────────────────────────────────────────────
@dataclass(frozen=True, slots=True)
class Period:
    """Lost and active of one period; `value_lost` ÷ `value` weighs customers by what they are worth, where that is known."""

    name: str
    active: int
    lost: int
    value: float = 0.0
    value_lost: float = 0.0

    @property
    def rate(self) -> float | None:
        return self.lost / self.active if self.active else None

    @property
    def interval(self) -> Interval | None:
        return wilson(self.lost, self.active)

    @property
    def value_rate(self) -> float | None:
        return self.value_lost / self.value if self.value else None


@dataclass(frozen=True, slots=True)
class Trend:
    """The change of the rate from one period to the next, as a share; `word` is rising, falling, or None: nothing shows."""

    slope: float
    interval: Interval
    word: str | None


def trend(periods: Sequence[Period]) -> Trend | None:
    """The weighted least squares line through the rates; None with fewer than LEAST_PERIODS or where nobody left.

    Weights are active ÷ (p·(1−p)) with p over all periods, so that a small period counts little; the residuals' spread
    (never taken below the binomial's) widens Student's interval with k−2 degrees of freedom.
    """
    told = [one for one in periods if one.active]
    lost, active = sum(one.lost for one in told), sum(one.active for one in told)
    if len(told) < LEAST_PERIODS or not 0 < lost < active:
        return None
    from scipy.special import stdtrit

    share = lost / active
    weights = [one.active / (share * (1 - share)) for one in told]
    places, rates = [float(place) for place in range(len(told))], [one.lost / one.active for one in told]
    middle = _mean(places, weights)
    level = _mean(rates, weights)
    width = sum(w * (x - middle) ** 2 for w, x in zip(weights, places, strict=True))
    slope = sum(w * (x - middle) * (y - level) for w, x, y in zip(weights, places, rates, strict=True)) / width
    rest = sum(w * (y - level - slope * (x - middle)) ** 2 for w, x, y in zip(weights, places, rates, strict=True)) / (
        len(told) - 2
    )
    half = float(stdtrit(len(told) - 2, (1 + CONFIDENCE) / 2)) * math.sqrt(max(1.0, rest) / width)
    interval = Interval(slope - half, slope + half)
    word = "rising" if interval.low > 0 else "falling" if interval.high < 0 else None
    return Trend(slope, interval, word)


def _mean(values: Sequence[float], weights: Sequence[float]) -> float:
    return sum(w * x for w, x in zip(weights, values, strict=True)) / sum(weights)


@dataclass(frozen=True, slots=True)
class Check:
    """Of those who were at risk at the start of a period and of the others: how many left. `interval` is of the difference."""

    at_risk: int
    at_risk_lost: int
    others: int
    others_lost: int

    @property
    def interval(self) -> Interval | None:
        return newcombe(self.others_lost, self.others, self.at_risk_lost, self.at_risk)

    @property
    def holds(self) -> bool:
        """Whether those at risk really leave more often."""
        return self.interval is not None and self.interval.low > 0


def check(flagged: Mapping[str, bool], left: set[str]) -> Check:
    """`flagged` says of each active customer whether they were at risk; `left` who was lost."""
    risky = {who for who, flag in flagged.items() if flag}
    safe = set(flagged) - risky
    return Check(len(risky), len(risky & left), len(safe), len(safe & left))
