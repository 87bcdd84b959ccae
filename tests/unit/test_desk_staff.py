"""desk.yaml on who is there and who takes what: read to the letter, and each mistake told at its place."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from bot.desk_folder import DeskFaults
from bot.staffing import people
from bot.staffing.hours import is_open_at
from bot.staffing.routing import Rung
from handoff import terms
from tests.unit.flows_house import DESK, NOON, desk_of

TEAMS = "teams: [{id: support, name: Support}, {id: billing, name: Billing}]\n"
AGENTS = "agents: [{id: ann, name: Ann, team: support, capacity: 3}, {id: bill, name: Bill, team: billing}]\n"


def read(tmp_path: Path, sections: str, teams: str = TEAMS) -> object:
    return desk_of(tmp_path / "desk", desk=DESK.replace(TEAMS, teams) + AGENTS + sections)


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ("holidays: {country: XX}", 'country: unknown "XX"'),
        ("holidays: {country: DE, subdivision: ZZ}", 'subdivision: unknown "ZZ" of DE'),
        ("holidays: {subdivision: BY}", "a subdivision needs its country"),
        ("holidays: {country: NL, Christmas: 2026-12-25}", "a holiday must be a day such as 2026-12-25"),
        ("holidays: {country: NL, open: [tomorrow]}", "a holiday must be a day such as 2026-12-25"),
        ("routing: {assign: random}", 'assign: unknown "random"'),
        ("routing: {capacity: 0}", "capacity must be"),
        ("routing: {rules: [{if: customer.vip}]}", "the rule says nothing; add team, skills or priority"),
        ("routing: {rules: [{if: nonsense.vip, team: billing}]}", 'unknown slot "nonsense"'),
        ("routing: {rules: [{if: customer.vip, team: sales}]}", 'team: unknown "sales"'),
        ("routing: {ladder: [{after: 5m}]}", "a rung of the ladder names one of team, group, person"),
        ("routing: {ladder: [{after: 5m, team: billing, person: ann}]}", "a rung of the ladder names one of"),
        ("routing: {ladder: [{after: 5m, person: zoe}]}", 'person: unknown "zoe"'),
        ("routing: {ladder: [{after: 5m, person: ann}, {after: 2m, team: billing}]}", "in the order of their times"),
        ("routing: {answer_within: soon}", "answer_within must be a duration"),
        ("sla: {first_response: fast}", "first_response must be a duration"),
        ("sla: {warn: 2}", "warn must be a share of the target between 0 and 1"),
        ("sla: {urgent: {someday: 5m}}", 'unknown key "someday"'),
        ("escalation: {nudge: maybe}", "nudge must be a duration"),
    ],
)
def test_a_mistake_is_told_at_its_place(tmp_path: Path, sections: str, message: str) -> None:
    with pytest.raises(DeskFaults) as caught:
        read(tmp_path, sections + "\n")
    last = len((DESK + AGENTS).splitlines()) + 1
    assert [(one.line, message in one.message) for one in caught.value.faults] == [(last, True)], caught.value.faults


@pytest.mark.parametrize("team", ["overflow: sales", "timezone: Mars/Olympus", "capacity: none", "colour: red"])
def test_a_teams_own_mistakes_too(tmp_path: Path, team: str) -> None:
    with pytest.raises(DeskFaults) as caught:
        read(tmp_path, "", "teams: [{id: support, name: Support, " + team + "}, {id: billing, name: Billing}]\n")
    assert len(caught.value.faults) == 1


def test_everything_that_is_written_arrives(tmp_path: Path) -> None:
    sections = """\
timezone: Europe/Oslo
opening_hours: {mon-fri: "09:00-17:00"}
holidays: {country: "NO", 2026-12-24: Christmas Eve, open: [2026-05-14]}
routing:
  assign: least_busy
  capacity: 4
  offer_after: off
  rules: [{if: "case.locale == 'he'", skills: [hebrew]}]
  ladder: [{after: 5m, team: billing}, {after: 9m, group: S0123456}, {after: 9m, person: bill}]
sla: {first_response: 15m, urgent: {first_response: 5m}, warn: 0.5}
escalation: {nudge: off, give_up: 2d}
"""
    billing = '{id: billing, name: Billing, timezone: Asia/Jerusalem, opening_hours: {sun-thu: "09:00-17:00"}, holidays: {country: IL}, capacity: 9, skills: [refunds]}'
    desk = read(tmp_path, sections, "teams: [{id: support, name: Support}, " + billing + "]\n")
    routing = desk.routing  # type: ignore[attr-defined]
    assert (routing.assign, routing.capacity, routing.offer_after) == ("least_busy", 4, timedelta())
    assert routing.ladder[1:] == (
        Rung(timedelta(minutes=9), group="S0123456"),
        Rung(timedelta(minutes=9), person="bill"),
    )
    assert [people.colleague(desk, one).capacity for one in desk.agents] == [3, 9]  # type: ignore[arg-type, attr-defined]
    assert people.colleague(desk, desk.agents[1]).skills == ("refunds",)  # type: ignore[arg-type, attr-defined]
    assert (terms.nudge(desk), terms.give_up(desk)) == (None, timedelta(days=2))  # type: ignore[arg-type]
    norway, israel = people.hours_of(desk, "support"), people.hours_of(desk, "billing")  # type: ignore[arg-type]
    closed = [day in norway.holidays for day in (date(2026, 5, 1), date(2026, 5, 14), date(2026, 12, 24))]
    assert closed == [True, False, True]
    assert date(2026, 5, 1) not in israel.holidays  # its own country, and the desk's own day besides
    assert date(2026, 12, 24) in israel.holidays
    monday = NOON  # 13:00 in Oslo, 14:00 in Jerusalem
    sunday = monday - timedelta(days=1)
    assert [is_open_at(one, at) for at in (monday, sunday) for one in (norway, israel)] == [True, True, False, True]
