"""What forms are made of, and what was filled in. Pure; Slack's views out, values back.

Limits (docs.slack.dev, views): title and buttons 24 characters, an input 3,000, private_metadata 3,000, 100 blocks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from channels.slack.payloads import mapping
from channels.text import clean, from_mrkdwn, one_line, plain_to_mrkdwn
from handoff.slack.blocks import Block, line
from handoff.slack.verb import ACTION, Scene
from handoff.slack.wording import Wording

TEXT = "text"
TITLE = 24
LONG = 3000  # characters of what is typed
OPTIONS = 100  # of a select


def form(
    scene: Scene, verb: str, title: str, blocks: Sequence[Block], submit: str | None = None, *, more: str = ""
) -> dict[str, Any]:
    """The form of a verb, over a line that says whose case it is. Without `submit` it only shows.

    `more` is kept beside the case's id, in private_metadata.
    """
    number, name = scene.case.number, scene.customer_name
    about = line(f"#{number} · {one_line(name, 80)}" if name else f"#{number}")
    return view(f"{ACTION}{verb}", title, [about, *blocks], scene.wording, submit, f"{scene.case.id} {more}".strip())


def view(
    callback: str, title: str, blocks: Sequence[Block], wording: Wording, submit: str | None, metadata: str = ""
) -> dict[str, Any]:
    sends = {"submit": short(submit, TITLE)} if submit else {}
    return {
        "type": "modal",
        "callback_id": callback,
        "private_metadata": metadata,
        "title": short(title, TITLE),
        **sends,
        "close": short(wording("button_cancel" if submit else "desk_close"), TITLE),
        "blocks": list(blocks),
    }


def written(name: str, label: str, *, optional: bool = False, most: int = LONG, initial: str = "") -> Block:
    """A box for several lines."""
    element: Block = {"type": "plain_text_input", "multiline": True, "max_length": most}
    return field(name, label, {**element, **({"initial_value": initial[:most]} if initial else {})}, optional=optional)


def one_of(
    name: str, label: str, options: Sequence[tuple[str, str]], *, optional: bool = False, first: bool = False
) -> Block:
    """A list of at most 100 (value, label) to choose from, which Slack lets people search by typing.

    `first`: the first is chosen.
    """
    made = [{"text": short(one_line(text) or value, 75), "value": value[:150]} for value, text in options[:OPTIONS]]
    chosen = {"initial_option": made[0]} if first else {}
    return field(name, label, {"type": "static_select", "options": made, **chosen}, optional=optional)


def field(name: str, label: str, element: Block, *, optional: bool = False) -> Block:
    return {
        "type": "input",
        "block_id": name,
        "optional": optional,
        "label": short(label, 2000),
        "element": {**element, "action_id": name},
    }


def filled(view_: Mapping[str, Any], name: str) -> str:
    """What stands in a field: its text, the chosen option's value, the date or time; empty where nothing does."""
    values = mapping(mapping(view_.get("state")).get("values"))
    return _given(mapping(mapping(values.get(name)).get(name)))


def filled_at(view_: Mapping[str, Any], action: str) -> str:
    """As `filled`, of the element with that action, in whichever field it stands: one that tells at once what happens in it."""
    fields = mapping(mapping(view_.get("state")).get("values")).values()
    return next((_given(mapping(mapping(one)[action])) for one in fields if action in mapping(one)), "")


def _given(element: Mapping[str, Any]) -> str:
    chosen = mapping(element.get("selected_option")).get("value")
    given = (element.get("value"), chosen, element.get("selected_date"), element.get("selected_time"))
    found = next((one for one in given if one), None)
    return found.strip() if isinstance(found, str) else ""


def typed(view_: Mapping[str, Any], name: str) -> str:
    """Words that were typed into a form, as Markdown of nothing but those words: a form knows no markup."""
    return clean(from_mrkdwn(plain_to_mrkdwn(filled(view_, name)), {})).strip()


def kept(view_: Mapping[str, Any]) -> tuple[str, str]:
    """(the case's id, what the verb kept beside it)."""
    case_id, _, more = str(view_.get("private_metadata") or "").partition(" ")
    return case_id, more


def errors(**fields: str) -> dict[str, Any]:
    """The acknowledgement that leaves the form open, with what is wrong beside each field."""
    return {"response_action": "errors", "errors": fields}


def short(text: str, limit: int) -> Block:
    return {"type": "plain_text", "text": text if len(text) <= limit else text[: limit - 1] + "…", "emoji": True}
