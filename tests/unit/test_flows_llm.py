"""The step `llm`: a model rewords what a step `kb` found, or the article speaks for itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from bot import flows
from bot.answers.grounded import Passage
from bot.desk_folder import DeskFaults
from bot.desk_folder.load import load
from bot.flows.graph import graph
from tests.unit.flows_house import Customer, desk_of

GUIDE = """\
flow: guide
triggers: {phrases: {en: [guide], he: [מדריך]}}
slots: {q: {type: text}}
steps:
  - {id: q_what, ask: q, text: {en: "What about?", he: "על מה?"}}
  - {id: look, kb: "{{ q }}", on: {unsure: told, none: nothing}}
  - {id: told, llm: "Two friendly sentences.", grounded_in: look, max_chars: 200, on: {refused: nothing}}
  - {say: {en: "Anything else?", he: "עוד?"}, next: end}
  - {id: nothing, say: {en: "I know nothing.", he: "לא יודע."}}
"""
PASSAGE = Passage("returns", "Returns & <b>refunds</b>", "Within 30 days.")


def finds(found: flows.Found) -> object:
    def search(query: str, locale: str, tags: Sequence[str]) -> flows.Found:
        return found

    return search


SURE = flows.Found("sure", "returns", "The article.", (PASSAGE,))
UNSURE = flows.Found("unsure", passages=(PASSAGE,))


def asked(folder: Path, found: flows.Found = SURE, *, model: bool = True, flow: str = GUIDE) -> Customer:
    customer = Customer(desk_of(folder, flow), model=model, search=finds(found))
    customer.says("guide")
    customer.says("how long may I return?")
    return customer


def answers(customer: Customer, text: object, outcome: str = "ok") -> list[str]:
    return customer.take(flows.CallDone(customer.state.call_token, outcome, {"text": text}))


def test_the_model_gets_question_passages_and_order_and_its_answer_is_told_with_its_source(tmp_path: Path) -> None:
    customer = asked(tmp_path)
    request = customer.only(flows.AskModel)
    assert (request.question, request.passages) == ("how long may I return?", (PASSAGE,))
    assert (request.order, request.longest) == ("Two friendly sentences.", 200)
    assert customer.said == []
    said = answers(customer, "Within 30 days *really* [1].")
    assert said[0].splitlines()[0] == r"Within 30 days \*really\* \[1\]\."
    assert r"\[1\] Returns \& \<b\>refunds\</b\>" in said[0]
    assert said[1:] == ["Anything else?"]


@pytest.mark.parametrize(
    ("text", "outcome"),
    [("60 days [1]", "ok"), ("no source", "ok"), (None, "timeout"), (None, "error"), (None, "busy"), (7, "ok")],
)
def test_a_model_that_fails_or_invents_leaves_the_article_to_speak(tmp_path: Path, text: object, outcome: str) -> None:
    assert answers(asked(tmp_path), text, outcome) == ["The article.", "Anything else?"]


def test_without_a_model_the_article_speaks(tmp_path: Path) -> None:
    customer = asked(tmp_path, model=False)
    assert customer.said == ["The article.", "Anything else?"]
    assert customer.none(flows.AskModel)


def test_what_the_search_was_unsure_of_may_be_reworded_but_has_no_words_of_its_own(tmp_path: Path) -> None:
    assert answers(asked(tmp_path, UNSURE), "Within 30 days [1].")[1:] == ["Anything else?"]
    assert answers(asked(tmp_path, UNSURE), "60 days [1]") == ["I know nothing."]


def test_where_the_search_found_nothing_no_model_is_asked(tmp_path: Path) -> None:
    customer = asked(tmp_path, flows.Found("none"))
    assert customer.said == ["I know nothing."]
    assert customer.none(flows.AskModel)
    straight = asked(tmp_path, flows.Found("none"), flow=GUIDE.replace("none: nothing", "none: told"))
    assert straight.said == ["I know nothing."]
    assert straight.none(flows.AskModel)


def test_a_step_may_go_its_own_ways(tmp_path: Path) -> None:
    flow = GUIDE.replace("on: {refused: nothing}", "on: {refused: nothing, off: nothing, timeout: nothing}")
    assert asked(tmp_path, model=False, flow=flow).said == ["I know nothing."]
    assert answers(asked(tmp_path, flow=flow), "", "timeout") == ["I know nothing."]
    found = graph(desk_of(tmp_path, flow).flows["guide"])
    assert {one.label for one in found.edges if one.source == "told" and one.kind == "failure"} == {
        "refused", "off", "timeout",
    }  # fmt: skip


def test_words_that_come_meanwhile_wait_and_an_old_answer_is_nothing(tmp_path: Path) -> None:
    customer = asked(tmp_path)
    customer.says("hello?")
    assert not customer.handled
    token = customer.state.call_token
    assert customer.take(flows.CallDone("another", "ok", {"text": "Within 30 days [1]."})) == []
    assert customer.state.call_token == token


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("grounded_in: look, ", "", '"grounded_in" is missing'),
        ("grounded_in: look", "grounded_in: q_what", '"q_what" is no kb step'),
        ("grounded_in: look", "grounded_in: lok", 'unknown step "lok"; did you mean "look"?'),
        ("max_chars: 200", "max_chars: 20", "from 50 to 2000"),
        ("on: {refused: nothing}", "on: {off: nothing}", '"refused" is missing'),
        (", on: {refused: nothing}", "", 'needs "on"'),
        ("on: {unsure", "confirm: true, on: {unsure", "confirm cannot stand here"),
    ],
)
def test_mistakes_are_told_at_load(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(DeskFaults) as caught:
        desk_of(tmp_path, GUIDE.replace(old, new))
    assert any(message in str(fault) for fault in caught.value.faults)


def test_a_conversation_test_says_what_the_model_answers(tmp_path: Path) -> None:
    from bot.flows.transcripts import run_tests

    desk_of(tmp_path, GUIDE)
    (tmp_path / "knowledge").mkdir()
    article = "---\ntitle: Returns\nlocale: en\nquestions: [How long may I return it?]\n---\nWithin 30 days.\n"
    (tmp_path / "knowledge" / "returns.md").write_text(article, encoding="utf-8")
    (tmp_path / "tests").mkdir()
    lines = "[{user: guide}, {user: How long may I return it?}, {bot: '%s'}, {bot: Anything else}]"
    tests = [
        "- {test: told, given: {model: 'You have 30 days [1].'}, script: " + lines % "You have 30 days" + "}",
        "- {test: invented, given: {model: 'You have 90 days [1].'}, script: " + lines % "Within 30 days" + "}",
        "- {test: slow, given: {model: timeout}, script: " + lines % "Within 30 days" + "}",
        "- {test: none, script: " + lines % "Within 30 days" + "}",
    ]
    (tmp_path / "tests" / "model.yaml").write_text("\n".join(tests), encoding="utf-8")
    assert [one.message for one in run_tests(load(tmp_path))] == ["", "", "", ""]
