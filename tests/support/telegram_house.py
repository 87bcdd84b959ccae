"""The product as far as Telegram needs it: database, both doors, workers, the channel; and a bot that echoes.

Everything is real but Telegram itself and the clock, which stands still until a test moves it.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import uvicorn
from pydantic import SecretStr
from sqlalchemy import select
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from bot import absence
from bot.events import ReachabilityChanged, SendSettled
from bot.inbox import Inbox
from bot.model import BOT, Body, Choice, Identity, Message
from bot.outbox import say
from bot.settings import Settings
from bot.storage import customers, history
from bot.storage import tables as t
from bot.storage.engine import Storage
from bot.storage.schema import upgrade
from bot.storage.tx import Tx
from bot.timers import Timers
from bot.turn import Turn
from bot.worker import Worker
from channels.delivery import DeliveryLoop
from channels.telegram.channel import TelegramChannel
from tests.fakes.telegram import TelegramServer


class Door:
    """Where Telegram posts: a web server, as a proxy, whose house may be away. `async with Door() as door`."""

    def __init__(self) -> None:
        self.house: House | None = None  # None: 502
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        config = uvicorn.Config(self, log_level="error", loop="asyncio", lifespan="off", ws="none")
        self._server = uvicorn.Server(config)
        self._server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        routes = self.house.channel.routes() if self.house is not None else ()
        shut = Response(status_code=502)
        await (Starlette(routes=list(routes)) if routes else shut)(scope, receive, send)

    async def __aenter__(self) -> Self:
        self._serving = asyncio.create_task(self._server.serve([self._listener]))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.should_exit = True
        await self._serving


class SetClock:
    def __init__(self) -> None:
        self.at = datetime(2026, 3, 10, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at


def echo(turn: Turn) -> bool:
    """Says back what it heard; "menu" gets buttons."""
    if turn.message is None:
        return False
    choices = (Choice("yes", "Yes"), Choice("no", "No")) if turn.text == "menu" else ()
    heard = turn.pressed.value if turn.pressed else turn.text or f"{len(turn.message.body.files)} files"
    say(turn.tx, turn.customer.id, Body(text=f"you said: {heard}", choices=choices), author=BOT)
    return True


class House:
    """`async with House(url, tg) as house`; `house.taker` may be replaced."""

    def __init__(self, database_url: str, tg: TelegramServer, clock: SetClock, **settings: Any) -> None:
        self.clock = clock
        self.taker: Callable[[Turn], bool] = echo
        self.settings = Settings(
            _env_file=None,
            database_url=database_url,
            **{"telegram_token": SecretStr(tg.token), "telegram_api_url": tg.api_url, **settings},
        )
        self.tg = tg
        self.storage = Storage(database_url, clock)
        self.inbox = Inbox(self.storage, [self._take])
        self.channel = TelegramChannel(self.settings, self.storage, self.inbox)
        self.delivery = DeliveryLoop(self.storage, {"telegram": self.channel.sender})
        rung = {"album": self.inbox.album_complete, absence.SWEEP: absence.sweep, absence.ASK: absence.ask}
        timers = Timers(self.storage, rung)
        works = {"outbox": self.delivery.run, "timers": timers.run, "inbox": self.inbox.run}
        self.workers = {name: Worker(name, work, clock, self.storage.poll) for name, work in works.items()}
        self.heard: list[Any] = []

    def _take(self, turn: Turn) -> bool:
        return self.taker(turn)

    async def __aenter__(self) -> Self:
        await upgrade(self.settings.database_url)
        await self.storage.open()
        wiring = self.storage.wiring
        wiring.outlets = {"telegram": self.channel.outlet}
        wiring.wake = lambda name: self.workers[name].wake()
        wiring.subscribers = {
            kind: [lambda tx, event: tx.after_commit(lambda: self.heard.append(event))]
            for kind in (SendSettled, ReachabilityChanged)
        }
        self.delivery.wake = self.workers["outbox"].wake
        await self.delivery.recover()
        for worker in self.workers.values():
            worker.start()
        await self.channel.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.channel.stop()
        for worker in self.workers.values():
            await worker.stop()
        await self.delivery.stop(1)
        await self.storage.close()

    def later(self, seconds: float) -> None:
        """So much time goes by."""
        self.clock.at += timedelta(seconds=seconds)
        for worker in self.workers.values():
            worker.wake()

    async def until(self, look: Callable[[], Any], timeout: float = 30) -> Any:
        """The first true thing that `look` (plain or async) finds, asked whenever the loop has moved on."""
        async with asyncio.timeout(timeout):
            while True:
                found = look()
                found = await found if asyncio.iscoroutine(found) else found
                if found:
                    return found
                await asyncio.sleep(0.01)

    def settled(self, outcome: str, kind: str | None = None) -> list[SendSettled]:
        sends = [event for event in self.heard if isinstance(event, SendSettled)]
        return [event for event in sends if event.outcome == outcome and kind in {None, event.kind}]

    async def identity(self, external_id: int) -> Identity:
        found = await self.storage.read(lambda conn: customers.identity(conn, "telegram", str(external_id)))
        assert found is not None
        return found

    async def messages(self, external_id: int) -> list[Message]:
        """Everything in this customer's timeline."""
        who = await self.identity(external_id)
        return await self.storage.read(lambda conn: history.messages(conn, who.customer_id))

    async def timeline(self, external_id: int) -> list[tuple[str, str]]:
        """(kind, text) of everything that took a seq."""
        who = await self.identity(external_id)
        entries = await self.storage.read(lambda conn: history.since(conn, who.customer_id, 0))
        assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
        return [(entry.kind, entry.message.body.text) for entry in entries]

    async def say(self, external_id: int, **body: Any) -> Message:
        """Something that the bot says by itself."""
        who = await self.identity(external_id)
        author = body.pop("author", BOT)
        return await self.storage.write(lambda tx: say(tx, who.customer_id, Body(**body), author=author))

    async def write(self, unit: Callable[[Tx], Any]) -> Any:
        return await self.storage.write(unit)

    async def rows(self, table: str) -> list[Any]:
        return await self.storage.read(lambda conn: list(conn.execute(select(t.metadata.tables[table])).all()))
