"""What Slack told while nobody listened: it tries for some six minutes, then an event is gone (F21).

So the threads of live cases are read after a start, and whenever Socket Mode comes back: posts, edits and reactions are found
there, and what is known changes nothing. A post of ours that a thread no longer has is asked for by itself, and only when
Slack says that it is gone, it was deleted: a thread is begun anew where its card was deleted, and an answer is not
taken back from a customer by a guess. What was pressed can't be read back; Slack showed a warning to whoever pressed it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import structlog

from bot.errors import DatabaseFault, NotSent, Refused, SendFault
from bot.storage.engine import Storage
from channels.slack.connection import SlackConnection
from channels.slack.outcomes import HELD_IN_CHANNEL
from channels.slack.payloads import mapping
from handoff.slack import store

log = structlog.get_logger()
BACK = timedelta(hours=24)
THREADS = 200
PAGES = 20
PACE = 1.5  # seconds between calls: conversations.replies is Tier 3, some fifty a minute
AGAIN = 15.0  # seconds until what could not be read is tried again

GONE = "message_not_found"

Found = Callable[[Mapping[str, Any], str], Awaitable[None]]


class Sweep:
    """`run` for ever, or `once`. `found` takes (message, channel), `gone` the ref of a post that was deleted."""

    def __init__(
        self, connection: SlackConnection, storage: Storage, found: Found, gone: Callable[[str], Awaitable[None]]
    ) -> None:
        self._slack = connection
        self._storage = storage
        self._found = found
        self._gone = gone
        self._missed = asyncio.Event()
        connection.add_connect_hook(self._begin)

    async def _begin(self) -> None:
        self._missed.set()

    async def run(self) -> None:
        """Whenever events may have been missed, whatever else is amiss with Slack: a scope, another channel."""
        while True:
            await self._missed.wait()
            self._missed.clear()
            try:
                await self.once(PACE)
                continue
            except (SendFault, DatabaseFault) as error:
                log.warning("slack desk: threads not read", error=str(error))
            except Exception:
                log.exception("slack desk: threads not read")
            self._missed.set()  # it is tried again: nobody else would find what was missed
            await asyncio.sleep(AGAIN)

    async def once(self, pace: float = 0.0) -> None:
        """Read the live threads. Raises what `SlackConnection.call` raises, but not for a thread that is gone, or one in a
        channel that is closed to us: when it opens, all is read again.
        """
        since = self._storage.clock() - BACK
        for thread in await self._storage.read(lambda conn: store.live_threads(conn, THREADS)):
            try:
                await self._missing(thread, await self._read(thread, since), since)
            except Refused as error:
                log.info("slack desk: a thread is gone", case=thread.case_id, error=str(error))
            except NotSent as error:
                if not any(code in str(error) for code in HELD_IN_CHANNEL):
                    raise
                log.info("slack desk: a channel is closed to us", case=thread.case_id, error=str(error))
            except (SendFault, DatabaseFault):
                raise
            except Exception:  # whatever stands in it, the others are read
                log.exception("slack desk: a thread not read", case=thread.case_id)
            await asyncio.sleep(pace)

    async def _read(self, thread: store.Thread, since: datetime) -> set[str]:
        """The ts of all that the thread has since then."""
        cursor: str | None = None
        there: set[str] = set()
        for _ in range(PAGES):
            page = await self._slack.call(
                "conversations.replies",
                channel=thread.channel,
                ts=thread.root,
                oldest=f"{since.timestamp():.6f}",
                limit=200,
                cursor=cursor,
            )
            for raw in page.get("messages") or ():
                message = mapping(raw)
                there.add(str(message.get("ts")))
                await self._found(message, thread.channel)
            cursor = str(mapping(page.get("response_metadata")).get("next_cursor") or "") or None
            if cursor is None:
                break
        return there

    async def _missing(self, thread: store.Thread, there: set[str], since: datetime) -> None:
        case_id, channel = thread.case_id, thread.channel
        known = await self._storage.read(lambda conn: store.posts_of(conn, case_id, channel, since))
        for ref in known:
            ts = ref.partition(":")[2]
            if ts not in there and await self._is_gone(channel, ts):
                await self._gone(ref)

    async def _is_gone(self, channel: str, ts: str) -> bool:
        try:
            await self._slack.call("reactions.get", channel=channel, timestamp=ts)
        except Refused as error:
            return GONE in str(error)
        return False
