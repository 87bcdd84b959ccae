"""A customer in Slack: writes, mentions, presses, edits, sends files; over both ways in, with the real SDKs.

The house is built by hand: database, inbox, a taker that answers, delivery, channel. Slack is the stand-in.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import uvicorn
from pydantic import SecretStr
from sqlalchemy import select
from starlette.applications import Starlette

from bot import outbox
from bot.errors import NotSent, SettingsFault
from bot.inbox import Inbox
from bot.model import BOT, Author, AuthorKind, Body, Choice, Chose, FileRef, SurveyCard, Wrote
from bot.settings import Settings
from bot.storage import schema
from bot.storage import tables as t
from bot.storage.engine import Storage
from bot.storage.tx import Wiring
from bot.turn import Turn
from bot.worker import Worker
from channels.delivery import DeliveryLoop
from channels.slack import sockets
from channels.slack.channel import SlackChannel
from channels.slack.connection import SlackConnection
from tests.fakes.faults import Fault
from tests.fakes.slack import SlackServer
from tests.support.slack_house import SteppingClock

PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 40
SCALE = tuple(Choice(str(n), str(n)) for n in range(1, 8))
SURVEY = SurveyCard("s1", "ces7", 1, 7, "very hard", "very easy")


@dataclass
class House:
    slack: SlackServer
    storage: Storage
    inbox: Inbox
    channel: SlackChannel
    connection: SlackConnection
    delivery: DeliveryLoop
    clock: SteppingClock
    broken_turns: int = 0
    agents: set[str] = field(default_factory=set)

    async def rows(self, table: Any, *where: Any) -> list[Any]:
        return await self.storage.read(lambda conn: list(conn.execute(select(table).where(*where))))

    async def said(self) -> list[str]:
        m = t.messages
        query = select(m.c.text).where(m.c.author_kind == "customer").order_by(m.c.customer_id, m.c.seq)
        return await self.storage.read(lambda conn: list(conn.execute(query).scalars()))

    async def later(self, seconds: float) -> None:
        """Time passes: what is due by then leaves."""
        self.clock.ahead += timedelta(seconds=seconds)
        await self.deliver()

    async def deliver(self) -> None:
        await self.delivery.run()
        await self.delivery.idle()

    async def state(self, kind: str = "text") -> list[str]:
        return [row.state for row in await self.rows(t.outbox, t.outbox.c.kind == kind)]


def answers(turn: Turn) -> bool:
    """A taker that shows what the channel can do."""

    def say(body: Body, author: Author = BOT) -> None:
        outbox.say(turn.tx, turn.customer.id, body, author=author)

    if isinstance(turn.happening, Chose):
        say(Body(f"chosen: {turn.pressed.value if turn.pressed else '?'}"))
        return True
    if not isinstance(turn.happening, Wrote):
        return False
    match turn.text:
        case "menu":
            say(Body("**Pick** one", markdown=True, choices=(Choice("order", "My order"), Choice("human", "A human"))))
        case "survey":
            say(Body("How easy was it?", choices=SCALE, survey=SURVEY))
        case "ann":
            say(Body("Hello, Ann here"), Author(AuthorKind.AGENT, "Ann <!channel>", "ann"))
        case "send me a file":
            file = FileRef("file-1", "plan.png", "image/png", len(PNG))
            row = {"id": file.id, "name": file.name, "type": file.type, "size": file.size, "data": PNG}
            turn.tx.conn.execute(t.files.insert().values(**row, created_at=turn.tx.now))
            say(Body("Here it is", files=(file,)))
        case text:
            say(Body(f"echo: {text}"))
    return True


@contextlib.asynccontextmanager
async def serving(routes: Any) -> AsyncIterator[str]:
    config = uvicorn.Config(Starlette(routes=list(routes)), host="127.0.0.1", port=0, log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    await server.shutdown()


@contextlib.asynccontextmanager
async def a_house(slack: SlackServer, url: str, mode: str, *, workers: bool = True) -> AsyncIterator[House]:
    settings = Settings(
        _env_file=None,
        slack_bot_token=SecretStr(slack.bot_token),
        slack_signing_secret=SecretStr(slack.signing_secret),
        slack_app_token=SecretStr(slack.app_token) if mode == "socket" else None,
        slack_api_url=slack.api_url,
    )
    await schema.upgrade(url)
    clock = SteppingClock()
    storage = Storage(url, clock)
    house: House

    def takes(turn: Turn) -> bool:
        if house.broken_turns:
            house.broken_turns -= 1
            raise RuntimeError("a bug")
        return answers(turn)

    connection = SlackConnection(settings, storage)
    inbox = Inbox(storage, [takes])
    channel = SlackChannel(connection, storage, inbox, lambda: house.agents)
    delivery = DeliveryLoop(storage, {"slack": channel.sender})
    house = House(slack, storage, inbox, channel, connection, delivery, clock)
    worker = Worker("outbox", delivery.run, clock)
    delivery.wake = worker.wake
    storage.wiring = Wiring(
        outlets={"slack": channel.outlet}, wake=lambda name: worker.wake() if name == "outbox" else None
    )
    async with contextlib.AsyncExitStack() as stack:
        await storage.open()
        stack.push_async_callback(storage.close)
        stack.push_async_callback(delivery.stop)
        if mode == "http":
            slack.events_url = await stack.enter_async_context(serving(channel.routes())) + "/slack/events"
        await channel.start()
        stack.push_async_callback(channel.stop)
        await asyncio.wait_for(connection.known(), 10)
        if mode == "socket":
            await slack.connected(2)
        if workers:
            worker.start()
            stack.push_async_callback(worker.stop)
        yield house


@pytest_asyncio.fixture
async def slack() -> AsyncIterator[SlackServer]:
    async with SlackServer() as server:
        server.delivery.ack_timeout = 1.0
        yield server


def url_in(folder: Path) -> str:
    return f"sqlite+aiosqlite:///{folder / 'house.db'}"


@pytest_asyncio.fixture(params=["socket", "http"])
async def house(request: pytest.FixtureRequest, slack: SlackServer, tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(slack, url_in(tmp_path), request.param) as built:
        yield built


@pytest_asyncio.fixture
async def slow_house(slack: SlackServer, tmp_path: Path) -> AsyncIterator[House]:
    """HTTP, and nothing leaves before the test says so."""
    async with a_house(slack, url_in(tmp_path), "http", workers=False) as built:
        yield built


async def test_a_direct_message_is_committed_and_answered(house: House) -> None:
    kari = house.slack.person("U1", "Kari Nordmann", locale="nb-NO")
    await kari.dm("Hvor er pakken min?")
    await kari.hears("echo: Hvor er pakken min?")
    [who] = await house.rows(t.identities)
    assert (who.channel, who.external_id, who.name, who.locale) == ("slack", "T0001:U1", "Kari Nordmann", "nb-NO")
    assert house.connection.faults() == []
    await house.channel.ready()


async def test_messages_of_one_person_keep_their_order(house: House) -> None:
    kari = house.slack.person("U1")
    house.slack.hold()
    for number in range(4):
        await kari.dm(f"line {number}")
    house.slack.release()
    await kari.hears("echo: line 3", timeout=15)
    assert await house.said() == [f"line {number}" for number in range(4)]


async def test_a_mention_opens_a_thread_that_stays_open_for_who_mentioned(house: House) -> None:
    kari, ola = house.slack.person("U1"), house.slack.person("U2", "Ola")
    shop = house.slack.channel("C7", members=[kari, ola], shared=True)
    root = await kari.mentions_app("C7", "where is my order?")
    await shop.hears("echo: where is my order?", thread_ts=root.ts)
    await ola.posts("C7", "I know nothing", thread_ts=root.ts)
    await kari.posts("C7", "and my invoice?", thread_ts=root.ts)
    await kari.posts("C7", "small talk")
    await shop.hears("echo: and my invoice?", thread_ts=root.ts)
    await house.slack.settled()
    assert await house.said() == ["where is my order?", "and my invoice?"]


async def test_a_stranger_in_a_shared_channel_is_somebody_of_their_own_workspace(house: House) -> None:
    eve = house.slack.person("U9", "Eve", team="T9999")
    shop = house.slack.channel("C7", members=[eve], shared=True)
    root = await eve.mentions_app("C7", "menu")
    menu = await shop.hears("Pick", thread_ts=root.ts)
    await eve.presses("C7", menu.ts, "My order")
    await shop.hears("chosen: order", thread_ts=root.ts)
    assert [row.external_id for row in await house.rows(t.identities)] == ["T9999:U9"]


async def test_in_the_agents_channel_nobody_is_a_customer(house: House) -> None:
    ann = house.slack.person("U1")
    house.slack.channel("C1", members=[ann])
    house.agents.add("C1")
    await ann.mentions_app("C1", "who takes this?")
    await house.slack.settled()
    assert await house.said() == []


async def test_a_pressed_button_is_shown_and_the_others_go(house: House) -> None:
    kari = house.slack.person("U1")
    await kari.dm("menu")
    menu = await kari.hears("Pick")
    assert menu.labels == ["My order", "A human"]
    await kari.presses(kari.direct.id, menu.ts, "A human")
    await kari.hears("chosen: human")
    await kari.hears(lambda post: post.ts == menu.ts and "✓ A human" in post.says and not post.buttons)


async def test_a_survey_keeps_its_scale_and_takes_a_second_press(house: House) -> None:
    kari = house.slack.person("U1")
    await kari.dm("survey")
    scale = await kari.hears("How easy")
    assert scale.labels == list("1234567")
    assert "1 = very hard" in scale.says
    await kari.presses(kari.direct.id, scale.ts, "5")
    marked = await kari.hears(lambda post: post.ts == scale.ts and "✓ 5" in post.labels)
    assert len(marked.labels) == 7
    await kari.presses(kari.direct.id, scale.ts, "6")
    await kari.hears(lambda post: post.ts == scale.ts and "✓ 6" in post.labels and "5" in post.labels)


async def test_only_the_customer_can_press_their_buttons(house: House) -> None:
    kari, ola = house.slack.person("U1"), house.slack.person("U2", "Ola")
    shop = house.slack.channel("C7", members=[kari, ola])
    root = await kari.mentions_app("C7", "menu")
    menu = await shop.hears("Pick", thread_ts=root.ts)
    await ola.presses("C7", menu.ts, "A human")
    await house.slack.settled()
    assert len(await house.rows(t.customers)) == 1
    assert await house.said() == ["menu"]


async def test_files_go_both_ways(house: House) -> None:
    kari = house.slack.person("U1")
    await kari.dm("look", files=[("photo.png", "image/png", PNG)])
    await kari.hears("echo: look")
    await house.slack.called("download")
    await house.delivery.idle()
    [file] = await house.rows(t.files)
    assert (file.name, file.type, file.data) == ("photo.png", "image/png", PNG)
    await kari.dm("send me a file")
    sent = await house.slack.waits_for(
        lambda: next((post for post in kari.direct.posts() if post.by_app and post.files), None)
    )
    assert sent.files[0]["name"] == "plan.png"
    assert house.slack.space.files[sent.files[0]["id"]][1] == PNG


async def test_edits_and_deletions_reach_the_history(house: House) -> None:
    kari = house.slack.person("U1")
    post = await kari.dm("order 12")
    await kari.hears("echo: order 12")
    await kari.edits(kari.direct.id, post.ts, "order 13")
    await house.slack.settled()
    assert await house.said() == ["order 13"]
    await kari.deletes(kari.direct.id, post.ts)
    await house.slack.settled()
    [message] = await house.rows(t.messages, t.messages.c.author_kind == "customer")
    assert message.deleted_at is not None


async def test_the_same_event_again_changes_nothing(house: House) -> None:
    kari = house.slack.person("U1")
    await kari.dm("once")
    await kari.hears("echo: once")
    house.slack.repeat(3)
    await house.slack.settled()
    assert await house.said() == ["once"]
    assert house.inbox.duplicates >= 1
    assert len(house.slack.calls("chat.postMessage")) == 1


async def test_a_turn_that_fails_does_not_lose_the_message(house: House) -> None:
    kari = house.slack.person("U1")
    house.broken_turns = 1
    await kari.dm("hello")
    await house.slack.settled()
    assert await house.said() == ["hello"]
    house.clock.ahead += timedelta(seconds=5)
    await house.inbox.run()
    await kari.hears("echo: hello")


async def test_a_commit_that_fails_is_not_acknowledged_and_comes_again(house: House) -> None:
    kari = house.slack.person("U1")
    failing = [OSError("disk full")]
    receive = house.inbox.receive

    async def sometimes(inbound: Any) -> Any:
        if failing:
            raise failing.pop()
        return await receive(inbound)

    house.inbox.receive = sometimes  # type: ignore[method-assign]
    await kari.dm("hello")
    await kari.hears("echo: hello")
    assert await house.said() == ["hello"]
    assert house.connection.counters.failed == 1


async def test_slack_asks_to_wait_and_only_this_channel_waits(slow_house: House) -> None:
    house = slow_house
    kari, ola = house.slack.person("U1"), house.slack.person("U2", "Ola")
    house.slack.script("chat.postMessage", Fault.status(429, retry_after=30), when=lambda p: p["channel"] == "D1")
    await kari.dm("one")
    await ola.dm("two")
    await house.slack.settled()
    await house.deliver()
    assert [post.says for post in ola.direct.posts() if post.by_app] == ["echo: two"]
    await house.later(29)
    assert [post for post in kari.direct.posts() if post.by_app] == []
    await house.later(2)
    assert [post.says for post in kari.direct.posts() if post.by_app] == ["echo: one"]


@pytest.mark.parametrize("fault", [Fault.accept_then_reset, Fault.accept_then_502, lambda: Fault.raw(b'{"ok":tr')])
@pytest.mark.parametrize("echo", [True, False])
async def test_what_arrived_without_an_answer_is_not_sent_twice(
    slow_house: House, fault: Callable[[], Fault], echo: bool
) -> None:
    """Proven by our own echo, or where that is missing by reading back."""
    house = slow_house
    house.slack.space.echo_metadata = echo
    kari = house.slack.person("U1")
    house.slack.script("chat.postMessage", fault())
    await kari.dm("hello")
    await house.slack.settled()
    await house.deliver()
    assert await house.state() == ["uncertain"]
    await house.slack.settled()
    await house.later(6)
    assert await house.state() == ["sent"]
    assert len(house.slack.calls("chat.postMessage")) == 1
    looks = [one for one in house.slack.calls("conversations.history") if "include_all_metadata" in one.params]
    assert bool(looks) is not echo  # what was missed while nobody listened is read too, and that without metadata


async def test_what_did_not_arrive_is_sent_after_two_looks(slow_house: House) -> None:
    house = slow_house
    kari = house.slack.person("U1")
    house.slack.script("chat.postMessage", Fault.reset())
    await kari.dm("hello")
    await house.slack.settled()
    await house.deliver()
    await house.later(6)
    assert await house.state() == ["uncertain"]
    await house.later(6)
    assert await house.state() == ["uncertain"]  # too soon for a second look
    await house.later(4)
    await house.deliver()
    assert [post.says for post in kari.direct.posts() if post.by_app] == ["echo: hello"]


async def test_in_a_thread_too_the_read_back_finds_our_post(slow_house: House) -> None:
    house = slow_house
    house.slack.space.echo_metadata = False
    kari = house.slack.person("U1")
    shop = house.slack.channel("C7", members=[kari])
    house.slack.script("chat.postMessage", Fault.accept_then_reset())
    root = await kari.mentions_app("C7", "hello")
    await house.slack.settled()
    await house.deliver()
    await house.later(6)
    assert await house.state() == ["sent"]
    assert len([post for post in shop.thread(root.ts) if post.by_app]) == 1


async def test_an_uploaded_file_whose_answer_was_lost_is_not_uploaded_twice(slow_house: House) -> None:
    house = slow_house
    kari = house.slack.person("U1")
    house.slack.script("files.completeUploadExternal", Fault.accept_then_reset())
    await kari.dm("send me a file")
    await house.slack.settled()
    await house.deliver()
    await house.deliver()
    assert await house.state("file") == ["uncertain"]
    await house.later(6)
    assert await house.state("file") == ["sent"]
    assert len([post for post in kari.direct.posts() if post.files]) == 1


async def asked_in_the_shop(house: House) -> tuple[Any, Any, Any]:
    """Kari has asked the app in a channel, where it has not answered yet: she, the channel, and her post."""
    kari = house.slack.person("U1")
    shop = house.slack.channel("C7", members=[kari])
    root = await kari.mentions_app("C7", "hello")
    await house.slack.settled()
    return kari, shop, root


async def test_words_that_went_astray_and_cannot_be_deleted_at_once_are_not_said_twice(slow_house: House) -> None:
    """The root of their thread was deleted: Slack posted at the channel's top. The next try would post there once more."""
    house = slow_house
    _, shop, root = await asked_in_the_shop(house)
    shop.room.messages.pop(root.ts)
    house.slack.script("chat.delete", Fault.status(429, retry_after=1))
    await house.deliver()
    for _ in range(5):
        await house.later(10)
    assert len([post for post in shop.messages if "echo: hello" in post.says]) == 1


