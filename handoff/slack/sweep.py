"""What Slack told while nobody listened: it tries for some six minutes, then an event is gone (F21).

So the threads of live cases are read after a start, and whenever Socket Mode comes back. Presses, edits and deletions
can't be read back; posts can, and those that are known change nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any

import structlog

from bot.errors import Refused, SendFault
from bot.storage.engine import Storage
from channels.slack.connection import SlackConnection
from channels.slack.payloads import mapping
from handoff.slack import store

log = structlog.get_logger()
BACK = timedelta(hours=24)
THREADS = 200
PAGES = 20
PACE = 1.5  # seconds between calls: conversations.replies is Tier 3, some fifty a minute
LOOK = 15.0  # seconds between looks at our own connection; no call is made

Found = Callable[[Mapping[str, Any], str], Awaitable[None]]


class Sweep:
    """`run` for ever, or `once`. `found` takes (message, channel)."""

    def __init__(self, connection: SlackConnection, storage: Storage, found: Found) -> None:
        self._slack = connection
        self._storage = storage
        self._found = found

    async def run(self) -> None:
        await self._slack.known()
        was_well = False
        while True:
            well = not self._slack.faults()
            if well and not was_well:
                try:
                    await self.once(PACE)
                except SendFault as error:
                    log.warning("slack desk: threads not read", error=str(error))
                    well = False
            was_well = well
            await asyncio.sleep(LOOK)

    async def once(self, pace: float = 0.0) -> None:
        """Read the live threads. Raises what `SlackConnection.call` raises, but not for a thread that is gone."""
        oldest = f"{(self._storage.clock() - BACK).timestamp():.6f}"
        for thread in await self._storage.read(lambda conn: store.live_threads(conn, THREADS)):
            try:
                await self._read(thread, oldest)
            except Refused as error:
                log.info("slack desk: a thread is gone", case=thread.case_id, error=str(error))
            await asyncio.sleep(pace)

    async def _read(self, thread: store.Thread, oldest: str) -> None:
        cursor: str | None = None
        for _ in range(PAGES):
            page = await self._slack.call(
                "conversations.replies",
                channel=thread.channel,
                ts=thread.root,
                oldest=oldest,
                limit=200,
                cursor=cursor,
            )
            for raw in page.get("messages") or ():
                message = mapping(raw)
                if message.get("ts") != thread.root and message.get("user") != self._slack.bot_user_id:
                    await self._found(message, thread.channel)
            cursor = str(mapping(page.get("response_metadata")).get("next_cursor") or "") or None
            if cursor is None:
                return
