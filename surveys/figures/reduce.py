"""Columns of numbers to one figure a group: sums for scores and rates, means of amounts, ranks of times. Pure.

Nothing is estimated that can be counted: medians and percentiles are those of all values.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bot.intervals import Interval, wilson
from surveys import statistics
from surveys.figures import ranks
from surveys.figures.catalogue import Kind, Metric
from surveys.figures.columns import Groups
from surveys.figures.shape import Figure, Place, Shown, is_shown
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


def _moments(spread: Mapping[float, int], n: int) -> tuple[float, float]:
    """Mean and standard deviation of scores that were given so often."""
    mean = math.fsum(value * times for value, times in spread.items()) / n
    squares = math.fsum(times * (value - mean) ** 2 for value, times in spread.items())
    return mean, math.sqrt(squares / (n - 1)) if n > 1 else 0.0


def rates(metric: Metric, hits: Sequence[int], trials: Sequence[int], groups: Groups) -> list[Figure]:
    """Hits ÷ trials in each group with any trial; the whole has a figure in any case."""
    found = []
    for place, h, n in zip(groups.places, hits, trials, strict=True):
        if n or not place:
            shown = is_shown(n, is_score=False)
            found.append(Figure(metric.id, place, n, h / n if n else None, wilson(h, n), shown))
    return found


def _there(values: Array, groups: Groups) -> tuple[Array, Groups]:
    """Without what is missing."""
    import numpy as np

    missing = np.isnan(values)
    if not missing.any():
        return values, groups
    rows = np.flatnonzero(~missing)
    return values[rows], groups.of_rows(rows)


def amounts(metric: Metric, values: Array, groups: Groups) -> list[Figure]:
    """Means of a column; NaN is missing."""
    import numpy as np

    run, of = _there(values, groups)
    centre = float(run.mean(dtype=np.float64)) if len(run) else 0.0  # squares of small numbers lose nothing
    apart = run.astype(np.float64) - centre
    sums, squares = of.sums(apart).tolist(), of.sums(apart * apart).tolist()
    found = []
    for place, n, total, square in zip(groups.places, of.counted(), sums, squares, strict=True):
        if n or not place:
            mean = centre + total / n if n else None
            deviation = math.sqrt(max(0.0, square - total * total / n) / (n - 1)) if n > 1 else 0.0
            interval = statistics.t_interval_of(n, mean, deviation) if n > 1 and mean is not None else None
            found.append(Figure(metric.id, place, n, mean, interval, is_shown(n, is_score=False)))
    return found


def times(metric: Metric, values: Array, groups: Groups, still: Sequence[int] | None = None) -> list[Figure]:
    """Medians and more of seconds; NaN is missing. `still[group]`: how many cases' clocks still run there."""
    run, of = _there(values, groups)
    ranked = ranks.ranked(run, of.of, of.count, _ranks)
    running = still if still is not None else [None] * groups.count
    found = []
    for place, (n, at), total, runs in zip(groups.places, ranked, of.sums(run).tolist(), running, strict=True):
        if n:
            found.append(_time(metric, place, n, at, total / n, runs))
        elif not place:
            found.append(Figure(metric.id, place, 0, still=runs))
    return found


def _ranks(n: int) -> list[int]:
    """Those that a median, its interval and a 90th percentile rest on."""
    rank = statistics.median_rank(n)
    middle, ninety = (statistics.rank_of(q, n) for q in (0.5, 0.9))
    found = {math.floor(middle), math.ceil(middle), math.floor(ninety), math.ceil(ninety)}
    return sorted(found | ({rank - 1, n - rank} if rank >= 1 else set()))


def _time(metric: Metric, place: Place, n: int, at: Mapping[int, float], mean: float, running: int | None) -> Figure:
    """Of a group's seconds, `at` some ranks."""
    rank = statistics.median_rank(n)
    interval = Interval(at[rank - 1], at[n - rank]) if rank >= 1 else None
    value, p90 = (
        statistics.between(at[math.floor(one)], at[math.ceil(one)], one)
        for one in (statistics.rank_of(0.5, n), statistics.rank_of(0.9, n))
    )
    shown = is_shown(n, is_score=False)
    return Figure(metric.id, place, n, value, interval, shown, mean=mean, p90=p90, still=running)


def shrunk(figures: Sequence[Figure], kind: Kind) -> list[float | None]:
    """Each figure's value as `statistics.shrink` draws it towards that of all; None where it may not be compared."""
    if kind is Kind.TIME or any(one.is_hidden for one in figures):
        usable = [one for one in figures if one.value is not None and kind is not Kind.TIME]
    else:
        usable = [one for one in figures if one.value is not None]
    if len(usable) < 2:
        return [None] * len(figures)
    within = _within(usable) if kind in {Kind.MEAN, Kind.AMOUNT} else 0.0
    drawn = statistics.shrink([(one.value or 0.0, _variance(one, kind, usable, within)) for one in usable])
    known = {id(one): value for one, value in zip(usable, drawn, strict=True)}
    return [known.get(id(one)) for one in figures]


def _within(figures: Sequence[Figure]) -> float:
    """The variance of single values about the mean of their own group, over all groups."""
    known = [(one.n - 1, _deviation(one) ** 2) for one in figures if one.interval is not None]
    return sum(freedom * square for freedom, square in known) / max(1, sum(freedom for freedom, _ in known))


def _deviation(figure: Figure) -> float:
    """Of single values, told back from the interval; of scores, whose interval is cut to their scale, by the scores."""
    if figure.spread is not None:
        return _moments(figure.spread, figure.n)[1]
    if figure.interval is None:
        return 0.0
    half = (figure.interval.high - figure.interval.low) / 2
    return half * math.sqrt(figure.n) / statistics.t_quantile(figure.n - 1)


def _variance(figure: Figure, kind: Kind, all_of_them: Sequence[Figure], within: float) -> float:
    """Of a figure's value. Of a share by the share of all, of a mean never less than what single values scatter `within` all
    groups: nobody is sure of their 100 %, or of their five equal scores, because they have only those.
    """
    n = max(figure.n, 1)
    if kind in {Kind.RATE, Kind.SHARE}:
        total = sum(one.n for one in all_of_them)
        share = sum((one.value or 0.0) * one.n for one in all_of_them) / total
        return max(share * (1 - share), 1e-9) / n
    if figure.interval is None:
        return math.inf
    half = (figure.interval.high - figure.interval.low) / 2
    return max((half / statistics.Z) ** 2, within / n, 1e-9)