async def test_the_echo_of_words_that_went_astray_is_no_proof_of_those_that_took_their_place(slow_house: House) -> None:
    """They were deleted, and the post in the new thread never came to be: were they believed in, nobody would ever read them."""
    house = slow_house
    _, shop, root = await asked_in_the_shop(house)
    shop.room.messages.pop(root.ts)
    house.slack.script("chat.postMessage", None, Fault.reset())
    await house.deliver()
    for _ in range(5):
        await house.later(10)
        await house.slack.settled()
    assert len([post for post in shop.messages if "echo: hello" in post.says]) == 1


async def test_f24_a_thread_whose_root_was_deleted_goes_on_in_a_new_one(slow_house: House) -> None:
    """T9: Slack would put the answer at the channel's top, without a word to anybody."""
    house = slow_house
    kari, shop, root = await asked_in_the_shop(house)
    await kari.deletes("C7", root.ts)
    await house.slack.settled()
    await house.deliver()
    [new] = [post for post in shop.messages if post.by_app]
    assert "echo: hello" in new.says
    assert "<@U1>" in new.says
    await kari.posts("C7", "thanks", thread_ts=new.ts)
    await house.slack.settled()
    await house.deliver()
    assert [post.thread_ts for post in shop.messages if post.says == "echo: thanks"] == [new.ts]


