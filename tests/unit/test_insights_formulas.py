"""The formulas behind "what to mend", each against values from a paper or by hand; and what they promise of chance, by seed."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surveys.insights import churn, doubts, drivers, effect, payback, spikes, topics, wishes
from surveys.insights.churn import Period
from surveys.insights.doubts import Doubt, Side
from surveys.insights.effect import Nps, Share, Values
from surveys.insights.interrupted import interrupted
from surveys.insights.risk import NOT_SCORED, Contacts, Sign, numbered, risk, scored
from surveys.rollups.facts import micros


def near(*values: float, off: float = 5e-5) -> object:
    return pytest.approx(values if len(values) > 1 else values[0], abs=off)


# ── spikes ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_adjusted_p_values_are_benjamini_and_hochbergs() -> None:
    """By hand: 0.005·4/1, 0.01·4/2, 0.03·4/3 held down by the next, 0.04·4/4."""
    assert spikes.benjamini_hochberg([0.01, 0.04, 0.03, 0.005]) == near(0.02, 0.04, 0.04, 0.02)
    assert spikes.benjamini_hochberg([]) == []


def test_the_tail_is_the_negative_binomials() -> None:
    """With variance m + m² it is the geometric distribution, whose tail is (m/(1+m))^k."""
    assert spikes.tail(3, 2.0, 6.0) == near((2 / 3) ** 3)
    assert spikes.tail(0, 2.0, 6.0) == 1.0
    # Almost no more spread than Poisson's: P(X ≥ 10 | 3) = 0.0011025 (tables).
    assert spikes.tail(10, 3.0, 3.0 + 1e-9) == near(0.0011025, off=1e-6)


def noise(random: np.random.Generator, mean: float, spread: float, shape: tuple[int, ...]) -> np.ndarray:
    if spread == 1:
        return random.poisson(mean, shape)
    return random.negative_binomial(mean / (spread - 1), 1 / spread, shape)


@pytest.mark.parametrize("spread", [1.0, 1.6])
@pytest.mark.parametrize("seed", range(10))
def test_a_topic_that_comes_up_three_times_as_often_alarms_within_the_week(seed: int, spread: float) -> None:
    random = np.random.default_rng(seed)
    weeks = {f"topic {n}": noise(random, 30, spread, (26,)).tolist() for n in range(8)}
    weeks["refund"] = [*noise(random, 30, spread, (25,)).tolist(), 90]
    alarms = [one.topic for one in spikes.look(weeks) if one.is_alarm]
    assert alarms == ["refund"]


@pytest.mark.parametrize("mean", [3, 12, 40])
@pytest.mark.parametrize("seed", range(3))
def test_a_year_of_noise_has_at_most_one_false_alarm(seed: int, mean: int) -> None:
    """Ten topics that scatter more than Poisson says, each week looked at in its turn."""
    random = np.random.default_rng(100 + seed)
    weeks = noise(random, mean, 1.5, (10, 12 + 52))
    alarms, left_out = 0, {}
    for now in range(12, 12 + 52):
        seen = {str(topic): weeks[topic, : now + 1].tolist() for topic in range(10)}
        for one in spikes.look(seen, left_out):
            if one.is_alarm:
                alarms += 1
                left_out.setdefault(one.topic, set()).add(now)
    assert alarms <= 1


def test_fewer_than_five_cases_never_alarm_and_a_topic_that_is_new_may() -> None:
    quiet = {"old": [10, 12, 9, 11, 10, 8, 12, 10]}
    assert not any(one.is_alarm for one in spikes.look({**quiet, "new": [0] * 7 + [4]}))
    assert [one.topic for one in spikes.look({**quiet, "new": [0] * 7 + [9]}) if one.is_alarm] == ["new"]


def test_a_spike_does_not_hide_the_next_one() -> None:
    weeks = {"refund": [10, 11, 9, 10, 12, 10, 9, 60, 40]}
    assert not spikes.look(weeks)[0].is_alarm
    assert spikes.look(weeks, {"refund": {7}})[0].is_alarm


def test_too_few_weeks_are_not_looked_at() -> None:
    assert spikes.look({"refund": [1, 1, 1, 1, 1, 50]}) == []


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 60), min_size=6, max_size=12), st.integers(0, 80))
def test_more_cases_are_never_likelier(before: list[int], count: int) -> None:
    fewer, more = (spikes.chance(n, before)[1] for n in (count, count + 1))
    assert 0 <= more <= fewer <= 1


# ── topics ─────────────────────────────────────────────────────────────────────────────────────────────────────────
SAID = {
    "invoice": [
        "where is my invoice",
        "I can't find the invoice",
        "please send my invoice again",
        "my invoice is missing",
    ],
    "parcel": ["the parcel is damaged", "parcel arrived damaged", "damaged parcel, what now", "my parcel was damaged"],
}


def test_cases_that_nobody_tagged_are_grouped_by_what_they_ask_in_whatever_order_they_come() -> None:
    cases = [
        topics.Case(f"{about}{n}", f"customer {n}", text, "en")
        for about, said in SAID.items()
        for n, text in enumerate(said)
    ]
    cases.append(topics.Case("z", "customer 9", "do you have vegan shoes", "en"))
    found = topics.groups(cases)
    assert {one.cases for one in found} == {tuple(f"{about}{n}" for n in range(4)) for about in SAID}
    assert {"invoice", "parcel"} <= {word for one in found for word in one.words}
    assert topics.groups(cases[::-1]) == found
    assert all(one.customers == 4 for one in found)


def test_a_tag_goes_before_the_flow() -> None:
    assert topics.topic_of("billing", "refund") == "billing"
    assert topics.topic_of("", "refund") == "refund"
    assert topics.topic_of(None, None) is None


# ── wishes ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_the_same_words_are_one_wish_and_merely_alike_is_proposed() -> None:
    excel = wishes.Worded("1", (("I would like to export my orders to Excel", "en"),))
    assert wishes.likeness("export my order to Excel", "Excel export of my orders", "en") == wishes.SAME
    pdf = wishes.Worded("2", (("Please export the orders as a PDF", "en"),))
    other = wishes.Worded("3", (("a dark theme", "en"),))
    pairs = wishes.proposals([pdf, other, excel])
    assert [(later, earlier) for later, earlier, _ in pairs] == [("2", "1")]
    assert wishes.ALIKE <= pairs[0][2] < wishes.SAME
    assert wishes.nearest("un mode sombre", "fr", [excel, other]) is None


@pytest.mark.parametrize(
    ("text", "locale", "same"),
    [
        ("dark theme", "en", True),
        ("Dark theme!", "nb", True),  # the same words in English, of who reads Norwegian
        ("een donker thema", "nl", True),  # joined to it by a colleague
        ("een donker thema", "en", True),
        ("theme", "nl", False),
        ("🌙", "en", False),
    ],
)
def test_the_same_words_are_one_wish_in_whichever_language_their_customers_are(
    text: str, locale: str, same: bool
) -> None:
    joined = wishes.Worded("1", (("dark theme", "en"), ("een donker thema", "nl")))
    found = wishes.nearest(text, locale, [joined])
    assert (found == ("1", wishes.SAME)) is same
    assert wishes.nearest("🌙", "he", [wishes.Worded("2", (("🌙", "en"),))]) == ("2", wishes.SAME)


# ── what goes with the score ───────────────────────────────────────────────────────────────────────────────────────
def test_drivers_that_do_not_hang_together_weigh_their_squared_correlation() -> None:
    first = np.tile([1.0, 1, -1, -1], 30)
    second = np.tile([1.0, -1, 1, -1], 30)
    score = 3 * first + 4 * second
    weights = drivers.relative_weights(np.column_stack([first, second]), score)
    assert weights.tolist() == near(9 / 25, 16 / 25)


def test_two_drivers_that_say_the_same_share_alike() -> None:
    first = np.tile([1.0, 2, 3, 4], 30)
    weights = drivers.relative_weights(np.column_stack([first, first]), first)
    assert weights.tolist() == near(0.5, 0.5)


def shapley(data: np.ndarray, target: np.ndarray) -> list[float]:
    """General dominance: what each driver adds to R², over all orders in which they may come."""
    count = data.shape[1]

    def fit(chosen: tuple[int, ...]) -> float:
        if not chosen:
            return 0.0
        design = np.column_stack([np.ones(len(target)), data[:, chosen]])
        rest = target - design @ np.linalg.lstsq(design, target, rcond=None)[0]
        return float(1 - rest.var() / target.var())

    worth = [0.0] * count
    for order in itertools.permutations(range(count)):
        for place, one in enumerate(order):
            worth[one] += fit(tuple(sorted(order[: place + 1]))) - fit(tuple(sorted(order[:place])))
    return [one / math.factorial(count) for one in worth]


def test_johnsons_weights_agree_with_all_orders_of_the_drivers() -> None:
    random = np.random.default_rng(5)
    common = random.normal(size=400)
    data = np.column_stack([common + random.normal(size=400) for _ in range(4)])
    score = data @ np.array([0.9, 0.5, 0.2, 0.0]) + random.normal(size=400)
    weights = drivers.relative_weights(data, score)
    assert weights.sum() == near(sum(shapley(data, score)), off=1e-9)
    assert np.abs(weights / weights.sum() - np.array(shapley(data, score)) / weights.sum()).max() < 0.015


def test_drivers_are_told_from_a_hundred_answers_on_with_an_interval_that_a_seed_repeats() -> None:
    random = np.random.default_rng(3)
    wait, handoffs = random.normal(size=150), random.normal(size=150)
    channel = ["web", "slack", "telegram"] * 50
    score = (5 - 1.5 * wait + random.normal(size=150)).tolist()
    amounts = {"wait": wait.tolist(), "handoffs": handoffs.tolist(), "same": [1.0] * 150}
    found = drivers.drivers(score, amounts, {"channel": channel}, draws=200)
    assert found.drivers[0].name == "wait"
    assert found.drivers[0].direction == -1
    assert found.drivers[0].interval.low <= found.drivers[0].share <= found.drivers[0].interval.high
    assert sum(one.share for one in found.drivers) == near(1.0)
    assert found.left_out == ("same",)
    assert drivers.drivers(score, amounts, {"channel": channel}, draws=200) == found
    few = drivers.drivers(score[:99], {"wait": wait[:99].tolist()})
    assert (few.n, few.needed, few.drivers) == (99, 100, ())


def test_ten_answers_a_driver_are_needed() -> None:
    random = np.random.default_rng(4)
    many = {f"d{n}": random.normal(size=105).tolist() for n in range(12)}
    found = drivers.drivers(random.normal(size=105).tolist(), many, draws=20)
    assert len(found.drivers) == 10
    assert found.left_out == ("d10", "d11")


# ── who may leave, who left ────────────────────────────────────────────────────────────────────────────────────────
NOW = datetime(2026, 3, 9, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Contact:
    days: int
    topic: int = 0
    unsolved: bool = False
    detractor: int = NOT_SCORED


def seen(*people: Sequence[Contact]) -> Contacts:
    """Everybody's contacts, in the order of their time; the customer wrote last when it was opened."""
    rows = sorted(((one, who) for who, own in enumerate(people) for one in own), key=lambda row: -row[0].days)
    at = np.array([micros(NOW - timedelta(days=one.days)) for one, _ in rows], dtype=np.int64)
    who = np.array([7 - who for _, who in rows], dtype=np.int64)
    kinds = {"topic": int, "unsolved": bool, "detractor": int}
    columns = (np.array([getattr(one, name) for one, _ in rows], dtype=kind) for name, kind in kinds.items())
    return Contacts(numbered(who), at, *columns, said=at)


