"""How customers agree to be told of things, and how they end it: two commands, and the button under every campaign.

An early taker: it counts whatever else is going on, and opens no case.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from bot.model import BOT, Body
from bot.outbox import say as send
from bot.outreach import store
from bot.outreach.notice import CONSENT
from bot.storage import customers
from bot.texts import say
from bot.turn import Turn

if TYPE_CHECKING:
    from bot.desk_folder.desk import Desk

STOP: Final = "notice:stop"
"""The value of the button that ends it."""
START: Final = "start:"
"""Begins the value of a button that begins a flow; the flow's id follows. `bot/dialogue/commands.py` hears it."""


class Consent:
    """Hears `/stop`, `/subscribe`, and the button."""

    def __init__(self, desk: Callable[[], Desk]) -> None:
        self._desk = desk

    def take(self, turn: Turn) -> bool:
        stops = turn.pressed is not None and turn.pressed.value == STOP
        if stops or turn.command in {"stop", "unsubscribe"}:
            self._set(turn, agreed=False)
        elif turn.command == "subscribe":
            self._set(turn, agreed=True)
        else:
            return False
        return True

    def _set(self, turn: Turn, *, agreed: bool) -> None:
        who = turn.customer
        store.set_opted_out(turn.tx, who.id, opted_out=not agreed)
        customers.set_attribute(turn.tx, who.id, CONSENT, agreed)
        key = "notice_subscribed" if agreed else "notice_stopped"
        case_id = store.live_case(turn.tx.conn, who.id)
        send(turn.tx, who.id, Body(say(key, who.locale, self._desk().texts)), author=BOT, case_id=case_id)
