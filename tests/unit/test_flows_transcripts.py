"""Conversations as tests: the demo desk's all pass, and a failure names its line and what was said instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.desk_folder import DEMO_DESK, DeskFaults, load
from bot.flows.transcripts import run_test, run_tests
from tests.unit.flows_house import DESK, desk_of
from tests.unit.test_flows_run import ORDER

DEMO = load(DEMO_DESK)


def test_the_demo_desk_has_neither_faults_nor_warnings() -> None:
    assert DEMO.warnings == ()
    assert DEMO.tests


@pytest.mark.parametrize("test", DEMO.tests, ids=lambda test: test.name)
def test_the_demo_desks_conversations_go_well(test: object) -> None:
    result = run_test(DEMO, test)  # type: ignore[arg-type]
    assert result.ok, result.message


def results(tmp_path: Path, script: str, head: str = "") -> list[str]:
    tests = tmp_path / "desk" / "tests"
    tests.mkdir(parents=True)
    (tests / "core.yaml").write_text(f"- test: one\n{head}  script:\n{script}", encoding="utf-8")
    return [one.message.replace(f"{tmp_path}/desk/", "") for one in run_tests(desk_of(tmp_path / "desk", ORDER))]


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (
            "    - {user: where is my order}\n    - {bot: Which colour}\n",
            "tests/core.yaml:4: expected bot «Which colour», got «Which number?»",
        ),
        (
            "    - {user: where is my tent}\n    - {bot: Which}\n",
            "tests/core.yaml:4: expected bot «Which», got «Sorry, I can't find anything about that. Could you put it in other words?»",
        ),
        (
            "    - {user: where is my order AB123456}\n    - {user: {choose: maybe}}\n",
            'tests/core.yaml:4: there is no button "maybe"; there are: yes, no',
        ),
        (
            "    - {user: human}\n    - {expect: {escalated: billing}}\n",
            "tests/core.yaml:4: expected escalated «billing», got «support»",
        ),
        ("    - {user: hello}\n    - {agent: hi}\n", "tests/core.yaml:4: an agent writes, but nobody fetched one"),
        (
            "    - {user: where is my order AB123456}\n    - {expect: {slots: {order_no: XX}}}\n",
            "tests/core.yaml:4: expected slot order_no «XX», got «AB123456»",
        ),
    ],
)
def test_a_failure_names_the_line_and_what_was_said(tmp_path: Path, script: str, message: str) -> None:
    assert results(tmp_path, script) == [message]


def test_a_whole_conversation_with_people_and_the_question_at_the_end(tmp_path: Path) -> None:
    script = """\
    - {user: where is my order CD345678}
    - {bot: "/^Late, [0-9.]+ euro/"}
    - {bot: A colleague}
    - {expect: {escalated: support, reason: flow, slots: {order_no: CD345678}, flow: handoff}}
    - {agent: on it}
    - {user: thanks}
    - {agent: {resolve: resolved}}
    - {expect: {closed: resolved, survey: ces7}}
"""
    assert results(tmp_path, script) == [""]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("{AB123456: {status: late, amount: 3}}", "Late, 3 euro"),
        ("404", "No such order"),
        ("{XX: {}}", "No such order"),
    ],
)
def test_connectors_answer_as_the_test_says(tmp_path: Path, answer: str, said: str) -> None:
    script = f"    - {{user: where is my order AB123456}}\n    - {{bot: '{said}'}}\n"
    assert results(tmp_path, script, f"  given: {{connectors: {{orders.get: {answer}}}}}\n") == [""]


@pytest.mark.parametrize(
    ("script", "line"),
    [
        ("    - {usr: hello}\n", 3),
        ("    - {expect: {colour: red}}\n", 3),
        ("    - {user: {push: x}}\n", 3),
        ("    - {reload: v3}\n", 3),
        ("    - {after: soon}\n", 3),
        ("    - {event: Parcel}\n", 3),
        ("    - {switch_channel: fax}\n", 3),
    ],
)
def test_a_line_that_is_not_understood_is_a_fault_of_the_desk(tmp_path: Path, script: str, line: int) -> None:
    with pytest.raises(DeskFaults) as caught:
        results(tmp_path, script)
    assert [fault.line for fault in caught.value.faults] == [line]


PARCEL = """\
schema: 1
flow: parcel
version: 1
triggers: {event: parcel.sent, phrases: {en: [parcel], he: [חבילה]}}
slots: {carrier: {type: text, default: somebody}, where: {type: text}}
steps:
  - {id: q_where, if: "case.channel == 'telegram'", ask: where, text: {en: "Where to?", he: "לאן?"}, timeout: {after: 10m, then: gone}}
  - {say: {en: "Sent with {{ carrier }}.", he: "נשלח."}}
  - {id: way, wait: {event: parcel.delivered, timeout: 2d, then: late}}
  - {say: {en: "Delivered.", he: "הגיע."}, next: end}
  - {id: late, say: {en: "It is late.", he: "מאחר."}, next: end}
  - {id: gone, say: {en: "Are you there?", he: "שם?"}}
