"""Targets in a report, and what customers said of their goal: the figures that a desk is run by."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.desk_folder import DeskFaults, load
from bot.staffing.hours import Hours
from bot.storage.marks import ANSWERS, ASKS, CASES, COUNTED
from surveys import drawn, report
from surveys.figures.shape import Question
from surveys.rollups import blocks, facts
from surveys.rollups.facts import BACKLOG, STEPS, Fact, Happened, RawCase
from tests.unit.test_figures_facts import row

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


def tables(**made: list[Fact]) -> dict[str, blocks.Table]:
    return {family: blocks.of(family, made.get(family, [])) for family in (CASES, ANSWERS, ASKS, BACKLOG, STEPS)}


def case(*goals: bool) -> Fact:
    said = [Happened("goal", NOON + timedelta(minutes=n), {"met": met}) for n, met in enumerate(goals)]
    return facts.of_case(RawCase(row(opened_at=NOON, flow="refund"), said), lambda _team: Hours(UTC))


def test_the_rate_of_goals_met_is_of_those_who_said_so_and_their_first_word_counts() -> None:
    cases = [case(True)] * 6 + [case(False, True)] * 3 + [case()] * 5
    made = report.build(Question(by=("flow",)), tables(cases=cases), NOON)
    rates = [one for one in made["rates"] if one["rate"] == "goal_met"]
    assert [(one["by"], one["n"], round(one["share"], 3)) for one in rates] == [
        ({}, 9, 0.667),
        ({"flow": "refund"}, 9, 0.667),
    ]
    assert "goal" in COUNTED


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("csat: 0.9", "csat must be 1 to 100, in percent"),
        ("ces: 80", "ces must be 1 to 7"),
        ("nps: 101", "nps must be -100 to 100"),
    ],
)
def test_a_target_off_its_scale_is_named_with_its_place(tmp_path: Path, written: str, told: str) -> None:
    start = "schema: 1\nname: Shop\nlocales: [en]\ntimezone: UTC\n"
    (tmp_path / "desk.yaml").write_text(f"{start}targets: {{{written}}}\n")
    with pytest.raises(DeskFaults) as found:
        load(tmp_path)
    place = 12 + written.index(" ")
    assert f"desk.yaml:5:{place}: {told}" in str(found.value)


@pytest.mark.parametrize(
    ("good", "verdict", "said"), [(100, "met", "met"), (75, "unsure", "can't tell yet"), (40, "missed", "missed")]
)
def test_a_report_says_of_each_target_whether_it_is_met(good: int, verdict: str, said: str) -> None:
    scores = [5] * good + [1] * (100 - good)
    answers: list[Any] = [
        {"at": facts.micros(NOON), "instrument": "csat5", "score": float(score), "channel": "web"} for score in scores
    ]
    made = report.build(Question(), tables(answers=answers), NOON, targets={"csat": 80, "nps": 30})
    (target,) = made["targets"]
    assert target == {
        "target": "csat",
        "metric": "csat5",
        "goal": 0.8,
        "verdict": verdict,
        "n": 100,
        "value": good / 100,
        "interval": made["scores"][0]["interval"],
        "gap": round(good / 100 - 0.8, 6),
    }
    (line,) = (line for line in drawn.as_table(made).splitlines() if line.startswith("CSAT (1-5)") and "80 %" in line)
    assert line.endswith(said)
    assert "Targets" not in drawn.as_table(report.build(Question(), tables(answers=answers), NOON))
