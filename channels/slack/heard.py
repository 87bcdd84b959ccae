"""Which kinds of events Slack has ever sent us, and when last: what `stafett doctor` tells an admin from.

A bot's token can't ask which events an app is subscribed to, so what came is remembered: one row of `settings`, written once
an hour for each kind at most.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from bot.storage.engine import Storage
from bot.storage.tx import Tx
from channels.slack.store import heard, set_heard

AGAIN = timedelta(hours=1)
CHANNEL_TYPES = {"channel": "channels", "group": "groups", "im": "im"}


def name_of(event: Mapping[str, Any]) -> str:
    """An event as the manifest names it: `message.im`, `reaction_added`; empty for what has no type."""
    kind = event.get("type")
    if kind != "message":
        return kind if isinstance(kind, str) else ""
    where = CHANNEL_TYPES.get(str(event.get("channel_type") or ""))
    return f"message.{where}" if where else ""


class Heard:
    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._last: dict[str, datetime] = {}

    def is_news(self, event: Mapping[str, Any]) -> bool:
        """Whether this kind has not been written for an hour; it is taken as written from now on."""
        name, now = name_of(event), self._storage.clock()
        if not name or (name in self._last and self._last[name] > now - AGAIN):
            return False
        self._last[name] = now
        return True

    async def keep(self, event: Mapping[str, Any]) -> None:
        name = name_of(event)
        await self._storage.write(lambda tx: _keep(tx, name))


def _keep(tx: Tx, name: str) -> None:
    set_heard(tx, {**heard(tx.conn), name: tx.now.isoformat()})
