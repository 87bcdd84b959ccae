"""One customer, two channels: linked by the customer alone, from either side, and undone again."""

from __future__ import annotations

import re
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from bot.storage import customers
from channels.delivery import paces
from tests.fakes.telegram import TelegramServer
from tests.fakes.telegram_chat import Seen
from tests.fakes.telegram_person import Person
from tests.support.house import MONDAY, House, Visitor

CODE = re.compile(r"/link ([A-Z0-9]{8})")
DIGITS = re.compile(r"\b\d{6}\b")


@pytest.fixture(autouse=True)
def _no_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Telegram's one message a second is real time; nothing here is about it."""
    monkeypatch.setattr(paces, "RATES", {})


@pytest.fixture
async def tg() -> AsyncIterator[TelegramServer]:
    async with TelegramServer(clock=lambda: MONDAY) as server:
        yield server


@pytest.fixture
async def house(tmp_path: Path, tg: TelegramServer) -> AsyncIterator[House]:
    settings: dict[str, Any] = {"telegram_token": SecretStr(tg.token), "telegram_api_url": tg.api_url}
    async with House(tmp_path, **settings) as made:
        await made.app.tokens_accepted()
        yield made


async def code_from(visitor: Visitor) -> str:
    """Ask for a code at the widget."""
    await visitor.says("/link")
    told = await visitor.hears("minutes", "system")
    found = CODE.search(told["text"])
    assert found is not None, told["text"]
    assert f"https://t.me/stafett_bot?start={found[1]}" in told["text"], "the deep link stands beside the code"
    return found[1]


async def opened_on_telegram(kari: Person, code: str) -> str:
    await kari.start(code)
    seen = await kari.hears("Type this number where you started")
    return digits_of(seen.text)


def digits_of(text: str) -> str:
    found = DIGITS.search(text)
    assert found is not None, text
    return found[0]


async def linked(house: House, tg: TelegramServer) -> tuple[Visitor, Person]:
    """A visitor who had written already, linked to Telegram."""
    visitor = await house.visitor()
    await visitor.says("hello")
    kari = tg.person(1001, "Kari")
    digits = await opened_on_telegram(kari, await code_from(visitor))
    await visitor.hears("opened on Telegram", "system")
    await visitor.says(digits)
    await visitor.hears("now also on Telegram", "system")
    await kari.hears("now also on web")
    return visitor, kari


async def customer_of(house: House, channel: str, external_id: str) -> str:
    found = await house.app.storage.read(lambda conn: customers.identity(conn, channel, external_id))
    assert found is not None
    return found.customer_id


async def settled(house: House, tg: TelegramServer) -> None:
    await tg.settled()
    await house.settle()


def is_gapless(visitor: Visitor) -> bool:
    """Every `seq` came, nothing was shown twice. An own message is acknowledged instead of shown."""
    shown = [frame["seq"] for frame in visitor.frames if "seq" in frame and frame["type"] != "ack"]
    return visitor.seqs == list(range(1, visitor.last_seq + 1)) and len(shown) == len(set(shown))


# ── from the web to Telegram ───────────────────────────────────────────────────────────────────────────────────────
async def test_a_link_from_the_web_opened_on_telegram_makes_one_customer(house: House, tg: TelegramServer) -> None:
    visitor, kari = await linked(house, tg)
    customer_id = await customer_of(house, "telegram", "1001")
    known = await house.app.storage.read(lambda conn: customers.identities(conn, customer_id))
    assert {one.channel for one in known} == {"web", "telegram"}
    await visitor.hears("/unlink within 24 hours", "system")
    await kari.hears("/unlink within 24 hours")
    assert is_gapless(visitor), "the open widget saw neither a gap nor a double"


async def test_what_is_said_on_telegram_shows_in_the_open_widget_and_is_answered_on_telegram(
    house: House, tg: TelegramServer
) -> None:
    visitor, kari = await linked(house, tg)
    before = len(kari.texts)
    await kari.says("where is my order?")
    asked = await visitor.hears("where is my order?", "customer")
    assert asked["channel"] == "telegram"
    answer = await visitor.hears("order number", "bot")
    assert answer["channel"] == "telegram"
    await kari.hears("order number")
    assert len(kari.texts) == before + 1

    await visitor.says("AB123456")
    shipped = await visitor.hears("AB123456", "bot")
    await settled(house, tg)
    assert shipped["channel"] == "web"
    assert len(kari.texts) == before + 1, "answered where the customer wrote last"
    assert is_gapless(visitor)


async def test_the_case_goes_on_and_what_was_told_is_not_asked_again(house: House, tg: TelegramServer) -> None:
    visitor = await house.visitor()
    await visitor.says("where is my order?")
    await visitor.hears("order number", "bot")
    case_id = visitor_case(visitor)
    kari = tg.person(1001, "Kari")
    digits = await opened_on_telegram(kari, await code_from(visitor))
    await visitor.says(digits)
    await kari.hears("now also on web")
    await kari.says("AB123456")  # the answer to what was asked on the web
    await kari.hears("AB123456")
    assert [text for text in kari.texts if "order number" in text] == []
    await visitor.hears("AB123456", "bot")
    assert visitor_case(visitor) == case_id


