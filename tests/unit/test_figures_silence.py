"""Who answers is not like who does not: how they differ, and what the score would be had all kinds of cases answered alike."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.intervals import wilson
from bot.storage.marks import ANSWERS, ASKS, CASES
from surveys import drawn as tables_of
from surveys import report
from surveys.figures.answer import answer
from surveys.figures.shape import Figures, Question
from surveys.figures.silence import (
    LEAST,
    Stratum,
    difference_of_means,
    difference_of_shares,
    interval_of,
    joined,
    weighted,
)
from surveys.pages import board
from surveys.rollups import blocks, facts
from surveys.rollups.facts import BACKLOG, STEPS, Fact
from surveys.survey import INSTRUMENTS

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
AT = facts.micros(NOON)


def tables(**made: Sequence[Fact]) -> dict[str, blocks.Table]:
    return {family: blocks.of(family, made.get(family, [])) for family in (CASES, ANSWERS, ASKS, BACKLOG, STEPS)}


def ask(score: float | None, channel: str = "web", outcome: str = "resolved", ttr: float = 60.0, **more: Any) -> Fact:
    state = "asked" if score is None else "answered"
    row = {"at": AT, "instrument": "csat5", "channel": channel, "outcome": outcome, "ttr": ttr, "delivered": 1}
    return {**row, "state": state, **({} if score is None else {"score": score}), **more}


def of(hits: int, n: int, asked: int) -> Stratum:
    return Stratum(asked, n, float(hits), float(hits))


# ── formulas, by hand ──────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("a", "n", "b", "m", "expected"),
    [
        (60, 100, 40, 100, 0.2 / math.sqrt(0.24)),
        (40, 100, 60, 100, -0.2 / math.sqrt(0.24)),
        (90, 100, 300, 400, 0.15 / math.sqrt((0.09 + 0.1875) / 2)),
        (5, 10, 50, 100, 0.0),
        (10, 10, 20, 20, 0.0),
        (10, 10, 0, 20, math.inf),
    ],
)
def test_a_standardised_difference_of_shares_is_the_one_by_hand(
    a: int, n: int, b: int, m: int, expected: float
) -> None:
    assert difference_of_shares(a, n, b, m) == pytest.approx(expected)


def test_a_standardised_difference_and_its_interval_are_those_by_hand() -> None:
    assert difference_of_means(5.0, 4.0, 4.0, 12.0) == pytest.approx(1 / math.sqrt(8))
    found = interval_of(0.5, 50, 100)
    assert found is not None
    half = 1.959964 * math.sqrt(150 / 5000 + 0.25 / 300)
    assert (found.low, found.high) == (pytest.approx(0.5 - half, abs=1e-5), pytest.approx(0.5 + half, abs=1e-5))
    assert interval_of(math.inf, 50, 100) is None


def test_a_weighted_share_is_that_of_the_strata_by_what_was_asked() -> None:
    """90 of 100 of the happy half answer, 20 of 100 of the unhappy: 0.9·½ + 0.4·½ instead of (81 + 8) ÷ 110."""
    found = weighted(INSTRUMENTS["csat5"], [of(81, 90, 100), of(8, 20, 100)])
    assert found is not None
    assert found.value == pytest.approx(0.65)
    assert (found.strata, found.least) == (2, 20)
    variance = 0.25 * (82 / 92) * (10 / 92) / 90 + 0.25 * (9 / 22) * (13 / 22) / 20
    n = 0.65 * 0.35 / variance
    middle, spread = 0.65 + 1.920729 / n, 1.959964 * math.sqrt(0.65 * 0.35 / n + 0.960365 / n**2)
    scale = 1 + 3.841459 / n
    assert found.interval.low == pytest.approx((middle - spread) / scale, abs=1e-5)
    assert found.interval.high == pytest.approx((middle + spread) / scale, abs=1e-5)


def test_a_weighted_mean_has_the_degrees_of_freedom_of_satterthwaite() -> None:
    """Scores 1…7, each twice (mean 4, s² = 56/13), and 5, 7 five times each (mean 6, s² = 10/9), asked 300 and 100."""
    ones = Stratum(300, 14, 56.0, 280.0)
    others = Stratum(100, 10, 60.0, 370.0)
    found = weighted(INSTRUMENTS["ces7"], [ones, others])
    assert found is not None
    assert found.value == pytest.approx(4.5)
    parts = (0.5625 * (56 / 13) / 14, 0.0625 * (10 / 9) / 10)
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / 13 + parts[1] ** 2 / 9)
    assert freedom == pytest.approx(14.03, abs=0.01)
    half = 2.1444 * math.sqrt(sum(parts))
    assert found.interval.high - found.value == pytest.approx(half, abs=1e-3)


def test_equal_strata_weigh_nothing_and_one_alone_says_nothing() -> None:
    assert weighted(INSTRUMENTS["csat5"], [of(8, 10, 20)]) is None
    assert weighted(INSTRUMENTS["nps"], [Stratum(9, 10, 1000.0, 1e5)] * 2).value == 100.0  # type: ignore[union-attr]
    even = weighted(INSTRUMENTS["csat5"], [of(80, 100, 500), of(80, 100, 500)])
    assert even is not None
    assert even.value == pytest.approx(0.8)
    plain = wilson(160, 200)
    assert plain is not None
    assert even.interval.low == pytest.approx(plain.low, abs=0.005)


CELLS = st.dictionaries(
    st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 1)),
    st.integers(0, 30).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n), st.integers(0, 60))),
    min_size=1,
)


@given(CELLS)
def test_nobody_who_was_asked_is_left_out_and_no_stratum_is_too_small(
    cells: dict[tuple[int, int, int], tuple[int, int, int]],
) -> None:
    made = {cell: of(hits, n, n + silent) for cell, (hits, n, silent) in cells.items()}
    strata = joined(made)
    if sum(one.n for one in made.values()) < LEAST:
        assert strata == []
        return
    assert min(one.n for one in strata) >= LEAST
    assert sum(one.asked for one in strata) == sum(one.asked for one in made.values())
    assert sum(one.total for one in strata) == sum(one.total for one in made.values())
    found = weighted(INSTRUMENTS["csat5"], strata)
    if found is not None:
        assert 0 <= found.interval.low <= found.value <= found.interval.high <= 1


# ── from questions to a report ─────────────────────────────────────────────────────────────────────────────────────
ASKS_OF_A_MONTH = [
    *[ask(5.0)] * 80,
    *[ask(1.0)] * 10,
    *[ask(None)] * 10,
    *[ask(5.0, "telegram", "no_solution", 90_000.0)] * 8,
    *[ask(2.0, "telegram", "no_solution", 90_000.0)] * 12,
    *[ask(None, "telegram", "no_solution", 90_000.0)] * 80,
]


def test_a_report_says_who_answered_and_what_the_score_would_be_had_all_answered_alike() -> None:
    made = report.build(Question(), tables(asks=ASKS_OF_A_MONTH), NOON)
    (found,) = made["non_response"]
    assert (found["reached"], found["answered"], found["weighted"]["strata"]) == (200, 110, 2)
    assert found["weighted"]["score"] == pytest.approx((80 / 90 + 8 / 20) / 2, abs=1e-6)
    low, high = found["weighted"]["interval"]
    assert low < found["weighted"]["score"] < high < 88 / 110
    web = next(one for one in found["compared"] if (one["dimension"], one["value"]) == ("channel", "web"))
    assert (web["answered"], web["silent"], web["noticeable"]) == (90, 10, True)
    assert (web["of_answered"], web["of_silent"]) == (pytest.approx(90 / 110, abs=1e-6), pytest.approx(1 / 9, abs=1e-6))
    took = next(one for one in found["compared"] if one["dimension"] == "ttr")
    assert (took["of_answered"], took["of_silent"]) == (60.0, 90_000.0)
    assert took["difference"] < -1
    drawn = tables_of.as_table(made)
    assert "Had all kinds of cases answered alike, csat5 were 64 % (" in drawn
    assert "2 strata of at least 20 answers" in drawn
    assert "Who answered csat5" in drawn


def test_who_is_alike_is_not_told_apart_and_few_are_not_compared() -> None:
    alike = [*[ask(5.0)] * 20, *[ask(None)] * 20, *[ask(5.0, "slack")] * 20, *[ask(None, "slack")] * 20]
    made = report.build(Question(), tables(asks=alike), NOON)
    assert not any(one["noticeable"] for one in made["non_response"][0]["compared"])
    assert "Who answered" not in tables_of.as_table(made)
    (few,) = report.build(Question(), tables(asks=[ask(5.0)] * 9 + [ask(None)] * 4), NOON)["non_response"]
    assert (few["compared"], few["weighted"]) == ([], None)


def test_whose_outcome_is_not_known_is_not_told_apart_by_it() -> None:
    """Who was asked before outcomes were kept has none: that says when they were asked, and nothing of who answers."""
    known = [
        *[ask(5.0)] * 10,
        *[ask(None)] * 10,
        *[ask(1.0, outcome="no_solution")] * 5,
        *[ask(None, outcome="no_solution")] * 15,
    ]
    old = [*[ask(5.0, outcome="")] * 3, *[ask(None, outcome="")] * 40]
    made = report.build(Question(), tables(asks=[*known, *old]), NOON)
    found = [one for one in made["non_response"][0]["compared"] if one["dimension"] == "outcome"]
    told = [
        (one["value"], one["answered"], one["silent"], round(one["of_answered"], 4), one["of_silent"]) for one in found
    ]
    assert sorted(told) == [("no_solution", 5, 15, 0.3333, 0.6), ("resolved", 10, 10, 0.6667, 0.4)]
    (nobody,) = report.build(Question(), tables(asks=old * 2), NOON)["non_response"]
    assert not [one for one in nobody["compared"] if one["dimension"] == "outcome"]


def test_the_page_shows_the_weighted_score_beside_the_plain_one_in_each_language() -> None:
    given = [{"at": AT, "instrument": "csat5", "score": one["score"]} for one in ASKS_OF_A_MONTH if "score" in one]
    made = answer(Question(), tables(asks=ASKS_OF_A_MONTH, answers=given), NOON)
    for locale, says in (("en", "64%"), ("nl", "64%"), ("nb", "64\xa0%"), ("he", "64%")):
        ((_, tiles), *_) = board.tiles(made, Figures(Question()), {}, locale)
        assert any(says in part for part in tiles[0].parts)
        found = board.answering(made, "csat5", {"channel": {"web": "Web"}}, locale)
        assert found is not None
        assert (found.answered, found.reached, found.strata) == (110, 200, 2)
        assert any(row.name == "Web" and row.noticeable for row in found.rows)
    assert board.answering(made, "ces7", {}, "en") is None


# ── everybody involved ─────────────────────────────────────────────────────────────────────────────────────────────
def test_a_case_counts_for_everybody_who_was_involved_and_once_in_all() -> None:
    def case(ttr: float, *agents: str) -> Fact:
        who = {"involved": "\n".join(agents), "agent": agents[-1]} if agents else {}
        return {"at": AT, "solved": 1, "ended": 1, "ttr": ttr, "next_response": [ttr, ttr + 1], **who}

    cases = [case(10, "ann"), case(20, "ann", "bo"), case(30, "bo", "cy", "ann"), case(40)]
    made = answer(Question(by=("involved",), metrics=("ttr", "next_response")), tables(cases=cases), NOON)
    assert (made.of("ttr").n, made.counts["cases"]) == (4, 4)
    groups = {one.by["involved"]: (one.n, one.value) for one in made.groups("ttr")}
    assert groups == {"ann": (3, 20.0), "bo": (2, 25.0), "cy": (1, 30.0), None: (1, 40.0)}
    again = {one.by["involved"]: (one.n, one.value) for one in made.groups("next_response")}
    assert again == {"ann": (6, 20.5), "bo": (4, 25.5), "cy": (2, 30.5), None: (2, 40.5)}
    last = answer(Question(by=("agent",), metrics=("ttr",)), tables(cases=cases), NOON)
    assert {one.by["agent"]: one.n for one in last.groups("ttr")} == {"ann": 2, "bo": 1, None: 1}
    only_bo = answer(Question(where=(("involved", "bo"),), metrics=("ttr",)), tables(cases=cases), NOON)
    assert (only_bo.of("ttr").n, only_bo.of("ttr").value) == (2, 25.0)


def test_an_answer_knows_all_who_had_a_hand_in_its_case() -> None:
    row = {"at": NOON, "channel": "web", "team": None, "agent_id": "bo", "topic": None, "locale": "en"}
    given = facts.of_answer({**row, "instrument": "ces7", "score": 5}, {"agents": ["bo", "ann", "bo"]})
    assert (given["agent"], given["involved"]) == ("bo", "ann\nbo")
    assert facts.of_answer({**row, "instrument": "ces7", "score": 5}, {})["involved"] == "bo"
