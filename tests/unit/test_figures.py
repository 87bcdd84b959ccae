"""The figures of a report: exact rules, too few shown as nothing, and the same in any order."""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.storage.marks import ANSWERS, ASKS, CASES
from surveys.drawn import render
from surveys.figures.answer import answer
from surveys.figures.catalogue import METRICS
from surveys.figures.ranks import CELLS, ranked
from surveys.figures.shape import Figure, Figures, Question, Shown, weeks
from surveys.report import build
from surveys.rollups import blocks
from surveys.rollups.facts import BACKLOG, STEPS, Fact, micros
from surveys.survey import INSTRUMENTS

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
OPENED = NOW - timedelta(days=20)
DAY = 86400.0


def scored(instrument: str, *scores: float, at: datetime = NOW, **where: str) -> list[Fact]:
    return [{"at": micros(at), "instrument": instrument, "score": float(one), **where} for one in scores]


def case(*, days: float = 20, lasted: float | None = 3600.0, **more: Any) -> Fact:
    """`lasted` seconds; None: it is live."""
    fact: Fact = {"at": micros(NOW - timedelta(days=days))}
    if lasted is not None:
        fact |= {"ttr": lasted, "ttr_first": lasted, "ended": 1, "solved": 1, "resolved": 1}
    return fact | more


def asked(state: str, instrument: str = "csat5", **more: Any) -> Fact:
    return {"at": micros(NOW), "instrument": instrument, "state": state, **more}


def tables(
    answers: Sequence[Fact] = (), cases: Sequence[Fact] = (), asks: Sequence[Fact] = (), **more: Sequence[Fact]
) -> dict[str, blocks.Table]:
    rows = {ANSWERS: answers, CASES: cases, ASKS: asks, BACKLOG: more.get("backlog", ()), STEPS: more.get("steps", ())}
    return {family: blocks.of(family, facts) for family, facts in rows.items()}


def ask(
    made: dict[str, blocks.Table], *by: str, where: Sequence[tuple[str, str]] = (), zone: tzinfo = UTC, **more: Any
) -> Figures:
    return answer(Question(by=by, where=tuple(where), zone=zone, **more), made, NOW)


def of(instrument: str, *scores: float) -> Figure:
    return ask(tables(scored(instrument, *scores))).of(instrument)


# ── scores ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_ces_is_the_mean_with_the_share_of_five_to_seven() -> None:
    figure = of("ces7", 7, 6, 5, 7, 4, 6, 7, 3, 6, 5)
    assert (figure.n, figure.value, figure.share, figure.shown) == (10, 5.6, 0.8, Shown.GREY)
    assert figure.interval is not None
    assert figure.share_interval is not None
    assert (figure.interval.low, figure.interval.high) == pytest.approx((4.634342, 6.565658), abs=1e-6)
    assert (figure.share_interval.low, figure.share_interval.high) == pytest.approx((0.490162, 0.943318), abs=1e-6)
    assert figure.spread == {3: 1, 4: 1, 5: 2, 6: 3, 7: 3}


def test_csat_counts_fours_and_fives_and_a_three_counts_against() -> None:
    figure = of("csat5", 5, 4, 3, 2, 1)
    assert (figure.value, figure.share, figure.share_interval) == (0.4, None, None)
    assert figure.interval is not None
    assert (figure.interval.low, figure.interval.high) == pytest.approx((0.117621, 0.769276), abs=1e-6)


def test_a_yes_or_no_question_is_the_share_of_yes() -> None:
    assert of("csat2", 1, 1, 1, 0, 1).value == 0.8


def test_nps_is_promoters_less_detractors() -> None:
    figure = of("nps", 10, 9, 8, 7, 6, 0, 10, 10)
    assert figure.value == 25.0
    assert figure.interval is not None
    assert -100 <= figure.interval.low < 25 < figure.interval.high <= 100


@pytest.mark.parametrize("name", INSTRUMENTS)
def test_under_five_answers_no_score_is_shown(name: str) -> None:
    for n in range(1, 5):
        assert of(name, *[INSTRUMENTS[name].max] * n) == Figure(name, {}, n, shown=Shown.HIDDEN)
    assert of(name) == Figure(name, {}, 0)


