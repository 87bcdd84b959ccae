"""What a customer's update proves about a send whose outcome nobody knows. Pure.

Telegram gives no way to read a chat back; but who presses a button or answers a message has that message, and the update
shows it with its number. A button names its message. An answer shows only words: they count where our bot said them after
the send began, where no other send is known by that number, and where no second such message is shown.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from channels.port import Delivery
from channels.telegram.buttons import read_data
from channels.telegram.inbound import LAST_ID

LOOK_BACK = timedelta(seconds=2)
"""Our clock and Telegram's may differ by that much; less than what lies between two copies of one send."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A message of ours as an update shows it: Telegram's number, and the pressed message's id or what it says and since when."""

    number: int
    pressed: str | None = None
    words: str = ""
    date: int = 0  # Unix time


def shown(update: Any, bot_id: int) -> Shown | None:
    """The message of ours that this update was about; None if it shows none."""
    if not isinstance(update, Mapping):
        return None
    query, message = update.get("callback_query"), update.get("message")
    if isinstance(query, Mapping):
        pressed = read_data(query.get("data"))
        number = _number(query.get("message"))
        return Shown(number, pressed=pressed[0]) if pressed and number else None
    ours = message.get("reply_to_message") if isinstance(message, Mapping) else None
    number = _number(ours)
    if not isinstance(ours, Mapping) or not number:
        return None
    author, words, date = ours.get("from"), ours.get("text") or ours.get("caption"), ours.get("date")
    by_us = isinstance(author, Mapping) and author.get("id") == bot_id
    if not by_us or not isinstance(words, str) or not isinstance(date, int):
        return None
    return Shown(number, words=words, date=date)


def proof(delivery: Delivery, seen: Iterable[Shown], known: Collection[int]) -> int | None:
    """Telegram's number of this send, if one of these shows it for certain. `known`: the numbers of other sends."""
    numbers = {one.number for one in seen if one.number not in known and _is(delivery, one)}
    return numbers.pop() if len(numbers) == 1 else None


def _is(delivery: Delivery, one: Shown) -> bool:
    payload = delivery.payload
    if one.pressed is not None:
        return one.pressed == delivery.message_id and "reply_markup" in payload
    said = str(payload.get("text") or payload.get("caption") or "").strip()
    return bool(said) and said == one.words.strip() and one.date >= int(_since(delivery.started_at))


def _since(started_at: datetime) -> float:
    return (started_at - LOOK_BACK).timestamp()


def _number(message: Any) -> int | None:
    number = message.get("message_id") if isinstance(message, Mapping) else None
    is_id = isinstance(number, int) and not isinstance(number, bool) and 0 < number <= LAST_ID
    return number if is_id else None
