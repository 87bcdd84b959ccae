"""One turn: an inbound happening and all that follows from it, committed together.

`app.py` hands in an ordered list of *takers*; the first that takes the turn ends it. In order: linking codes, a case
that people hold (handoff), an open question (surveys), the bot's dialogue.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bot.model import Answered, Customer, Happening, Identity, Message
from bot.storage.tx import Tx
from bot.texts.commands import command


@dataclass(frozen=True, slots=True)
class Pressed:
    """The button that was pressed: which message it stood on, its value, and that message's `meta`."""

    on: Message
    value: str
    label: str


@dataclass(slots=True)
class Turn:
    """What a taker sees. `message` is what the customer said, already stored; None for a connector's answer.

    `text` is that of the message; `command` a slash command in it without its slash, lower case: `/Link ABC` → "link".
    """

    tx: Tx
    customer: Customer
    identity: Identity
    happening: Happening
    message: Message | None
    pressed: Pressed | None = None
    park_for: str | None = None  # set by a taker: run this turn again when that has happened
    extra: dict[str, Any] = field(default_factory=dict)
    text: str = field(init=False)
    command: str | None = field(init=False)

    def __post_init__(self) -> None:
        self.text = self.message.body.text if self.message else ""
        self.command = (command(self.text)[0] or None) if self.pressed is None else None

    @property
    def argument(self) -> str:
        return command(self.text)[1]

    @property
    def answered(self) -> Answered | None:
        return self.happening if isinstance(self.happening, Answered) else None


Taker = Callable[[Turn], bool]


def take(turn: Turn, takers: Sequence[Taker]) -> None:
    for taker in takers:
        if taker(turn):
            return
