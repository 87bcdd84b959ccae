"""A house for the tests of `handoff`: a real database, a desk, customers on two channels, and a clock that is set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, TypeVar

from sqlalchemy import func, select

from bot.desk_folder.desk import Agent, Desk, SlackAccount, Team
from bot.events import CaseReopened, CaseResolved, EscalationAsked
from bot.inbox import store_written
from bot.model import BOT, Body, Message, Sender, Wrote
from bot.outbox import Part, say
from bot.storage import customers, history
from bot.storage import tables as t
from bot.storage.engine import Storage
from bot.storage.tx import Tx
from bot.timers import Timers
from bot.turn import Turn
from handoff import cases, store, taker
from handoff.case import Case, Relay
from handoff.watch import ringers, subscribers

T = TypeVar("T")
MONDAY = datetime(2026, 3, 9, 12, tzinfo=UTC)


@dataclass
class Outlet:
    """A channel that sends one part a message, and can edit and delete what was sent."""

    via: str
    can_amend: bool = True

    def parts(self, message: Message, address: str) -> Sequence[Part]:
        return [Part("text", {"text": message.body.text})]

    def edits(self, message: Message, refs: Sequence[str], address: str) -> Sequence[Part]:
        return [Part("edit", {"text": message.body.text})] if self.can_amend else []

    def deletes(self, message: Message, refs: Sequence[str], address: str) -> Sequence[Part]:
        return [Part("delete", {})] if self.can_amend else []

    def lane(self, address: str) -> str:
        return f"{self.via}:{address}"

    def bucket(self, address: str) -> str | None:
        return None


@dataclass
class Wall:
    """A desk that writes down what it is told."""

    name: str = "wall"
    seen: list[tuple[str, str]] = field(default_factory=list)

    def case_changed(self, tx: Tx, case: Case) -> None:
        self.seen.append(("case", str(case.status)))

    def message_added(self, tx: Tx, case: Case, message: Message) -> None:
        self.seen.append(("note" if message.seq is None else str(message.author.kind), message.body.text))

    def message_amended(self, tx: Tx, case: Case, message: Message) -> None:
        self.seen.append(("amended", message.body.text))

    def relay_changed(self, tx: Tx, relay: Relay) -> None:
        self.seen.append(("relay", f"{relay.state}/{relay.delivery}"))


def an_agent(agent_id: str, team: str = "support", role: str = "agent", slack: SlackAccount | None = None) -> Agent:
    return Agent(agent_id, agent_id.capitalize(), team, role, ("en",), slack=slack)


def a_desk(**values: Any) -> Desk:
    agents = (an_agent("ann"), an_agent("bob"), an_agent("lea", role="lead"), an_agent("bill", "billing"))
    teams = (Team("support", "Support"), Team("billing", "Billing"))
    return Desk("Acme", ("en", "nl", "nb", "he"), **{"teams": teams, "agents": agents, **values})


@dataclass
class House:
    """Every verb runs in a transaction of its own: `await house.do(cases.claim, case_id, "ann", desk="wall")`."""

    storage: Storage
    desk: Desk
    wall: Wall
    heard: list[Any]
    now: datetime = MONDAY

    def __post_init__(self) -> None:
        self.timers = Timers(self.storage, ringers())

    async def do(self, verb: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        return await self.storage.write(lambda tx: verb(tx, *args, **kwargs))

    async def look(self, query: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        return await self.storage.read(lambda conn: query(conn, *args, **kwargs))

    async def later(self, **span: float) -> None:
        """Let time pass, ringing each timer at its moment."""
        until = self.now + timedelta(**span)
        while (due := await self.storage.read(_next_due)) is not None and due <= until:
            self.now = max(self.now, due)
            await self.timers.run()
        self.now = until

    async def comes_back(self, **span: float) -> None:
        """So long nobody was here: what fell due rings now, once."""
        self.now += timedelta(**span)
        await self.timers.run()

    async def newcomer(self, name: str = "Kari", channel: str = "web", locale: str = "en") -> str:
        sender = Sender(channel, name.lower(), name.lower(), name, locale)
        who, _ = await self.storage.write(lambda tx: customers.create(tx, sender, "en"))
        return who.id

    async def writes(self, customer_id: str, text: str) -> bool:
        """The customer writes; True: people took it, False: it went to the bot."""

        def unit(tx: Tx) -> bool:
            where = customers.identities(tx.conn, customer_id)[0]
            message = store_written(tx, where, Wrote(text))
            who = customers.customer(tx.conn, customer_id)
            assert who is not None
            taken = taker.take(Turn(tx, who, where, Wrote(text), message))
            if not taken:
                cases.ensure_open(tx, customer_id, where.channel, message.id)
            return taken

        return await self.storage.write(unit)

    async def bot_says(self, customer_id: str, text: str) -> Message:
        return await self.storage.write(lambda tx: say(tx, customer_id, Body(text), author=BOT))

    async def queued(self, name: str = "Kari", **asked: Any) -> Case:
        """A new customer who asked for a human."""
        customer_id = await self.newcomer(name)
        await self.writes(customer_id, f"{name} has lost a parcel")
        return await self.do(cases.on_escalation, EscalationAsked(customer_id, "asked", **asked))

    async def taken(self, agent: str = "ann", name: str = "Kari") -> Case:
        case = await self.queued(name)
        return await self.do(cases.claim, case.id, agent, desk="wall")

    async def case(self, case: Case) -> Case:
        found = await self.look(store.case, case.id)
        assert found is not None
        return found

    async def said(self, customer_id: str) -> list[str]:
        """What the customer can read, less their own words."""
        messages = await self.look(history.messages, customer_id)
        return [one.body.text for one in messages if one.author.kind != "customer"]

    async def notes(self, case: Case) -> list[str]:
        return [one.body.text for one in await self.look(history.of_case, case.id) if one.seq is None]

    async def events(self, case: Case) -> list[str]:
        return [event.kind for event in await self.look(store.events, case.id)]


def _next_due(conn: Any) -> datetime | None:
    due: datetime | None = conn.execute(select(func.min(t.timers.c.due_at))).scalar()
    return due


async def build(url: str, **desk: Any) -> House:
    """Open a house on a database of either kind; close `house.storage` afterwards."""
    clock = SimpleNamespace(now=MONDAY)
    storage = Storage(url, lambda: house.now if "house" in made else clock.now)
    made: dict[str, House] = {}
    wall = Wall()
    heard: list[Any] = []
    wired: dict[type, list[Any]] = dict(subscribers([wall]))
    await storage.open()
    await storage.write(lambda tx: t.metadata.create_all(tx.conn))
    house = House(storage, a_desk(**desk), wall, heard)
    made["house"] = house
    for kind in dict.fromkeys((*wired, CaseResolved, CaseReopened)):
        wired[kind] = [*wired.get(kind, ()), lambda tx, event: tx.after_commit(lambda: heard.append(event))]
    storage.wiring.subscribers = wired
    storage.wiring.outlets = {"web": Outlet("web"), "telegram": Outlet("telegram")}
    storage.wiring.desk = lambda: house.desk
    return house
