"""The report's intervals: golden values computed apart from this code, and what must hold for any numbers."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surveys import statistics
from surveys.statistics import Interval


def near(interval: Interval | None, low: float, high: float) -> bool:
    return interval is not None and (interval.low, interval.high) == pytest.approx((low, high), abs=5e-4)


counts = st.integers(0, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [
        (9, 10, 0.5958, 0.9821),  # R: prop.test(9, 10, correct=FALSE)
        (30, 40, 0.5981, 0.8581),
        (0, 1, 0.0, 0.7935),
        (1, 1, 0.2065, 1.0),
        (10, 10, 0.7225, 1.0),
        (0, 10, 0.0, 0.2775),
    ],
)
def test_a_share_gets_wilsons_interval(hits: int, n: int, low: float, high: float) -> None:
    assert near(statistics.wilson(hits, n), low, high)


@settings(deadline=None)  # the first call imports scipy
@given(counts)
def test_wilson_agrees_with_scipy(pair: tuple[int, int]) -> None:
    from scipy.stats import binomtest

    hits, n = pair
    ours = statistics.wilson(hits, n)
    if n == 0:
        assert ours is None
        return
    theirs = binomtest(hits, n).proportion_ci(method="wilson")
    assert ours is not None
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)
    assert 0 <= ours.low <= hits / n <= ours.high <= 1


@pytest.mark.parametrize("function", [statistics.wilson, lambda h, n: statistics.nps(h, 0, n)])
def test_more_hits_than_answers_is_refused(function) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match="5 of 4"):
        function(5, 4)


def test_nps_of_nobody_is_nothing() -> None:
    assert statistics.nps(0, 0, 0) is None
    assert statistics.adjusted_wald_nps(0, 0, 0) is None


def test_nps_interval_by_hand() -> None:
    """20 promoters, 5 detractors of 40: n' = 43, p' = .482558, d' = .133721, so 34.884 ± 21.020."""
    up, down = 20.75 / 43, 5.75 / 43
    half = 1.959964 * math.sqrt((up + down - (up - down) ** 2) / 43)
    assert statistics.nps(20, 5, 40) == 37.5
    assert near(statistics.adjusted_wald_nps(20, 5, 40), 100 * (up - down - half), 100 * (up - down + half))
    assert near(statistics.adjusted_wald_nps(20, 5, 40), 13.8635, 55.9039)


@given(st.integers(0, 300), st.integers(0, 300), st.integers(0, 300))
def test_nps_stays_on_its_scale(promoters: int, passives: int, detractors: int) -> None:
    n = promoters + passives + detractors
    score, interval = statistics.nps(promoters, detractors, n), statistics.adjusted_wald_nps(promoters, detractors, n)
    if n == 0:
        assert score is None
        return
    assert score is not None
    assert interval is not None
    assert -100 <= score <= 100
    assert -100 <= interval.low <= interval.high <= 100


def test_everybody_a_promoter_still_leaves_doubt() -> None:
    interval = statistics.adjusted_wald_nps(10, 0, 10)
    assert interval is not None
    assert interval.low < 95


def test_mean_gets_students_interval() -> None:
    """R: t.test(c(7,6,5,7,4,6,7,3,6,5)) gives 4.634342 … 6.565658."""
    assert near(statistics.t_interval([7, 6, 5, 7, 4, 6, 7, 3, 6, 5]), 4.6344, 6.5656)


@pytest.mark.parametrize("values", [[], [7]])
def test_no_spread_no_interval(values: list[float]) -> None:
    assert statistics.t_interval(values) is None


def test_equal_scores_give_a_point() -> None:
    assert statistics.t_interval([7] * 20, 1, 7) == Interval(7, 7)


@settings(deadline=None)  # the first call imports scipy
@given(st.lists(st.integers(1, 7), min_size=2, max_size=80))
def test_mean_interval_is_cut_to_the_scale_and_holds_the_mean(scores: list[int]) -> None:
    interval = statistics.t_interval(scores, 1, 7)
    assert interval is not None
    assert 1 <= interval.low <= sum(scores) / len(scores) + 1e-9
    assert sum(scores) / len(scores) - 1e-9 <= interval.high <= 7
    shuffled = random.Random(7).sample(scores, len(scores))
    again = statistics.t_interval(shuffled, 1, 7)
    assert again is not None
    assert (again.low, again.high) == pytest.approx((interval.low, interval.high))


def test_difference_of_two_shares() -> None:
    """Newcombe 1998, table II, first example: 56/70 against 48/80, .0524 … .3339."""
    assert near(statistics.newcombe(48, 80, 56, 70), 0.0524, 0.3339)
    assert statistics.newcombe(0, 0, 5, 7) is None


@given(counts, counts)
def test_difference_turns_its_sign_when_the_sides_are_swapped(a: tuple[int, int], b: tuple[int, int]) -> None:
    there, back = statistics.newcombe(*a, *b), statistics.newcombe(*b, *a)
    assert (there is None) == (0 in {a[1], b[1]})
    if there and back:
        assert (there.low, there.high) == pytest.approx((-back.high, -back.low))
        assert -1 <= there.low <= there.high <= 1


def test_median_and_p90_interpolate_as_postgresql_does() -> None:
    assert statistics.median([4, 1, 3, 2]) == 2.5
    assert statistics.p90([10, 20, 30, 40, 50]) == pytest.approx(46)
    assert statistics.median([]) is None
    assert statistics.p90([5]) == 5


@pytest.mark.parametrize(("n", "rank"), [(5, 0), (6, 1), (10, 2), (20, 6), (50, 18), (100, 40), (1000, 469)])
def test_median_interval_takes_the_tabled_ranks(n: int, rank: int) -> None:
    """Ranks of the sign test's table (Conover, A3)."""
    values = [float(i) for i in range(1, n + 1)]
    interval = statistics.median_interval(values)
    assert interval == (Interval(rank, n + 1 - rank) if rank else None)


@given(st.lists(st.floats(0, 1e6), min_size=6, max_size=200))
def test_median_interval_holds_the_median(values: list[float]) -> None:
    interval, median = statistics.median_interval(values), statistics.median(values)
    assert interval is not None
    assert median is not None
    assert interval.low <= median <= interval.high


def test_ranks_of_many_values_follow_the_exact_ones() -> None:
    exact = statistics.median_interval([float(i) for i in range(1000)])
    rough = statistics.median_interval([float(i) for i in range(1001)])
    assert exact is not None
    assert rough is not None
    assert abs(exact.low - rough.low) <= 1


def test_the_silent_set_the_worst_case() -> None:
    bounds = statistics.non_response_bounds(0.8, 0.25)
    assert (bounds.low, bounds.high) == pytest.approx((0.2, 0.95))
    assert statistics.non_response_bounds(0.8, 1) == Interval(0.8, 0.8)
    with pytest.raises(ValueError, match="between 0 and 1"):
        statistics.non_response_bounds(1.2, 0.5)
