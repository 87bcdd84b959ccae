"""Running conversations and new versions of their flow: pinned, moved by a plan, or told that nothing of it is left."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bot import flows
from bot.desk_folder import Desk, DeskFaults
from bot.desk_folder.desk import Versions
from bot.flows import versions
from bot.flows.expressions import Scope
from bot.flows.load import read_flow
from bot.flows.migrate import NoPlace, move_all
from bot.flows.names import Names
from bot.flows.schema import Flow
from bot.flows.source import Faults, Reader, read
from tests.unit.flows_house import NOON, Customer, desk_of

OLD = """\
flow: refund
triggers: {phrases: {en: [refund], he: [החזר]}}
slots: {no: {type: text}, reason: {type: text}, left: {type: number, default: 3}}
steps:
  - {id: q_no, ask: no, text: {en: "Which one?", he: "איזה?"}}
  - {id: q_reason, ask: reason, text: {en: "Why?", he: "למה?"}}
  - {say: {en: "{{ no }}, {{ reason }}.", he: "{{ no }}"}}
"""
NEW = """\
schema: 1
version: 2
flow: refund
triggers: {phrases: {en: [refund], he: [החזר]}}
slots: {no: {type: text}, reason: {type: text}, left: {type: number, default: 3}, sure: {type: bool}}
steps:
  - {id: q_no, ask: no, text: {en: "Which one?", he: "איזה?"}}
  - {id: q_sure, ask: sure, text: {en: "Sure?", he: "בטוח?"}}
  - {id: q_why, ask: reason, text: {en: "For which reason?", he: "מאיזו סיבה?"}}
  - {say: {en: "{{ no }}, {{ reason }}, {{ left }}!", he: "{{ no }}"}}