@pytest.mark.parametrize(
    ("contacts", "expected"),
    [
        ([Contact(9)], []),
        ([Contact(9, detractor=1)], [Sign.DETRACTOR]),
        ([Contact(9, detractor=1), Contact(2)], [Sign.DETRACTOR]),
        ([Contact(9, detractor=1), Contact(1, detractor=0)], []),
        ([Contact(9, unsolved=True)], [Sign.UNSOLVED]),
        ([Contact(9, unsolved=True), Contact(2)], []),
        ([Contact(80, 1), Contact(9, 1), Contact(1, 1)], [Sign.SAME_TOPIC]),
        ([Contact(80, 1), Contact(9, 2), Contact(1, 1)], []),
        ([Contact(80), Contact(9), Contact(1)], []),
        ([Contact(99, 1), Contact(9, 1), Contact(1, 1)], []),
        ([Contact(90, unsolved=True)], [Sign.UNSOLVED, Sign.SILENT]),
        ([Contact(90, detractor=1)], [Sign.DETRACTOR, Sign.SILENT]),
        ([Contact(90)], []),
    ],
)
def test_risk_is_signs_that_can_be_told_of_each_among_others(contacts: list[Contact], expected: list[Sign]) -> None:
    others = [[Contact(30, 1)], [Contact(40, 1), Contact(3, 2)]]
    found = risk(seen(others[0], contacts, others[1]), np.array([5]), NOW)
    assert found.people.tolist() == [5, 6, 7]
    assert [sign for sign, held in found.signs.items() if held[1]] == expected
    assert [sign for sign, held in found.signs.items() if held[0]] == [Sign.OPTED_OUT]
    assert found.count.tolist() == [1, len(expected), 0]