@pytest.mark.parametrize("name", INSTRUMENTS)
def test_all_equal_answers_are_a_figure(name: str) -> None:
    figure = of(name, *[INSTRUMENTS[name].max] * 9)
    assert figure.value == {"ces7": 7, "ces7_statement": 7, "nps": 100}.get(name, 1)
    assert figure.interval is not None
    assert figure.interval.low <= figure.value <= figure.interval.high


@pytest.mark.parametrize(("n", "shown"), [(4, Shown.HIDDEN), (5, Shown.GREY), (29, Shown.GREY), (30, Shown.FIRM)])
def test_few_answers_are_hidden_some_are_grey(n: int, shown: Shown) -> None:
    assert of("ces7", *[6] * n).shown is shown


def test_the_two_ces_wordings_are_never_pooled() -> None:
    made = ask(tables(scored("ces7", 7, 7, 7, 7, 7) + scored("ces7_statement", 1, 1, 1, 1, 1)))
    assert (made.of("ces7").value, made.of("ces7_statement").value) == (7, 1)


@settings(deadline=None, max_examples=40)  # the first call imports scipy
@given(st.sampled_from(sorted(INSTRUMENTS)), st.lists(st.integers(0, 10), max_size=60), st.randoms())
def test_the_order_of_answers_changes_nothing(name: str, raw: list[int], order: random.Random) -> None:
    given_scores = [one for one in raw if one in INSTRUMENTS[name].scores]
    shuffled = order.sample(given_scores, len(given_scores))
    assert of(name, *shuffled) == of(name, *given_scores)


# ── groups and filters ─────────────────────────────────────────────────────────────────────────────────────────────
def test_groups_follow_the_total_and_each_has_its_own_threshold() -> None:
    rows = scored("ces7", *[6] * 5, channel="web", agent="ann") + scored("ces7", *[2] * 4, channel="slack")
    made = ask(tables(rows), "channel", "agent")
    assert made.of("ces7").n == 9
    assert made.of("ces7").value == pytest.approx(38 / 9)
    assert [(dict(one.by), one.n, one.value) for one in made.groups("ces7")] == [
        ({"channel": "slack", "agent": None}, 4, None),
        ({"channel": "web", "agent": "ann"}, 5, 6.0),
    ]


def test_a_filter_keeps_what_has_one_of_its_values_and_none_is_a_value() -> None:
    rows = [
        case(lasted=60.0 * n, channel=channel, topic="x" if n % 2 else "")
        for n in (1, 2)
        for channel in ("web", "slack")
    ]
    made = tables(cases=rows)
    assert ask(made, where=[("channel", "web")]).counts["cases"] == 2
    assert ask(made, where=[("channel", "web"), ("channel", "slack"), ("topic", "")]).counts["cases"] == 2
    assert ask(made, where=[("channel", "telegram")]).counts["cases"] == 0
    assert ask(made, "channel", where=[("topic", "x")]).of("ttr").value == 60


def test_a_week_is_the_desks_own() -> None:
    """Sunday 23:30 UTC is Monday in Jerusalem: the next ISO week."""
    made = tables(scored("ces7", 5, at=datetime(2026, 11, 22, 23, 30, tzinfo=UTC)))
    assert [one.by for one in ask(made, "week").groups("ces7")] == [{"week": "2026-W47"}]
    assert [one.by for one in ask(made, "week", zone=ZoneInfo("Asia/Jerusalem")).groups("ces7")] == [
        {"week": "2026-W48"}
    ]


def test_the_hour_that_the_clock_repeats_is_one_hour_of_the_day() -> None:
    """Amsterdam, 25 October 2026: 02:30 comes twice, an hour apart; 30 minutes later it is 03:00."""
    twice = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    rows = scored("ces7", 5, at=twice) + scored("ces7", 5, at=twice + timedelta(hours=1))
    rows += scored("ces7", 5, at=twice + timedelta(minutes=90))
    made = ask(tables(rows), "day", "hour", zone=ZoneInfo("Europe/Amsterdam"))
    assert [(one.by["hour"], one.n) for one in made.groups("ces7")] == [("02", 2), ("03", 1)]