"""
PLAN = NEW + "migrate: {from: [1], rename: {q_reason: q_why}, set: {left: left - 1}}\n"
DROP = NEW + "migrate: {from: [1], drop: {q_reason: q_sure}}\n"


def desks(folder: Path, new: str) -> tuple[Desk, Desk]:
    before = desk_of(folder / "old", OLD)
    return before, desk_of(folder / "new", new).keeping(before)


def waiting(before: Desk) -> Customer:
    customer = Customer(before)
    customer.says("refund")
    assert customer.says("A1") == ["Why?"]
    return customer


def test_who_runs_in_a_version_stays_in_it(tmp_path: Path) -> None:
    before, after = desks(tmp_path, PLAN)
    customer = waiting(before)
    customer.desk = after
    assert customer.says("broken") == ["A1, broken."]


@pytest.mark.parametrize("way", ["killed", "too old", "gone"])
def test_who_must_leave_goes_on_at_the_renamed_step_with_what_was_told(tmp_path: Path, way: str) -> None:
    before, after = desks(tmp_path, PLAN)
    customer = waiting(before)
    customer.desk = forced(customer, before, after, way)
    assert customer.says("broken") == ["A1, broken, 2!"]


@pytest.mark.parametrize("way", ["killed", "too old", "gone"])
def test_a_dropped_step_leads_to_another_that_is_asked_anew(tmp_path: Path, way: str) -> None:
    before, after = desks(tmp_path, DROP)
    customer = waiting(before)
    customer.desk = forced(customer, before, after, way)
    assert customer.says("broken") == ["Sure?"]
    assert customer.says("yes") == ["For which reason?"]
    assert customer.says("broken") == ["A1, broken, 3!"]


@pytest.mark.parametrize("way", ["killed", "too old", "gone"])
def test_a_call_for_a_human_is_heard_though_the_step_was_dropped(tmp_path: Path, way: str) -> None:
    before, after = desks(tmp_path, DROP)
    for event in (flows.Text("a human, please"), flows.StartFlow("handoff"), flows.FetchHuman("safety")):
        customer = waiting(before)
        customer.desk = forced(customer, before, after, way)
        customer.take(event)
        assert customer.only(flows.Escalate), event
        assert "Sure?" not in customer.said


def test_a_question_that_may_wait_for_ever_now_stays_open_when_its_old_time_is_over(tmp_path: Path) -> None:
    timed = OLD.replace('he: "למה?"}}', 'he: "למה?"}, timeout: {after: 1h, then: q_no}}')
    before, after = desk_of(tmp_path / "old", timed), desk_of(tmp_path / "new", PLAN)
    customer = waiting(before)
    customer.desk = forced(customer, before, after.keeping(before), "killed")
    assert customer.take(flows.TimedOut(customer.token)) == []
    assert customer.says("broken") == ["A1, broken, 2!"]


@pytest.mark.parametrize("way", ["killed", "too old", "gone"])
def test_without_a_place_a_human_is_fetched_and_the_customer_told(tmp_path: Path, way: str) -> None:
    before, after = desks(tmp_path, NEW)
    customer = waiting(before)
    customer.desk = forced(customer, before, after, way)
    customer.says("broken")
    assert customer.only(flows.Escalate).reason_code == "version"
    assert customer.only(flows.Escalate).text
    assert customer.state.frames == ()


def forced(customer: Customer, before: Desk, after: Desk, way: str) -> Desk:
    if way == "killed":
        return replace(after, versions=Versions(kill=(before.flows["refund"].hash,)))
    if way == "too old":
        customer.context = replace(customer.context, now=NOON + timedelta(days=31))
        return after
    return replace(after, pinned={})


def test_a_version_in_force_is_never_left_whatever_its_age(tmp_path: Path) -> None:
    before = desk_of(tmp_path, OLD)
    customer = waiting(before)
    customer.desk = replace(before, versions=Versions(pin_days=0, kill=(before.flows["refund"].hash,)))
    customer.context = replace(customer.context, now=NOON + timedelta(days=300))
    assert customer.says("broken") == ["A1, broken."]


def test_all_frames_move_or_none_and_the_reason_is_told(tmp_path: Path) -> None:
    before, after = desks(tmp_path, PLAN)
    customer = waiting(before)
    old = {flow.hash: flow for flow in before.flows.values()}
    scope = Scope({"customer": {}, "case": {}}, NOON)
    moved = move_all(customer.state, old, after.flows["refund"], scope)
    assert moved is not None
    assert (moved.frames[0].step_id, moved.frames[0].slots["left"]) == ("q_why", 2)
    assert move_all(moved, old, after.flows["refund"], scope) is None, "nothing is left to do"
    customer.desk, customer.state = replace(after, pinned={}), moved
    assert customer.says("broken") == ["A1, broken, 2!"]
    _, bare = desks(tmp_path / "bare", NEW)
    with pytest.raises(NoPlace, match='the live step "q_reason" does not exist in version 2'):
        move_all(waiting(before).state, old, bare.flows["refund"], scope)
    _, typed = desks(tmp_path / "typed", PLAN.replace("no: {type: text}", "no: {type: number}"))
    with pytest.raises(NoPlace, match='the slot "no" was text and is number'):
        move_all(waiting(before).state, old, typed.flows["refund"], scope)


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ("{rename: {a: q_why}}", '"from" is missing'),
        ("{from: [2]}", "2 is not older than this version"),
        ("{from: [1], rename: {q_reason: q_wy}}", 'unknown step "q_wy"; did you mean "q_why"?'),
        ("{from: [1], rename: {q_no: q_why}}", 'the step "q_no" is still there'),
        ("{from: [1], rename: {a: q_why}, drop: {a: q_no}}", '"a" is renamed already'),
        ("{from: [1], drop: {a: end}}", "name a step"),
        ("{from: [1], set: {lft: 1}}", 'unknown slot "lft"'),
        ("{from: [1], set: {left: nope + 1}}", 'unknown slot "nope"'),
        ("{from: [1], steps: {}}", 'unknown key "steps"'),
    ],
)
def test_a_plan_is_checked_at_load(tmp_path: Path, plan: str, message: str) -> None:
    with pytest.raises(DeskFaults) as caught:
        desk_of(tmp_path, NEW + f"migrate: {plan}\n")
    assert any(message in str(fault) for fault in caught.value.faults), [str(one) for one in caught.value.faults]


def test_the_desk_says_how_long_and_what_nobody_runs_any_more(tmp_path: Path) -> None:
    from tests.unit.flows_house import DESK

    desk: Any = desk_of(tmp_path, OLD, desk=DESK + "versions: {pin_days: 7, kill: [0123456789abcdef]}\n")
    assert desk.versions == Versions(7, ("0123456789abcdef",))
    with pytest.raises(DeskFaults, match="no version's hash"):
        desk_of(tmp_path, OLD, desk=DESK + "versions: {kill: [v1]}\n")


def test_a_flow_that_runs_is_read_again_though_its_words_would_be_refused_today() -> None:
    """Until lately a text's name was taken letter by letter where programs read."""
    source = """\
schema: 1
version: 1
flow: wish
slots: {wish: {type: text}}
steps:
  - {id: q_wish, ask: wish, text: "Which?"}
  - {record: {kind: feature_request, text: $wish}}
  - {close: no_solution, reason: $later}
"""
    desk = Names(locales=("en",))
    faults = Faults()
    root = read("wish.yaml", source, faults)
    assert root is not None
    assert read_flow(root, source, Reader("wish.yaml", faults), desk) is None
    kept = versions.to_row(Flow("wish", 1, "old", (), source=source), desk)
    flow = versions.from_row(kept)
    assert flow is not None
    assert [getattr(step.verb, "values", None) for step in flow.steps][1] == {"text": "$wish"}
    assert getattr(flow.steps[2].verb, "reason", None) == {"en": "$later"}
