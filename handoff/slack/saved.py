"""Macros… in Slack: saved replies, searched and previewed in a form, then the text of a reply that its agent sends.

Slack's list is searched by typing, titles only; the field above it looks into the words too, and brings what a long list
leaves out. What is picked becomes the Reply… form with the words in it: nothing leaves unseen.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from channels.slack.payloads import mapping
from channels.text import to_plain
from handoff import macros
from handoff.macros import Offered
from handoff.slack import forms
from handoff.slack.answering import is_mine, reply_form
from handoff.slack.blocks import Block, line, section
from handoff.slack.card import language
from handoff.slack.verb import Refusal, Scene, Verb, View
from handoff.steps import must_hold

NAME = "macros"
SEARCH, PICK = f"desk:{NAME}:search", f"desk:{NAME}:pick"
WORDS, CHOSEN = "words", "chosen"
PREVIEW = 2000  # characters


def form(scene: Scene, query: str = "", chosen: str = "") -> View:
    """The saved replies that `query` finds, the `chosen` one (or the first) shown as it would read."""
    must_hold(scene.tx, scene.case, scene.agent.id)
    say, found = scene.wording, offered(scene, query)[: forms.OPTIONS]
    blocks: list[Block] = [_search(say("macros_search"), query)]
    if not found:
        return forms.form(scene, NAME, say("macros_title"), [*blocks, line(say("macros_none"))])
    one = next((each for each in found if each.id == chosen), found[0])
    blocks += [_list(scene, found, one, query), *_preview(scene, one)]
    return forms.form(scene, NAME, say("macros_title"), blocks, say("button_insert"))


def offered(scene: Scene, query: str) -> list[Offered]:
    return macros.of_case(scene.tx.conn, scene.desk, scene.case, scene.agent, query)


def pick(scene: Scene, view: Mapping[str, Any], action: Mapping[str, Any]) -> View | None:
    """Something was looked for, or another one chosen: the form as it then is."""
    query = forms.filled_at(view, SEARCH)
    if action.get("action_id") == SEARCH:
        return form(scene, str(action.get("value") or ""))
    return form(scene, query, str(mapping(action.get("selected_option")).get("value") or ""))


def insert(scene: Scene, view: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The form Reply… takes its place, with the words in it."""
    wanted = forms.filled_at(view, PICK)
    one = next((each for each in offered(scene, "") if each.id == wanted), None)
    if one is None:
        raise Refusal(scene.wording("macros_none"))
    return {"response_action": "update", "view": reply_form(scene, to_plain(one.text))}


def _search(label: str, query: str) -> Block:
    element: Block = {"type": "plain_text_input", "action_id": SEARCH, "max_length": 100}
    element["dispatch_action_config"] = {"trigger_actions_on": ["on_enter_pressed"]}
    if query:
        element["initial_value"] = query[:100]
    block = forms.field(WORDS, label, element, optional=True)
    return {**block, "dispatch_action": True, "element": element}


def _list(scene: Scene, found: list[Offered], one: Offered, query: str) -> Block:
    """The list, under another name for each search: of a field with the same name Slack keeps what was chosen."""
    options = [(each.id, f"{each.title} ({each.locale})" if each.elsewhere else each.title) for each in found]
    made = forms.one_of(CHOSEN, scene.wording("macros_pick"), options)
    element = {**made["element"], "action_id": PICK}
    element["initial_option"] = element["options"][found.index(one)]
    name = f"{CHOSEN}:{query.casefold()[:100]}"
    return {**made, "block_id": name, "dispatch_action": True, "element": element}


def _preview(scene: Scene, one: Offered) -> list[Block]:
    say = scene.wording
    told = []
    if one.elsewhere:
        told.append(line(say("macros_elsewhere", language=language(one.locale, say.locale))))
    if one.missing:
        told.append(line("⚠️ " + say("warn_open", what=", ".join(one.missing))))
    return [section(to_plain(one.text), PREVIEW), *told]


MACROS = Verb(NAME, "button_macros", is_mine, about="about_macros", form=form, submit=insert, pick=pick)