def test_a_span_counts_its_beginning_and_not_its_end() -> None:
    rows = scored("ces7", 5, at=OPENED) + scored("ces7", 5, at=NOW)
    made = ask(tables(rows), since=OPENED, until=NOW)
    assert made.counts["responses"] == 1


def test_a_series_has_no_gaps() -> None:
    rows = scored("ces7", *[6] * 5, at=NOW - timedelta(days=21), channel="web") + scored(
        "ces7", *[3] * 5, channel="web"
    )
    axis = weeks(date(2026, 10, 26), date(2026, 11, 22))
    line = ask(tables(rows), "week", "channel").series("ces7", axis)[0]
    assert (line.by, line.axis) == ({"channel": "web"}, ("2026-W44", "2026-W45", "2026-W46", "2026-W47"))
    assert [one.value for one in line.points] == [6, None, None, 3]
    assert line.points[1].shown is Shown.EMPTY
    assert weeks(date(2026, 12, 31), date(2027, 1, 4)) == ("2026-W53", "2027-W01")


def test_an_unknown_dimension_or_metric_is_named() -> None:
    with pytest.raises(ValueError, match='"colour" is none of channel, team'):
        Question(by=("colour",))
    with pytest.raises(ValueError, match='"mood" is none of ces7'):
        ask(tables(), metrics=("mood",))


# ── times and rates ────────────────────────────────────────────────────────────────────────────────────────────────
def test_times_have_a_median_first_and_live_cases_stand_beside() -> None:
    cases = [case(lasted=60.0 * n) for n in range(1, 12)]
    again = case(lasted=None, ttr_first=300.0, solved=1, frt=120.0)
    made = ask(tables(cases=[*cases, again, case(lasted=None)]))
    ttr, first, frt = (made.of(name) for name in ("ttr", "ttr_first", "frt"))
    assert (ttr.n, ttr.value, ttr.mean, ttr.p90, ttr.still) == (11, 360, 360, 600, 2)
    assert ttr.interval is not None
    assert (ttr.interval.low, ttr.interval.high) == (120, 600)
    assert (first.n, first.still, frt.n, frt.value, frt.still) == (12, 1, 1, 120, 1)