def test_nobody_is_at_risk_where_nobody_came() -> None:
    found = risk(seen(), np.array([5]), NOW)
    assert (found.people.tolist(), found.count.tolist()) == ([], [])


def test_an_answer_belongs_to_the_last_case_that_its_customer_had_opened_before() -> None:
    """Also where customers come at once, and where the customer of an answer has no case here."""
    minute = 60_000_000
    who, at = np.array([3, 9, 3, 9]), np.array([10, 20, 30, 40]) * minute
    answers = ((3, 15, 1), (9, 5, 1), (4, 35, 1), (9, 41, 0), (9, 50, 1), (11, 50, 1))
    columns = [np.array(column) for column in zip(*answers, strict=True)]
    assert scored(numbered(who), at, columns[0], columns[1] * minute, columns[2]).tolist() == [
        1,
        NOT_SCORED,
        NOT_SCORED,
        1,
    ]


def test_the_rate_has_wilsons_interval_and_may_be_weighed_by_value() -> None:
    one = Period("2026-01", 10, 1, value=1000.0, value_lost=400.0, value_known=10, value_stayed=9)
    assert (one.rate, one.value_rate) == (0.1, 0.4)
    assert (one.interval.low, one.interval.high) == near(0.017875, 0.404150)  # Wilson's, 1 of 10
    assert Period("none", 0, 0).rate is None
    assert Period("2026-01", 10, 1, value=400.0, value_lost=400.0, value_known=1).value_rate is None


