"""Recurring issues: how often a topic comes up in a week, and when that is more than chance. Pure.

A week is held against the weeks before it. Counts of cases scatter more than Poisson says (an invoice run, a rainy
Monday), so the variance of the weeks before is estimated, never taken below the mean: with mean m over n weeks and
dispersion φ the next count has the variance φ·m·(1 + 1/n), the last term for not knowing m. Its tail is that of the
negative binomial with this mean and variance (Ver Hoef & Boveng 2007, "Quasi-Poisson vs. negative binomial regression").

Many topics are looked at, so the week's p-values are adjusted (Benjamini & Hochberg 1995). Where nothing is the matter, a
share of ALARM_RATE of the weeks has a false alarm, however many topics there are: one in ten years.

A week that is not over yet is looked at as it is. Its count only grows, so looking every hour alarms no more often than
looking once at its end.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, variance

ALARM_RATE = 0.002
"""q-values up to this are alarms: 52 weeks × 0.002 is a false alarm in ten years."""
LEAST_CASES = 5
LEAST_WEEKS = 6
"""So many weeks before it are needed; with fewer nobody knows how the topic scatters."""
LOOK_BACK = 26
COMMON = 24
"""Weeks that all topics together count for, when a topic's dispersion is estimated."""


@dataclass(frozen=True, slots=True)
class Spike:
    """One topic in one week: `cases` against `expected`. `p` and its adjusted `q` are chances, 0…1."""

    topic: str
    cases: int
    expected: float
    p: float
    q: float

    @property
    def is_alarm(self) -> bool:
        return self.q <= ALARM_RATE and self.cases >= LEAST_CASES


def look(counts: Mapping[str, Sequence[int]], left_out: Mapping[str, set[int]] | None = None) -> list[Spike]:
    """Every topic's last week against its weeks before, the least likely first.

    `counts` holds cases by week, oldest first, all topics over the same weeks; `left_out` places of weeks that had an
    alarm already: a spike must not hide the next one. Topics with too few weeks before are not looked at.
    """
    looked: list[tuple[str, int, list[int]]] = []
    for topic, weeks in sorted(counts.items()):
        skipped = (left_out or {}).get(topic, set())
        before = [count for place, count in enumerate(weeks[:-1]) if place not in skipped][-LOOK_BACK:]
        if len(before) >= LEAST_WEEKS:
            looked.append((topic, weeks[-1], before))
    spreads = dispersions([before for *_, before in looked])
    found = [(topic, n, *chance(n, before, spread)) for (topic, n, before), spread in zip(looked, spreads, strict=True)]
    adjusted = benjamini_hochberg([p for *_, p in found])
    spikes = [Spike(topic, n, expected, p, q) for (topic, n, expected, p), q in zip(found, adjusted, strict=True)]
    return sorted(spikes, key=lambda one: (one.p, one.topic))


def dispersions(series: Sequence[Sequence[int]]) -> list[float]:
    """φ of each topic: variance ÷ mean of its weeks, drawn towards that of all topics together, never below 1.

    A dozen weeks tell little of how one topic scatters; all topics together tell more, as if it were so many weeks of it.
    """
    own = [(len(one) - 1, variance(one) / fmean(one)) if sum(one) else (0, 1.0) for one in series]
    weight = sum(degrees for degrees, _ in own)
    common = sum(degrees * spread for degrees, spread in own) / weight if weight else 1.0
    return [max(1.0, (degrees * spread + COMMON * common) / (degrees + COMMON)) for degrees, spread in own]


def chance(count: int, before: Sequence[int], spread: float = 1.0) -> tuple[float, float]:
    """(what was to be expected, the chance of `count` or more), from the weeks before and their dispersion φ.

    Half a case is added to their sum (Jeffreys), so that a topic that never came up has an expectation, too.
    """
    n = len(before)
    mean = (sum(before) + 0.5) / n
    return mean, tail(count, mean, max(1.0, spread) * mean * (1 + 1 / n))


def tail(count: int, mean: float, spread: float) -> float:
    """P(X ≥ count) for a negative binomial of that mean and variance (`spread` > `mean`)."""
    if count <= 0:
        return 1.0
    from scipy.special import betainc

    size, success = mean * mean / (spread - mean), mean / spread
    return float(betainc(count, size, 1 - success))


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """The adjusted p-values (q), in the order given: who takes all with q ≤ α is wrong in a share of at most α of them."""
    n = len(p_values)
    ranked = sorted(range(n), key=lambda place: p_values[place], reverse=True)
    adjusted, least = [0.0] * n, 1.0
    for passed, place in enumerate(ranked):
        least = min(least, p_values[place] * n / (n - passed))
        adjusted[place] = least
    return adjusted


def ratio(spike: Spike) -> float:
    """How many times the usual; infinite where nothing was usual."""
    return spike.cases / spike.expected if spike.expected else math.inf