"""
CLAIM = """\
flow: claim
triggers: {phrases: {en: [claim], he: [תביעה]}}
slots: {email: {type: email}}
steps:
  - {id: person, escalate: {team: support}, text: {en: Somebody comes., he: בדרך.}, on: {no_agent: q_email}}
  - {id: q_email, ask: email, text: {en: "E-mail?", he: "מייל?"}, timeout: {after: 1h, then: here}}
  - {id: here, say: {en: "Then here.", he: "כאן."}}
  - {id: paid, wait: {event: claim.paid, timeout: 1d, then: end}}
  - {say: {en: "Paid.", he: "שולם."}}
"""
GREETING = """\
flow: greeting
triggers: {phrases: {en: [good morning], he: [בוקר טוב]}}
steps:
  - {say: {en: "Good morning to you.", he: "בוקר אור."}}
"""
DESK_BY_DAY = DESK.replace("name: House", 'name: House\ntimezone: Europe/Oslo\nopening_hours: {mon-fri: "09:00-17:00"}')


def played(tmp_path: Path, script: str, head: str = "", desk: str = DESK) -> list[str]:
    tests = tmp_path / "desk" / "tests"
    tests.mkdir(parents=True)
    lines = "".join(f"    - {line}\n" for line in script.strip().splitlines())
    (tests / "core.yaml").write_text(f"- test: one\n{head}  script:\n{lines}", encoding="utf-8")
    (tmp_path / "desk" / "versions").mkdir()
    newer = PARCEL.replace("version: 1", "version: 2").replace("Sent with", "On its way with")
    (tmp_path / "desk" / "versions" / "parcel.yaml").write_text(newer, encoding="utf-8")
    made = desk_of(tmp_path / "desk", ORDER, PARCEL, CLAIM, GREETING, desk=desk)
    return [one.message.replace(f"{tmp_path}/desk/", "") for one in run_tests(made)]


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("{event: {parcel.sent: {carrier: Post}}}\n{bot: Sent with Post.}\n{event: parcel.delivered}\n{bot: Delivered.}", ""),
        ("{event: parcel.sent}\n{bot: Sent}\n{after: 47h}\n{bot: late}", "tests/core.yaml:6: expected bot «late», got nothing"),
        ("{event: parcel.sent}\n{after: 2d}\n{bot: It is late.}", ""),
        ("{switch_channel: telegram}\n{user: parcel}\n{bot: Where to?}\n{after: 10m}\n{bot: Are you there?}\n{expect: {channel: telegram}}", ""),
        ("{user: parcel}\n{bot: Sent with}\n{reload: versions/parcel.yaml}\n{event: parcel.delivered}\n{bot: Delivered.}\n{user: parcel}\n{bot: On its way with}", ""),
        ("{user: human}\n{bot: number 1 in the queue}\n{agent: {claim: true}}\n{agent: {note: a secret}}\n{expect: {said_not: secret}}\n{agent: hello}\n{bot: hello}", ""),
        ("{agents: 0}\n{user: human}\n{bot: $no_agents_now}\n{agents: 1}\n{bot: number 1 in the queue}", ""),
        ("{agents: 0}\n{user: claim}\n{bot: E-mail?}\n{after: 1h}\n{bot: Then here.}\n{event: claim.paid}\n{bot: Paid.}", ""),
        ("{agents: 0}\n{user: claim}\n{bot: E-mail?}\n{agent: {claim: true}}\n{after: 1h}\n{event: claim.paid}\n{user: hello}\n{expect: {said_not: here}}", ""),
        ("{open: false}\n{user: human}\n{bot: $no_agents_now}", ""),
        ("{user: human}\n{agent: {resolve: resolved}}\n{bot: How easy}\n{user: {score: 6}}\n{expect: {survey: ces7, score: 6}}", ""),
        ("{user: human}\n{agent: {resolve: spam}}\n{user: {score: 6}}", "tests/core.yaml:5: the customer gives a score, but no survey was asked"),
        ("{user: human}\n{agent: {resolve: resolved}}\n{user: {score: 8}}", "tests/core.yaml:5: ces7 goes from 1 to 7, not 8"),
        ("{user: where is my order}\n{expect: {said_not: Which}}", "tests/core.yaml:4: expected that nobody says «Which», got «Which number?»"),
        ("{user: where is my order}\n{user: {choose: x}}", 'tests/core.yaml:4: there is no button "x"; there are: none'),
    ],
)  # fmt: skip
def test_a_script_plays_time_people_channels_events_versions_and_the_survey(
    tmp_path: Path, script: str, message: str
) -> None:
    assert played(tmp_path, script) == [message]


@pytest.mark.parametrize(
    ("at", "said"),
    [
        ("2026-01-05T08:59", "'we are back Mon, Jan 5 9:00'"),
        ("2026-01-05T09:00", "number 1"),
        ("2026-01-05T16:59:50", "number 1"),
        ("2026-01-05T17:00", "'we are back Tue, Jan 6 9:00'"),
        ("2026-01-10T12:00", "'we are back Mon, Jan 12 9:00'"),
    ],
)
def test_a_test_may_begin_at_a_time_of_the_desks_own_clock(tmp_path: Path, at: str, said: str) -> None:
    script = f"{{user: human}}\n{{bot: {said}}}"
    assert played(tmp_path, script, f"  given: {{at: {at}}}\n", DESK_BY_DAY) == [""]


RULES = """
escalation:
  team: support
  rules:
    - {when: safety, priority: urgent, text: {en: "Leave the house!", he: "צאו מהבית!"}, words: {en: [gas leak], he: [דליפת גז]}}
    - {when: loop}
    - {when: anger, reason: upset, team: billing}
    - {when: vip, if: "customer.vip"}
