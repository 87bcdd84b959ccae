"""Conversation tests play the desk's people: who is given a case, whom the ladder calls, which team, within which hours."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.flows.transcripts import run_tests
from tests.unit.flows_house import DESK, desk_of

STAFF = """
agents:
  - {id: ann, name: Ann, team: support, locales: [en], skills: [refunds]}
  - {id: bob, name: Bob, team: support}
  - {id: noa, name: Noa, team: support, locales: [he]}
  - {id: bill, name: Bill, team: billing}
  - {id: lea, name: Lea, team: support, role: lead}
routing:
  assign: round_robin
  capacity: 2
  answer_within: 2m
  rules:
    - {if: "customer.vip", team: billing, priority: high}
    - {if: "case.reason == 'safety'", skills: [refunds]}
  ladder:
    - {after: 5m, team: billing}
    - {after: 8m, group: S0123456}
    - {after: 9m, person: lea}
"""
OVERFLOW = "{id: support, name: Support}", "{id: support, name: Support, overflow: billing}"
HOURS = 'timezone: Europe/Oslo\nopening_hours: {mon-fri: "09:00-17:00"}\nholidays: {country: "NO"}\n'


def played(tmp_path: Path, script: str, given: str, desk: str = DESK + STAFF, *flows: str) -> list[str]:
    tests = tmp_path / "desk" / "tests"
    tests.mkdir(parents=True)
    lines = "".join(f"    - {line}\n" for line in script.strip().splitlines())
    (tests / "core.yaml").write_text(f"- test: one\n  given: {{{given}}}\n  script:\n{lines}", encoding="utf-8")
    found = run_tests(desk_of(tmp_path / "desk", *flows, desk=desk))
    return [one.message.replace(f"{tmp_path}/desk/", "") for one in found]


@pytest.mark.parametrize(
    ("given", "script"),
    [
        ("agents: {ann: free, bob: free}", "{user: human}\n{bot: Ann has your question}\n{expect: {assigned: ann, escalated: support}}"),
        ("agents: {ann: 2, bob: 1}", "{user: human}\n{expect: {assigned: bob}}"),
        ("agents: {ann: 2, bob: 2}", "{user: human}\n{bot: number 1 in the queue}\n{expect: {assigned: null}}\n{agents: {bob: 1}}"),
        ("agents: {bill: free}, customer: {vip: true}", "{user: human}\n{expect: {assigned: bill, escalated: billing, priority: high}}"),
        ("agents: {ann: free, bob: free, lea: free}, case: {last_agent: lea}", "{user: human}\n{expect: {assigned: lea}}"),
        # whoever lets it lie loses it; then the team, the group, the person
        ("agents: {ann: free, bob: free}", "{user: human}\n{after: 3m}\n{bot: Ann is held up}\n{bot: Bob has}\n{expect: {assigned: bob}}"),
        ("agents: {ann: free}", "{user: human}\n{after: 6m}\n{expect: {assigned: null, escalated: support, called: []}}"),
        ("agents: {ann: free, bill: free}", "{user: human}\n{after: 6m}\n{expect: {assigned: bill, escalated: billing}}"),
        ("agents: {ann: free}", "{user: human}\n{after: 10m}\n{expect: {called: [S0123456, lea]}}"),
        ("agents: {ann: free}", "{user: human}\n{agent: {claim: true}}\n{after: 4m}\n{expect: {assigned: ann}}"),
        ("agents: {ann: free}", "{user: human}\n{agent: hello}\n{after: 1h}\n{expect: {assigned: ann, called: []}}"),
        # who comes later gets it
        ("agents: {ann: away}", "{user: human}\n{bot: $no_agents_now}\n{agents: {bob: free}}\n{bot: Bob has}\n{expect: {assigned: bob}}"),
    ],
)  # fmt: skip
def test_a_case_finds_its_agent(tmp_path: Path, given: str, script: str) -> None:
    assert played(tmp_path, script, given) == [""]


def test_the_language_leads_to_who_speaks_it(tmp_path: Path) -> None:
    tests = tmp_path / "desk" / "tests"
    tests.mkdir(parents=True)
    head = "- test: one\n  locale: he\n  given: {agents: {ann: free, noa: free}}\n  script:\n"
    (tests / "core.yaml").write_text(
        f"{head}    - {{user: נציג}}\n    - {{expect: {{assigned: noa}}}}\n", encoding="utf-8"
    )
    (result,) = run_tests(desk_of(tmp_path / "desk", desk=DESK + STAFF))
    assert result.message == ""


ON_AND_ROUND = (
    "{id: billing, name: Billing}",
    "{id: billing, name: Billing, overflow: sales}, {id: sales, name: Sales, overflow: support}",
)


@pytest.mark.parametrize(
    ("given", "expected"),
    [("bill: free", "{assigned: bill, escalated: billing}"), ("sam: free", "{assigned: sam, escalated: sales}"), ("ann: away", "{assigned: null, escalated: support}")],
)  # fmt: skip
def test_a_team_of_which_nobody_is_there_overflows_from_team_to_team(tmp_path: Path, given: str, expected: str) -> None:
    staff = STAFF.replace("agents:\n", "agents:\n  - {id: sam, name: Sam, team: sales}\n")
    desk = DESK.replace(*OVERFLOW).replace(*ON_AND_ROUND) + staff
    assert played(tmp_path, f"{{user: human}}\n{{expect: {expected}}}", f"agents: {{{given}}}", desk) == [""]


@pytest.mark.parametrize(
    ("at", "assigned", "said"),
    [("2026-05-15T10:00", "ann", "Ann has"), ("2026-05-16T10:00", "null", "back Mon, May 18"), ("2026-12-25T10:00", "null", "back Mon, Dec 28")],
)  # fmt: skip
def test_nobody_is_given_a_case_at_night_or_on_a_public_holiday(
    tmp_path: Path, at: str, assigned: str, said: str
) -> None:
    script = f"{{user: human}}\n{{bot: '{said}'}}\n{{expect: {{assigned: {assigned}}}}}"
    assert played(tmp_path, script, f"agents: {{ann: free}}, at: {at}", DESK + HOURS + STAFF) == [""]


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ("agents: {zoe: free}", 'tests/core.yaml:1: there is no agent "zoe"; desk.yaml names ann, bob, noa, bill, lea'),
        ("agents: {ann: busy}", 'tests/core.yaml:1: agents: ann is free, away, or a number of cases, not "busy"'),
    ],
)
def test_a_scene_with_people_who_are_not_there_fails_in_one_line(tmp_path: Path, given: str, fault: str) -> None:
    assert played(tmp_path, "{user: human}", given) == [fault]


CLAIM = """\
flow: claim
triggers: {phrases: {en: [claim], he: [תביעה]}}
slots: {email: {type: email}}
steps:
  - {id: person, escalate: {team: billing}, text: {en: Somebody comes., he: בדרך.}, on: {no_agent: q_email}}
  - {id: q_email, ask: email, text: {en: "E-mail?", he: "מייל?"}, timeout: {after: 1h, then: here}}
  - {id: here, say: {en: "Then here.", he: "כאן."}}
