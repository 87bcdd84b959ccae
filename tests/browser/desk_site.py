"""A running web desk: its real routes and verbs on a real database, with timers; only the rest of the product is missing."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import uvicorn
from starlette.applications import Starlette

from bot.events import EscalationAsked
from bot.model import BOT, Body, Choice
from bot.outbox import say, settle
from bot.settings import Settings
from bot.storage import tables as t
from bot.storage.engine import Storage
from bot.timers import Timers
from bot.worker import Worker
from channels.web.hub import Hub
from handoff import cases
from handoff.case import Case
from handoff.watch import ringers, subscribers
from handoff.web.desk import WebDesk
from handoff.web.routes import WebDeskRoutes
from surveys.team.rounds import Pulse
from surveys.team.sheets import TeamSheets
from tests.unit.handoff_house import House, Outlet, Wall, a_desk


class Site:
    """`house` plays customers and colleagues. `ahead` moves the house's clock, the undo window is as short as told."""

    def __init__(self, database: str, *, demo: bool = True, **desk: Any) -> None:
        self.ahead = timedelta()
        self.storage = Storage(database, lambda: datetime.now(UTC) + self.ahead)
        self.desk = replace(a_desk(**desk), name="Stafett demo shop", is_builtin=demo)
        self.web, self.widgets = WebDesk(), Hub()
        self.house = House(self.storage, self.desk, Wall(), [])
        self.timers = Worker("timers", Timers(self.storage, ringers()).run, self.storage.clock)

    async def __aenter__(self) -> Self:
        await self.storage.open()
        await self.storage.write(lambda tx: t.metadata.create_all(tx.conn))
        wiring = self.storage.wiring
        wiring.subscribers = subscribers([self.house.wall, self.web])
        wiring.outlets = {"web": Outlet("web"), "telegram": Outlet("telegram")}
        wiring.desk = lambda: self.desk
        wiring.wake = lambda worker: self.timers.wake() if worker == "timers" else None
        self.timers.start()
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        port = self._socket.getsockname()[1]
        self.url = f"http://localhost:{port}"
        sheets = TeamSheets(lambda: self.desk, Pulse(lambda: self.desk, "a secret of this test"), self.storage.clock)
        settings = Settings(_env_file=None, port=port, public_url=self.url)
        self.routes = WebDeskRoutes(
            self.storage,
            settings,
            "a secret of this test",
            self.web,
            lambda: self.desk,
            self.widgets,
            forms=lambda: sheets,
        )
        app = Starlette(routes=list(self.routes.routes()))
        config = uvicorn.Config(app, log_config=None, lifespan="off", proxy_headers=False, timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)
        self._running = asyncio.create_task(self._server.serve(sockets=[self._socket]))
        while not self._server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.005)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.routes.stop()
        self._server.should_exit = True
        await self._running
        await self.timers.stop()
        await self.storage.close()

    async def told(self, name: str = "Kari Nordmann", locale: str = "en", channel: str = "web", **asked: Any) -> Case:
        """A customer who talked with the bot about an order and then asked for a human."""
        house = self.house
        customer = await house.newcomer(name, channel, locale)
        await house.writes(customer, "Hi! Where is my order?")
        await house.do(
            say, customer, Body("What is your order number? It looks like **AB123456**.", markdown=True), author=BOT
        )
        await house.writes(customer, "AB123456")
        helped = Body(
            "It left our warehouse on Friday. Did this help?", choices=(Choice("y", "Yes"), Choice("n", "No"))
        )
        await house.do(say, customer, helped, author=BOT)
        await house.writes(customer, "No, the tracking page says it was returned. Can I talk to a person?")
        asked = {
            "reason_code": "asked",
            "reason": "The customer asked for a person",
            "show": [("order_number", "AB123456"), ("status", "shipped on Friday")],
            "tried": ["Looked up the order", "Offered the article “Where is my parcel?”"],
            **asked,
        }
        return await house.do(cases.on_escalation, EscalationAsked(customer, **asked))

    async def deliver(self, customer_id: str, outcome: str = "sent", error: str | None = None) -> None:
        """What waits to be sent to a customer is sent, or refused."""

        def unit(tx: Any) -> None:
            rows = tx.conn.execute(t.outbox.select().where(t.outbox.c.customer_id == customer_id)).all()
            for row in rows:
                if row.state in {"ready", "retry"}:
                    settle(tx, row.id, outcome, error=error)

        await self.storage.write(unit)
