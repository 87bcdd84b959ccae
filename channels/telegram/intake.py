"""One update at a time: read it, commit it, and only then say that it was taken. The same for webhook and polling."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog

from bot.inbox import Inbox
from bot.model import Inbound, Receipt
from bot.nouns import noun
from channels.telegram.inbound import CHANNEL, Malformed, dump, is_query_id, load, locale_of, read

log = structlog.get_logger()
TRIES = 5  # of one update that the inbox can't take, before it becomes a dead letter and lets the next ones through


@noun(frozen=True, slots=True)
class Press:
    """A pressed button that waits for an answer: Telegram's id of that, and the language of the app (empty: unknown)."""

    id: str
    locale: str = ""


Pressed = Callable[[Press, Inbound | None, Receipt | None], None]


class Intake:
    """`pressed(press, what was read, its receipt)` is called after the commit of each pressed button."""

    def __init__(self, inbox: Inbox, bot_id: int, pressed: Pressed) -> None:
        self._inbox = inbox
        self._bot_id = bot_id
        self._pressed = pressed
        self._failed: dict[str, int] = {}
        self.ignored = 0
        self.malformed = 0

    async def take_all(self, updates: Sequence[Any]) -> None:
        """Commits a batch, in order within each chat. Raises when the database did not take one of them."""
        chats: dict[str, list[Any]] = {}
        for update in updates:
            chats.setdefault(chat_of(update), []).append(update)
        outcomes = await asyncio.gather(*(self._in_order(some) for some in chats.values()), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome

    async def _in_order(self, updates: Sequence[Any]) -> None:
        for update in updates:
            await self.take(update)

    async def take(self, update: Any) -> None:
        """Returns once the update is committed, known to be broken (and kept), or not for us. Else it raises."""
        receipt: Receipt | None = None
        inbound: Inbound | None = None
        try:
            inbound = read(update, self._bot_id)
        except Malformed as error:
            self.malformed += 1
            await self._drop(update, str(error))
        except Exception as error:  # reading asks nobody: it would fail the same way each time that Telegram repeats it
            self.malformed += 1
            log.exception("an update could not be read")
            await self._drop(update, f"it could not be read: {type(error).__name__}")
        else:
            if inbound is None:
                self.ignored += 1
            else:
                receipt = await self._receive(inbound, update)
        press = press_of(update)
        if press is not None:
            self._pressed(press, inbound, receipt)

    async def read_again(self, raw: bytes) -> None:
        """A dead letter of ours, as if it had just come. Raises ValueError for what still can't be read."""
        try:
            update = load(raw)
            inbound = read(update, self._bot_id)
        except (Malformed, RecursionError) as error:
            raise ValueError(str(error)) from error
        if inbound is not None:
            await self._inbox.receive(inbound)

    async def drop(self, raw: bytes, reason: str) -> None:
        """What is not even an update."""
        self.malformed += 1
        await self._inbox.drop(CHANNEL, raw, reason)

    async def _receive(self, inbound: Inbound, update: Any) -> Receipt | None:
        try:
            receipt = await self._inbox.receive(inbound)
        except Exception as error:
            failed = self._failed[inbound.key] = self._failed.get(inbound.key, 0) + 1
            if failed < TRIES:
                raise
            log.exception("an update could not be taken", key=inbound.key, tries=failed)
            await self._drop(
                update, f"the inbox could not take it: {type(error).__name__}"
            )  # raises if it is the database
            receipt = None
        self._failed.pop(inbound.key, None)
        return receipt

    async def _drop(self, update: Any, reason: str) -> None:
        update_id = update.get("update_id") if isinstance(update, Mapping) else None
        key = f"{self._bot_id}:{update_id}" if isinstance(update_id, int) else None
        await self._inbox.drop(CHANNEL, dump(update), reason, key)


def press_of(update: Any) -> Press | None:
    """The press that waits for an answer, whatever else is wrong with it."""
    query = update.get("callback_query") if isinstance(update, Mapping) else None
    if not isinstance(query, Mapping) or not is_query_id(query.get("id")):
        return None
    who = query.get("from")
    return Press(str(query["id"]), locale_of(who) if isinstance(who, Mapping) else "")


def chat_of(update: Any) -> str:
    """What must stay in order: everything of one person."""
    if isinstance(update, Mapping):
        for content in update.values():
            who = content.get("from") if isinstance(content, Mapping) else None
            if isinstance(who, Mapping):
                return str(who.get("id"))[:40]
    return ""
