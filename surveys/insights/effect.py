"""Did it help? A metric before a change and after it, the same elsewhere, and how sure that is. Pure.

    share    of cases for which something holds     Newcombe's interval of the difference
    mean     of a score                             Welch's
    nps      promoters − detractors, in points      adjusted Wald, as the NPS's own interval (Rocks 2016)
    count    cases a week                           Welch's, on the weeks, their variance never taken below their mean (Poisson)

Elsewhere is where nothing was changed: what moved there would have moved here too, so the difference of the two differences is
what the change did (difference in differences). Its interval comes from the two intervals by MOVER (Zou & Donner 2008,
"Construction of confidence limits about effect measures"): limits at d ± √(…) of the distances to the limits of its parts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, TypeAlias

from bot.intervals import CONFIDENCE, Interval, Z, newcombe
from surveys.statistics import nps

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Numbers: TypeAlias = "Sequence[float] | NDArray[np.float64]"

POWER = 0.8
SMALLEST_SHARE = 0.05
"""A smaller difference of shares is not looked for when the cases needed are reckoned."""
SMALLEST_STEP = 0.25
"""… and of means, in standard deviations."""
MOST_NEEDED = 1_000_000


@dataclass(frozen=True, slots=True)
class Share:
    hits: int
    n: int

    @property
    def value(self) -> float | None:
        return self.hits / self.n if self.n else None


@dataclass(frozen=True, slots=True)
class Values:
    """Scores of cases (a mean), or cases by week (a count). A variance below `least` is not believed: two weeks of one case each
    do not tell that there never are two, or none, and of five scores that are all 7 the sixth may be a 6.
    """

    values: Numbers
    least: float = 0.0

    @property
    def n(self) -> int:
        return len(self.values)

    @property
    def value(self) -> float | None:
        return _mean(self.values) if self.n else None


def _mean(values: Numbers) -> float:
    import numpy as np

    return float(np.mean(values, dtype=np.float64))


def variance(side: Values) -> float:
    import numpy as np

    return max(side.least, float(np.var(side.values, ddof=1, dtype=np.float64)))


def one_step_off(n: int) -> float:
    """The variance of n equal scores and one more that is a step off: the least that is believed of n scores."""
    return 1 / (n + 1)


@dataclass(frozen=True, slots=True)
class Nps:
    promoters: int
    detractors: int
    n: int

    @property
    def value(self) -> float | None:
        return nps(self.promoters, self.detractors, self.n)


Sample: TypeAlias = Share | Values | Nps


@dataclass(frozen=True, slots=True)
class Difference:
    """after − before, in the metric's unit. `more_needed` is about how many more cases each side needs, where the interval
    holds 0; None where it does not, and where nobody could say.
    """

    before: float
    after: float
    n_before: int
    n_after: int
    value: float
    interval: Interval
    more_needed: int | None = None

    @property
    def is_shown(self) -> bool:
        """Whether there is evidence of an effect: the interval does not hold 0."""
        return self.interval.low > 0 or self.interval.high < 0


def difference(before: Sample, after: Sample) -> Difference | None:
    """What changed (after − before), with its interval; None where either side has too little for one.

    Raises TypeError for two kinds of samples.
    """
    first, second = before.value, after.value
    interval = _interval(before, after)
    if first is None or second is None or interval is None:
        return None
    found = Difference(first, second, before.n, after.n, second - first, interval)
    if found.is_shown:
        return found
    needed = cases_needed(before, after)
    more = max(1, needed - min(before.n, after.n)) if needed is not None else None
    return Difference(first, second, before.n, after.n, found.value, interval, more)


def against(here: Difference, elsewhere: Difference) -> Difference:
    """The difference in differences: what changed here beyond what changed elsewhere."""
    value = here.value - elsewhere.value
    low = value - math.hypot(here.value - here.interval.low, elsewhere.interval.high - elsewhere.value)
    high = value + math.hypot(here.interval.high - here.value, elsewhere.value - elsewhere.interval.low)
    made = Difference(here.before, here.after, here.n_before, here.n_after, value, Interval(low, high))
    if made.is_shown or value == 0:
        return made
    # An interval that is k times as wide as the difference needs k² times the cases.
    wide = max(value - low, high - value) / abs(value)
    least = min(here.n_before, here.n_after)
    more = min(MOST_NEEDED, math.ceil(round(least * (wide**2 - 1), 6)))
    return Difference(here.before, here.after, here.n_before, here.n_after, value, Interval(low, high), max(1, more))


def _interval(before: Sample, after: Sample) -> Interval | None:
    match before, after:
        case Share(), Share():
            return newcombe(before.hits, before.n, after.hits, after.n)
        case Values(), Values():
            return welch(before, after)
        case Nps(), Nps():
            return nps_difference(before, after)
    raise TypeError("before and after must be of one kind")


def welch(before: Values, after: Values) -> Interval | None:
    """Student's interval of mean after − mean before, the two spreads unequal (Welch 1947; degrees by Satterthwaite).

    None with fewer than two values on a side, and where none differs from another: then nobody can say how far they scatter.
    """
    if before.n < 2 or after.n < 2:
        return None
    from scipy.special import stdtrit

    parts = [variance(side) / side.n for side in (before, after)]
    gap, error = _mean(after.values) - _mean(before.values), sum(parts)
    if error == 0:
        return None
    degrees = error**2 / (parts[0] ** 2 / (before.n - 1) + parts[1] ** 2 / (after.n - 1))
    half = float(stdtrit(degrees, (1 + CONFIDENCE) / 2)) * math.sqrt(error)
    return Interval(gap - half, gap + half)


def nps_difference(before: Nps, after: Nps) -> Interval | None:
    """In points, −200…200: each side with three made-up answers added, ¾ of one at either end; their variances add up."""
    if not before.n or not after.n:
        return None
    middles, error = [], 0.0
    for side in (before, after):
        size = side.n + 3
        up, down = (side.promoters + 0.75) / size, (side.detractors + 0.75) / size
        middles.append(100 * (up - down))
        error += 100**2 * (up + down - (up - down) ** 2) / size
    gap, half = middles[1] - middles[0], Z * math.sqrt(error)
    return Interval(max(-200.0, gap - half), min(200.0, gap + half))


# ── how many cases it would take ───────────────────────────────────────────────────────────────────────────────────
def cases_needed(before: Sample, after: Sample) -> int | None:
    """About so many a side show a difference as large as the one seen (or the smallest worth it) with 80 % power."""
    match before, after:
        case Share(), Share():
            return shares_needed(*_apart(before.value or 0.0, after.value or 0.0))
        case Values(), Values() if before.n > 1 and after.n > 1:
            spread = math.sqrt((variance(before) + variance(after)) / 2)
            return means_needed(abs((after.value or 0.0) - (before.value or 0.0)), spread)
        case Nps(), Nps():
            spread = math.sqrt(sum(_nps_variance(side) for side in (before, after)) / 2)
            return means_needed(abs((after.value or 0.0) - (before.value or 0.0)), spread)
    return None


def shares_needed(first: float, second: float) -> int:
    """Cases a side for two different shares (Fleiss, Levin & Paik 2003, 4.2, without continuity): .80 → .90 takes 199."""
    middle = (first + second) / 2
    z_power = NormalDist().inv_cdf(POWER)
    pooled = Z * math.sqrt(2 * middle * (1 - middle))
    apart = z_power * math.sqrt(first * (1 - first) + second * (1 - second))
    return min(MOST_NEEDED, math.ceil((pooled + apart) ** 2 / (first - second) ** 2))


def means_needed(gap: float, spread: float) -> int | None:
    """Cases a side for two means `gap` apart, each with that standard deviation: 2·(z₁+z₂)²·s²/gap². None without spread."""
    if spread == 0:
        return None
    gap = max(gap, SMALLEST_STEP * spread)
    return min(MOST_NEEDED, math.ceil(2 * (Z + NormalDist().inv_cdf(POWER)) ** 2 * (spread / gap) ** 2))


def _apart(first: float, second: float) -> tuple[float, float]:
    """The two shares, at least SMALLEST_SHARE apart."""
    if abs(second - first) >= SMALLEST_SHARE:
        return first, second
    up = second > first or (second == first and first < 0.5)
    moved = first + SMALLEST_SHARE if up else first - SMALLEST_SHARE
    return (first, moved) if 0 <= moved <= 1 else (first, first - (moved - first))


def _nps_variance(side: Nps) -> float:
    up, down = side.promoters / side.n, side.detractors / side.n
    return 100**2 * (up + down - (up - down) ** 2)