async def says_more(house: House, text: str) -> None:
    """We say something unasked, where the customer wrote last."""
    [talk] = await house.rows(t.conversations)
    await house.storage.write(lambda tx: outbox.say(tx, talk.customer_id, Body(text), author=BOT))
    await house.deliver()


@pytest.mark.parametrize("echoes", [True, False])
@pytest.mark.parametrize("lost", ["what went astray", "the new thread"])
async def test_the_one_new_thread_goes_on_though_slacks_answer_to_it_was_lost(
    slow_house: House, lost: str, echoes: bool
) -> None:
    """The post is proven by its echo, or read back; and it calls its customers by name."""
    house = slow_house
    house.slack.space.echo_metadata = echoes
    kari, shop, root = await asked_in_the_shop(house)
    await kari.deletes("C7", root.ts)
    await house.slack.settled()
    before = [] if lost == "what went astray" else [None]
    house.slack.script("chat.postMessage", *before, Fault.accept_then_reset())
    await house.deliver()
    for _ in range(5):
        await house.slack.settled()
        await house.later(10)
    [new] = [post for post in shop.messages if "echo: hello" in post.says]
    assert "<@U1>" in new.says
    assert await house.state() == ["sent"]
    await says_more(house, "one more thing")
    assert [post.thread_ts for post in shop.messages if "one more thing" in post.says] == [new.ts]
    assert [post.ts for post in shop.messages if post.by_app and post.thread_ts in {None, post.ts}] == [new.ts]


