"""How a text of the bot looks on each channel, for those who write it: the same rendering that customers get. Pure.

A preview is posts, each its HTML (ours, safe to show) and its rows of buttons' labels: what a channel splits, cuts or
leaves out is seen as customers will see it.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from bot.model import BOT, Body, Choice, Message
from channels.text import from_mrkdwn, to_html

Posts = list[tuple[str, list[list[str]]]]
_TAGS = {"bold": "strong", "italic": "em", "strikethrough": "s", "code": "code", "pre": "code", "blockquote": "q"}
_ID = "00000000-0000-7000-8000-000000000000"


def web(text: str, choices: Sequence[Choice] = ()) -> Posts:
    return [(to_html(text), [[choice.label for choice in choices]] if choices else [])]


def telegram(text: str, choices: Sequence[Choice] = ()) -> Posts:
    from channels.telegram.buttons import keyboard  # only who writes texts needs the platforms' modules
    from channels.telegram.outbound import pieces, written

    message = _message(text, choices)
    posts: Posts = [(_entities(part, inside), []) for part, inside in pieces(*written(message))]
    markup = keyboard(message)
    rows = [[button["text"] for button in row] for row in markup["inline_keyboard"]] if markup else []
    return [*posts[:-1], (posts[-1][0] if posts else "", rows)]


def slack(text: str, choices: Sequence[Choice] = ()) -> Posts:
    from channels.slack.outbound import posts as of_slack

    posts: Posts = []
    for post in of_slack(_message(text, choices)):
        words = [block["text"]["text"] for block in post["blocks"] if block["type"] == "section"]
        rows = [
            [button["text"]["text"] for button in block["elements"]]
            for block in post["blocks"]
            if block["type"] == "actions"
        ]
        posts.append(("".join(to_html(from_mrkdwn(one, {})) for one in words), rows))
    return posts


PREVIEWS = {"web": web, "telegram": telegram, "slack": slack}


def _message(text: str, choices: Sequence[Choice]) -> Message:
    body = Body(text, markdown=True, choices=tuple(choices))
    return Message(_ID, _ID, 1, None, BOT, "web", body, datetime(2026, 1, 1, tzinfo=UTC))


def _entities(text: str, entities: Sequence[Mapping[str, Any]]) -> str:
    """Telegram's text with its entities as HTML; offsets count UTF-16 code units."""
    units = text.encode("utf-16-le")
    marks = {0, len(units) // 2}
    for one in entities:
        marks |= {one["offset"], one["offset"] + one["length"]}
    cuts = sorted(mark for mark in marks if mark <= len(units) // 2)
    parts = []
    for begin, end in pairwise(cuts):
        shown = html.escape(units[2 * begin : 2 * end].decode("utf-16-le", "replace")).replace("\n", "<br>")
        for one in entities:
            if one["offset"] <= begin and end <= one["offset"] + one["length"]:
                shown = _tagged(shown, one)
        parts.append(shown)
    return f"<p>{''.join(parts)}</p>" if text else ""


def _tagged(shown: str, entity: Mapping[str, Any]) -> str:
    if entity["type"] == "text_link":
        return f'<a href="{html.escape(entity["url"])}" target="_blank" rel="noopener nofollow">{shown}</a>'
    tag = _TAGS.get(entity["type"])
    return f"<{tag}>{shown}</{tag}>" if tag else shown