@given(st.lists(st.integers(0, 10**7), min_size=1, max_size=80), st.integers(1, 4))
def test_percentiles_of_groups_are_those_of_each_group_alone(seconds: list[int], groups: int) -> None:
    from surveys import statistics

    cases = [case(lasted=float(one), team=f"t{one % groups}") for one in seconds]
    for figure in ask(tables(cases=cases), "team", metrics=("ttr",)).groups("ttr"):
        mine = [one for one in seconds if f"t{one % groups}" == figure.by["team"]]
        assert figure.n == len(mine)
        assert (figure.value, figure.p90) == pytest.approx((statistics.median(mine), statistics.p90(mine)))
        assert figure.interval == statistics.median_interval(mine)
        assert figure.mean == pytest.approx(sum(mine) / len(mine))


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.floats(0, 1e7, width=32) | st.sampled_from((0.0, 60.0))), max_size=60),
    st.sampled_from((CELLS, 400, 0)),
)
def test_values_at_ranks_are_those_of_each_group_put_in_order(rows: list[tuple[int, float]], cells: int) -> None:
    """Also where their heaps are coarse, because there are many groups."""
    values = np.array([value for _, value in rows], dtype=np.float32)
    of = np.array([group for group, _ in rows], dtype=np.int64)
    found = ranked(values, of, 4, lambda n: sorted({0, n // 3, n // 2, n - 1}), cells)
    for group in range(4):
        ordered = sorted(value for one, value in rows if one == group)
        n, at = found[group]
        assert n == len(ordered)
        assert at == {rank: ordered[rank] for rank in ({0, n // 3, n // 2, n - 1} if n else ())}


def test_first_contact_is_known_after_a_week_and_undone_by_the_same_topic() -> None:
    cases = [
        case(topic="back", returned=1),
        case(topic="fresh", days=3),
        case(topic="reopened", ever_reopened=1),
        case(topic="unsolved", resolved=0),
        case(topic="live", lasted=None),
        case(topic="solved"),
    ]
    made = ask(tables(cases=cases), "topic", metrics=("fcr",))
    assert {one.by["topic"]: one.value for one in made.groups("fcr")} == {
        "back": 0,
        "reopened": 0,
        "unsolved": 0,
        "solved": 1,
    }


def test_what_the_bot_solved_is_confirmed_only_after_a_yes() -> None:
    cases = [
        case(alone=1, confirmed=1),
        case(alone=1),
        case(alone=1, resolved=0),
        case(escalated=1),
        case(escalated=1, confirmed=1),
        case(lasted=None),
        case(alone=1, returned=1),
    ]
    made = ask(tables(cases=cases))
    found = {name: made.of(name) for name in ("bot_confirmed", "bot_assumed", "contained", "contained_no_return")}
    assert {name: (one.n, round((one.value or 0) * 6)) for name, one in found.items()} == {
        "bot_confirmed": (6, 1),
        "bot_assumed": (6, 2),
        "contained": (6, 4),
        "contained_no_return": (6, 3),
    }


def test_response_rate_is_answered_of_delivered() -> None:
    asks = [
        asked("answered", delivered=1, score=5.0),
        asked("expired", delivered=1),
        asked("failed"),
        asked("skipped", skip="throttled"),
        asked("skipped", skip="throttled"),
    ]
    made = ask(tables(asks=asks))
    assert (made.of("response").n, made.of("response").value) == (2, 0.5)
    assert (made.counts["invited"], made.counts["delivered"], made.counts["failed"]) == (3, 2, 1)
    assert made.skipped == {"throttled": 2}


def test_the_silent_widen_what_a_share_could_be() -> None:
    asks = [asked("answered", delivered=1, score=5.0) for _ in range(5)] + [asked("asked", delivered=1)] * 15
    made = ask(tables(scored("csat5", *[5] * 5), asks=asks))
    [silent] = made.silent
    assert (silent.instrument, silent.response_rate) == ("csat5", 0.25)
    assert (silent.bounds.low, silent.bounds.high) == (0.25, 1.0)
    assert made.of("csat5").bounds == silent.bounds


def test_escalations_are_judged_and_levels_and_promises_kept() -> None:
    cases = [
        case(escalated=1, reason="angry", judged=1, needed=1, kept=2, promised=3, sla_first=1, sla_first_met=1),
        case(escalated=1, reason="angry", judged=1, sla_first=1, wait_bias=-30.0),
        case(escalated=1, reason="asked", wait_bias=90.0),
        case(),
    ]
    made = ask(tables(cases=cases))
    found = {
        name: made.of(name) for name in ("escalated", "escalation_precision", "promises_kept", "sla_first_response")
    }
    assert {name: (one.n, one.value) for name, one in found.items()} == {
        "escalated": (4, 0.75),
        "escalation_precision": (2, 0.5),
        "promises_kept": (3, 2 / 3),
        "sla_first_response": (2, 0.5),
    }
    assert (made.of("wait_error").value, made.of("wait_bias").value) == (60, 30)
    reasons = build(Question(), tables(cases=cases), NOW)["escalations"]
    assert [(one["reason"], one["n"], one["judged"], one["precision"]) for one in reasons] == [
        ("angry", 2, 2, 0.5),
        ("asked", 1, 0, None),
    ]


def test_the_backlog_is_of_this_moment_whatever_the_span() -> None:
    rows = [{"at": micros(NOW), "team": "support", "backlog_age": 60.0 * n} for n in range(1, 8)]
    figure = ask(tables(backlog=rows), until=OPENED).of("backlog_age")
    assert (figure.n, figure.value) == (7, 240)


def test_agents_are_compared_by_what_they_rest_on() -> None:
    """Six perfect answers are no better than two hundred good ones."""
    rows = scored("csat5", *[5] * 6, agent="new") + scored("csat5", *[5] * 180, *[2] * 20, agent="old")
    rows += scored("csat5", *[5] * 160, *[2] * 40, agent="poor")
    made = {one.by["agent"]: one for one in ask(tables(rows), "agent").groups("csat5")}
    assert (made["new"].value, made["old"].value) == (1.0, 0.9)
    assert made["new"].shrunk is not None
    assert made["old"].shrunk is not None
    assert made["poor"].shrunk is not None
    assert made["poor"].shrunk < made["new"].shrunk < made["old"].shrunk < 0.9
    assert all(one.shrunk is None for one in ask(tables(rows), "team").groups("csat5"))


def test_agents_whose_answers_are_all_equal_are_not_sure_of_them() -> None:
    """Five sevens are no better than two hundred good answers, though their interval has no width; nor are two cases without
    any effort.
    """
    rows = scored("ces7", *[7] * 5, agent="new") + scored("ces7", *[7, 6, 5, 6] * 50, agent="old")
    rows += scored("ces7", *[7, 5, 3, 5] * 50, agent="poor")
    cases = [case(ended=1, effort=0.0, agent="new") for _ in range(2)]
    cases += [case(ended=1, effort=float(n % 5), agent="old") for n in range(100)]
    cases += [case(ended=1, effort=float(n % 7), agent="poor") for n in range(100)]
    made = ask(tables(rows, cases), "agent")
    scores, efforts = ({str(one.by["agent"]): one for one in made.groups(metric)} for metric in ("ces7", "effort"))
    assert scores["new"].value == 7
    assert scores["poor"].shrunk < scores["new"].shrunk < 6.8  # type: ignore[operator]
    assert efforts["new"].value == 0
    assert 1.0 < efforts["new"].shrunk < efforts["poor"].shrunk  # type: ignore[operator]


def test_ten_thousand_cases_of_known_truth_come_out_true() -> None:
    """Exponential times of mean 1000 s have median 693 s; 80 % of scores are made good."""
    dice = random.Random(20261122)
    cases = [case(lasted=dice.expovariate(1 / 1000)) for _ in range(10_000)]
    made = ask(tables(scored("csat5", *(5 if dice.random() < 0.8 else 2 for _ in cases)), cases))
    ttr, csat = made.of("ttr").interval, made.of("csat5").interval
    assert ttr is not None
    assert csat is not None
    assert ttr.low < 693 < ttr.high
    assert csat.low < 0.8 < csat.high
    assert csat.high - csat.low < 0.02


# ── drawn ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def _report() -> dict[str, Any]:
    rows = scored("ces7", *[6, 7, 5, 6, 7, 2], channel="web", topic="=1+1") + scored("nps", *[0] * 6)
    asks = [asked("skipped", skip="opted_out")] * 2
    question = Question(OPENED, by=("channel", "topic"))
    return build(question, tables(rows + scored("csat5", 5), [case()], asks), NOW)


def test_json_holds_the_promised_keys() -> None:
    report = json.loads(render(_report(), "json"))
    assert set(report) >= {"scores", "times", "counts"}
    assert set(report["scores"][0]) >= {"instrument", "by", "n", "score", "interval", "share", "share_interval"}
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
    assert "read the median first" in table


def test_an_empty_report_is_still_one() -> None:
    report = build(Question(), tables(), NOW)
    assert "no answers yet" in render(report, "table")
    assert json.loads(render(report, "json"))["scores"] == []
    assert build(Question(by=("agent", "week")), tables(), NOW)["rates"]


def test_csv_cannot_run_as_a_formula_and_keeps_negative_numbers() -> None:
    lines = list(csv.DictReader(io.StringIO(render(_report(), "csv"))))
    assert {line["topic"] for line in lines} == {"*", "", "'=1+1"}
    assert next(line for line in lines if line["name"] == "nps")["value"] == "-100.0"


def test_csv_tells_the_total_from_those_who_have_none_of_it() -> None:
    """As the console's file does."""
    lines = list(csv.DictReader(io.StringIO(render(_report(), "csv"))))
    places = [(line["section"], line["name"], line["topic"]) for line in lines]
    assert len(places) == len(set(places)), "no two lines are of the same"
    assert ("scores", "nps", "*") in places


def test_an_unknown_format_is_named() -> None:
    with pytest.raises(ValueError, match='no format "pdf": use table, json, csv'):
        render(_report(), "pdf")


def test_every_metric_is_explained() -> None:
    """`docs/figures.md` names each with its rule."""
    text = (Path(__file__).parents[2] / "docs" / "figures.md").read_text(encoding="utf-8")
    assert [name for name, one in METRICS.items() if f"| `{name}` | {one.label} | {one.rule} |" not in text] == []