@pytest.mark.parametrize(
    ("stayed", "left", "expected"),
    [
        (980, 20, near(0.02)),
        (5, 20, near(0.02)),
        (980, 5, near(0.02)),
        (4, 20, None),
        (1, 20, None),
        (980, 4, None),
        (980, 0, None),
    ],
)
def test_churn_by_value_is_of_all_though_few_of_them_have_told_theirs(stayed: int, left: int, expected: object) -> None:
    """A thousand who are worth the same, of whom twenty left: 2 %, of however many it is known; of too few nothing is told."""
    values = {"value": 100.0 * (stayed + left), "value_lost": 100.0 * left}
    assert Period("2026-01", 1000, 20, **values, value_known=stayed + left, value_stayed=stayed).value_rate == expected


def test_of_a_few_customers_all_are_known() -> None:
    assert Period("2026-01", 3, 1, value=400.0, value_lost=100.0, value_known=3, value_stayed=2).value_rate == 0.25
    assert Period("2026-01", 3, 0, value=400.0, value_known=3, value_stayed=3).value_rate == 0.0
    assert Period("2026-01", 9, 0, value_known=9, value_stayed=9).value_rate is None, "they are worth nothing"
    assert Period("none", 0, 0).value_rate is None


def test_a_trend_has_a_word_only_when_its_interval_leaves_out_nothing() -> None:
    rising = churn.trend([Period(str(n), 1000, 20 + 15 * n) for n in range(8)])
    assert rising is not None
    assert (rising.word, rising.slope) == ("rising", near(0.015))
    falling = churn.trend([Period(str(n), 1000, 200 - 15 * n) for n in range(8)])
    assert falling is not None
    assert falling.word == "falling"
    flat = churn.trend([Period(str(n), 40, 3 + n % 2) for n in range(8)])
    assert flat is not None
    assert flat.word is None
    assert churn.trend([Period(str(n), 40, 3) for n in range(3)]) is None


