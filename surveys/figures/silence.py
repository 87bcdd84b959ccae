"""Those who answered beside those who stayed silent, and the score as it would be had all kinds of cases answered alike. Pure.

Standardised difference. Of a share d = (p₁ − p₀) ÷ √((p₁(1 − p₁) + p₀(1 − p₀)) ÷ 2), of a mean d = (x₁ − x₀) ÷
√((s₁² + s₀²) ÷ 2): Austin 2009, "Balance diagnostics for comparing the distribution of baseline covariates", Statistics in
Medicine 28. It does not grow with n as a test does; from 0.1 on a difference is worth a thought. Its interval is that of Hedges
and Olkin 1985, "Statistical Methods for Meta-Analysis": var d = (n₁ + n₀) ÷ (n₁·n₀) + d² ÷ (2·(n₁ + n₀)). Times are skewed, so
they are compared by their logarithms, and shown by their medians.

Post-stratified score. Σ W·ȳ over strata, W the stratum's part of all who were asked (delivered), ȳ its answers' mean; its
variance, given who answered, is Σ W²·s² ÷ n: Holt and Smith 1979, "Post stratification", JRSS A 142. A mean and an NPS get
Student's t with Satterthwaite's degrees of freedom; a share gets Wilson's interval at the effective number of answers
p(1 − p) ÷ variance (Franco, Little, Louis and Slud 2019, "Comparative study of confidence intervals for proportions in complex
sample surveys"), a stratum's s² from (hits + 1) ÷ (n + 2), so that ten who all agree are not taken for certain.

Strata are channel, outcome, and whether it took longer than the median. One of fewer than LEAST answers is joined with the other
small ones of its channel and outcome, else of its channel, else of all, else with the smallest that stands: nobody who was asked
is left out. Simulated coverage of nominal 95 %, where 20 to 50 % answer and the unhappy more often: 93–97 % for a share, 90–94 %
for a CES; the plain interval covers 85 % at 150 asked, 27 % at 1,500. It mends what these three explain, and nothing else: who is
silent out of anger about anything else still is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bot.intervals import Interval, Z, wilson_of
from surveys import statistics
from surveys.figures.shape import SHOWN_FROM, Compared, Silent, Weighted
from surveys.rollups.blocks import Table
from surveys.survey import INSTRUMENTS, Instrument, Measure

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

LEAST = 10
"""Answers in a stratum."""
LOOKED_AT = 50_000
"""Of so many questions the middle of the times is found, however many there are."""
BY = ("channel", "outcome", "ttr")
"""What strata are made by."""
COMPARED = ("channel", "team", "outcome", "topic")
ALWAYS_THERE = frozenset({"outcome"})
"""What each case that ended has: where it is missing we don't know it, and whose is not known is not compared."""
Cell = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Stratum:
    """So many were asked, and `n` answered; the sum of what they gave, as the figure counts it, and of its squares."""

    asked: int
    n: int = 0
    total: float = 0.0
    squares: float = 0.0

    def __add__(self, other: Stratum) -> Stratum:
        found = (self.n + other.n, self.total + other.total, self.squares + other.squares)
        return Stratum(self.asked + other.asked, *found)

    @property
    def mean(self) -> float:
        return self.total / self.n

    @property
    def variance(self) -> float:
        return max(0.0, self.squares - self.total * self.total / self.n) / (self.n - 1)


def heard(asks: Table, silent: Sequence[Silent], answered: Array, delivered: Array) -> tuple[Silent, ...]:
    """Each with the comparison and the weighted score; `answered` and `delivered` tell it of each row."""
    import numpy as np

    found = []
    for one in silent:
        mine = asks.codes["instrument"] == asks.names["instrument"].index(one.instrument)
        reached, gave = np.flatnonzero(mine & delivered), np.flatnonzero(mine & answered)
        enough = one.reached - one.answered >= SHOWN_FROM and one.answered >= SHOWN_FROM
        compared = tuple(_compared(asks, reached, gave)) if enough else ()
        asked = INSTRUMENTS[one.instrument]
        found.append(replace(one, compared=compared, weighted=weighted(asked, _strata(asks, asked, reached, gave))))
    return tuple(found)


# ── who answered ───────────────────────────────────────────────────────────────────────────────────────────────────
def _compared(asks: Table, reached: Array, gave: Array) -> Iterator[Compared]:
    """Of rows by their numbers: those that were delivered, and of them those that were answered."""
    import numpy as np

    for dimension in COMPARED:
        codes, texts = asks.codes[dimension], asks.names[dimension]
        each, theirs = (np.bincount(codes[rows], minlength=len(texts)).tolist() for rows in (reached, gave))
        if dimension in ALWAYS_THERE and "" in texts:
            each[texts.index("")] = theirs[texts.index("")] = 0
        n, m = sum(theirs), sum(each) - sum(theirs)
        if min(n, m) < SHOWN_FROM:
            continue
        for text, all_of, a in sorted(zip(texts, each, theirs, strict=True), key=lambda one: (-one[1], one[0])):
            if SHOWN_FROM <= all_of < n + m:
                b = all_of - a
                d = difference_of_shares(a, n, b, m)
                yield Compared(dimension, text or None, a, b, a / n, b / m, d, interval_of(d, n, m))
    kept = np.ones(asks.n, dtype=bool)
    kept[gave] = False
    took = [asks.numbers["ttr"][rows] for rows in (gave, reached[kept[reached]])]
    one, other = (values[~np.isnan(values)] for values in took)
    if min(len(one), len(other)) >= SHOWN_FROM:
        (mean, square), (their_mean, their_square) = (_mean_and_variance(np.log1p(values)) for values in (one, other))
        d = difference_of_means(mean, square, their_mean, their_square)
        middle, theirs = float(np.median(one)), float(np.median(other))
        yield Compared("ttr", None, len(one), len(other), middle, theirs, d, interval_of(d, len(one), len(other)))