async def test_a_thread_whose_new_root_is_deleted_too_goes_on_in_one_more_and_no_further(slow_house: House) -> None:
    house = slow_house
    kari, shop, root = await asked_in_the_shop(house)
    await kari.deletes("C7", root.ts)
    await house.slack.settled()
    await house.deliver()
    [first] = [post for post in shop.messages if post.by_app]
    shop.room.messages.pop(first.ts)
    for text in ("one more thing", "and another"):
        await says_more(house, text)
    again, last = [post for post in shop.messages if post.by_app]
    assert ("one more thing" in again.says, "and another" in last.says, last.thread_ts) == (True, True, again.ts)


async def test_words_that_went_astray_and_that_slack_keeps_are_the_new_thread(slow_house: House) -> None:
    house = slow_house
    kari, shop, root = await asked_in_the_shop(house)
    await kari.deletes("C7", root.ts)
    await house.slack.settled()
    house.slack.script("chat.delete", Fault.refusal("cant_delete_message"))
    await house.deliver()
    assert await house.state() == ["sent"]
    await says_more(house, "one more thing")
    kept, more = [post for post in shop.messages if post.by_app]
    assert more.thread_ts == kept.ts


async def test_f23_a_revoked_token_holds_the_outbox_and_says_what_to_do(slow_house: House) -> None:
    house = slow_house
    kari = house.slack.person("U1")
    await kari.dm("hello")
    await house.slack.settled()
    house.slack.revoked = True
    await house.deliver()
    assert await house.state() == ["retry"]
    assert "STAFETT_SLACK_BOT_TOKEN was revoked" in house.connection.faults()[0]
    house.slack.revoked = False
    await house.later(61)
    assert await house.state() == ["sent"]
    assert house.connection.faults() == []


