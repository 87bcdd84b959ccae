"""The figures of a report: exact rules, too few shown as nothing, and the same in any order."""

from __future__ import annotations

import csv
import io
import json
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surveys import scoring
from surveys.report import Rows, build, render
from surveys.scoring import CaseRow, InvitationRow, ResponseRow, score
from surveys.survey import INSTRUMENTS

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
OPENED = NOW - timedelta(days=20)


def answers(instrument: str, *scores: int, **where: str) -> list[ResponseRow]:
    return [ResponseRow(instrument, one, NOW, **where) for one in scores]  # type: ignore[arg-type]


def case(name: str, *, days: float = 20, lasted: timedelta | None = timedelta(hours=1), **more: object) -> CaseRow:
    opened = NOW - timedelta(days=days)
    end = None if lasted is None else opened + lasted
    row = CaseRow(name, f"customer of {name}", "open" if end is None else "resolved", opened, outcome="resolved")
    return replace(row, resolved_at=end, first_resolved_at=end, **more)  # type: ignore[arg-type]


def test_ces_is_the_mean_with_the_share_of_five_to_seven() -> None:
    figure = score(INSTRUMENTS["ces7"], [7, 6, 5, 7, 4, 6, 7, 3, 6, 5])
    assert figure == {
        "n": 10,
        "score": 5.6,
        "interval": [pytest.approx(4.634342), pytest.approx(6.565658)],
        "share": 0.8,
        "share_interval": [pytest.approx(0.490162), pytest.approx(0.943318)],
    }


def test_csat_counts_fours_and_fives_and_a_three_counts_against() -> None:
    figure = score(INSTRUMENTS["csat5"], [5, 4, 3, 2, 1])
    assert (figure["score"], figure["share"], figure["share_interval"]) == (0.4, None, None)
    assert figure["interval"] == [pytest.approx(0.117621), pytest.approx(0.769276)]


def test_a_yes_or_no_question_is_the_share_of_yes() -> None:
    assert score(INSTRUMENTS["csat2"], [1, 1, 1, 0, 1])["score"] == 0.8


def test_nps_is_promoters_less_detractors() -> None:
    figure = score(INSTRUMENTS["nps"], [10, 9, 8, 7, 6, 0, 10, 10])
    assert figure["score"] == 25.0
    assert -100 <= figure["interval"][0] < 25 < figure["interval"][1] <= 100


@pytest.mark.parametrize("name", INSTRUMENTS)
@pytest.mark.parametrize("n", range(5))
def test_under_five_answers_no_score_is_shown(name: str, n: int) -> None:
    figure = score(INSTRUMENTS[name], [INSTRUMENTS[name].max] * n)
    assert figure == {"n": n, "score": None, "interval": None, "share": None, "share_interval": None}


@pytest.mark.parametrize("name", INSTRUMENTS)
def test_all_equal_answers_are_a_figure(name: str) -> None:
    asked = INSTRUMENTS[name]
    figure = score(asked, [asked.max] * 9)
    assert figure["score"] == {"ces7": 7, "ces7_statement": 7, "nps": 100}.get(name, 1)
    assert figure["interval"][0] <= figure["score"] <= figure["interval"][1]


def test_the_two_ces_wordings_are_never_pooled() -> None:
    rows = answers("ces7", 7, 7, 7, 7, 7) + answers("ces7_statement", 1, 1, 1, 1, 1)
    figures = scoring.scores(rows, [], UTC)
    assert [(one["instrument"], one["n"], one["score"]) for one in figures] == [
        ("ces7", 5, 7),
        ("ces7_statement", 5, 1),
    ]


@settings(deadline=None, max_examples=50)  # the first call imports scipy
@given(st.sampled_from(sorted(INSTRUMENTS)), st.lists(st.integers(0, 10), max_size=60), st.randoms())
def test_the_order_of_answers_changes_nothing(name: str, raw: list[int], order: random.Random) -> None:
    given_scores = [one for one in raw if one in INSTRUMENTS[name].scores]
    shuffled = order.sample(given_scores, len(given_scores))
    assert score(INSTRUMENTS[name], shuffled) == score(INSTRUMENTS[name], given_scores)


def test_groups_follow_the_total_and_each_has_its_own_threshold() -> None:
    rows = answers("ces7", *[6] * 5, channel="web", agent="ann") + answers("ces7", *[2] * 4, channel="slack")
    figures = scoring.scores(rows, ["channel", "agent"], UTC)
    assert [(one["by"], one["n"], one["score"]) for one in figures] == [
        ({}, 9, pytest.approx(38 / 9, abs=1e-6)),
        ({"channel": "slack", "agent": None}, 4, None),
        ({"channel": "web", "agent": "ann"}, 5, 6.0),
    ]


def test_a_week_is_the_desks_own() -> None:
    """Sunday 23:30 UTC is Monday in Jerusalem: the next ISO week."""
    rows = [ResponseRow("ces7", 5, datetime(2026, 11, 22, 23, 30, tzinfo=UTC))]
    assert [place for place, _ in scoring.groups(rows, ["week"], UTC)] == [{}, {"week": "2026-W47"}]
    assert [place for place, _ in scoring.groups(rows, ["week"], ZoneInfo("Asia/Jerusalem"))][1] == {"week": "2026-W48"}


def test_an_unknown_dimension_is_named() -> None:
    with pytest.raises(ValueError, match='no dimension "colour": use channel, agent'):
        scoring.scores([], ["colour"], UTC) or scoring.times([], ["colour"], UTC)


