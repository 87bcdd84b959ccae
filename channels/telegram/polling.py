"""Long polling: a batch is committed whole before the next offset confirms it to Telegram.

aiogram's own polling confirms first and handles later, and can't get past an update that it can't read.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import structlog

from bot import failpoints
from bot.errors import NotSent
from channels.telegram.faults import BAD_TOKEN
from channels.telegram.inbound import KINDS, LAST_ID
from channels.telegram.intake import Intake

if TYPE_CHECKING:
    from channels.telegram.calls import Calls

log = structlog.get_logger()
BATCH = 100  # Bot API: at most
STANDBY = 1.0  # seconds between questions of a node that does not poll whether it should
WAIT = 25  # seconds that Telegram holds an empty answer back; at most 50
FIRST_REST, LAST_REST = 0.5, 60.0  # seconds between tries after a failure
TOKEN_REST = 300.0
_UPDATE_ID = re.compile(rb'"update_id"\s*:\s*(\d{1,19})\b')

Told = Callable[[str | None], None]


class Unreadable(Exception):
    """The answer is no JSON that we can read."""


class Polling:
    """`run` goes on until it is cancelled. `may_poll`: whether this node is the one; `told` hears faults, None: all is well.

    `heard` is called after each answer whose updates are committed.
    """

    def __init__(
        self,
        calls: Calls,
        intake: Intake,
        told: Told,
        may_poll: Callable[[], Awaitable[bool]],
        heard: Callable[[], Awaitable[None]],
    ) -> None:
        self._calls = calls
        self._intake = intake
        self._told = told
        self._may_poll = may_poll
        self._heard = heard
        self._offset = (
            0  # in memory: after a restart Telegram tells again what was not confirmed, and the inbox knows it
        )
        self._limit = BATCH
        self._failures = 0

    async def run(self) -> None:
        while True:
            rest = await self.once()
            if rest:
                await asyncio.sleep(rest)

    async def once(self) -> float:
        """One question to Telegram; the seconds to rest before the next."""
        try:
            if not await self._may_poll():
                return STANDBY
            rest = await self._ask()
            if rest == 0:
                await self._heard()
        except NotSent as error:
            return self._failed(str(error))
        except Exception as error:  # noqa: BLE001 - polling never ends by a failure; nothing was confirmed, all comes again
            return self._failed(f"Telegram's messages can't be taken: {type(error).__name__}")
        if rest == 0:
            self._failures = 0
            self._told(None)
        return rest

    async def _ask(self) -> float:
        answer = await self._calls.updates(self._offset, limit=self._limit, timeout=WAIT, kinds=KINDS)
        try:
            found = read_json(answer.body)
        except Unreadable:
            if answer.status == 200:
                await self._get_past(answer.body)
                return 0
            return self._failed(f"Telegram answers {answer.status}")
        if answer.status == 200 and found.get("ok") is True and isinstance(found.get("result"), list):
            if found["result"]:
                failpoints.reach("polled")
            await self._intake.take_all(found["result"])
            if found["result"]:
                failpoints.reach("stored")
            self._confirm([update.get("update_id") for update in found["result"] if isinstance(update, dict)])
            self._limit = BATCH
            return 0
        return self._refused(answer.status, found)

    def _confirm(self, ids: list[Any]) -> None:
        """From here on, only what comes after these. Not simply the highest ever: ids begin anew after a quiet week."""
        known = [one for one in ids if isinstance(one, int) and not isinstance(one, bool) and 0 <= one < LAST_ID]
        if known:
            self._offset = max(known) + 1

    async def _get_past(self, body: bytes) -> None:
        """A batch that is no JSON for us (100,000 brackets deep): one at a time; the one that it is becomes a dead letter."""
        if self._limit > 1:
            self._limit = 1
            return
        await self._intake.drop(body, "not JSON that can be read")
        found = _UPDATE_ID.search(body)
        if found is None:
            raise Unreadable("an answer without any update_id")
        self._confirm([int(found[1])])

    def _refused(self, status: int, found: dict[str, Any]) -> float:
        if status in {401, 404}:
            self._told(BAD_TOKEN)
            return TOKEN_REST
        if status == 409:
            return self._failed(
                "somebody else takes this bot's messages: a second server with this token, or a webhook"
            )
        parameters = found.get("parameters")
        wait = parameters.get("retry_after") if isinstance(parameters, dict) else None
        if status == 429 and isinstance(wait, int) and wait > 0:
            return min(float(wait), 3600.0)
        return self._failed(f"Telegram answers {status}")

    def _failed(self, fault: str) -> float:
        """Rest 0.5, 1, 2 … 60 s; one hiccup is not yet a fault."""
        self._failures += 1
        if self._failures > 1:
            self._told(fault)
        log.warning("telegram polling failed", fault=fault, failures=self._failures)
        rest = min(LAST_REST, FIRST_REST * 2 ** min(self._failures - 1, 10))
        return float(rest * (1 + random.random() / 5))  # noqa: S311 - jitter


def read_json(body: bytes) -> dict[str, Any]:
    """Raises Unreadable: broken, too deep, or no object."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Unreadable("not a JSON object")
    return found
