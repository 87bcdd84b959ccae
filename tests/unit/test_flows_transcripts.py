"""Conversations as tests: the demo desk's all pass, and a failure names its line and what was said instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.desk_folder import DEMO_DESK, DeskFaults, load
from bot.flows.transcripts import run_test, run_tests
from tests.unit.flows_house import desk_of
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
            "tests/core.yaml:4: expected bot «Which», got nothing",
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
    ],
)
def test_a_line_that_is_not_understood_is_a_fault_of_the_desk(tmp_path: Path, script: str, line: int) -> None:
    with pytest.raises(DeskFaults) as caught:
        results(tmp_path, script)
    assert [fault.line for fault in caught.value.faults] == [line]
