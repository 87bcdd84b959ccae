"""The graph of a flow: every box with its place in the file, every arrow with its kind."""

from __future__ import annotations

from pathlib import Path

from bot.desk_folder import DEMO_DESK, load
from bot.flows.graph import HUMAN, Edge, graph
from tests.unit.flows_house import desk_of

FLOW = """\
flow: own
slots: {n: {type: text}, order: {type: object}}
steps:
  - {id: q, ask: n, text: {en: "Which\\none?", he: "איזה?"}, timeout: {after: 5m, then: bye}}
  - {id: look, call: orders.get, with: {order_no: "{{ n }}"}, save: order, on: {404: bye}, note: the shop's own table}
  - {id: maybe, if: "n == 'x'", say: {en: Hm., he: הם}, next: bye}
  - branch: [{if: "order.amount > 5", goto: people}, {else: bye}]
  - {id: people, run: handoff, next: end}
  - {id: bye, say: {en: "{{ n }}", he: "{{ n }}"}}
"""


def test_boxes_stand_where_their_steps_are_written_and_say_what_they_are_about(tmp_path: Path) -> None:
    nodes = graph(desk_of(tmp_path, FLOW).flows["own"], "en").nodes
    assert [(one.name, one.verb, one.text, one.line, one.rests) for one in nodes] == [
        ("q", "ask", "Which one?", 6, True),
        ("look", "call", "orders.get", 7, False),
        ("maybe", "say", "Hm.", 8, False),
        ("", "branch", "", 9, False),
        ("people", "run", "handoff", 10, False),
        ("bye", "say", "{{ n }}", 11, False),
    ]
    assert nodes[2].condition == "n == 'x'"
    assert nodes[1].note == "the shop's own table"
    assert all(one.file.endswith("own0.yaml") and one.column == 5 for one in nodes)


def test_arrows_tell_the_usual_way_from_branches_failures_and_other_flows(tmp_path: Path) -> None:
    found = graph(desk_of(tmp_path, FLOW).flows["own"])
    branch = found.nodes[3].id
    assert set(found.edges) == {
        Edge("q", HUMAN, "failure", "retry"),
        Edge("q", "bye", "failure", "timeout"),
        Edge("q", "look"),
        Edge("look", "bye", "failure", "404"),
        Edge("look", "maybe"),
        Edge("maybe", "bye"),
        Edge("maybe", branch, "branch", "not n == 'x'"),
        Edge(branch, "people", "branch", "order.amount > 5"),
        Edge(branch, "bye", "branch", "else"),
        Edge("people", "handoff", "run"),
        Edge("people", "end"),
        Edge("bye", "end"),
    }


def test_every_arrow_of_the_demo_desk_ends_at_a_box() -> None:
    desk = load(DEMO_DESK)
    for flow in desk.flows.values():
        found = graph(flow, "he")
        boxes = {one.id for one in found.nodes} | {"end", HUMAN}
        assert {one.target for one in found.edges if one.kind != "run"} <= boxes
        assert {one.target for one in found.edges if one.kind == "run"} <= desk.flows.keys()
