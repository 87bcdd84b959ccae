"""The core alone: a database, both doors, timers; a clock that tests set; two made-up channels that send into a list."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select

from bot.inbox import Inbox
from bot.model import BOT, AuthorKind, Body, Inbound, Message, Receipt, Sender, Wrote
from bot.outbox import Part, say
from bot.storage import customers, history
from bot.storage import tables as t
from bot.storage.engine import Storage
from bot.storage.schema import upgrade
from bot.timers import Timers
from bot.turn import Turn
from channels.delivery import DeliveryLoop
from channels.port import Delivery, Sent, Verdict

NOON = datetime(2026, 3, 9, 12, tzinfo=UTC)


class SetClock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now

    def passes(self, **span: float) -> None:
        self.now += timedelta(**span)


class PaperOutlet:
    """Text, and one part a paragraph."""

    def __init__(self, via: str) -> None:
        self.via = via

    def parts(self, message: Message, address: str) -> Sequence[Part]:
        return [Part("text", {"text": one}) for one in message.body.text.split("\n\n")]

    def edits(self, message: Message, refs: Sequence[str], address: str) -> Sequence[Part]:
        return [Part("edit", {"ref": ref, "text": message.body.text}) for ref in refs]

    def deletes(self, message: Message, refs: Sequence[str], address: str) -> Sequence[Part]:
        return [Part("delete", {"ref": ref}) for ref in refs]

    def lane(self, address: str) -> str:
        return f"{self.via}:{address}"

    def bucket(self, address: str) -> str | None:
        return None


class PaperSender:
    """Keeps what it is given. `script` holds what happens next: an error to raise, a coroutine function, or None."""

    def __init__(self, via: str = "paper") -> None:
        self.via = via
        self.sent: list[Delivery] = []
        self.tried: list[Delivery] = []
        self.script: list[Any] = []
        self.verdicts: list[Any] = []
        self.asked: list[Delivery] = []

    async def send(self, delivery: Delivery) -> Sent:
        self.tried.append(delivery)
        step = self.script.pop(0) if self.script else None
        if isinstance(step, BaseException):
            raise step
        if step is not None:
            await step(delivery)
        self.sent.append(delivery)
        return Sent(f"ext-{delivery.id}")

    async def resolve(self, delivery: Delivery) -> Sent | Verdict:
        self.asked.append(delivery)
        verdict = self.verdicts.pop(0) if self.verdicts else Verdict.WAIT
        if isinstance(verdict, BaseException):
            raise verdict
        return verdict

    @property
    def texts(self) -> list[str]:
        return [one.payload["text"] for one in self.sent]


def echo(turn: Turn) -> bool:
    if turn.message is not None:
        say(turn.tx, turn.customer.id, Body(text=f"heard: {turn.text}"), author=BOT)
    return True


@dataclass
class Rooms:
    storage: Storage
    clock: SetClock
    inbox: Inbox
    timers: Timers
    sender: PaperSender
    delivery: DeliveryLoop
    heard: list[Any]
    ringers: dict[str, Any]

    async def hears(
        self, text: str = "hello", who: str = "kari", *, channel: str = "paper", key: str | None = None, **more: Any
    ) -> Receipt:
        return await self.inbox.receive(wrote(text, who, channel=channel, key=key, **more))

    async def customer(self, who: str = "kari", channel: str = "paper") -> str:
        found = await self.storage.read(lambda conn: customers.identity(conn, channel, who))
        assert found is not None
        return found.customer_id

    async def said(self, customer_id: str) -> list[tuple[str, str]]:
        """(author's kind, text), in order of seq; and checks that the timeline has no gap."""
        entries = await self.storage.read(lambda conn: history.since(conn, customer_id, 0, 10_000))
        assert [one.seq for one in entries] == list(range(1, len(entries) + 1))
        assert await self.storage.read(lambda conn: history.last_seq(conn, customer_id)) == len(entries)
        found = await self.storage.read(lambda conn: history.messages(conn, customer_id, limit=10_000))
        return [(str(one.author.kind), one.body.text) for one in found if one.deleted_at is None]

    async def words(self, customer_id: str) -> list[str]:
        return [text for kind, text in await self.said(customer_id) if kind == AuthorKind.CUSTOMER]

    async def rows(self, table: str) -> list[Any]:
        return await self.storage.read(lambda conn: list(conn.execute(select(t.metadata.tables[table])).all()))

    async def deliver(self) -> datetime | None:
        """Until nothing can leave just now; returns when the next can."""
        while True:
            due = await self.delivery.run()
            busy = bool(self.delivery._tasks)
            await self.delivery.idle()
            await asyncio.sleep(0)
            if not busy and (due is None or due > self.clock.now):
                return due


def wrote(
    text: str,
    who: str = "kari",
    *,
    channel: str = "paper",
    key: str | None = None,
    also: tuple[str, ...] = (),
    **more: Any,
) -> Inbound:
    sender = Sender(channel, who, address=who, name=who.title(), locale="en")
    return Inbound(channel, key or uuid.uuid4().hex, sender, Wrote(text, **more), raw=text.encode(), also=also)


@asynccontextmanager
async def rooms(
    url: str,
    *,
    clock: SetClock | None = None,
    takers: Sequence[Callable[[Turn], bool]] = (echo,),
    subscribers: Mapping[type, Sequence[Any]] | None = None,
) -> AsyncIterator[Rooms]:
    """An open database with the doors of one node around it."""
    clock = clock or SetClock()
    await upgrade(url)
    storage = Storage(url, clock)
    await storage.open()
    heard: list[Any] = []
    storage.wiring.subscribers = subscribers or {}
    storage.wiring.outlets = {"paper": PaperOutlet("paper"), "stone": PaperOutlet("stone")}
    sender = PaperSender()
    inbox = Inbox(storage, takers)
    ringers: dict[str, Any] = {"album": inbox.album_complete}
    delivery = DeliveryLoop(storage, {"paper": sender})
    try:
        yield Rooms(storage, clock, inbox, Timers(storage, ringers), sender, delivery, heard, ringers)
    finally:
        await delivery.stop(0)
        await storage.close()
