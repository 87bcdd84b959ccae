"""Telegram posts to our webhook: only with the secret, acknowledged only once stored, and never again in vain."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientSession

from tests.fakes.telegram import TelegramServer
from tests.support.telegram_house import Door, House, SetClock

SECRET = "a-secret-of-Telegram_0123456789"
HEADER = "X-Telegram-Bot-Api-Secret-Token"

pytestmark = pytest.mark.usefixtures("unhurried")


@pytest.fixture
async def house(sqlite_url: str, tg: TelegramServer, clock: SetClock) -> AsyncIterator[House]:
    async with (
        Door() as door,
        House(sqlite_url, tg, clock, telegram_webhook_secret=SECRET, public_url=door.url) as made,
    ):
        door.house = made
        await made.until(lambda: tg.webhook)
        yield made


async def post(house: House, body: bytes, **headers: str) -> int:
    async with (
        ClientSession() as http,
        http.post(f"{house.settings.url}/telegram/webhook", data=io.BytesIO(body), headers=headers) as answer,
    ):
        await answer.read()
        return answer.status


async def test_a_message_by_webhook_is_answered_and_nobody_polls(house: House, tg: TelegramServer) -> None:
    kari = tg.person(42)
    await kari.says("hello")
    await kari.hears("you said: hello")
    await tg.settled()
    assert [attempt.status for attempt in tg.posts] == [200]
    assert tg.calls("getUpdates") == []


@pytest.mark.parametrize("secret", [None, "", "wrong", SECRET + "x", SECRET[:-1], SECRET.upper()])
async def test_without_the_secret_it_is_401_and_nothing_is_stored(
    house: House, tg: TelegramServer, secret: str | None
) -> None:
    body = b'{"update_id":1,"message":{"message_id":1,"from":{"id":42,"is_bot":false,"first_name":"E"},"chat":{"id":42,"type":"private"},"date":1,"text":"let me in"}}'
    assert await post(house, body, **({HEADER: secret} if secret is not None else {})) == 401
    assert await house.rows("inbox") == []
    assert house.channel.webhook is not None
    assert house.channel.webhook.forged == 1


async def test_a_secret_that_is_no_ascii_is_401_too(house: House) -> None:
    host, _, port = house.settings.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST /telegram/webhook HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n")
    writer.write(HEADER.encode() + b": \xc3\xa9\xff\r\n\r\n{}")
    await writer.drain()
    assert b" 401 " in await reader.readline()
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'"x"', b"\xff\xfe", b"[" * 100_000, b'{"update_id":NaN}', b"9" * 5000]
)
async def test_what_can_not_be_read_is_kept_and_never_posted_again(house: House, body: bytes) -> None:
    assert await post(house, body, **{HEADER: SECRET}) == 200
    assert len(await house.rows("dead_letters")) == 1


async def test_a_body_that_is_too_large_is_refused(house: House) -> None:
    assert await post(house, b" " * (1024 * 1024 + 1), **{HEADER: SECRET}) == 413


async def test_without_a_commit_there_is_no_200_and_telegram_tells_it_again(
    house: House, tg: TelegramServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    receive, fails = house.inbox.receive, [True, True]

    async def away(inbound):  # type: ignore[no-untyped-def]
        if fails:
            fails.pop()
            raise OSError("the database is away")
        return await receive(inbound)

    monkeypatch.setattr(house.inbox, "receive", away)
    kari = tg.person(42)
    await kari.says("hello")
    await kari.hears("hello")
    await tg.settled()
    assert [attempt.status for attempt in tg.posts] == [503, 503, 200]
    assert kari.texts == ["you said: hello"]


async def test_the_same_update_posted_at_once_by_two_is_one_message(house: House, tg: TelegramServer) -> None:
    kari = tg.person(42)
    tg.hold()
    await kari.says("hello")
    tg.release(copies=4)
    await kari.hears("hello")
    await tg.settled()
    assert len(await house.messages(42)) == 2


async def test_a_press_may_overtake_and_is_answered(house: House, tg: TelegramServer) -> None:
    kari = tg.person(42)
    await kari.says("menu")
    menu = await kari.hears("menu")
    await kari.presses(menu, "No")
    await kari.hears("you said: no")
    await house.until(lambda: kari.toasts == ["✓ No"])


async def test_without_https_telegram_is_polled_and_the_door_stays_guarded(
    sqlite_url: str, tg: TelegramServer, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("channels.telegram.channel.TelegramChannel._takes_webhooks", lambda self: False)
    async with House(sqlite_url, tg, clock, telegram_webhook_secret=SECRET):
        kari = tg.person(42)
        await kari.says("hello")
        await kari.hears("hello")