@pytest.mark.parametrize("seed", range(6))
def test_a_rate_that_stays_is_seldom_said_to_move(seed: int) -> None:
    random = np.random.default_rng(seed)
    words = [
        found.word
        if (found := churn.trend([Period(str(n), 300, int(random.binomial(300, 0.05))) for n in range(12)]))
        else None
        for _ in range(20)
    ]
    assert sum(word is not None for word in words) <= 4


def test_the_guess_is_held_against_who_left() -> None:
    at_risk = np.arange(100) < 50
    good = churn.check(at_risk, np.isin(np.arange(100), [*range(25), 77]))
    assert (good.at_risk_lost, good.others_lost, good.holds) == (25, 1, True)
    assert not churn.check(at_risk, np.isin(np.arange(100), [1, 77])).holds


# ── before and after ───────────────────────────────────────────────────────────────────────────────────────────────
def test_a_difference_of_shares_is_newcombes() -> None:
    """Newcombe 1998, table II, (a): 56/70 against 48/80, method 10."""
    found = effect.difference(Share(48, 80), Share(56, 70))
    assert found is not None
    assert (found.value, found.interval.low, found.interval.high) == near(0.2, 0.0524, 0.3339)
    assert found.is_shown
    assert found.more_needed is None


def test_a_difference_of_means_is_welchs() -> None:
    """By hand: se = √(1/3 + 1/3), 4 degrees of freedom, t = 2.776445."""
    found = effect.difference(Values((1, 2, 3)), Values((3, 4, 5)))
    assert found is not None
    half = 2.776445 * math.sqrt(2 / 3)
    assert (found.interval.low, found.interval.high) == near(2 - half, 2 + half)
    assert effect.difference(Values((1,)), Values((3, 4, 5))) is None


def test_two_weeks_of_one_case_each_and_two_of_none_are_no_evidence() -> None:
    """Counts scatter at least as Poisson says, though these do not scatter at all: se = √(1/2 + 0), 1 degree of freedom."""
    found = effect.difference(Values((1, 1), 1.0), Values((0, 0), 0.0))
    assert found is not None
    half = 12.706205 * math.sqrt(1 / 2)
    assert (found.interval.low, found.interval.high) == near(-1 - half, -1 + half)
    assert not found.is_shown
    busy = effect.difference(Values((20,) * 8, 20.0), Values((9,) * 8, 9.0))
    assert busy is not None
    assert busy.is_shown


def test_scores_that_are_all_equal_are_no_certainty() -> None:
    """By hand: one more that is a step off has the variance 1/(n+1); of three a side 4 degrees of freedom, t = 2.776445."""

    def sevens_then(score: int, n: int) -> effect.Difference:
        sides = (Values(np.full(n, of), effect.one_step_off(n)) for of in (7.0, score))
        found = effect.difference(*sides)
        assert found is not None
        return found

    three = sevens_then(6, 3)
    half = 2.776445 * math.sqrt(2 * (1 / 4) / 3)
    assert (three.interval.low, three.interval.high) == near(-1 - half, -1 + half)
    assert not three.is_shown
    assert sevens_then(6, 5).is_shown, "of ten answers that fall so, chance would make one in a hundred"
    alike, many = sevens_then(7, 5), sevens_then(7, 100)
    assert alike.interval.low < -0.3
    assert alike.interval.high > 0.3
    assert alike.more_needed is not None
    assert many.interval.high < 0.05
    assert effect.difference(Values((2.0, 2.0)), Values((1.0, 1.0))) is None, (
        "of times nothing is known of their spread"
    )


