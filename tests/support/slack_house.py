"""A house with its agents in Slack: the whole product, the real SDK over both ways in, a customer who writes to the same app.

Kari writes to the app directly; Ann and Bob work in C1. The clock moves when a test moves it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import uvicorn
from pydantic import SecretStr
from sqlalchemy import select
from starlette.applications import Starlette

from bot.app import App
from bot.settings import Settings
from bot.storage import schema
from bot.storage import tables as t
from handoff import store as cases
from handoff.case import Case
from handoff.slack.desk import SlackDesk
from tests.fakes.slack import Channel, SlackServer
from tests.fakes.slack_person import Person
from tests.fakes.slack_shapes import Post

DESK = "C1"
WAITS, SENT, NOTE, FAILED, BACK = (
    "hourglass_flowing_sand", "white_check_mark", "lock", "warning", "leftwards_arrow_with_hook"
)  # fmt: skip


class SteppingClock:
    """The real time plus what a test adds."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@dataclass
class House:
    app: App
    slack: SlackServer
    clock: SteppingClock
    kari: Person
    ann: Person
    bob: Person
    desk: Channel

    async def rest(self) -> None:
        """Until Slack has told everything and the house has done all that is due."""
        for _ in range(20):
            before = len(self.slack.log)
            await self.slack.settled()
            await self.app.settle()
            await self.slack.settled()
            if len(self.slack.log) == before:
                return
        raise AssertionError("no end")

    async def later(self, seconds: float = 6) -> None:
        """What was done reaches the house; then time passes: undo windows end."""
        await self.rest()
        self.clock.ahead += timedelta(seconds=seconds)
        await self.rest()

    async def escalated(self, words: str = "I want a human") -> Post:
        """Kari asks for a human; the card."""
        await self.kari.dm(words)
        await self.rest()
        return self.card()

    async def claimed(self, by: Person | None = None) -> Post:
        card = await self.escalated()
        await (by or self.ann).presses(DESK, card.ts, "Claim")
        await self.rest()
        return self.card()

    def card(self) -> Post:
        [found] = self.desk.cards
        return found

    def thread(self, card: Post) -> list[str]:
        return [post.says for post in self.desk.thread(card.ts) if post.ts != card.ts and post.by_app]

    def got(self) -> list[str]:
        """What Kari can read, less her own words."""
        return [unescape(post.says) for post in self.kari.direct.posts() if post.by_app]

    def marks(self, post: Post) -> set[str]:
        """The marks that we put on a post."""
        return {name for name, users in self.desk.post(post.ts).reactions.items() if self.slack.bot_user in users}

    async def sweep(self) -> None:
        desk = next(one for one in self.app.desks if isinstance(one, SlackDesk))
        await desk.sweep.once()

    async def case(self) -> Case:
        [case] = await self.app.storage.read(cases.listing)
        return case

    async def notes(self) -> list[str]:
        m = t.messages.c
        query = select(m.text).where(m.seq.is_(None), m.author_kind == "agent").order_by(m.at, m.id)
        return await self.app.storage.read(lambda conn: list(conn.execute(query).scalars()))


@contextlib.asynccontextmanager
async def serving(routes: Any) -> AsyncIterator[str]:
    config = uvicorn.Config(Starlette(routes=list(routes)), host="127.0.0.1", port=0, log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    await server.shutdown()


@contextlib.asynccontextmanager
async def a_house(slack: SlackServer, url: str, mode: str) -> AsyncIterator[House]:
    settings = Settings(
        _env_file=None,
        database_url=url,
        secret=SecretStr("s" * 40),
        slack_bot_token=SecretStr(slack.bot_token),
        slack_signing_secret=SecretStr(slack.signing_secret),
        slack_app_token=SecretStr(slack.app_token) if mode == "socket" else None,
        slack_api_url=slack.api_url,
        slack_agent_channel=DESK,
    )
    clock = slack.clock
    assert isinstance(clock, SteppingClock)
    app = App(settings, clock)
    kari, ann, bob = slack.person("U7", "Kari"), slack.person("U1", "Ann"), slack.person("U2", "Bob")
    desk = slack.channel(DESK, members=[ann, bob])
    async with contextlib.AsyncExitStack() as stack:
        await app.storage.open()
        stack.push_async_callback(app.stop)
        await schema.upgrade(url, locked=app.storage.is_sqlite)
        if mode == "http":
            slack.events_url = await stack.enter_async_context(serving(app.routes())) + "/slack/events"
        channel: Any = next(one for one in app.channels if one.name == "slack")
        await channel.start()
        await asyncio.wait_for(channel.connection.known(), 10)
        if mode == "socket":
            await slack.connected(2)
        yield House(app, slack, clock, kari, ann, bob, desk)
