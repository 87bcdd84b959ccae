"""How things look in Slack: a post as people see it, the text in blocks, a form's state.

Pure: dicts in Slack's words in, what a person sees out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from typing import Any

_TOKEN = re.compile(r"<(?:[@#!][^<>]+|https?://[^<>]+|mailto:[^<>]+)>")
_EVERYBODY = re.compile(r"<!(?:channel|here|everyone|subteam)\b")
NOT_SHOWN = frozenset({"block_id", "action_id", "type", "value", "url", "image_url", "style"})


@dataclass(frozen=True, slots=True)
class Button:
    label: str
    action_id: str
    block_id: str
    value: str | None
    element: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Post:
    """A message as the channel shows it now. `says` is all of its words, the blocks' included."""

    channel: str
    ts: str
    thread_ts: str | None
    user: str
    by_app: bool
    text: str
    says: str
    buttons: tuple[Button, ...]
    edited: bool
    version: int
    reactions: dict[str, list[str]]
    files: tuple[dict[str, Any], ...]
    metadata: dict[str, Any] | None
    raw: dict[str, Any]

    @property
    def labels(self) -> list[str]:
        return [button.label for button in self.buttons]

    @property
    def pages_everybody(self) -> bool:
        """Would it ring in everybody's pocket?"""
        return bool(_EVERYBODY.search(self.text)) or any(
            part.get("type") == "broadcast" or bool(_EVERYBODY.search(_mrkdwn(part)))
            for part in _parts(self.raw.get("blocks") or [])
        )

    def button(self, name: str) -> Button:
        """The button (or select) with this label or action_id. Raises AssertionError, naming those there are."""
        for button in self.buttons:
            if name in (button.label, button.action_id):
                return button
        raise AssertionError(f"no button {name!r} in {self.says!r}; there are {self.labels}")


def shown(channel: str, raw: dict[str, Any], version: int) -> Post:
    blocks = raw.get("blocks") or []
    words, text = flat(blocks), raw.get("text", "")
    return Post(
        channel=channel, ts=raw["ts"], thread_ts=raw.get("thread_ts"), user=raw.get("user", ""),
        by_app="bot_id" in raw, text=text,
        says=words if words == unescape(text) else "\n".join(part for part in (text, words) if part),
        buttons=buttons(blocks), edited="edited" in raw, version=version,
        reactions={reaction["name"]: list(reaction["users"]) for reaction in raw.get("reactions", ())},
        files=tuple(raw.get("files", ())), metadata=raw.get("metadata"), raw=raw,
    )  # fmt: skip


def flat(blocks: Any) -> str:
    """The words in blocks, buttons' labels included, in order."""
    return "\n".join(word for word in _words(blocks) if word)


def _words(part: Any) -> Iterator[str]:
    if isinstance(part, list):
        for item in part:
            yield from _words(item)
    elif isinstance(part, dict):
        if part.get("type") in ("rich_text_section", "rich_text_preformatted", "rich_text_quote"):
            yield "".join(_inline(element) for element in part.get("elements", ()))
            return
        for key, value in part.items():
            if key in NOT_SHOWN:
                continue
            if isinstance(value, str) and key in ("text", "alt_text"):
                yield value
            elif isinstance(value, list | dict):
                yield from _words(value)


def _inline(element: dict[str, Any]) -> str:
    kind = element.get("type")
    marks = {"user": "<@{user_id}>", "channel": "<#{channel_id}>", "emoji": ":{name}:", "broadcast": "<!{range}>"}
    if kind in marks:
        return marks[kind].format(**element)
    return str(element.get("text") or element.get("url") or "")


def _parts(part: Any) -> Iterator[dict[str, Any]]:
    if isinstance(part, list):
        for item in part:
            yield from _parts(item)
    elif isinstance(part, dict):
        yield part
        for value in part.values():
            yield from _parts(value)


def _mrkdwn(part: dict[str, Any]) -> str:
    return str(part.get("text", "")) if part.get("type") in ("mrkdwn", "markdown") else ""