def test_a_difference_of_nps_adds_both_adjusted_variances() -> None:
    """By hand, n′ = 13 a side: p′ = .75 (9+.75)/13, d′ = .75/13 …"""
    one, other = Nps(5, 3, 10), Nps(9, 0, 10)
    up, down = (np.array([5, 9]) + 0.75) / 13, (np.array([3, 0]) + 0.75) / 13
    error = math.sqrt(sum((up + down - (up - down) ** 2) / 13)) * 100
    gap = 100 * ((up - down)[1] - (up - down)[0])
    found = effect.difference(one, other)
    assert found is not None
    assert found.value == 70.0
    assert (found.interval.low, found.interval.high) == near(gap - 1.959964 * error, gap + 1.959964 * error)


@pytest.mark.parametrize(("first", "second", "needed"), [(0.8, 0.9, 199), (0.8, 0.85, 906)])
def test_cases_needed_for_two_shares_are_the_textbooks(first: float, second: float, needed: int) -> None:
    assert effect.shares_needed(first, second) == needed


def test_cases_needed_for_two_means_are_the_textbooks() -> None:
    """2·(1.96 + 0.84)²·1²/0.5² = 62.8"""
    assert effect.means_needed(0.5, 1.0) == 63
    assert effect.means_needed(0.0, 1.0) == effect.means_needed(0.25, 1.0)
    assert effect.means_needed(0.5, 0.0) is None


def test_what_changed_elsewhere_too_is_taken_off() -> None:
    """MOVER by hand: 0.2 (0.05…0.35) less 0.2 (0.1…0.3) is 0 ± √(0.15² + 0.1²)."""
    here = effect.Difference(0.5, 0.7, 80, 80, 0.2, effect.Interval(0.05, 0.35))
    there = effect.Difference(0.5, 0.7, 200, 200, 0.2, effect.Interval(0.1, 0.3))
    found = effect.against(here, there)
    half = math.hypot(0.15, 0.1)
    assert (found.value, found.interval.low, found.interval.high) == near(0, -half, half)
    assert not found.is_shown
    least = effect.against(here, effect.Difference(0.5, 0.6, 200, 200, 0.1, effect.Interval(0.0, 0.2)))
    assert least.more_needed == 180  # 80 · ((0.15² + 0.1²) / 0.1² − 1)


def test_a_known_effect_is_found_and_no_effect_says_no_evidence() -> None:
    """Three hundred times each: a change of 15 points, and none."""
    random = np.random.default_rng(1)

    def seen(first: float, second: float) -> effect.Difference:
        found = effect.difference(*(Share(int(random.binomial(400, share)), 400) for share in (first, second)))
        assert found is not None
        return found

    helped = [seen(0.7, 0.85) for _ in range(300)]
    assert sum(one.interval.low > 0 for one in helped) >= 295
    assert sum(one.interval.low <= 0.15 <= one.interval.high for one in helped) >= 275
    nothing = [one for one in (seen(0.8, 0.8) for _ in range(300)) if not one.is_shown]
    assert len(nothing) >= 275
    assert all(one.more_needed is not None and one.more_needed > 100 for one in nothing)


# ── a series of weeks ──────────────────────────────────────────────────────────────────────────────────────────────
def test_a_step_on_a_straight_line_is_found_exactly() -> None:
    before = [10 + 0.5 * week for week in range(8)]
    after = [10 + 0.5 * week + 6 for week in range(8, 16)]
    found = interrupted(before, after)
    assert found is not None
    assert (found.level, found.slope) == near(6, 0)
    assert found.is_shown
    assert interrupted(before[:7], after) is None


