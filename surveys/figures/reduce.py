"""Columns of numbers to one figure a group: sums for scores, rates and amounts, sorted runs for times. Pure.

Nothing is estimated that can be counted: medians and percentiles are those of all values.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bot.intervals import Interval, wilson
from surveys import statistics
from surveys.figures.catalogue import Kind, Metric
from surveys.figures.columns import Groups
from surveys.figures.shape import Figure, Shown, is_shown
from surveys.survey import INSTRUMENTS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]


def scores(metric: Metric, given: Array, groups: Groups) -> list[Figure]:
    """Figures of an instrument's answers; `given[i]` is a score of group `groups.of[i]`. Groups without answers are left out."""
    import numpy as np

    asked = INSTRUMENTS[metric.id]
    values, places = np.unique(given, return_inverse=True)
    counted = np.bincount(groups.of * len(values) + places, minlength=groups.count * len(values))
    spreads = counted.reshape(groups.count, len(values))
    found = []
    for group, place in enumerate(groups.places):
        spread = {float(value): int(n) for value, n in zip(values, spreads[group], strict=True) if n}
        n = sum(spread.values())
        good = sum(n for value, n in spread.items() if value >= asked.good_from)
        shown = is_shown(n, is_score=True)
        if shown is Shown.HIDDEN:
            found.append(Figure(metric.id, place, n, shown=shown))
        elif n and metric.kind is Kind.NPS:
            bad = sum(n for value, n in spread.items() if value <= asked.detractor_to)
            interval = statistics.adjusted_wald_nps(good, bad, n)
            found.append(Figure(metric.id, place, n, statistics.nps(good, bad, n), interval, shown, spread=spread))
        elif n and metric.kind is Kind.SHARE:
            found.append(Figure(metric.id, place, n, good / n, wilson(good, n), shown, spread=spread))
        elif n:
            mean, deviation = _moments(spread, n)
            interval = statistics.t_interval_of(n, mean, deviation, asked.min, asked.max)
            part = {"share": good / n, "share_interval": wilson(good, n), "spread": spread}
            found.append(Figure(metric.id, place, n, mean, interval, shown, **part))  # type: ignore[arg-type]
    return found


def _moments(spread: dict[float, int], n: int) -> tuple[float, float]:
    """Mean and standard deviation of scores that were given so often."""
    mean = math.fsum(value * times for value, times in spread.items()) / n
    squares = math.fsum(times * (value - mean) ** 2 for value, times in spread.items())
    return mean, math.sqrt(squares / (n - 1)) if n > 1 else 0.0


def rates(metric: Metric, hits: Array, trials: Array, groups: Groups) -> list[Figure]:
    """Hits ÷ trials in each group with any trial; the whole has a figure in any case."""
    import numpy as np

    hit = np.bincount(groups.of, weights=hits, minlength=groups.count)
    tried = np.bincount(groups.of, weights=trials, minlength=groups.count)
    found = []
    for place, h, n in zip(groups.places, hit.astype(int).tolist(), tried.astype(int).tolist(), strict=True):
        if n or not place:
            shown = is_shown(n, is_score=False)
            found.append(Figure(metric.id, place, n, h / n if n else None, wilson(h, n), shown))
    return found


def amounts(metric: Metric, values: Array, groups: Groups) -> list[Figure]:
    """Means of a column; NaN is missing."""
    import numpy as np

    there = ~np.isnan(values)
    of, kept = groups.of[there], values[there].astype(np.float64)
    n = np.bincount(of, minlength=groups.count)
    means = np.bincount(of, weights=kept, minlength=groups.count) / np.maximum(n, 1)
    squares = np.bincount(of, weights=(kept - means[of]) ** 2, minlength=groups.count)
    found = []
    for place, many, mean, square in zip(groups.places, n.tolist(), means.tolist(), squares.tolist(), strict=True):
        if many or not place:
            interval = statistics.t_interval_of(many, mean, math.sqrt(square / (many - 1))) if many > 1 else None
            shown = is_shown(many, is_score=False)
            found.append(Figure(metric.id, place, many, mean if many else None, interval, shown))
    return found


def times(metric: Metric, values: Array, groups: Groups, still: Array | None = None) -> list[Figure]:
    """Medians and more of seconds; NaN is missing. `still[group]`: how many cases' clocks still run there."""
    import numpy as np

    there = ~np.isnan(values)
    runs = _sorted_runs(groups.of[there], values[there], groups.count)
    found = []
    for group, place in enumerate(groups.places):
        run = runs[group]
        n = len(run)
        running = int(still[group]) if still is not None else None
        if n:
            middle, ninety = (float(one) for one in np.quantile(run, [0.5, 0.9]))
            shown = is_shown(n, is_score=False)
            interval = _median_interval(run)
            mean = float(run.mean(dtype=np.float64))
            found.append(Figure(metric.id, place, n, middle, interval, shown, mean=mean, p90=ninety, still=running))
        elif not place:
            found.append(Figure(metric.id, place, 0, still=running))
    return found


def _sorted_runs(of: Array, values: Array, count: int) -> list[Array]:
    """Each group's values in order, in double precision. Seconds are never below zero: their bits are in their order, too."""
    import numpy as np

    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    keys = (of.astype(np.uint64) << np.uint64(32)) | bits
    keys.sort()
    ordered = (keys & np.uint64(0xFFFFFFFF)).astype(np.uint32).view(np.float32).astype(np.float64)
    ends = np.cumsum(np.bincount(of, minlength=count))
    return np.split(ordered, ends[:-1])


def _median_interval(run: Array) -> Interval | None:
    rank = statistics.median_rank(len(run))
    return Interval(float(run[rank - 1]), float(run[len(run) - rank])) if rank >= 1 else None


def shrunk(figures: Sequence[Figure], kind: Kind) -> list[float | None]:
    """Each figure's value as `statistics.shrink` draws it towards that of all; None where it may not be compared."""
    if kind is Kind.TIME or any(one.is_hidden for one in figures):
        usable = [one for one in figures if one.value is not None and kind is not Kind.TIME]
    else:
        usable = [one for one in figures if one.value is not None]
    if len(usable) < 2:
        return [None] * len(figures)
    drawn = statistics.shrink([(one.value or 0.0, _variance(one, kind, usable)) for one in usable])
    known = {id(one): value for one, value in zip(usable, drawn, strict=True)}
    return [known.get(id(one)) for one in figures]


def _variance(figure: Figure, kind: Kind, all_of_them: Sequence[Figure]) -> float:
    """Of a figure's value. Of a share by the share of all: nobody is sure of their 100 % because they have only those."""
    n = max(figure.n, 1)
    if kind in {Kind.RATE, Kind.SHARE}:
        total = sum(one.n for one in all_of_them)
        share = sum((one.value or 0.0) * one.n for one in all_of_them) / total
        return max(share * (1 - share), 1e-9) / n
    if figure.interval is None:
        return math.inf
    half = (figure.interval.high - figure.interval.low) / 2
    return max((half / statistics.Z) ** 2, 1e-9)