def _mean_and_variance(values: Array) -> tuple[float, float]:
    return float(values.mean(dtype="float64")), float(values.var(ddof=1, dtype="float64"))


def difference_of_shares(a: int, n: int, b: int, m: int) -> float:
    """Of a/n − b/m, in pooled standard deviations; 0 where neither varies and both are the same, else infinite."""
    p, q = a / n, b / m
    return _standardised(p - q, (p * (1 - p) + q * (1 - q)) / 2)


def difference_of_means(mean: float, variance: float, other: float, other_variance: float) -> float:
    return _standardised(mean - other, (variance + other_variance) / 2)


def _standardised(difference: float, variance: float) -> float:
    if variance > 0:
        return difference / math.sqrt(variance)
    return 0.0 if difference == 0 else math.copysign(math.inf, difference)


def interval_of(d: float, n: int, m: int) -> Interval | None:
    """Of a standardised difference between `n` and `m`; None of an infinite one."""
    if math.isinf(d):
        return None
    half = Z * math.sqrt((n + m) / (n * m) + d * d / (2 * (n + m)))
    return Interval(d - half, d + half)


# ── the score of all ───────────────────────────────────────────────────────────────────────────────────────────────
def _strata(asks: Table, asked: Instrument, reached: Array, gave: Array) -> list[Stratum]:
    """Of the rows that were delivered; `gave` are those of them that were answered."""
    import numpy as np

    took = asks.numbers["ttr"]
    some = took[
        reached[:: max(1, len(reached) // LOOKED_AT)]
    ]  # where the middle is about; it need not be the very middle
    known = some[~np.isnan(some)]
    middle = np.median(known) if len(known) else 0.0
    outcomes = len(asks.names["outcome"])
    size = len(asks.names["channel"]) * outcomes * 3

    def cells(rows: Array) -> Array:
        longer = (took[rows] > middle).astype(np.int32)
        longer[np.isnan(took[rows])] = 2
        place = asks.codes["channel"][rows].astype(np.int32) * outcomes + asks.codes["outcome"][rows]
        return place * 3 + longer

    of, counted = cells(gave), _counts_as(asked, asks.numbers["score"][gave].astype(np.float64))
    sums = [np.bincount(of, weights, size).tolist() for weights in (None, counted, counted * counted)]
    return joined(
        {
            (at // 3 // outcomes, at // 3 % outcomes, at % 3): Stratum(n, int(many), total, squares)
            for at, (n, many, total, squares) in enumerate(
                zip(np.bincount(cells(reached), minlength=size).tolist(), *sums, strict=True)
            )
            if n
        }
    )


def _counts_as(asked: Instrument, scores: Array) -> Array:
    """What scores add to the mean that is the figure."""
    if asked.measure is Measure.MEAN:
        return scores
    good = (scores >= asked.good_from).astype(float)
    return good if asked.measure is Measure.SHARE else 100.0 * (good - (scores <= asked.detractor_to))


def joined(cells: Mapping[Cell, Stratum]) -> list[Stratum]:
    """Strata of at least LEAST answers each, made of cells from the finest down; [] where not even all of them have so many."""
    stands: list[Stratum] = []
    left = dict(cells)
    for depth in range(len(BY), -1, -1):
        pooled: dict[Cell, Stratum] = {}
        for cell, stratum in left.items():
            known = pooled.get(cell[:depth])
            pooled[cell[:depth]] = stratum if known is None else known + stratum
        stands += [stratum for stratum in pooled.values() if stratum.n >= LEAST]
        left = {cell: stratum for cell, stratum in pooled.items() if stratum.n < LEAST}
    if stands:
        smallest = min(range(len(stands)), key=lambda at: (stands[at].n, stands[at].asked))
        for stratum in left.values():
            stands[smallest] += stratum
    return stands


def weighted(asked: Instrument, strata: Sequence[Stratum]) -> Weighted | None:
    """The score as it would be had every stratum answered as often as any other. None of fewer than two strata."""
    if len(strata) < 2:
        return None
    total = sum(one.asked for one in strata)
    parts = [(one.asked / total, one) for one in strata]
    value = math.fsum(weight * one.mean for weight, one in parts)
    least = min(one.n for one in strata)
    if asked.measure is Measure.SHARE:
        return Weighted(value, _of_share(value, parts), len(strata), least)
    spread = [(weight * weight * one.variance / one.n, one.n) for weight, one in parts]
    variance = math.fsum(one for one, _ in spread)
    low, high = (asked.min, asked.max) if asked.measure is Measure.MEAN else (-100, 100)
    half = 0.0
    if variance > 0:
        freedom = variance**2 / math.fsum(one * one / (n - 1) for one, n in spread)
        half = statistics.t_quantile(freedom) * math.sqrt(variance)
    return Weighted(value, Interval(max(low, value - half), min(high, value + half)), len(strata), least)


def _of_share(value: float, parts: Sequence[tuple[float, Stratum]]) -> Interval:
    variance = 0.0
    for weight, one in parts:
        share = (one.total + 1) / (one.n + 2)
        variance += weight * weight * share * (1 - share) / one.n
    answers = float(sum(one.n for _, one in parts))
    likely = min(max(value, 1 / (answers + 2)), 1 - 1 / (answers + 2))
    return wilson_of(value, min(answers, likely * (1 - likely) / variance))