def visitor_case(visitor: Visitor) -> str:
    """The case that the widget was last told of."""
    cases = [frame["id"] for frame in visitor.frames if frame["type"] == "case"]
    return str(cases[-1])


async def test_the_bot_goes_on_with_the_flow_in_which_something_was_told(house: House, tg: TelegramServer) -> None:
    visitor = await house.visitor()
    await visitor.says("hello")  # an older case, in which nothing was told
    await house.passes(minutes=1)
    kari = tg.person(1001, "Kari")
    await kari.says("where is my order?")
    await kari.hears("order number")
    digits = await opened_on_telegram(kari, await code_from(visitor))
    await visitor.says(digits)
    await kari.hears("now also on web")
    await visitor.says("AB123456")
    assert "AB123456" in (await visitor.hears("AB123456", "bot"))["text"]


async def test_a_second_browser_that_was_open_meanwhile_begins_anew_and_shows_it_all(
    house: House, tg: TelegramServer
) -> None:
    """Both have the web; the older numbering goes on. The other's socket closes with 4401; its next session counts from 1."""
    first, kari = await linked(house, tg)
    await house.passes(minutes=1)
    second = await house.visitor()
    await second.says("hello from my phone")
    digits = await opened_on_telegram(kari, await code_from(second))
    mine = str(uuid.uuid4())
    await second.sends({"type": "message", "id": mine, "text": digits})
    assert await second.closed() == 4401
    await kari.hears("now also on web")
    await first.hears("hello from my phone", "customer")
    assert is_gapless(first)

    again = await house.visitor(token=second.token)
    await again.says(digits, id_=mine)  # as the widget does with what was not acknowledged
    again.rewinds()
    await again.hears("hello", "customer")
    await again.hears("hello from my phone", "customer")
    await kari.says("and this on Telegram")
    await again.hears("and this on Telegram", "customer")
    await first.hears("and this on Telegram", "customer")
    assert is_gapless(again)
    assert again.said().count("hello from my phone") == 1


async def test_a_case_that_people_hold_goes_on_with_its_agent_on_the_other_channel(
    house: House, tg: TelegramServer
) -> None:
    visitor = await house.visitor()
    await visitor.says("talk to a human")
    agent = await house.agent()
    (waiting,) = await agent.sees()
    (await agent.does(waiting["id"], "claim")).raise_for_status()
    kari = tg.person(1001, "Kari")
    digits = await opened_on_telegram(kari, await code_from(visitor))
    await visitor.says(digits)
    await kari.hears("now also on web")
    await kari.says("I'm on the train now")
    await visitor.hears("on the train", "customer")
    await settled(house, tg)
    await agent.replies(waiting["id"], "Then I write to you here.")
    await kari.hears("Then I write to you here.")
    assert "on the train" in str(await agent.opens(waiting["id"]))


async def test_both_had_an_open_case_one_stays(house: House, tg: TelegramServer) -> None:
    kari = tg.person(1001, "Kari")
    await kari.says("where is my order?")
    await kari.hears("order number")
    visitor, _ = await linked(house, tg)
    await settled(house, tg)
    found = [frame["id"] for frame in visitor.frames if frame["type"] == "case"]
    customer_id = await customer_of(house, "telegram", "1001")
    assert await house.app.storage.read(lambda conn: customers.conversation(conn, customer_id)) is not None
    assert "where is my order?" in visitor.said(), "the widget shows what had been said on Telegram"
    assert found
    assert is_gapless(visitor)


# ── from Telegram to the web ───────────────────────────────────────────────────────────────────────────────────────
async def test_a_code_from_telegram_typed_at_the_widget(house: House, tg: TelegramServer) -> None:
    kari = tg.person(1001, "Kari")
    await kari.says("where is my order?")
    await kari.hears("order number")
    await kari.says("/link")
    told: Seen = await kari.hears("minutes")
    found = CODE.search(told.text)
    assert found is not None
    visitor = await house.visitor()
    await visitor.says("hello")
    await visitor.says(f"/link {found[1]}")
    digits = digits_of((await visitor.hears("Type this number", "system"))["text"])
    await kari.hears("opened on web")
    await kari.says(digits)
    await kari.hears("now also on web")
    await settled(house, tg)

    again = await house.visitor(token=visitor.token)
    await again.hears("hello", "customer")
    await again.hears("where is my order?", "customer")
    await again.hears("now also on Telegram", "system")
    assert again.said().count("hello") == 1
    assert is_gapless(again)
    assert await customer_of(house, "telegram", "1001") == await customer_of_visitor(house)
    await kari.says("AB123456")
    await again.hears("AB123456", "bot")