@pytest.mark.parametrize("seed", range(4))
def test_a_line_that_merely_rises_has_no_step(seed: int) -> None:
    random = np.random.default_rng(seed)
    weeks = (20 + 0.8 * np.arange(24) + random.normal(size=24)).tolist()
    risen = interrupted(weeks[:12], weeks[12:])
    assert risen is not None
    assert abs(risen.level) < 4
    stepped = interrupted(weeks[:12], [one + 8 for one in weeks[12:]])
    assert stepped is not None
    assert stepped.is_shown


# ── what it returned ───────────────────────────────────────────────────────────────────────────────────────────────
def test_the_return_is_what_was_gained_over_what_it_cost() -> None:
    """20 contacts a week become 10 over 8 weeks: 80 that did not come, at 5 each, for 200."""
    found = payback.payback(Values((20.0,) * 8), Values((10.0,) * 8), 200, 5, fewer_is_better=True)
    assert found is not None
    assert (found.units, found.gain, found.roi) == (80, 400, 1.0)
    assert (found.interval.low, found.interval.high) == (1.0, 1.0)


def test_a_return_that_may_be_nothing_is_not_shown_as_one() -> None:
    found = payback.payback(Share(80, 100), Share(82, 100), 100, 10, fewer_is_better=False)
    assert found is not None
    assert not found.is_shown or found.interval.high < 0
    assert found == payback.payback(Share(80, 100), Share(82, 100), 100, 10, fewer_is_better=False)
    assert payback.payback(Share(80, 100), Share(82, 100), 0, 10, fewer_is_better=False) is None
    assert payback.payback(Nps(5, 1, 10), Nps(6, 1, 10), 10, 10, fewer_is_better=False) is None


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Share(0, 10), Share(10, 10)),
        (Values((6.0,) * 10, effect.one_step_off(10)), Values((7.0,) * 10, effect.one_step_off(10))),
        (Values((9.0,) * 8, 9.0), Values((20.0,) * 8, 20.0)),
    ],
)
def test_what_came_of_cases_that_are_all_alike_is_no_certainty(before: effect.Sample, after: effect.Sample) -> None:
    found = payback.payback(before, after, 10, 10, fewer_is_better=False)
    assert found is not None
    assert found.interval.low < found.roi
    assert found.units_interval.low < found.units <= found.units_interval.high


# ── doubts ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_doubts_are_named() -> None:
    steady, other = {"channel": {"web": 50, "slack": 50}}, {"channel": {"web": 90, "slack": 10}}
    assert doubts.doubts(Side(steady), Side(steady)) == ()
    assert doubts.doubts(Side(steady), Side(other)) == (Doubt.MIX,)
    assert doubts.doubts(Side(), Side(), weeks_before=[5, 5.2, 4.9, 5.1, 3.0]) == (Doubt.REGRESSION,)
    assert doubts.doubts(Side(), Side(), weeks_before=[5, 5.2, 4.9, 5.1, 3.0], more_is_better=False) == ()
    answered = Side(delivered=200, answered=40), Side(delivered=200, answered=90)
    assert doubts.doubts(*answered, by_survey=True) == (Doubt.RESPONSE_RATE,)
    assert doubts.doubts(*answered) == ()
    assert doubts.doubts(Side(), Side(), overlaps=True, chosen_late=True, moved_last_year=True) == (
        Doubt.SEASON,
        Doubt.OVERLAP,
        Doubt.CHOSEN_LATE,
    )


def test_two_changes_overlap_where_their_days_and_their_cases_meet() -> None:
    assert doubts.overlap((date(2026, 3, 1), 28), (date(2026, 3, 20), 14))
    assert not doubts.overlap((date(2026, 3, 1), 14), (date(2026, 3, 20), 14))
    assert doubts.scopes_meet({"topic": "refund"}, {"channel": "web"})
    assert not doubts.scopes_meet({"topic": "refund"}, {"topic": "invoice", "channel": "web"})
    assert doubts.last_year(date(2026, 3, 9)) == date(2025, 3, 10)
