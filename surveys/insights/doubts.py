"""What else may have moved a figure between before and after: to be read before an effect is believed. Pure.

Each doubt is a fact about the data, never a verdict; the page shows them beside the effect.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from statistics import fmean, stdev

from bot.intervals import newcombe

MIX_CHANCE = 0.01
"""Mixes that differ more than chance does in 99 of 100."""
LEAST_IN_MIX = 30
FAR = 1.5
"""Standard deviations by which the last week before was worse than those before it."""
LEAST_WEEKS = 5


class Doubt(StrEnum):
    SEASON = "season"
    MIX = "mix"
    REGRESSION = "regression"
    RESPONSE_RATE = "response_rate"
    OVERLAP = "overlap"
    CHOSEN_LATE = "chosen_late"


@dataclass(frozen=True, slots=True)
class Side:
    """One side of the change: how many cases of each channel and topic; how many surveys were delivered and answered."""

    mix: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    delivered: int = 0
    answered: int = 0


def doubts(
    before: Side,
    after: Side,
    *,
    weeks_before: Sequence[float] = (),
    more_is_better: bool = True,
    by_survey: bool = False,
    moved_last_year: bool = False,
    overlaps: bool = False,
    chosen_late: bool = False,
) -> tuple[Doubt, ...]:
    """Those that hold, in the order of their names. `weeks_before` is the metric by week, oldest first."""
    checks = (
        (Doubt.SEASON, moved_last_year),
        (Doubt.MIX, any(mix_differs(before.mix[name], after.mix.get(name, {})) for name in before.mix)),
        (Doubt.REGRESSION, was_worst_last(weeks_before, more_is_better=more_is_better)),
        (Doubt.RESPONSE_RATE, by_survey and response_differs(before, after)),
        (Doubt.OVERLAP, overlaps),
        (Doubt.CHOSEN_LATE, chosen_late),
    )
    return tuple(doubt for doubt, holds in checks if holds)


def mix_differs(before: Mapping[str, int], after: Mapping[str, int]) -> bool:
    """Pearson's χ² test of homogeneity; names of fewer than five expected cases are taken together."""
    sizes = sum(before.values()), sum(after.values())
    if min(sizes) < LEAST_IN_MIX:
        return False
    share = min(sizes) / sum(sizes)
    names = sorted({*before, *after})
    rare = [name for name in names if (before.get(name, 0) + after.get(name, 0)) * share < 5]
    cells = [(before.get(name, 0), after.get(name, 0)) for name in names if name not in rare]
    if rare:
        cells.append((sum(before.get(name, 0) for name in rare), sum(after.get(name, 0) for name in rare)))
    cells = [cell for cell in cells if sum(cell)]
    if len(cells) < 2:
        return False
    from scipy.special import chdtrc

    total = sum(sizes)
    off = sum(
        (cell[side] - sum(cell) * size / total) ** 2 / (sum(cell) * size / total)
        for cell in cells
        for side, size in enumerate(sizes)
    )
    return bool(chdtrc(len(cells) - 1, off) < MIX_CHANCE)


def was_worst_last(weeks: Sequence[float], *, more_is_better: bool) -> bool:
    """Regression to the mean: something was mended because its last week was bad, and would have come back by itself."""
    if len(weeks) < LEAST_WEEKS:
        return False
    earlier, last = weeks[:-1], weeks[-1]
    spread = stdev(earlier)
    far = (fmean(earlier) - last) * (1 if more_is_better else -1)
    return spread > 0 and far > FAR * spread


def response_differs(before: Side, after: Side) -> bool:
    interval = newcombe(before.answered, before.delivered, after.answered, after.delivered)
    return interval is not None and (interval.low > 0 or interval.high < 0)


def last_year(day: date) -> date:
    """The same weekday a year before: 52 weeks."""
    return day - timedelta(weeks=52)


def overlap(first: tuple[date, int], second: tuple[date, int]) -> bool:
    """Whether two changes, each (its day, the days compared), lie in each other's spans."""
    gap = abs((first[0] - second[0]).days)
    return gap < max(first[1], second[1])


def scopes_meet(first: Mapping[str, str], second: Mapping[str, str]) -> bool:
    """Whether there can be a case in both scopes: they name nothing different under the same key."""
    return all(second.get(key, value) == value for key, value in first.items())