async def customer_of_visitor(house: House) -> str:
    """The customer behind the only widget."""

    def query(conn: Any) -> str:
        telegram = customers.identity(conn, "telegram", "1001")
        assert telegram is not None
        known = customers.identities(conn, telegram.customer_id)
        (web,) = [one for one in known if one.channel == "web"]
        return web.customer_id

    return await house.app.storage.read(query)


async def test_a_widget_that_was_never_written_in_can_open_a_code(house: House, tg: TelegramServer) -> None:
    kari = tg.person(1001, "Kari")
    await kari.says("/link")
    found = CODE.search((await kari.hears("minutes")).text)
    assert found is not None
    visitor = await house.visitor()
    await visitor.says(f"/link {found[1]}")
    await kari.says(digits_of((await visitor.hears("Type this number", "system"))["text"]))
    await kari.hears("now also on web")
    await visitor.hears("now also on Telegram", "system")
    assert is_gapless(visitor)


# ── in the wrong hands ─────────────────────────────────────────────────────────────────────────────────────────────
async def test_wrong_digits_join_nobody_and_five_of_them_end_the_code(house: House, tg: TelegramServer) -> None:
    visitor = await house.visitor()
    kari = tg.person(1001, "Kari")
    digits = await opened_on_telegram(kari, await code_from(visitor))
    wrong = f"{(int(digits) + 1) % 1_000_000:06d}"
    for left in (4, 3, 2, 1):
        await visitor.says(wrong)
        await visitor.hears(f"you have {left} more", "system")
    await visitor.says(wrong)
    await visitor.hears("no longer works", "system")
    await visitor.says(digits)
    await settled(house, tg)
    assert await house.app.storage.read(are_apart)


def are_apart(conn: Any) -> bool:
    telegram = customers.identity(conn, "telegram", "1001")
    return telegram is not None and [one.channel for one in customers.identities(conn, telegram.customer_id)] == [
        "telegram"
    ]


async def test_whoever_finds_the_code_sees_digits_but_gets_nowhere(house: House, tg: TelegramServer) -> None:
    visitor = await house.visitor()
    thief = tg.person(6666, "Thief")
    digits = await opened_on_telegram(thief, await code_from(visitor))
    await thief.says(digits)  # typed in the wrong place
    await settled(house, tg)
    await visitor.says("my secret is 42")
    await settled(house, tg)
    assert not any("secret" in text for text in thief.texts)
    assert await house.app.storage.read(lambda conn: not any_link(conn, "6666"))


def any_link(conn: Any, external_id: str) -> bool:
    found = customers.identity(conn, "telegram", external_id)
    return found is not None and len(customers.identities(conn, found.customer_id)) > 1


async def test_a_code_works_once(house: House, tg: TelegramServer) -> None:
    visitor = await house.visitor()
    code = await code_from(visitor)
    await opened_on_telegram(tg.person(1001, "Kari"), code)
    other = tg.person(2002, "Ola")
    await other.start(code)
    await other.hears("no longer works")


async def test_a_code_is_good_for_ten_minutes(house: House, tg: TelegramServer) -> None:
    visitor = await house.visitor()
    code = await code_from(visitor)
    await house.passes(minutes=11)
    kari = tg.person(1001, "Kari")
    await kari.start(code)
    await kari.hears("no longer works")


async def test_digits_come_too_late_after_ten_minutes(house: House, tg: TelegramServer) -> None:
    visitor = await house.visitor()
    digits = await opened_on_telegram(tg.person(1001, "Kari"), await code_from(visitor))
    await house.passes(minutes=11)
    await visitor.says(digits)
    await settled(house, tg)
    assert await house.app.storage.read(are_apart)


async def test_a_code_opened_by_the_one_who_asked_for_it(house: House, tg: TelegramServer) -> None:
    kari = tg.person(1001, "Kari")
    await kari.says("/link")
    found = CODE.search((await kari.hears("minutes")).text)
    assert found is not None
    await kari.says(f"/link {found[1]}")
    await kari.hears("already part of this conversation")


# ── undone ─────────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("where", ["web", "telegram"])
async def test_unlink_within_a_day_parts_them_again(house: House, tg: TelegramServer, where: str) -> None:
    visitor, kari = await linked(house, tg)
    await house.passes(hours=23)
    if where == "web":
        await visitor.says("/unlink")
    else:
        await kari.says("/unlink")
    await kari.hears("separate again")
    await visitor.hears("separate again", "system")
    await kari.says("only for Telegram")
    await settled(house, tg)
    assert "only for Telegram" not in visitor.said()
    await visitor.says("only for the web")
    await settled(house, tg)
    assert not any("only for the web" in text for text in kari.texts)
    assert is_gapless(visitor)


async def test_after_a_day_there_is_nothing_to_undo(house: House, tg: TelegramServer) -> None:
    visitor, _ = await linked(house, tg)
    await house.passes(hours=25)
    await visitor.says("/unlink")
    await visitor.hears("nothing to undo", "system")
