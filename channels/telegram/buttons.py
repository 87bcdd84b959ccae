"""What a button carries, `<message id>:<index>`, and how buttons stand below a message. Pure.

The id is our own message's, a UUID of which 74 bits are chance, as 22 characters of base64url: with the index it fits the
64 bytes of callback_data (Bot API, InlineKeyboardButton). Bad clients can send any data; the inbox holds the id against the
customer's own messages, and the index against that message's choices.
"""

from __future__ import annotations

import base64
import re
import uuid
from collections.abc import Sequence
from typing import Any

from bot.model import Choice, Message

_DATA = re.compile(r"([A-Za-z0-9_-]{22}):([0-9]{1,3})", re.ASCII)
CHOSEN = "✓ "
SIDE_BY_SIDE = 14  # characters of a label that still reads well in half of a phone's width
MAX_BUTTONS = 100  # of one keyboard; the real server's limit

Markup = dict[str, Any]


def data(message_id: str, index: int) -> str:
    short = base64.urlsafe_b64encode(uuid.UUID(message_id).bytes).rstrip(b"=").decode()
    return f"{short}:{index}"


def read_data(value: Any) -> tuple[str, int] | None:
    """(message id, index of the choice), or None for what we never sent."""
    found = _DATA.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return None
    return str(uuid.UUID(bytes=base64.urlsafe_b64decode(found[1] + "=="))), int(found[2])


def keyboard(message: Message, chosen: int | None = None) -> Markup | None:
    """The inline keyboard of a message's choices; `chosen` gets a mark. None: it has no choices."""
    choices = message.body.choices[:MAX_BUTTONS]
    if not choices:
        return None
    buttons = [
        {"text": (CHOSEN if index == chosen else "") + (choice.label.strip() or choice.value or "…"),
         "callback_data": data(message.id, index)}
        for index, choice in enumerate(choices)
    ]  # fmt: skip
    rows, at = [], 0
    for width in _widths(message, choices):
        rows.append(buttons[at : at + width])
        at += width
    return {"inline_keyboard": rows}


def _widths(message: Message, choices: Sequence[Choice]) -> list[int]:
    """How many buttons each row has: a scale stays in one row, NPS in two; others one below the other, or in pairs."""
    count = len(choices)
    if message.body.survey is not None:
        return [count] if count <= 7 else [-(-count // 2), count // 2]
    if count % 2 == 0 and all(len(choice.label) <= SIDE_BY_SIDE for choice in choices):
        return [2] * (count // 2)
    return [1] * count