@pytest.mark.parametrize("closed", ["archived", "the app was removed"])
async def test_f23_a_channel_that_is_closed_to_us_holds_up_nobody_else_and_is_caught_up(
    slow_house: House, monkeypatch: pytest.MonkeyPatch, closed: str
) -> None:
    """What was said there meanwhile, which Slack told nobody, is read after the repair."""
    monkeypatch.setattr("channels.slack.connection.HEALED", 0.0)
    house = slow_house
    kari, ola = house.slack.person("U1"), house.slack.person("U2", "Ola")
    shop = house.slack.channel("C7", members=[kari])
    root = await kari.mentions_app("C7", "hello")
    await ola.dm("hello from Ola")
    await house.slack.settled()
    if closed == "archived":
        shop.room.archived = True
    else:
        shop.room.members.remove(house.slack.bot_user)
    await house.deliver()
    assert sorted(await house.state()) == ["retry", "sent"]
    assert [post.says for post in ola.direct.posts() if post.by_app] == ["echo: hello from Ola"]
    assert "C7" in house.connection.faults()[0]
    house.slack.hold()
    await kari.posts("C7", "anybody there?", thread_ts=root.ts)
    assert house.slack.delivery.held is not None
    house.slack.delivery.held.clear()
    house.slack.release()
    shop.room.archived = False
    if house.slack.bot_user not in shop.room.members:
        shop.room.members.append(house.slack.bot_user)
    await house.later(61)
    assert house.connection.faults() == []
    async with asyncio.timeout(20):
        while await house.said() != ["hello", "anybody there?", "hello from Ola"]:  # noqa: ASYNC110 - read in the background
            await asyncio.sleep(0.01)
    await house.deliver()
    await house.later(2)
    assert [post.says for post in shop.messages if post.by_app] == ["echo: hello", "echo: anybody there?"]