def elements(blocks: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Everything that can be pressed or picked, with the id of its block."""
    for block in blocks:
        found = (
            block.get("elements", []) if block["type"] == "actions" else [block.get("accessory"), block.get("element")]
        )
        for element in found:
            if element and element["type"] != "image":
                yield block["block_id"], element


def buttons(blocks: list[dict[str, Any]]) -> tuple[Button, ...]:
    return tuple(
        Button(_label(element), element.get("action_id", ""), block_id, element.get("value"), element)
        for block_id, element in elements(blocks)
    )


def _label(element: dict[str, Any]) -> str:
    return str((element.get("text") or element.get("placeholder") or {}).get("text", ""))


def typed(text: str) -> str:
    """What a person typed as Slack hands it on: & < > escaped, mentions and links kept."""
    out, position = [], 0
    for token in [*_TOKEN.finditer(text), None]:
        plain = text[position : token.start() if token else len(text)]
        out.append(plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))
        if token:
            out.append(token[0])
            position = token.end()
    return "".join(out)


def rich_text(text: str) -> list[dict[str, Any]]:
    """The block that the Slack app makes of a typed text."""
    parts: list[dict[str, Any]] = []
    for piece in re.split(r"(<@[^<>]+>)", text):
        if piece.startswith("<@"):
            parts.append({"type": "user", "user_id": piece[2:-1].split("|")[0]})
        elif piece:
            parts.append({"type": "text", "text": unescape(piece)})
    return [{"type": "rich_text", "block_id": "typed", "elements": [{"type": "rich_text_section", "elements": parts}]}]


# --- forms -----------------------------------------------------------------------------------------------

SINGLE = {"datepicker": "selected_date", "timepicker": "selected_time", "users_select": "selected_user",
          "conversations_select": "selected_conversation", "channels_select": "selected_channel"}  # fmt: skip
MANY = {"multi_users_select": "selected_users", "multi_conversations_select": "selected_conversations",
        "multi_channels_select": "selected_channels"}  # fmt: skip


def option(element: dict[str, Any], name: str) -> dict[str, Any]:
    """The option with this label or value. Raises AssertionError, naming those there are."""
    options = [*(element.get("options") or ()), *(o for g in element.get("option_groups") or () for o in g["options"])]
    for candidate in options:
        if name in (candidate["text"]["text"], candidate["value"]):
            return dict(candidate)
    raise AssertionError(f"no option {name!r}; there are {[o['text']['text'] for o in options]}")


def filled(element: dict[str, Any], value: Any) -> dict[str, Any]:
    """An element's part of `state` when a person gave `value` (None: left as it was)."""
    kind = element["type"]
    if kind in ("static_select", "external_select", "radio_buttons", "overflow"):
        picked = option(element, value) if value is not None else element.get("initial_option")
        return {"type": kind, "selected_option": picked}
    if kind in ("multi_static_select", "checkboxes"):
        picked = [option(element, one) for one in value] if value is not None else element.get("initial_options", [])
        return {"type": kind, "selected_options": picked}
    if kind in SINGLE or kind in MANY:
        name = SINGLE.get(kind) or MANY[kind]
        initial = element.get(name.replace("selected", "initial"), [] if kind in MANY else None)
        return {"type": kind, name: value if value is not None else initial}
    if kind == "button":
        return {"type": kind, "value": element.get("value")}
    return {"type": kind, "value": value if value is not None else element.get("initial_value")}


def form_state(blocks: list[dict[str, Any]], values: dict[str, Any]) -> dict[str, Any]:
    """`view.state.values`; `values` by label, block_id or action_id.

    Raises AssertionError where the app would not let the person submit: unknown, missing or too long.
    """
    left: dict[str, Any] = dict(values)
    state: dict[str, Any] = {}
    for block in blocks:
        element = block.get("element") or block.get("accessory")
        for each in block.get("elements", ()) if block["type"] == "actions" else [element]:
            if not each or each["type"] in ("button", "image"):
                continue
            label = (block.get("label") or {}).get("text", "")
            names = [name for name in (label, block["block_id"], each.get("action_id")) if name in left]
            given = left.pop(names[0]) if names else None
            part = filled(each, given)
            _check_given(block, each, label, part)
            state.setdefault(block["block_id"], {})[each.get("action_id", "")] = part
    if left:
        raise AssertionError(f"the form has no field {sorted(left)}")
    return state


def _check_given(block: dict[str, Any], element: dict[str, Any], label: str, part: dict[str, Any]) -> None:
    content = next(value for key, value in part.items() if key != "type")
    if block["type"] == "input" and not block.get("optional") and content in (None, "", []):
        raise AssertionError(f"{label or block['block_id']!r} is required: Slack does not let the form go")
    if isinstance(content, str) and len(content) > element.get("max_length", 3000):
        raise AssertionError(f"{label!r} takes at most {element.get('max_length', 3000)} characters")
