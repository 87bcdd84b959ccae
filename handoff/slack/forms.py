"""The two forms: Reply… and Resolve…. Pure; Slack's views out, what was filled in back.

Limits (docs.slack.dev, views): title and buttons 24 characters, an input 3,000, private_metadata 3,000.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from channels.slack.payloads import mapping
from channels.text import one_line
from handoff.case import OUTCOMES
from handoff.slack.blocks import Block, line
from handoff.slack.wording import Wording

REPLY, RESOLVE = "desk:reply", "desk:resolve"
TEXT, OUTCOME, TOPIC, REASON = "text", "outcome", "topic", "reason"
TITLE = 24
MAX_TOPIC = 120


def reply_form(case_id: str, number: int | None, customer: str, wording: Wording) -> dict[str, Any]:
    about = line(f"#{number} · {one_line(customer, 80)}")
    text = _input(TEXT, wording("reply_text"), {"type": "plain_text_input", "multiline": True, "max_length": 3000})
    return _view(REPLY, wording("reply_title"), wording("button_send"), wording, case_id, [about, text])


def resolve_form(case_id: str, number: int | None, customer: str, topic: str, wording: Wording) -> dict[str, Any]:
    options = [{"text": _short(wording(f"outcome_{one}"), 75), "value": one} for one in OUTCOMES]
    named: Block = {"type": "plain_text_input", "max_length": MAX_TOPIC}
    if topic:
        named["initial_value"] = topic[:MAX_TOPIC]
    blocks = [
        line(f"#{number} · {one_line(customer, 80)}"),
        _input(
            OUTCOME,
            wording("resolve_outcome"),
            {"type": "static_select", "options": options, "initial_option": options[0]},
        ),
        _input(TOPIC, wording("resolve_topic"), named, optional=True),
        _input(
            REASON,
            wording("resolve_reason"),
            {"type": "plain_text_input", "multiline": True, "max_length": 2000},
            optional=True,
        ),
    ]
    return _view(RESOLVE, wording("resolve_title"), wording("button_resolve"), wording, case_id, blocks)


def filled(view: Mapping[str, Any], name: str) -> str:
    """What stands in a field: its text, or the chosen option's value; empty where nothing does."""
    values = mapping(mapping(view.get("state")).get("values"))
    element = mapping(mapping(values.get(name)).get(name))
    found = element.get("value") or mapping(element.get("selected_option")).get("value")
    return found.strip() if isinstance(found, str) else ""


def errors(**fields: str) -> dict[str, Any]:
    """The acknowledgement that leaves the form open, with what is wrong beside each field."""
    return {"response_action": "errors", "errors": fields}


def _input(name: str, label: str, element: Block, *, optional: bool = False) -> Block:
    return {
        "type": "input",
        "block_id": name,
        "optional": optional,
        "label": _short(label, 2000),
        "element": {**element, "action_id": name},
    }


def _view(
    callback: str, title: str, submit: str, wording: Wording, case_id: str, blocks: list[Block]
) -> dict[str, Any]:
    return {
        "type": "modal",
        "callback_id": callback,
        "private_metadata": case_id,
        "title": _short(title, TITLE),
        "submit": _short(submit, TITLE),
        "close": _short(wording("button_cancel"), TITLE),
        "blocks": blocks,
    }


def _short(text: str, limit: int) -> Block:
    return {"type": "plain_text", "text": text if len(text) <= limit else text[: limit - 1] + "…", "emoji": True}