"""


BY_FLOW = """
routing:
  rules:
    - {if: "case.flow == 'claim'", team: billing}
    - {if: "case.flow == 'greeting'", priority: high}
"""


@pytest.mark.parametrize(
    "script",
    [
        "{user: human}\n{expect: {escalated: support, priority: normal}}",
        "{user: claim}\n{expect: {escalated: billing}}",
        "{user: good morning}\n{user: human}\n{expect: {escalated: support, priority: high}}",
    ],
)
def test_the_desks_routing_by_flow_is_played_too(tmp_path: Path, script: str) -> None:
    """People are fetched for what was tried before, not for the flow that fetches them."""
    assert played(tmp_path, script, "", DESK + BY_FLOW.lstrip()) == [""]


@pytest.mark.parametrize(
    ("script", "head"),
    [
        ("{user: where is my order}\n{user: there is a gas leak!}\n{bot: Leave the house!}\n{expect: {escalated: support, reason: safety, priority: urgent}}", ""),
        ("{user: you are useless}\n{bot: Shall I fetch}\n{user: what an idiotic answer}\n{bot: cumbersome}\n{expect: {escalated: billing, reason: upset, priority: high}}", "  given: {customer: {vip: true}}\n"),
        ("{user: you are useless}\n{bot: Shall I fetch}\n{user: {choose: human}}\n{expect: {reason: asked, priority: normal}}", ""),
        ("{user: where is my order}\n{user: this is ridiculous}\n{expect: {escalated: false, said_not: Shall I fetch}}", ""),
    ],
)  # fmt: skip
def test_the_desks_rules_are_played_too(tmp_path: Path, script: str, head: str) -> None:
    assert played(tmp_path, script, head, DESK + RULES.lstrip()) == [""]
