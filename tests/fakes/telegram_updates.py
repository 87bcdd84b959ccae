"""How Telegram hands updates over: to one poller, or to the webhook, and again until they are taken.

A chat's messages wait for one another, a person's button presses in a queue of their own (as in the real
server, so they may overtake). Messages are kept for a day, presses for 150 seconds.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout

from tests.fakes.server import Changes
from tests.fakes.telegram_text import Refused

KEPT = 86_400.0  # seconds; tdlib/telegram-bot-api Client.cpp
PRESSES_KEPT = 150.0
NOT_BY_DEFAULT = frozenset({"chat_member", "message_reaction", "message_reaction_count"})
FIRST_RETRY = 0.02  # seconds; the real server begins at 1 s and ends between 60 and 120 s
LONGEST_RETRY = 0.5
SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"
Update = dict[str, Any]


@dataclass(slots=True)
class Pending:
    update: Update
    queue: str
    expires: float
    once: bool = False  # out of order or repeated: handed out once, whatever the offset says


@dataclass(frozen=True, slots=True)
class Post:
    """One attempt to deliver to the webhook; status 0 means that nobody answered."""

    update_id: int
    status: int


@dataclass
class Updates:
    changes: Changes
    now: Callable[[], datetime]
    spawn: Callable[[Coroutine[Any, Any, None]], Any]
    http: Callable[[], ClientSession]
    next_id: int = 700_000_001
    pending: list[Pending] = field(default_factory=list)
    delivered: list[Update] = field(default_factory=list)
    posts: list[Post] = field(default_factory=list)
    webhook: str = ""
    secret: str = ""
    allowed: tuple[str, ...] = ()
    last_error: tuple[int, str] | None = None
    held: list[Pending] | None = None
    _poller: object | None = None
    _workers: set[str] = field(default_factory=set)

    def add(self, kind: str, payload: Any, queue: str) -> Update | None:
        """A new update, or None where the bot did not ask for this kind."""
        if (kind not in self.allowed) if self.allowed else (kind in NOT_BY_DEFAULT):
            return None
        update = {"update_id": self.next_id, kind: payload}
        self.next_id += 1
        kept = PRESSES_KEPT if kind == "callback_query" else KEPT
        self._deliver(Pending(update, queue, self.now().timestamp() + kept))
        return update

    def _deliver(self, item: Pending) -> None:
        if self.held is not None:
            self.held.append(item)
            return
        self.pending.append(item)
        self.changes.tell()
        self._work(item.queue)

    def release(self, shuffle: Random | None, copies: int) -> None:
        items = [item for item in self.held or () for _ in range(copies)]
        self.held = None
        if shuffle is not None:
            shuffle.shuffle(items)
        strange = shuffle is not None or copies > 1
        for item in items:
            self._deliver(Pending(item.update, item.queue, item.expires, once=item.once or strange))

    def forget_presses(self) -> None:
        """As 150 seconds do it."""
        self.pending = [item for item in self.pending if "callback_query" not in item.update]

    def repeat(self, count: int) -> None:
        for update in self.delivered[-count:]:
            self._deliver(Pending(update, "repeat", self.now().timestamp() + KEPT, once=True))

    # --- polling -----------------------------------------------------------------------------------------

    async def poll(self, offset: int, limit: int, timeout: float, allowed: list[str] | None) -> list[Update]:
        """getUpdates: what is not confirmed yet, at once or when it comes. A second poller ends the first with 409."""
        if self.webhook:
            why = "can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"
            raise Refused(f"Conflict: {why}", 409)
        if allowed is not None:
            self.allowed = tuple(allowed)
        self._confirm(offset)
        mine = self._poller = object()
        self.changes.tell()
        limit, timeout = min(max(limit, 1), 100), min(timeout, 50)

        def look() -> list[Update] | None:
            return [] if self._poller is not mine else self._batch(limit) or None

        batch = look() or []
        if not batch and timeout > 0:
            with suppress(AssertionError):
                batch = await self.changes.until(look, timeout=timeout, failure=str)
        if self._poller is not mine:
            why = "terminated by other getUpdates request; make sure that only one bot instance is running"
            raise Refused(f"Conflict: {why}", 409)
        self._poller = None
        return batch

    def _confirm(self, offset: int) -> None:
        """Forgets what a higher offset confirms; an offset beyond the newest update confirms nothing."""
        regular = [item.update["update_id"] for item in self.pending if not item.once]
        if offset < 0:
            offset = (regular[offset:] or [0])[0]
        if offset <= self.next_id:
            self.pending = [item for item in self.pending if item.once or item.update["update_id"] >= offset]
        self.changes.tell()

    def _batch(self, limit: int) -> list[Update]:
        now = self.now().timestamp()
        self.pending = [item for item in self.pending if item.expires > now]
        items = self.pending[:limit]
        self.pending = [item for item in self.pending if not (item.once and item in items)]
        self._remember(item.update for item in items)
        return [item.update for item in items]

    def _remember(self, updates: Any) -> None:
        self.delivered.extend(update for update in updates if update not in self.delivered[-100:])

    # --- webhook -----------------------------------------------------------------------------------------

    def set_webhook(self, url: str, secret: str) -> None:
        self.webhook, self.secret = url, secret
        if url:  # who polls is told so; where there was no webhook, taking it away disturbs nobody
            self._poller = None
        self.changes.tell()
        for queue in {item.queue for item in self.pending}:
            self._work(queue)

    def _work(self, queue: str) -> None:
        if self.webhook and queue not in self._workers:
            self._workers.add(queue)
            self.spawn(self._drain(queue))

    async def _drain(self, queue: str) -> None:
        tries = 0
        try:
            while self.webhook and (item := self._head(queue)):
                status, hint = await self._post(item.update)
                self.posts.append(Post(item.update["update_id"], status))
                if 200 <= status < 300:
                    tries = 0
                    self._remember([item.update])
                    self.pending = [other for other in self.pending if other is not item]
                else:
                    tries += 1
                self.changes.tell()
                if tries:
                    back_off = 0.0 if tries == 1 else FIRST_RETRY * 2 ** (tries - 2)
                    await asyncio.sleep(min(hint or back_off, LONGEST_RETRY))
        finally:
            self._workers.discard(queue)

    def _head(self, queue: str) -> Pending | None:
        now = self.now().timestamp()
        self.pending = [item for item in self.pending if item.expires > now]
        return next((item for item in self.pending if item.queue == queue), None)

    async def _post(self, update: Update) -> tuple[int, float]:
        """The status that the webhook answered, and the seconds that it asks to wait."""
        headers = {"Content-Type": "application/json"} | ({SECRET_HEADER: self.secret} if self.secret else {})
        try:
            request = self.http().post(
                self.webhook, data=json.dumps(update).encode(), headers=headers, timeout=ClientTimeout(60)
            )
            async with request as response:
                await response.read()
                status, hint = response.status, response.headers.get("Retry-After", "")
        except (ClientError, TimeoutError, OSError) as error:
            self.last_error = (int(self.now().timestamp()), f"Connection failed: {type(error).__name__}")
            return 0, 0.0
        if not 200 <= status < 300:
            self.last_error = (int(self.now().timestamp()), f"Wrong response from the webhook: {status}")
        return status, float(hint) if hint.isdecimal() else 0.0
