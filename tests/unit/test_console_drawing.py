"""The picture of a flow: every box in its place, every arrow between its boxes, every word escaped."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.console.drawing.layers import Arrow, Box, layout
from bot.console.drawing.picture import Counts, draw
from bot.desk_folder import DEMO_DESK, load
from bot.flows.graph import Edge, Graph, Node, graph
from bot.texts import say

NODES = st.integers(1, 14)


def t(key: str, **values: object) -> str:
    return say(key, "en", None, **values)


@st.composite
def graphs(draw_: st.DrawFn) -> tuple[list[Box], list[Arrow]]:
    count = draw_(NODES)
    boxes = [Box(str(at), draw_(st.sampled_from([60.0, 200.0])), 50) for at in range(count)]
    ends = st.integers(0, count - 1)
    links = draw_(st.lists(st.tuples(ends, ends, st.sampled_from([0.0, 90.0])), max_size=3 * count))
    return boxes, [Arrow(str(source), str(target), wide) for source, target, wide in links]


@given(graphs())
@settings(max_examples=80)
def test_no_two_boxes_lie_over_each_other_and_none_outside(net: tuple[list[Box], list[Arrow]]) -> None:
    """Whatever leads where: circles, loops onto itself, several arrows between two, parts that nothing reaches."""
    boxes, arrows = net
    drawn = layout(boxes, arrows)
    assert drawn.at.keys() == {box.key for box in boxes}
    assert len(drawn.bends) == len(arrows)
    placed = [(drawn.at[box.key], box) for box in boxes]
    for (x, y), box in placed:
        assert box.width / 2 - 0.1 <= x <= drawn.width - box.width / 2 + 0.1
        assert box.height / 2 - 0.1 <= y <= drawn.height - box.height / 2 + 0.1
        for (ox, oy), other in placed:
            if other is not box:
                assert abs(x - ox) >= (box.width + other.width) / 2 - 0.1 or abs(y - oy) >= box.height - 0.1
    spots = {spot for bends in drawn.bends for spot in bends}
    for x, y in spots:  # an arrow runs around the boxes that it passes
        assert all(abs(x - ox) > box.width / 2 or abs(y - oy) > 1 for (ox, oy), box in placed)


def test_what_leads_nowhere_back_runs_down() -> None:
    drawn = layout(
        [Box(one, 100, 50) for one in "abcd"], [Arrow("a", "b"), Arrow("b", "c"), Arrow("a", "d"), Arrow("d", "c")]
    )
    heights = {key: y for key, (_, y) in drawn.at.items()}
    assert heights["a"] < heights["b"] == heights["d"] < heights["c"]


@pytest.mark.parametrize("name", sorted(load(DEMO_DESK).flows))
@pytest.mark.parametrize("locale", ["en", "he"])
def test_every_step_of_the_demo_desk_is_a_link_to_its_line(name: str, locale: str) -> None:
    flow = load(DEMO_DESK).flows[name]
    root = ET.fromstring(draw(graph(flow, locale), t, {flow.steps[0].id: Counts(3, 40, 5)}))
    links = [(int(one.attrib["data-line"]), one.attrib["href"]) for one in root.iter("a")]
    assert sorted(links) == sorted((step.line, f"#L{step.line}") for step in flow.steps)
    assert "3 there now" in (next(root.iter("a")).attrib["aria-label"])
    failures = sum(edge.kind == "failure" for edge in graph(flow).edges)
    dashed = [one for one in root.iter("path") if one.attrib.get("class") == "failure"]
    assert 0 < len(dashed) <= failures or failures == 0  # those between the same two boxes are one


def test_nothing_that_an_admin_wrote_is_markup() -> None:
    evil = "<script>alert(1)</script>\"'&"
    node = Node(evil, evil, "say", evil, "f.yaml", 1, 1, rests=False, condition=evil, note=evil)
    svg = draw(Graph(evil, (node,), (Edge(evil, evil, "branch", evil), Edge(evil, "end", "failure", evil))), t)
    root = ET.fromstring(svg)
    assert {one.tag for one in root.iter()} <= {
        "svg",
        "defs",
        "marker",
        "path",
        "g",
        "a",
        "title",
        "rect",
        "text",
        "tspan",
    }
    assert not re.search(r"<script|style=|\son\w+=", svg)
