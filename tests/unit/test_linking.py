"""A second channel is linked by whoever holds both ends, and by nobody else."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from bot.linking import ALPHABET, Linking, looks_like_code
from bot.storage import customers, merging
from tests.support.rooms import Rooms, echo, rooms


class Talk:
    """What both people see on their screens."""

    def __init__(self, house: Rooms) -> None:
        self.house = house

    async def says(self, text: str, who: str = "kari", channel: str = "paper") -> str:
        """Write, and read whatever came on this channel since."""
        before = len(await self.screen(who, channel))
        await self.house.hears(text, who, channel=channel)
        self.house.clock.passes(seconds=1)
        return "\n".join((await self.screen(who, channel))[before:])

    async def screen(self, who: str, channel: str) -> list[str]:
        rows = sorted(await self.house.rows("outbox"), key=lambda row: row.n)
        return [row.payload["text"] for row in rows if row.lane == f"{channel}:{who}"]

    async def code(self, who: str = "kari", channel: str = "paper") -> str:
        return re.findall(f"\\b[{ALPHABET}]{{8}}\\b", await self.says("/link", who, channel))[0]

    async def opens(self, code: str, who: str = "kari", channel: str = "stone") -> str:
        """The six digits that are shown there, or what was said instead."""
        answer = await self.says(f"/start {code}" if channel == "stone" else f"/link {code}", who, channel)
        found = re.findall(r"\b\d{6}\b", answer)
        return found[0] if found else answer

    async def linked(self) -> bool:
        ids = {await self.house.customer("kari"), await self.house.customer("kari", "stone")}
        return len(ids) == 1


@pytest_asyncio.fixture
async def talk(database_url: str) -> AsyncIterator[Talk]:
    linking = Linking(lambda _code, _channel: ())
    async with rooms(database_url, takers=[linking.take, echo]) as house:
        await house.hears("hello")
        await house.hears("hi", channel="stone")
        yield Talk(house)


def other(digits: str) -> str:
    return f"{(int(digits) + 1) % 1_000_000:06d}"


async def test_code_there_digits_back_and_both_are_one_and_both_are_told(talk: Talk) -> None:
    digits = await talk.opens(await talk.code())
    assert not await talk.linked()
    assert "six" in "\n".join(await talk.screen("kari", "paper")).lower() or "digit" in "\n".join(
        await talk.screen("kari", "paper")
    )
    done = await talk.says(digits)
    assert await talk.linked()
    assert "/unlink" in done
    assert "/unlink" in "\n".join(await talk.screen("kari", "stone"))
    await talk.house.said(await talk.house.customer())


async def test_whoever_finds_a_code_links_nothing(talk: Talk) -> None:
    """Eve opens Kari's code on her own channel: the digits are shown to Eve, and Eve can type them nowhere."""
    digits = await talk.opens(await talk.code(), "eve")
    assert re.fullmatch(r"\d{6}", digits)
    await talk.says(digits, "eve", "stone")
    await talk.says(digits, "eve", "paper")
    customers_now = {await talk.house.customer("kari"), await talk.house.customer("eve", "stone")}
    assert len(customers_now) == 2
    assert not re.fullmatch(r"\d{6}", await talk.opens("AAAAAAAA"))


async def test_a_code_opens_once(talk: Talk) -> None:
    code = await talk.code()
    await talk.opens(code)
    assert not re.fullmatch(r"\d{6}", await talk.opens(code, "eve"))
    assert not re.fullmatch(r"\d{6}", await talk.opens(code))


async def test_a_used_code_is_dead(talk: Talk) -> None:
    code = await talk.code()
    await talk.says(await talk.opens(code))
    assert not re.fullmatch(r"\d{6}", await talk.opens(code, "eve"))


@pytest.mark.parametrize("minutes", [10, 11])
async def test_a_code_lives_ten_minutes(talk: Talk, minutes: int) -> None:
    code = await talk.code()
    talk.house.clock.passes(minutes=minutes)
    assert not re.fullmatch(r"\d{6}", await talk.opens(code))


async def test_the_digits_live_no_longer_than_the_code(talk: Talk) -> None:
    digits = await talk.opens(await talk.code())
    talk.house.clock.passes(minutes=10)
    assert "heard" in await talk.says(digits)
    assert not await talk.linked()


async def test_five_wrong_digits_end_it(talk: Talk) -> None:
    digits = await talk.opens(await talk.code())
    for _ in range(5):
        await talk.says(other(digits))
    await talk.says(digits)
    assert not await talk.linked()


async def test_four_wrong_digits_do_not(talk: Talk) -> None:
    digits = await talk.opens(await talk.code())
    for _ in range(4):
        await talk.says(other(digits))
    await talk.says(f"{digits[:3]} {digits[3:]}")
    assert await talk.linked()


async def test_five_wrong_codes_an_hour_end_the_trying(talk: Talk) -> None:
    code = await talk.code()
    for _ in range(5):
        await talk.opens("BBBBBBBB", "eve")
    assert not re.fullmatch(r"\d{6}", await talk.opens(code, "eve"))
    talk.house.clock.passes(minutes=61)
    assert re.fullmatch(r"\d{6}", await talk.opens(await talk.code(), "eve"))


async def test_a_new_code_ends_the_older_one(talk: Talk) -> None:
    old, new = await talk.code(), await talk.code()
    assert not re.fullmatch(r"\d{6}", await talk.opens(old))
    assert re.fullmatch(r"\d{6}", await talk.opens(new))


async def test_ones_own_code_on_the_same_side_links_nothing_and_is_not_burnt(talk: Talk) -> None:
    code = await talk.code()
    await talk.says(f"/link {code}")
    assert re.fullmatch(r"\d{6}", await talk.opens(code))


async def test_six_digits_are_an_order_number_when_no_code_waits(talk: Talk) -> None:
    assert await talk.says("123456") == "heard: 123456"


async def test_unlink_parts_them_for_a_day_and_tells_both(talk: Talk) -> None:
    await talk.says(await talk.opens(await talk.code()))
    before = len(await talk.screen("kari", "stone"))
    await talk.says("/unlink")
    assert not await talk.linked()
    assert len(await talk.screen("kari", "stone")) == before + 1
    await talk.says(await talk.opens(await talk.code()))
    assert await talk.linked()
    talk.house.clock.passes(hours=25)
    await talk.says("/unlink")
    assert await talk.linked()


async def test_unlink_undoes_only_what_the_customer_linked(talk: Talk) -> None:
    house = talk.house
    a, b = await house.customer(), await house.customer("kari", "stone")
    await house.storage.write(lambda tx: merging.merge(tx, a, b, "agent"))
    await talk.says("/unlink")
    assert await talk.linked()


async def test_answers_go_where_the_customer_typed_the_digits(talk: Talk) -> None:
    await talk.says(await talk.opens(await talk.code()))
    who = await talk.house.customer()
    where = await talk.house.storage.read(lambda conn: customers.reply_identity(conn, who))
    assert where is not None
    assert where.channel == "paper"
    assert await talk.says("and now?") == "heard: and now?"


def test_what_looks_like_a_code() -> None:
    assert looks_like_code("abcdefgh")
    assert not any(looks_like_code(one) for one in ("ABCDEFG", "ABCDEFGHJ", "ABCDEFG1", "ABCDEFGO", "", "שלוםשלום"))