"""


MANUAL = STAFF.replace("assign: round_robin", "assign: manual")


@pytest.mark.parametrize(
    ("given", "staff", "script"),
    [
        ("agents: {ann: free, bill: away}", STAFF, "{user: claim}\n{bot: $no_agents_now}\n{bot: E-mail?}"),
        ("agents: {ann: away, bill: free}", MANUAL, "{user: claim}\n{bot: Somebody comes.}\n{bot: number 1 in the queue}"),
        ("agents: {ann: free, bill: free}, at: 2026-01-05T12:00", MANUAL, "{user: claim}\n{bot: $no_agents_until}\n{bot: E-mail?}"),
        ("agents: {ann: free, bill: free}, open: true", MANUAL, "{user: claim}\n{bot: number 1 in the queue}"),
        ("agents: 1, open: false", MANUAL, "{user: claim}\n{bot: $no_agents_now}\n{bot: E-mail?}"),
    ],
)  # fmt: skip
def test_who_is_there_is_asked_of_the_team_to_which_the_case_goes(
    tmp_path: Path, given: str, staff: str, script: str
) -> None:
    """Monday noon: billing, to which the flow sends, is there on Tuesdays only."""
    by_day = DESK.replace("name: Billing", 'name: Billing, opening_hours: {tue: "09:00-17:00"}')
    assert played(tmp_path, f"{script}\n{{expect: {{escalated: billing}}}}", given, by_day + staff, CLAIM) == [""]


@pytest.mark.parametrize(
    ("bill", "script"),
    [
        ("free", "{user: claim}\n{bot: Bill has your question}\n{expect: {said_not: E-mail}}\n{after: 2h}\n{expect: {said_not: here}}"),
        ("away", "{user: claim}\n{bot: E-mail?}\n{after: 2h}\n{bot: Then here.}"),
    ],
)  # fmt: skip
def test_a_flow_asks_while_nobody_is_there_and_not_whom_somebody_was_given(
    tmp_path: Path, bill: str, script: str
) -> None:
    """Monday noon: support is there on Tuesdays only, billing always."""
    by_day = DESK.replace("name: Support", 'name: Support, opening_hours: {tue: "09:00-17:00"}')
    tests = tmp_path / "desk" / "tests"
    tests.mkdir(parents=True)
    lines = "".join(f"    - {line}\n" for line in script.splitlines())
    head = f"- test: one\n  given: {{at: 2026-01-05T12:00, agents: {{bill: {bill}}}}}\n  script:\n"
    (tests / "core.yaml").write_text(head + lines, encoding="utf-8")
    staff = STAFF.replace("answer_within: 2m", "answer_within: 8h")
    (result,) = run_tests(desk_of(tmp_path / "desk", CLAIM, desk=by_day + staff))
    assert result.message == ""
