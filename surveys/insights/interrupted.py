"""A break in a series of weeks: interrupted time series by segmented regression. Pure.

y = a + b·week + c·after + d·(weeks since) (Wagner et al. 2002, "Segmented regression analysis of interrupted time series
studies"), fitted by least squares. What one week leaves over reaches into the next, so the errors are Newey & West's (1987)
with one lag, and the interval Student's with n−4 degrees of freedom. Fewer than LEAST weeks on either side say nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bot.intervals import CONFIDENCE, Interval

LEAST = 8


@dataclass(frozen=True, slots=True)
class Break:
    """`level`: the step at the change, beyond where the line was going; `slope`: what the change did to its slope a week."""

    weeks_before: int
    weeks_after: int
    level: float
    level_interval: Interval
    slope: float
    slope_interval: Interval

    @property
    def is_shown(self) -> bool:
        """Whether there is evidence of a step."""
        return self.level_interval.low > 0 or self.level_interval.high < 0


def interrupted(before: Sequence[float], after: Sequence[float]) -> Break | None:
    """The break between two runs of weeks; None where either has fewer than LEAST."""
    if len(before) < LEAST or len(after) < LEAST:
        return None
    import numpy as np
    from scipy.special import stdtrit

    n, first = len(before) + len(after), len(before)
    week = np.arange(n, dtype=float)
    since = (week >= first).astype(float)
    design = np.column_stack([np.ones(n), week, since, since * (week - first)])
    values = np.asarray([*before, *after], float)
    inverse = np.linalg.inv(design.T @ design)
    found = inverse @ design.T @ values
    scores = design * (values - design @ found)[:, None]
    across = scores[1:].T @ scores[:-1]
    middle = scores.T @ scores + 0.5 * (across + across.T)  # Bartlett's weight of lag 1: 1 − 1/2
    errors = np.sqrt(np.clip(np.diag(inverse @ middle @ inverse) * n / (n - 4), 0, None))
    reach = float(stdtrit(n - 4, (1 + CONFIDENCE) / 2))

    def interval(at: int) -> Interval:
        half = reach * float(errors[at])
        return Interval(float(found[at]) - half, float(found[at]) + half)

    level, slope = float(found[2]), float(found[3])
    if not math.isfinite(level):
        return None
    return Break(first, n - first, level, interval(2), slope, interval(3))
