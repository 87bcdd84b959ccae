"""Who left. Pure.

Churn needs to be told from outside: lost in a period ÷ active at its start, with Wilson's interval. Where there is a guess of who
may leave (`risk.py`), it is held against what came of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bot.intervals import CONFIDENCE, Interval, newcombe, wilson

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

ACTIVE_MONTHS = 12
"""Who came in so many months before a period counts as active at its start, until they are told to have left."""
LEAST_PERIODS = 4
LEAST_KNOWN = 5
"""Of so many of those who left, and of those who stayed, it has to be known what they are worth, or of all."""


@dataclass(frozen=True, slots=True)
class Period:
    """Lost and active of one period. `value` is the sum of what `value_known` of the active are worth, `value_lost` the part of
    those who left; `value_stayed` of those known stayed.
    """

    name: str
    active: int
    lost: int
    value: float = 0.0
    value_lost: float = 0.0
    value_known: int = 0
    value_stayed: int = 0

    @property
    def rate(self) -> float | None:
        return self.lost / self.active if self.active else None

    @property
    def interval(self) -> Interval | None:
        return wilson(self.lost, self.active)

    @property
    def value_rate(self) -> float | None:
        """Lost value ÷ value. Those of whom nothing is known are worth the mean of the known, apart for who left and who stayed:
        what somebody is worth is told far more often when they leave. None where of either too few are known.
        """
        stayed, left_known = self.active - self.lost, self.value_known - self.value_stayed
        if left_known < min(LEAST_KNOWN, self.lost) or self.value_stayed < min(LEAST_KNOWN, stayed):
            return None
        lost = self.lost * self.value_lost / max(1, left_known)
        whole = lost + stayed * (self.value - self.value_lost) / max(1, self.value_stayed)
        return lost / whole if whole > 0 else None


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


def check(at_risk: Array, left: Array) -> Check:
    """Of active customers: who was at risk, and who was lost; two masks."""
    lost = int((at_risk & left).sum())
    return Check(int(at_risk.sum()), lost, int((~at_risk).sum()), int(left.sum()) - lost)
