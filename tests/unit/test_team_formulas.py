"""Quality and pulse: agreement by hand, samples by seed, and nobody's answer to be read from a result."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surveys.team import pulse, quality, rubric
from surveys.team.kappa import cohen, together
from surveys.team.quality import Review
from surveys.team.rubric import Criterion, Rubric

NOW = datetime(2026, 3, 9, 12, tzinfo=UTC)


def test_kappa_is_cohens() -> None:
    """By hand: 20 and 15 of 50 alike; p_o .7, p_e .6·.5 + .4·.5 = .5, κ .4."""
    pairs = [("yes", "yes")] * 20 + [("yes", "no")] * 5 + [("no", "yes")] * 10 + [("no", "no")] * 15
    found = cohen(pairs)
    assert found is not None
    assert (found.n, found.agree, found.kappa) == (50, 0.7, pytest.approx(0.4))
    assert found.interval is not None
    # Wilson's interval of .7 at 50: .5625 to .8090
    assert (found.interval.low, found.interval.high) == pytest.approx((0.1250, 0.6179), abs=1e-4)


def test_two_who_always_say_the_same_one_thing_have_no_kappa() -> None:
    found = cohen([(3, 3)] * 12)
    assert found is not None
    assert (found.agree, found.kappa, found.interval) == (1.0, None, None)
    assert cohen([]) is None


@pytest.mark.parametrize("pairs", [[(3, 3)] * 5 + [(2, 2)] * 5, [(3, 3)] * 5 + [(3, 2)] * 5])
def test_ten_pairs_never_tell_kappa_exactly(pairs: list[tuple[int, int]]) -> None:
    """Where all agree, and where one rater never varies."""
    found = cohen(pairs)
    assert found is not None
    assert found.interval is not None
    assert found.interval.high - found.interval.low > 0.4


EVEN, THREE, LOPSIDED = (0.5, 0.5), (0.7, 0.2, 0.1), (0.95, 0.05)


@pytest.mark.parametrize("marks", [EVEN, THREE, LOPSIDED])
@pytest.mark.parametrize("kappa", [0.0, 0.4, 0.8])
@pytest.mark.parametrize("n", [10, 30])
def test_kappas_interval_holds_the_true_one(n: int, kappa: float, marks: tuple[float, ...]) -> None:
    assert covered(n, kappa, marks) >= 0.93


@pytest.mark.parametrize(("n", "share"), [(10, 0.86), (30, 0.9)])
def test_it_is_too_sure_of_raters_who_nearly_always_agree_on_nearly_always_the_same(n: int, share: float) -> None:
    """As `docs/insights.md` says."""
    assert covered(n, 0.9, LOPSIDED) == pytest.approx(share, abs=0.02)  # three standard errors of 2,000 draws


def covered(n: int, kappa: float, marks: tuple[float, ...]) -> float:
    """How often the interval of n pairs holds the κ that they are drawn with: the second rater says the same so often, else what
    comes by chance."""
    chance, held = Random(7), []
    for _ in range(2_000):
        first, second = (chance.choices(range(len(marks)), marks, k=n) for _ in range(2))
        found = cohen([(a, a if chance.random() < kappa else b) for a, b in zip(first, second, strict=True)])
        if found is not None and found.interval is not None:
            held.append(found.interval.low - 1e-9 <= kappa <= found.interval.high + 1e-9)
    return sum(held) / len(held)


def test_over_all_criteria_each_has_the_chance_of_its_own_marks() -> None:
    """By hand: the first has p_o .7 and p_e .5 of 50, the second 1 and 1 of 50; κ (.85 − .75) ÷ .25. In one table with the
    first, the marks of the second, on which nobody ever differs, would make it .76."""
    first = [(1, 1)] * 20 + [(1, 0)] * 5 + [(0, 1)] * 10 + [(0, 0)] * 15
    found = together([first, [(3, 3)] * 50], 50)
    assert found is not None
    assert (found.n, found.agree, found.kappa) == (100, 0.85, pytest.approx(0.4))
    alone, few = together([first], 50), together([first], 10)
    assert alone == cohen(first)
    assert few is not None
    assert few.interval is not None
    assert few.interval.low < 0 < few.interval.high, "it rests on cases"
    assert together([], 0) is None


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3)), min_size=1, max_size=40))
def test_kappa_is_the_same_whoever_is_called_first(pairs: list[tuple[int, int]]) -> None:
    one, other = cohen(pairs), cohen([(b, a) for a, b in pairs])
    assert one is not None
    assert other is not None
    assert one.kappa == pytest.approx(other.kappa) if one.kappa is not None else other.kappa is None
    if one.interval is not None and one.kappa is not None:
        assert -1 <= one.interval.low <= one.kappa <= one.interval.high <= 1


def test_a_sample_is_drawn_by_its_seed_and_by_nothing_else() -> None:
    cases = [f"case {n}" for n in range(100)]
    drawn = quality.drawn(cases, 7, 10)
    assert drawn == quality.drawn(reversed(cases), 7, 10)
    assert len(set(drawn)) == 10
    assert drawn != quality.drawn(cases, 8, 10)
    assert quality.drawn(cases[:3], 7, 10) == [one for one in quality.drawn(cases, 7, 100) if one in cases[:3]]


def test_nobody_rates_their_own_case_and_each_case_gets_two_raters() -> None:
    cases = [("a", ["ann"]), ("b", ["bo"]), ("c", []), ("d", [])]
    reviews = [Review("c", "bo", {}), Review("d", "bo", {}), Review("d", "cy", {})]
    assert quality.waits_for("ann", cases, reviews) == ["c", "b"]
    assert quality.waits_for("bo", cases, reviews) == ["a"]


def test_a_card_is_the_weighted_share_of_what_applied() -> None:
    card = Rubric((Criterion("kind"), Criterion("correct", weight=2), Criterion("noted", scale="yes_no")))
    assert card.score({"kind": 3, "correct": 1, "noted": 1}) == pytest.approx((1 + 0 + 1) / 4)
    assert card.score({"kind": 2}) == 0.5
    assert card.score({}) is None
    assert card.refused({"kind": "3", "correct": "na", "noted": "2"}) == "noted"
    assert card.refused({"kind": "3", "correct": "na", "noted": "1"}) is None
    assert rubric.from_json(rubric.to_json(card)).criteria == card.criteria


def test_a_sample_sums_cases_and_tells_how_far_its_raters_agree() -> None:
    card = Rubric((Criterion("kind", scale="yes_no"),))
    reviews = [
        Review(str(n), rater, {"kind": int(n % 3 > 0 or rater == "bo")}) for n in range(12) for rater in ("ann", "bo")
    ]
    found = quality.summed(card, [str(n) for n in range(15)], reviews)
    assert (found.cases, found.reviewed, found.by_two) == (15, 12, 12)
    assert found.score == pytest.approx((8 + 4 * 0.5) / 12)
    assert found.agreement["kind"].agree == pytest.approx(8 / 12)
    assert quality.summed(card, ["1"], reviews[:8]).agreement == {}


def test_cases_on_which_two_raters_share_no_mark_make_nothing_surer() -> None:
    """What does not apply for one of them is no mark: of such a case nothing can be said to be alike."""
    card = Rubric((Criterion("kind", scale="yes_no"), Criterion("noted", scale="yes_no")))
    reviews = [
        Review(str(n), rater, {"kind": int(n % 3 > 0 or rater == "bo")}) for n in range(12) for rater in ("ann", "bo")
    ]
    apart = [
        Review(f"apart {n}", rater, {mark: 1}) for n in range(30) for rater, mark in (("ann", "kind"), ("bo", "noted"))
    ]
    alone, found = quality.summed(card, [], reviews), quality.summed(card, [], [*reviews, *apart])
    assert (alone.by_two, found.by_two) == (12, 42)
    assert found.together == alone.together == cohen([(int(n % 3 > 0), 1) for n in range(12)])


def a_round(given: int, **values: object) -> pulse.Round:
    found = pulse.Round("2026-03", pulse.asked(()), NOW, NOW + timedelta(days=7), None, 0, {}, (), ())
    for n in range(given):
        scores = {question: 1 + n % 5 for question, _ in found.questions}
        tally, comments, who = pulse.added(
            found, pulse.token_of("secret", found.id, f"agent {n}"), scores, f"word {9 - n}"
        )
        found = replace(found, tally=tally, comments=tuple(comments), who=tuple(who), given=found.given + 1)
    return replace(found, **values)  # type: ignore[arg-type]


def test_results_are_hidden_under_five_answers_and_while_people_answer() -> None:
    after = NOW + timedelta(days=8)
    assert pulse.results(a_round(4), after) is None
    assert pulse.results(a_round(5), NOW) is None
    shown = pulse.results(a_round(5), after)
    assert shown is not None
    assert [(one.n, one.mean, one.counts) for one in shown] == [(5, 3.0, (1, 1, 1, 1, 1))] * 5
    assert pulse.results(a_round(5, closed_at=NOW), NOW) is not None


def test_what_is_kept_tells_neither_who_nor_when() -> None:
    kept = a_round(6)
    assert list(kept.comments) == sorted(kept.comments)
    assert list(kept.who) == sorted(kept.who)
    assert not any("agent" in one for one in kept.who)
    assert pulse.token_of("secret", "2026-03", "ann") != pulse.token_of("secret", "2026-04", "ann")
    assert sum(sum(counts.values()) for counts in kept.tally.values()) == 6 * 5


def test_a_question_that_fewer_than_five_answered_is_left_out() -> None:
    found = a_round(5, tally={"workload": {"3": 4}, "tools": {"4": 5}})
    shown = pulse.results(found, NOW + timedelta(days=8))
    assert shown is not None
    assert [one.question for one in shown] == ["tools"]


def test_the_next_round_opens_on_the_first_working_day_of_the_month() -> None:
    zone = ZoneInfo("Europe/Amsterdam")
    assert pulse.next_month(NOW, zone) == datetime(2026, 4, 1, 8, tzinfo=UTC)
    assert pulse.next_month(datetime(2026, 7, 20, tzinfo=UTC), zone) == datetime(2026, 8, 3, 8, tzinfo=UTC)
    assert pulse.month_of(datetime(2026, 3, 31, 23, tzinfo=UTC), zone) == "2026-04"