def test_times_run_from_opening_and_live_cases_stand_beside() -> None:
    cases = [case(f"c{i}", lasted=timedelta(minutes=i)) for i in range(1, 12)]
    again = case("again", lasted=timedelta(minutes=5), status="open", first_reply_at=OPENED + timedelta(minutes=2))
    figures = {one["metric"]: one for one in scoring.times([*cases, again, case("live", lasted=None)], [], UTC)}
    assert figures["ttr"] == {
        "metric": "ttr",
        "by": {},
        "n": 11,
        "median_s": 360,
        "median_interval_s": [120, 600],
        "mean_s": 360,
        "p90_s": 600,
        "open": 2,
    }
    assert figures["ttr_first"]["n"] == 12
    assert (figures["frt"]["n"], figures["frt"]["median_s"]) == (1, 120)


def test_first_contact_is_known_after_a_week_and_undone_by_the_same_topic() -> None:
    one = case("one", topic="delivery", customer_id="c")
    cases = [
        one,
        case("soon", days=15, topic="delivery", customer_id="c"),
        case("other topic", days=16, topic="invoice", customer_id="c"),
        case("fresh", days=3),
        case("reopened", reopened=1),
        case("unsolved", outcome="no_solution"),
        case("live", lasted=None),
    ]
    assert scoring.fcr(cases, NOW) == {
        "one": False,
        "soon": True,
        "other topic": True,
        "reopened": False,
        "unsolved": False,
    }


def test_response_rate_is_answered_of_delivered() -> None:
    asked = [
        InvitationRow("a", "answered", NOW, delivered=True),
        InvitationRow("b", "expired", NOW, delivered=True),
        InvitationRow("c", "failed", NOW),
        InvitationRow("d", "skipped", NOW, skip_reason="throttled"),
        InvitationRow("e", "skipped", NOW, skip_reason="throttled"),
    ]
    rate = next(one for one in scoring.rates([], asked, [], UTC, NOW) if one["rate"] == "response")
    assert (rate["n"], rate["share"]) == (2, 0.5)
    counted = scoring.counts([], [], asked)
    assert (counted["invited"], counted["delivered"], counted["failed"]) == (3, 2, 1)
    assert counted["skipped"] == {"throttled": 2}


def test_ten_thousand_cases_of_known_truth_come_out_true() -> None:
    """Exponential times of mean 1000 s have median 693 s; 80 % of scores are made good."""
    dice = random.Random(20261122)
    cases = [case(f"c{i}", lasted=timedelta(seconds=dice.expovariate(1 / 1000))) for i in range(10_000)]
    rows = [ResponseRow("csat5", 5 if dice.random() < 0.8 else 2, NOW) for _ in cases]
    report = build(Rows(rows, cases), now=NOW, zone=UTC)
    ttr, csat = report["times"][0], report["scores"][0]
    assert ttr["median_interval_s"][0] < 693 < ttr["median_interval_s"][1]
    assert csat["interval"][0] < 0.8 < csat["interval"][1]
    assert csat["interval"][1] - csat["interval"][0] < 0.02


def _report() -> dict[str, object]:
    rows = (
        answers("ces7", *[6, 7, 5, 6, 7, 2], channel="web", topic="=1+1")
        + answers("nps", *[0] * 6)
        + answers("csat5", 5)
    )
    asked = [InvitationRow(f"c{i}", "skipped", NOW, skip_reason="opted_out") for i in range(2)]
    return build(Rows(rows, [case("c1")], asked), by=["channel", "topic"], now=NOW, zone=UTC, since=OPENED)


def test_json_holds_the_promised_keys() -> None:
    report = json.loads(render(_report(), "json"))
    assert set(report) >= {"scores", "times", "counts"}
    assert set(report["scores"][0]) == {"instrument", "by", "n", "score", "interval", "share", "share_interval"}
    assert set(report["times"][0]) >= {"metric", "by", "n", "median_s", "mean_s", "p90_s"}


def test_the_table_says_what_is_not_shown_and_what_is_rough() -> None:
    table = render(_report(), "table")
    ces = next(line for line in table.splitlines() if line.startswith("CES (ease"))
    assert "5.50" in ces
    assert "83 %" in ces
    assert ces.endswith("n < 30: rough")
    csat = next(line for line in table.splitlines() if line.startswith("CSAT"))
    assert csat.split() == ["CSAT", "(1-5)", "1", "–", "n", "<", "5:", "not", "shown"]
    assert "Skipped  opted_out 2" in table


def test_an_empty_report_is_still_one() -> None:
    report = build(Rows(), now=NOW, zone=UTC)
    assert "no answers yet" in render(report, "table")
    assert json.loads(render(report, "json"))["scores"] == []


def test_csv_cannot_run_as_a_formula_and_keeps_negative_numbers() -> None:
    lines = list(csv.DictReader(io.StringIO(render(_report(), "csv"))))
    assert {line["topic"] for line in lines} == {"", "'=1+1"}
    assert next(line for line in lines if line["name"] == "nps")["value"] == "-100.0"


def test_the_silent_widen_what_a_share_could_be() -> None:
    rows = [ResponseRow("csat5", 5, NOW, case_id=f"c{i}") for i in range(5)]
    asked = [InvitationRow(f"c{i}", "answered" if i < 5 else "asked", NOW, delivered=True) for i in range(20)]
    report = build(Rows(rows, (), asked), now=NOW, zone=UTC)
    assert report["non_response"] == [{"instrument": "csat5", "response_rate": 0.25, "bounds": [0.25, 1.0]}]


def test_an_unknown_format_is_named() -> None:
    with pytest.raises(ValueError, match='no format "pdf": use table, json, csv'):
        render(_report(), "pdf")
