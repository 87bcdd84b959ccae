"""What an improvement returned: (what it gained − what it cost) ÷ what it cost, as an interval. Pure.

A gain is units × what a unit is worth: contacts that did not come, or cases that went well beyond what was to be expected. The
cases before and after are drawn again with replacement (Efron's percentile bootstrap), by seed. Where all of them are alike all
draws would be so, too: then they are drawn as if half a case more had gone well and half a one badly, scores by the variance that
they may have.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.intervals import CONFIDENCE, Interval
from surveys.insights.effect import Nps, Sample, Share, Values, variance

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DRAWS = 2000
SEED = 1


MOST = 1000
"""Of more values than this bunches are drawn: so many, of values that chance brought together. Their means scatter as much."""


@dataclass(frozen=True, slots=True)
class Return:
    """`units` gained since the change, `roi` as a share of the cost: 0.5 is half of it on top. Intervals of 95 %."""

    units: float
    units_interval: Interval
    gain: float
    roi: float
    interval: Interval

    @property
    def is_shown(self) -> bool:
        return self.interval.low > 0 or self.interval.high < 0


def payback(
    before: Sample, after: Sample, cost: float, unit_value: float, *, fewer_is_better: bool, seed: int = SEED
) -> Return | None:
    """None without a cost, without cases on a side, and for an NPS, whose points nobody can count as units."""
    if cost <= 0 or before.n < 2 or after.n < 2 or isinstance(before, Nps) or isinstance(after, Nps):
        return None
    import numpy as np

    random = np.random.default_rng(seed)
    if isinstance(before, Share) and isinstance(after, Share):
        first, second = (random.binomial(side.n, _chance(side), DRAWS) / side.n for side in (before, after))
    elif isinstance(before, Values) and isinstance(after, Values):
        first, second = (_means(side, random) for side in (before, after))
    else:
        raise TypeError("before and after must be of one kind")
    sign = -1.0 if fewer_is_better else 1.0
    drawn = sign * (second - first) * after.n
    units = sign * ((after.value or 0.0) - (before.value or 0.0)) * after.n
    low, high = (float(one) for one in np.quantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]))

    def roi(of: float) -> float:
        return (of * unit_value - cost) / cost

    ends = sorted((roi(low), roi(high)))
    return Return(units, Interval(low, high), units * unit_value, roi(units), Interval(ends[0], ends[1]))


def _chance(side: Share) -> float:
    """That one of these cases is one for which it holds."""
    return side.hits / side.n if 0 < side.hits < side.n else (side.hits + 0.5) / (side.n + 1)


def _means(side: Values, random: np.random.Generator) -> NDArray[np.float64]:
    """The means of DRAWS samples, with replacement, as large as this one."""
    import numpy as np

    values = np.asarray(side.values, dtype=float)
    if float(np.ptp(values)) == 0:
        return random.normal(values[0], math.sqrt(variance(side) / side.n), DRAWS)
    if len(values) > MOST:
        values = np.array([bunch.mean() for bunch in np.array_split(random.permutation(values), MOST)])
    means: NDArray[np.float64] = random.choice(values, (DRAWS, len(values))).mean(axis=1)
    return means
