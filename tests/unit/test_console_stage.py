"""The simulator: what was played can be played again, is seen from behind, and becomes a test that passes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.console.saved_test import as_test, telling
from bot.console.sketch import MOST_LINES, Sketch
from bot.console.stage import Scene, play
from bot.desk_folder import DEMO_DESK, load
from bot.desk_folder.desk import Desk
from bot.flows.transcripts import LINES, run_test

LOCALES = ("en", "nl", "nb", "he")


@pytest.fixture(scope="module")
def desk() -> Desk:
    return load(DEMO_DESK)


def sketch(*lines: tuple[str, Any], locale: str = "en", **given: Any) -> Sketch:
    made = Sketch(locale, given)
    for kind, value in lines:
        made = made.then(kind, value)
    return made


def said(scene: Scene) -> str:
    return " | ".join(bubble.text for beat in scene.beats for bubble in beat.bubbles if bubble.who == "bot")


def test_the_bot_answers_and_each_step_is_seen_with_its_line(desk: Desk) -> None:
    scene = play(desk, sketch(("user", "where is my order"), ("user", "AB123456")))
    assert "is on its way" in said(scene)
    looks = [look for beat in scene.beats for look in beat.looks]
    asked = next(look for look in looks if look.values == {"answer": "order_no"})
    text = (DEMO_DESK / "flows/order_status.yaml").read_text().splitlines()[asked.line - 1]
    assert asked.step in text
    assert any(look.key == "stage_branch" and look.values["value"] == "yes" for look in looks)
    assert scene.slots["order_no"] == "AB123456"
    assert scene.stack[-1].flow == "order_status"
    assert [one.value for one in scene.choices] == ["yes", "no", "other"]


def test_a_connector_answers_as_it_is_told(desk: Desk) -> None:
    lines = (("user", "where is my order"), ("user", "AB123456"))
    down = play(desk, sketch(*lines, connectors={"orders.get": "timeout"}))
    assert down.with_people
    assert any(look.key == "stage_answer" and look.values["outcome"] == "timeout" for look in down.beats[-1].looks)
    late = play(desk, sketch(*lines, connectors={"orders.get": {"*": {"status": "delivered", "carrier": "Per"}}}))
    assert "delivered by Per" in said(late)


def test_people_are_there_or_not_and_time_goes_by(desk: Desk) -> None:
    scene = play(
        desk, sketch(("agents", 0), ("user", "human"), ("after", 3600), ("agents", 1), ("agent", "Hi, I am here"))
    )
    assert scene.escalated == "support"
    assert scene.reason == "asked"
    assert scene.claimed
    assert (scene.now - scene.beats[0].at).total_seconds() >= 3600
    assert scene.beats[-1].bubbles[-1].who == "agent"
    assert scene.beats[2].bubbles[0].key == "stage_later"


def test_a_line_that_cannot_be_done_says_why_and_the_rest_goes_on(desk: Desk) -> None:
    scene = play(desk, sketch(("choose", "blue"), ("user", "human")))
    assert "no button" in scene.beats[0].wrong
    assert scene.beats[1].wrong == ""


def test_a_survey_is_asked_and_rated(desk: Desk) -> None:
    lines = [("user", "how much does delivery cost"), ("choose", "kb:yes")]
    scene = play(desk, sketch(*lines))
    assert (scene.closed, scene.scale) == ("resolved", (1, 7))
    assert play(desk, sketch(*lines, ("score", 7))).score == 7


# ── the sketch travels through a page ──

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
KINDS = st.sampled_from([*LINES, "reply", ""])


@given(ANYTHING | st.fixed_dictionaries({"locale": ANYTHING, "given": ANYTHING, "lines": ANYTHING}))
@settings(max_examples=60, deadline=None)
def test_whatever_a_page_sends_back_is_a_sketch(sent: Any) -> None:
    made = Sketch.from_json(sent, LOCALES)
    assert made.locale in LOCALES
    assert Sketch.from_json(json.loads(json.dumps(made.to_json())), LOCALES) == made


@given(st.lists(st.tuples(KINDS, ANYTHING), max_size=6), st.sampled_from(LOCALES))
@settings(max_examples=60, deadline=None)
def test_whatever_is_done_is_played(desk: Desk, lines: list[Any], locale: str) -> None:
    made = Sketch.from_json({"locale": locale, "lines": [list(one) for one in lines]}, LOCALES)
    scene = play(desk, made)
    assert len(scene.beats) == len(made.lines)


def test_a_conversation_has_an_end() -> None:
    made = Sketch("en", {}, (("user", "hi"),) * MOST_LINES)
    assert made.then("user", "more") == made
    assert len(Sketch.from_json({"lines": [["user", "x"]] * 999}, LOCALES).lines) == MOST_LINES
    assert made.back().lines == made.lines[:-1]


# ── and becomes a test ──


STORIES = [
    sketch(("user", "where is my order"), ("user", "AB123456"), ("choose", "yes"), ("score", 6)),
    sketch(
        ("user", "אני רוצה כסף בחזרה"), ("user", "AB123456"), ("choose", "broken"), ("file", "photo.jpg"), locale="he"
    ),
    sketch(("user", "geld terug"), ("user", "XX"), ("user", "XX"), ("user", "XX"), locale="nl"),
    sketch(
        ("switch_channel", "telegram"), ("user", "menneske"), ("note", "Ring: i morgen?"), ("after", 180), locale="nb"
    ),
    sketch(("user", "human"), ("claim", True), ("agent", "Yes: what's up, #1?"), ("resolve", "resolved"), ("score", 1)),
    sketch(("open", False), ("agents", 0), ("user", "human"), ("event", ("parcel.delivered", {"day": "no"}))),
    sketch(
        ("user", "where is my order"),
        ("user", "AB123456"),
        connectors={"orders.get": {"AB123456": {"status": "no", "days_late": 0, "note": 'a "b", {c}: d'}, "*": 404}},
        at="2026-01-05T22:00",
    ),
]


@pytest.mark.parametrize("story", STORIES, ids=range(len(STORIES)))
def test_what_was_played_is_saved_as_a_test_that_passes(desk: Desk, story: Sketch) -> None:
    scene = play(desk, story)
    assert not [beat.wrong for beat in scene.beats if beat.wrong]
    text = as_test('it is "so": no #1', story, scene)
    with_it = load(DEMO_DESK, {"tests/simulator.yaml": text})
    mine = next(test for test in with_it.tests if Path(test.file).name == "simulator.yaml")
    assert mine.name == 'it is "so": no #1'
    assert [(line.kind, line.value) for line in mine.script if line.kind not in {"bot", "expect"}] == list(story.lines)
    result = run_test(with_it, mine)
    assert result.ok, result.message
    assert sum(line.kind == "bot" for line in mine.script) == sum(
        bubble.who == "bot" for beat in scene.beats for bubble in beat.bubbles
    )


def test_a_saved_test_notices_when_the_bot_says_something_else(desk: Desk) -> None:
    text = as_test("t", STORIES[0], play(desk, STORIES[0])).replace("Good news", "Bad news")
    changed = load(DEMO_DESK, {"tests/simulator.yaml": text})
    mine = next(test for test in changed.tests if Path(test.file).name == "simulator.yaml")
    assert not run_test(changed, mine).ok


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("Hello there. And more.", "Hello there."),
        ("**Bold** \\* words", "**Bold** * words"),
        ("$key is no key", "key is no key"),
        ("/x/", "x/"),
        ("a " * 100, ("a " * 30).strip()),
        ("", ""),
    ],
)
def test_the_telling_part_of_an_answer(text: str, part: str) -> None:
    assert telling(text) == part
