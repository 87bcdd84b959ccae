"""The main job on each of the three channels, through the whole product; agents work at the web desk.

A customer asks, the bot answers, a button is pressed, a human is fetched and answers, one question closes the case; and
the report shows what came of it, channel by channel.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from typing import Any, Protocol

import pytest
from pydantic import SecretStr

from bot.answers import store as answers
from channels.delivery import paces
from surveys import store as surveys
from surveys.figures.shape import Question
from tests.fakes.slack import SlackServer
from tests.fakes.slack_person import Person as SlackPerson
from tests.fakes.slack_shapes import Post
from tests.fakes.telegram import TelegramServer
from tests.fakes.telegram_chat import Seen
from tests.fakes.telegram_person import Person as TelegramPerson
from tests.support.house import Agent, House, Visitor


class Now:
    """One clock for the house and both platforms: the real time plus what a test adds."""

    def __init__(self) -> None:
        self.house: House | None = None

    def __call__(self) -> datetime:
        return self.house.now if self.house else datetime.now(UTC)


@pytest.fixture
async def platforms(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[TelegramServer, SlackServer, Now]]:
    monkeypatch.setattr(paces, "RATES", {})  # the platforms' pace is real time, and a matter of other tests
    now = Now()
    async with TelegramServer(clock=now) as telegram, SlackServer(clock=now) as slack:
        yield telegram, slack, now


@pytest.fixture
async def house(tmp_path: Path, platforms: tuple[TelegramServer, SlackServer, Now]) -> AsyncIterator[House]:
    telegram, slack, now = platforms
    settings: dict[str, Any] = {
        "telegram_token": SecretStr(telegram.token),
        "telegram_api_url": telegram.api_url,
        "slack_bot_token": SecretStr(slack.bot_token),
        "slack_signing_secret": SecretStr(slack.signing_secret),
        "slack_api_url": slack.api_url,
    }
    made = House(tmp_path, now=datetime.now(UTC), **settings)
    now.house = made
    slack.events_url = f"{made.url}/slack/events"
    async with made:
        await made.app.tokens_accepted()
        yield made


class Somebody(Protocol):
    """A customer, on whatever channel."""

    channel: str

    async def says(self, text: str) -> None: ...

    async def hears(self, words: str) -> None:
        """The next message with these words; its buttons are those that `presses` and `sees` mean."""

    async def presses(self, label: str) -> None: ...

    def sees(self) -> list[str]:
        """The labels of the buttons below what was heard last."""


class OnTelegram:
    channel = "telegram"

    def __init__(self, house: House, server: TelegramServer, person: TelegramPerson) -> None:
        self.house, self.server, self.person = house, server, person
        self.last: Seen | None = None

    async def says(self, text: str) -> None:
        await self.person.says(text)
        await self.rests()

    async def hears(self, words: str) -> None:
        self.last = await self.person.hears(lambda seen: words.casefold() in seen.text.casefold())

    async def presses(self, label: str) -> None:
        assert self.last is not None
        await self.person.presses(self.last, label)
        await self.rests()

    def sees(self) -> list[str]:
        return self.last.labels if self.last else []

    async def rests(self) -> None:
        await self.server.settled()
        await self.house.settle()


class OnSlack:
    channel = "slack"

    def __init__(self, house: House, server: SlackServer, person: SlackPerson) -> None:
        self.house, self.server, self.person = house, server, person
        self.last: Post | None = None

    async def says(self, text: str) -> None:
        await self.person.dm(text)
        await self.rests()

    async def hears(self, words: str) -> None:
        self.last = await self.person.hears(lambda post: words.casefold() in unescape(post.says).casefold())

    async def presses(self, label: str) -> None:
        assert self.last is not None
        await self.person.presses(self.person.direct.id, self.last.ts, label)
        await self.rests()

    def sees(self) -> list[str]:
        return self.last.labels if self.last else []

    async def rests(self) -> None:
        await self.server.settled()
        await self.house.settle()
        await self.server.settled()


class OnTheWeb:
    channel = "web"

    def __init__(self, visitor: Visitor) -> None:
        self.visitor = visitor
        self.last: dict[str, Any] = {}

    async def says(self, text: str) -> None:
        await self.visitor.says(text)

    async def hears(self, words: str) -> None:
        self.last = await self.visitor.hears(words)

    async def presses(self, label: str) -> None:
        await self.visitor.presses(self.last, label)

    def sees(self) -> list[str]:
        return [choice["label"] for choice in self.last["choices"] or ()]


async def asks_and_is_answered(customer: Somebody) -> None:
    await customer.says("where is my order?")
    await customer.hears("order number")
    await customer.says("AB123456")
    await customer.hears("wanted to know")
    assert customer.sees(), "buttons, as the channel has them"


async def is_helped_by_a_human(customer: Somebody, house: House, agent: Agent) -> None:
    await customer.says("talk to a human")
    await customer.hears("fetching a colleague")
    (waiting,) = await agent.sees()
    case_id = waiting["id"]
    whole = str(await agent.opens(case_id))
    assert "where is my order?" in whole
    assert "AB123456" in whole
    (await agent.does(case_id, "claim")).raise_for_status()
    await customer.hears("is here and has read everything")
    await agent.replies(case_id, "It left **Oslo** this morning.")
    await customer.hears("It left")
    await customer.says("thank you, that was quick")
    assert "that was quick" in str(await agent.opens(case_id))
    (await agent.does(case_id, "resolve", outcome="resolved", topic="delivery")).raise_for_status()
    await house.passes(seconds=10)


async def on(channel: str, house: House, platforms: tuple[TelegramServer, SlackServer, Now], number: int) -> Somebody:
    telegram, slack, _ = platforms
    if channel == "telegram":
        return OnTelegram(house, telegram, telegram.person(1000 + number, f"Kari {number}"))
    if channel == "slack":
        return OnSlack(house, slack, slack.person(f"U{number:03d}", f"Kari {number}"))
    return OnTheWeb(await house.visitor())


async def test_the_main_job_on_each_channel_and_the_report_of_it(
    house: House, platforms: tuple[TelegramServer, SlackServer, Now]
) -> None:
    agent = await house.agent()
    for number, (channel, score) in enumerate((("telegram", 6), ("slack", 3), ("web", 7))):
        customer = await on(channel, house, platforms, number)
        await asks_and_is_answered(customer)
        await is_helped_by_a_human(customer, house, agent)
        await customer.hears("easy")
        assert [label[:1] for label in customer.sees() if label[:1].isdigit()] == list("1234567")
        if channel == "slack":
            await customer.says(str(score))
        else:
            await customer.presses(next(label for label in customer.sees() if label.startswith(str(score))))

    found = await house.app.storage.read(surveys.responses)
    assert {(one.channel, one.score, one.instrument) for one in found} == {
        ("telegram", 6, "ces7"),
        ("slack", 3, "ces7"),
        ("web", 7, "ces7"),
    }
    made = await house.app.rollups.ask(Question(by=("channel",), metrics=("ces7",)))
    shown = {figure.by["channel"]: figure.n for figure in made.groups("ces7")}
    assert shown == {"telegram": 1, "slack": 1, "web": 1}


@pytest.mark.parametrize("channel", ["telegram", "slack", "web"])
async def test_anything_else_than_a_score_is_a_new_question(
    house: House, platforms: tuple[TelegramServer, SlackServer, Now], channel: str
) -> None:
    customer = await on(channel, house, platforms, 1)
    await asks_and_is_answered(customer)
    await is_helped_by_a_human(customer, house, await house.agent())
    await customer.hears("easy")
    await customer.says("where is my order?")
    await customer.hears("order number")
    assert await house.app.storage.read(surveys.responses) == []


async def test_did_this_help_is_asked_and_heard_on_each_channel(
    house: House, platforms: tuple[TelegramServer, SlackServer, Now]
) -> None:
    """A no brings something else, a yes ends the case as confirmed; both are labels for `stafett kb calibrate`."""
    for number, channel in enumerate(("telegram", "slack", "web")):
        customer = await on(channel, house, platforms, number)
        await customer.says("How can I pay?")
        await customer.hears("Did this help?")
        _, no = customer.sees()
        await customer.presses(no)
        await customer.says("How much does delivery cost?")
        await customer.hears("4.90")
        yes, _ = customer.sees()
        await customer.presses(yes)
        await customer.hears("glad")
        found = await house.app.storage.read(answers.verdicts)
        heard = Counter((question, article, helped) for (question, _, article), helped in found)
        assert heard == {
            ("How can I pay?", "payment", False): number + 1,
            ("How much does delivery cost?", "delivery", True): number + 1,
        }