async def says_one_unheard(house: House) -> None:
    """Two messages, of which Slack tells us the first alone."""
    kari = house.slack.person("U1")
    await kari.dm("hello")
    await house.slack.settled()
    house.slack.hold()
    await kari.dm("nobody was told of this")
    assert house.slack.delivery.held is not None
    house.slack.delivery.held.clear()
    house.slack.release()


async def test_f23_what_slack_dropped_because_there_was_too_much_is_read(
    slow_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("channels.slack.connection.DROPPED_FOR", 0.0)
    house = slow_house
    await says_one_unheard(house)
    told = {"token": "verification", "type": "app_rate_limited", "minute_rate_limited": 1_700_000_000}
    house.slack.delivery.event({**told, "team_id": house.slack.space.team, "api_app_id": house.slack.space.app_id})
    async with asyncio.timeout(20):
        while await house.said() != ["hello", "nobody was told of this"]:  # noqa: ASYNC110 - read in the background
            await asyncio.sleep(0.01)
    assert "events were dropped" in house.connection.faults()[0]


async def test_a_place_that_slack_would_not_let_us_read_just_now_is_read_a_little_later(
    slow_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading is shared with the agents' threads: after a start they are all read at once."""
    monkeypatch.setattr("channels.slack.channel.SWEEP_PACE", 0.0)
    house = slow_house
    await says_one_unheard(house)
    house.slack.script("conversations.history", Fault.status(429, retry_after=0), Fault.status(500))
    await house.channel.catch_up()
    assert await house.said() == ["hello", "nobody was told of this"]


async def test_slack_that_is_down_at_the_start_does_not_stop_us(slack: SlackServer, tmp_path: Path) -> None:
    await slack.down()
    settings = Settings(
        _env_file=None,
        slack_bot_token=SecretStr(slack.bot_token),
        slack_app_token=SecretStr("x"),
        slack_api_url=slack.api_url,
    )
    connection = SlackConnection(settings, Storage(url_in(tmp_path)))
    await connection.start()
    with pytest.raises(NotSent):
        await connection.call("api.test")
    assert "can't be reached" in connection.faults()[0]
    await slack.up()
    await asyncio.wait_for(connection.known(), 10)
    await slack.called("apps.connections.open")
    await slack.waits_for(lambda: any("STAFETT_SLACK_APP_TOKEN" in line for line in connection.faults()) or None)
    await connection.stop()


@pytest.mark.parametrize(
    ("bot", "app", "named"),
    [
        ("xoxb-wrong", "xapp-local-app", "STAFETT_SLACK_BOT_TOKEN"),
        ("xoxb-local-bot", "xapp-wrong", "STAFETT_SLACK_APP_TOKEN"),
    ],
)
async def test_a_token_that_slack_refuses_is_named_in_one_line(
    slack: SlackServer, tmp_path: Path, bot: str, app: str, named: str
) -> None:
    settings = Settings(
        _env_file=None, slack_bot_token=SecretStr(bot), slack_app_token=SecretStr(app), slack_api_url=slack.api_url
    )
    connection = SlackConnection(settings, Storage(url_in(tmp_path)))
    await connection.start()
    with pytest.raises(SettingsFault, match=named) as refused:
        await asyncio.wait_for(connection.ready(), 10)
    assert bot not in str(refused.value)
    assert app not in str(refused.value)
    await connection.stop()


async def test_f22_sockets_are_renewed_without_a_gap(slack: SlackServer, tmp_path: Path) -> None:
    async with a_house(slack, url_in(tmp_path), "socket") as house:
        kari = slack.person("U1")
        before = set(map(id, slack.delivery.sockets))
        await slack.disconnects("warning", close=False)
        await slack.connected(4)
        await kari.dm("in between")
        await kari.hears("echo: in between")
        await slack.disconnects("refresh_requested")
        await slack.waits_for(lambda: before.isdisjoint(map(id, slack.delivery.sockets)) or None)
        slack.drops_sockets()
        await slack.connected(2)
        await kari.dm("after all")
        await kari.hears("echo: after all")
        assert sorted(await house.said()) == ["after all", "in between"]


async def test_f22_a_dead_socket_is_noticed_and_replaced(
    slack: SlackServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "HEARTBEAT", 0.5)
    async with a_house(slack, url_in(tmp_path), "socket"):
        kari = slack.person("U1")
        old = list(slack.delivery.sockets)
        slack.freezes_sockets()
        await slack.waits_for(lambda: sum(one not in old for one in slack.delivery.sockets) >= 2 or None)
        await kari.dm("still there?")
        await kari.hears("echo: still there?")


async def test_f22_socket_mode_that_was_switched_off_is_told_and_not_stormed(
    slack: SlackServer, tmp_path: Path
) -> None:
    async with a_house(slack, url_in(tmp_path), "socket") as house:
        slack.script("apps.connections.open", Fault.refusal("link_disabled"), times=50)
        await slack.disconnects("link_disabled")
        await slack.waits_for(lambda: not slack.delivery.sockets or None)
        await slack.called("apps.connections.open", times=4)
        assert "switched off" in house.connection.faults()[0]
        assert len(slack.calls("apps.connections.open")) == 4


async def test_a_payload_that_bolt_cannot_read_does_not_come_again(house: House) -> None:
    assert await house.connection.dispatch(
        {"type": "event_callback", "event": [1], "team": [2]}, mode="socket_mode"
    ) == (200, None)


async def test_a_message_that_cannot_be_read_is_kept_and_the_chat_goes_on(house: House) -> None:
    kari = house.slack.person("U1")
    house.slack.emit(
        {"type": "message", "channel": kari.direct.id, "channel_type": "im", "user": "U1", "text": "?", "ts": 7}
    )
    await kari.dm("and this?")
    await kari.hears("echo: and this?")
    [letter] = await house.rows(t.dead_letters)
    assert letter.source == "slack"
    assert b'"ts": 7' in letter.raw
    with pytest.raises(ValueError, match="ts"):
        await house.channel.read_again(letter.raw)
    assert len(await house.rows(t.dead_letters)) == 1, "what still can't be read is no second letter"
    await house.channel.read_again(letter.raw.replace(b'"ts": 7', b'"ts": "1700000009.000100"').replace(b"?", b"read"))
    await kari.hears("echo: read")


async def test_slack_that_is_away_during_the_read_back_costs_no_message(slow_house: House) -> None:
    house = slow_house
    house.slack.space.echo_metadata = False
    kari = house.slack.person("U1")
    house.slack.script("chat.postMessage", Fault.accept_then_reset())
    house.slack.script("conversations.history", Fault.status(503), times=8)
    await kari.dm("hello")
    await house.slack.settled()
    await house.deliver()
    for _ in range(9):
        await house.later(301)
    assert await house.state() == ["sent"]
    assert len(house.slack.calls("chat.postMessage")) == 1


@pytest.mark.parametrize("mode", ["socket", "http"])
async def test_what_was_written_while_we_were_away_is_caught_up(slack: SlackServer, tmp_path: Path, mode: str) -> None:
    """F21: Slack gives up after three tries; the next start reads where customers were last, and nothing twice."""
    kari = slack.person("U1")
    shop = slack.channel("C7", members=[kari])
    async with a_house(slack, url_in(tmp_path), mode):
        root = await kari.mentions_app("C7", "hello")
        await shop.hears("echo: hello", thread_ts=root.ts)
        await slack.settled()
    await kari.posts("C7", "anybody there?", thread_ts=root.ts)
    await kari.posts("C7", "small talk")
    await slack.settled()
    async with a_house(slack, url_in(tmp_path), mode) as house:
        await shop.hears("echo: anybody there?", thread_ts=root.ts)
        assert await house.said() == ["hello", "anybody there?"]
    assert len([post for post in shop.messages if post.by_app]) == 2


async def test_on_postgresql_it_is_the_same(slack: SlackServer, postgres_url: str) -> None:
    async with a_house(slack, postgres_url, "http") as house:
        kari = slack.person("U1")
        shop = slack.channel("C7", members=[kari])
        root = await kari.mentions_app("C7", "menu")
        menu = await shop.hears("Pick", thread_ts=root.ts)
        await kari.presses("C7", menu.ts, "My order")
        await shop.hears("chosen: order", thread_ts=root.ts)
        await kari.posts("C7", "\0thanks", thread_ts=root.ts, files=[("a.png", "image/png", PNG)])
        await shop.hears("echo: thanks", thread_ts=root.ts)
        slack.repeat(3)
        await slack.settled()
        await house.delivery.idle()
        assert await house.said() == ["menu", "My order", "thanks"]
        assert [file.data for file in await house.rows(t.files)] == [PNG]


async def test_an_agents_name_stands_above_and_pings_nobody(house: House) -> None:
    kari = house.slack.person("U1")
    await kari.dm("ann")
    post = await kari.hears("Hello, Ann here")
    assert post.raw["blocks"][0]["elements"][0] == {"type": "plain_text", "text": "Ann <!channel>", "emoji": False}
    assert not post.pages_everybody
