"""How sure a figure is: 95 % intervals, each chosen because it covers what it promises at small n.

What lives here: numbers in, numbers out. What it must not know: instruments, cases, rows, time.

Textbook Wald intervals are not used anywhere: at a share of 0.9 and n = 10 they cover 66 % where they promise
95 %. Simulated coverage of what is used instead, nominal 95 %: Wilson 93–95 %, adjusted Wald for NPS 93–96 %,
t for a mean of 1–7 scores 88–95 %, order statistics for a median 95–98 %, Newcombe for a difference 95–97 %.
A mean of skewed times has no interval here: none covers (0.75 at n = 10), so show the median first.

Every interval is None where there is nothing to say (n = 0, or n = 1 for a spread). Shares are 0…1, NPS is
−100…100. scipy is imported only where its t quantile is needed: the import is heavier than all the rest.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from statistics import fmean, stdev

from bot.intervals import CONFIDENCE, Interval, Z, need_counts, newcombe, wilson

__all__ = [
    "CONFIDENCE",
    "Interval",
    "Z",
    "adjusted_wald_nps",
    "between",
    "median",
    "median_interval",
    "median_rank",
    "newcombe",
    "non_response_bounds",
    "nps",
    "p90",
    "quantile",
    "rank_of",
    "shrink",
    "t_interval",
    "t_interval_of",
    "t_quantile",
    "wilson",
]

EXACT_RANKS_UP_TO = 1000
"""Above this many values the normal approximation of the binomial rank is off by at most one rank."""


def nps(promoters: int, detractors: int, n: int) -> float | None:
    """100·(P−D)/n, in −100…100. None for n = 0."""
    need_counts(promoters + detractors, n)
    return 100 * (promoters - detractors) / n if n else None


def adjusted_wald_nps(promoters: int, detractors: int, n: int) -> Interval | None:
    """The NPS interval with three made-up answers added, ¾ of one at either end (Rocks 2016). None for n = 0."""
    need_counts(promoters + detractors, n)
    if n == 0:
        return None
    size = n + 3
    up, down = (promoters + 0.75) / size, (detractors + 0.75) / size
    half = Z * math.sqrt((up + down - (up - down) ** 2) / size)
    return Interval(max(-100.0, 100 * (up - down - half)), min(100.0, 100 * (up - down + half)))


def t_interval(values: Sequence[float], low: float = -math.inf, high: float = math.inf) -> Interval | None:
    """Student's interval of a mean, cut to the scale `low`…`high`. None for fewer than two values.

    Where all values are equal it has no width: the scores say nothing of their spread, so read n beside it.
    """
    if len(values) < 2:
        return None
    return t_interval_of(len(values), fmean(values), stdev(values), low, high)


def t_interval_of(
    n: int, mean: float, deviation: float, low: float = -math.inf, high: float = math.inf
) -> Interval | None:
    """As `t_interval`, of n values that have this mean and standard deviation."""
    if n < 2:
        return None
    half = t_quantile(n - 1) * deviation / math.sqrt(n)
    return Interval(max(low, mean - half), min(high, mean + half))


def t_quantile(freedom: float) -> float:
    """How many standard errors Student's interval reaches to either side, at so many degrees of freedom, whole or not."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, (1 + CONFIDENCE) / 2))


def quantile(values: Sequence[float], q: float) -> float | None:
    """The q-quantile by linear interpolation between ranks, as PostgreSQL's `percentile_cont`. None for no values."""
    if not values:
        return None
    ordered, rank = sorted(values), rank_of(q, len(values))
    return between(ordered[math.floor(rank)], ordered[math.ceil(rank)], rank)


def rank_of(q: float, n: int) -> float:
    """Where the q-quantile of n values lies, from 0: on a value, or between two."""
    if not 0 <= q <= 1:
        raise ValueError(f"a quantile lies between 0 and 1, not {q}")
    return q * (n - 1)


def between(below: float, above: float, rank: float) -> float:
    """What lies at a rank between the values at the whole ranks below and above it."""
    return below + (above - below) * (rank - math.floor(rank))


def median(values: Sequence[float]) -> float | None:
    return quantile(values, 0.5)


def p90(values: Sequence[float]) -> float | None:
    return quantile(values, 0.9)


def median_interval(values: Sequence[float]) -> Interval | None:
    """The distribution-free interval of a median: the r-th smallest and r-th largest value.

    r is the highest rank that still covers 95 %. None for fewer than six values: no pair of ranks covers then.
    """
    n = len(values)
    rank = median_rank(n)
    if rank < 1:
        return None
    ordered = sorted(values)
    return Interval(ordered[rank - 1], ordered[n - rank])


@lru_cache(maxsize=4096)
def median_rank(n: int) -> int:
    """The highest r with P(Binomial(n, ½) < r) ≤ 2.5 %; 0 where even r = 1 leaves more outside."""
    if n > EXACT_RANKS_UP_TO:
        return math.floor(n / 2 - Z * math.sqrt(n) / 2)
    tail, rank, limit = 0, 0, (1 - CONFIDENCE) / 2 * 2**n
    while rank < n:
        tail += math.comb(n, rank)
        if tail > limit:
            break
        rank += 1
    return rank


def non_response_bounds(share: float, response_rate: float) -> Interval:
    """The share among all who were asked, were the silent all unhappy, or all happy: [p·r, p·r+1−r]."""
    if not (0 <= share <= 1 and 0 <= response_rate <= 1):
        raise ValueError(f"a share and a response rate lie between 0 and 1, not {share} and {response_rate}")
    return Interval(share * response_rate, min(1.0, share * response_rate + 1 - response_rate))


def shrink(groups: Sequence[tuple[float, float]]) -> list[float]:
    """Each group's value drawn towards the mean of all, the more the less sure it is: (value, variance of it) in.

    Empirical Bayes, the variance τ² between groups by DerSimonian and Laird (1986): (τ²·value + variance·mean) ÷ (τ² + variance).
    Where groups differ no more than chance lets them, all come out equal: there is nothing to compare. ValueError for a variance
    that is not above zero.
    """
    if any(variance <= 0 for _, variance in groups):
        raise ValueError("a variance is above zero")
    sure = [(value, 1 / variance) for value, variance in groups]  # an infinite variance has no weight
    total = math.fsum(weight for _, weight in sure)
    if total == 0:
        return [fmean(value for value, _ in groups)] * len(groups)
    centre = math.fsum(value * weight for value, weight in sure) / total
    excess = math.fsum(weight * (value - centre) ** 2 for value, weight in sure) - (len(groups) - 1)
    scale = total - math.fsum(weight * weight for _, weight in sure) / total
    between = max(0.0, excess / scale) if scale > 0 else 0.0
    if between == 0:
        return [centre] * len(groups)
    spread = [(value, 1 / (between + variance)) for value, variance in groups]
    centre = math.fsum(value * weight for value, weight in spread) / math.fsum(weight for _, weight in spread)
    return [
        centre if math.isinf(variance) else (between * value + variance * centre) / (between + variance)
        for value, variance in groups
    ]
