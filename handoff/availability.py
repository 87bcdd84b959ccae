"""An agent goes away, or comes back: written, audited, and whoever waits is looked at again."""

from __future__ import annotations

from datetime import datetime

from bot import timers
from bot.errors import Conflict
from bot.storage import audit
from bot.storage.tx import Tx
from handoff import store
from handoff.waiting_room import stir_all

KIND = "back"


def set_available(
    tx: Tx, agent_id: str, available: bool, *, until: datetime | None = None, busy: bool = False, name: str = ""
) -> None:
    """They take cases from now on, or none (`until` a time, if one is given). What they hold stays theirs.

    `busy`: they are there, but are given no new ones.

    That they are an agent is for the desk to know where they say so. Raises Conflict for a time that has passed.
    """
    if until is not None and until <= tx.now:
        raise Conflict("who is away comes back at a time to come")
    away_until = None if available else until
    store.set_available(tx, agent_id, available, away_until=away_until, busy=busy, name=name)
    audit.of_agent(
        tx,
        agent_id,
        "busy" if busy else "available" if available else "away",
        until=away_until and away_until.isoformat(),
    )
    key = f"{KIND}:{agent_id}"
    if away_until is not None:
        timers.set_timer(tx, KIND, key, away_until, data={"agent": agent_id})
    else:
        timers.cancel(tx, key)
    stir_all(tx)


def back_due(tx: Tx, timer: timers.Timer) -> None:
    """They said they would be back by now."""
    audit.of_agent(tx, timer.data["agent"], "available", until=None)
    stir_all(tx)
