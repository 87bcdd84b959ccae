"""The stand-in for Telegram keeps the Bot API's promises, and the real aiogram talks to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from random import Random
from typing import Any

import pytest
from aiohttp import ClientConnectionError, ClientSession, web

from tests.fakes.faults import Fault
from tests.fakes.telegram import TelegramServer


@pytest.fixture
async def tg() -> AsyncIterator[TelegramServer]:
    async with TelegramServer() as server:
        yield server


async def call(tg: TelegramServer, method: str, **params: Any) -> dict[str, Any]:
    async with ClientSession() as http, http.post(f"{tg.api_url}/bot{tg.token}/{method}", json=params) as response:
        return await response.json()


async def test_aiogram_sends_edits_and_downloads_through_it(tg: TelegramServer) -> None:
    from aiogram import Bot
    from aiogram.client.session.aiohttp import AiohttpSession
    from aiogram.client.telegram import TelegramAPIServer
    from aiogram.exceptions import TelegramBadRequest, TelegramForbiddenError, TelegramRetryAfter
    from aiogram.types import BufferedInputFile, InlineKeyboardButton, InlineKeyboardMarkup, InputMediaPhoto

    kari = tg.person(42, "Kari Nordmann", language_code="nb")
    session = AiohttpSession(api=TelegramAPIServer.from_base(tg.api_url))
    async with Bot(tg.token, session=session) as bot:
        assert (await bot.get_me()).username == "stafett_bot"
        buttons = [[InlineKeyboardButton(text="Ja", callback_data="yes")]]
        markup = InlineKeyboardMarkup(inline_keyboard=buttons)
        sent = await bot.send_message(42, "<b>Hei</b> 👋 &lt;deg&gt;", parse_mode="HTML", reply_markup=markup)
        seen = await kari.hears("Hei 👋 <deg>")
        assert seen.marked("bold") == ["Hei"]
        assert seen.labels == ["Ja"]

        await kari.presses(seen, "Ja")
        (update,) = await bot.get_updates(timeout=5)
        assert update.callback_query is not None
        assert update.callback_query.data == "yes"
        await update.callback_query.answer("Takk")
        assert kari.toasts == ["Takk"]
        await sent.edit_text("Hei igjen")
        assert (await kari.hears("igjen")).labels == []

        photo = await bot.send_photo(42, BufferedInputFile(b"picture", "p.jpg"), caption="Se")
        assert kari.sees[-1].file is not None
        assert kari.sees[-1].file.content == b"picture"
        assert photo.photo is not None
        media = [
            InputMediaPhoto(media=BufferedInputFile(b"1", "1.jpg")),
            InputMediaPhoto(media=photo.photo[-1].file_id),
        ]
        assert len(await bot.send_media_group(42, media)) == 2
        assert kari.sees[-1].album == kari.sees[-2].album

        await kari.sends_document(b"%PDF-1", "faktura.pdf", caption="Faktura")
        update = (await bot.get_updates(offset=update.update_id + 1, timeout=5))[0]
        assert update.message is not None
        assert update.message.document is not None
        content = await bot.download(update.message.document)
        assert content is not None
        assert content.read() == b"%PDF-1"

        with pytest.raises(TelegramBadRequest, match="can't parse entities"):
            await bot.send_message(42, "<b>Hei", parse_mode="HTML")
        tg.script("sendMessage", Fault.status(429, retry_after=7))
        with pytest.raises(TelegramRetryAfter) as caught:
            await bot.send_message(42, "for fort")
        assert caught.value.retry_after == 7
        await kari.blocks()
        with pytest.raises(TelegramForbiddenError, match="blocked"):
            await bot.send_message(42, "er du der?")


async def test_every_kind_of_message_reaches_the_poller_in_order(tg: TelegramServer) -> None:
    kari = tg.person(42, "Kari")
    await kari.start("cmVm_1")
    first = await kari.says("hei")
    await kari.sends_photo(b"x" * 10, "bilde")
    await kari.sends_voice(b"ogg")
    await kari.sends_location(59.9, 10.7)
    await kari.sends_contact("+4791234567")
    await kari.sends_album([b"1", b"2"], "to bilder")
    await kari.edits(first, "hei!")
    updates = (await call(tg, "getUpdates"))["result"]
    kinds = [next(key for key in update if key != "update_id") for update in updates]
    assert kinds == ["message"] * 8 + ["edited_message"]
    assert updates[0]["message"]["text"] == "/start cmVm_1"
    assert updates[0]["message"]["entities"] == [{"type": "bot_command", "offset": 0, "length": 6}]
    assert [update["update_id"] for update in updates] == list(range(700_000_001, 700_000_010))


async def test_an_update_comes_again_until_a_higher_offset_confirms_it(tg: TelegramServer) -> None:
    kari = tg.person(42)
    await kari.says("one")
    await kari.says("two")
    first = (await call(tg, "getUpdates", limit=1))["result"]
    assert (await call(tg, "getUpdates", limit=1))["result"] == first
    rest = (await call(tg, "getUpdates", offset=first[0]["update_id"] + 1))["result"]
    assert [update["message"]["text"] for update in rest] == ["two"]
    await call(tg, "getUpdates", offset=rest[0]["update_id"] + 1)
    await tg.settled()


async def test_a_long_poll_wakes_on_a_message_and_a_second_poller_ends_the_first(tg: TelegramServer) -> None:
    kari = tg.person(42)
    waiting = asyncio.create_task(call(tg, "getUpdates", timeout=30))
    await tg.called("getUpdates")
    await kari.says("wake")
    assert (await waiting)["result"][0]["message"]["text"] == "wake"

    old = asyncio.create_task(call(tg, "getUpdates", offset=tg.updates.next_id, timeout=30))
    await tg.called("getUpdates", times=2)
    new = asyncio.create_task(call(tg, "getUpdates", offset=tg.updates.next_id, timeout=30))
    assert (await old)["error_code"] == 409
    await kari.says("for the new one")
    assert len((await new)["result"]) == 1


@pytest.mark.parametrize(
    ("params", "description"),
    [
        ({"text": "x" * 4097}, "message is too long"),
        ({"text": "😀" * 2049}, "message is too long"),
        ({"text": " \n "}, "message text is empty"),
        ({"text": "<i>a</b>", "parse_mode": "HTML"}, "can't parse entities: Unmatched end tag"),
        ({"text": "<p>a</p>", "parse_mode": "HTML"}, "can't parse entities: Unsupported start tag"),
        ({"text": "1 < 2", "parse_mode": "HTML"}, "can't parse entities"),
        ({"text": "a.", "parse_mode": "MarkdownV2"}, "can't parse entities: Character '.' is reserved"),
        ({"text": "*a", "parse_mode": "MarkdownV2"}, "can't parse entities: Can't find end of Bold"),
        ({"text": "ab", "entities": [{"type": "bold", "offset": 1, "length": 5}]}, "can't parse entities"),
        ({"text": "😀", "entities": [{"type": "bold", "offset": 1, "length": 1}]}, "can't parse entities"),
        ({"text": "a", "chat_id": 1}, "chat not found"),
        ({"text": "a", "reply_parameters": {"message_id": 99}}, "message to be replied not found"),
        (
            {"text": "a", "reply_markup": {"inline_keyboard": [[{"text": "b", "callback_data": "ø" * 33}]]}},
            "BUTTON_DATA_INVALID",
        ),
    ],
)
async def test_what_telegram_refuses_is_refused_in_its_words(
    tg: TelegramServer, params: dict[str, Any], description: str
) -> None:
    tg.person(42)
    answer = await call(tg, "sendMessage", **{"chat_id": 42, **params})
    assert answer["error_code"] == 400
    assert answer["description"].startswith("Bad Request: " + description)
    assert tg.person(42).sees == []


async def test_markdown_and_html_of_the_same_words_look_the_same(tg: TelegramServer) -> None:
    kari = tg.person(42)
    html = '<b>fet</b> <a href="https://a.no">lenke</a> <pre><code class="language-py">x=1</code></pre>'
    await call(tg, "sendMessage", chat_id=42, text=html, parse_mode="HTML")
    markdown = "*fet* [lenke](https://a.no) ```py\nx=1```"
    await call(tg, "sendMessage", chat_id=42, text=markdown, parse_mode="MarkdownV2")
    first, second = kari.sees
    assert (first.text, first.entities) == (second.text, second.entities)


async def test_a_wrong_token_is_unauthorised() -> None:
    async with TelegramServer() as tg, ClientSession() as http, http.post(f"{tg.api_url}/bot1:wrong/getMe") as response:
        assert (response.status, (await response.json())["description"]) == (401, "Unauthorized")


async def test_faults_are_used_up_in_order_and_say_what_was_done(tg: TelegramServer) -> None:
    kari = tg.person(42)
    gate = asyncio.Event()
    tg.script("sendMessage", Fault.html(502), Fault.accept_then_502(), Fault.reset(), Fault.accept_then_reset())
    tg.script("sendMessage", Fault.raw(b'{"ok":tr'), Fault.slow(gate))
    async with ClientSession() as http:
        url = f"{tg.api_url}/bot{tg.token}/sendMessage"

        async def send(text: str) -> Any:
            async with http.post(url, data={"chat_id": "42", "text": text}) as response:
                return response.status, await response.text()

        assert (await send("lost"))[0] == 502
        assert (await send("kept 1"))[0] == 502
        for text in ("lost too", "kept 2"):
            with pytest.raises(OSError):  # aiohttp's own errors of a reset connection are OSErrors
                await send(text)
        assert (await send("kept 3")) == (200, '{"ok":tr')
        late = asyncio.create_task(send("late"))
        await tg.called("sendMessage", times=6)
        assert kari.texts == ["kept 1", "kept 2", "kept 3"]
        gate.set()
        await late
        assert kari.texts[-1] == "late"

        await tg.down()
        with pytest.raises(ClientConnectionError):  # refused, or hung up on a connection that was kept
            await send("refused")
        await tg.up()
        assert (await send("back"))[0] == 200


async def test_the_webhook_gets_each_chats_updates_in_order_and_again_until_it_takes_them(tg: TelegramServer) -> None:
    got: list[tuple[str | None, str]] = []
    refusals = iter([500, 503])

    async def hook(request: web.Request) -> web.Response:
        text = (await request.json())["message"]["text"]
        got.append((request.headers.get("X-Telegram-Bot-Api-Secret-Token"), text))
        return web.Response(status=next(refusals, 200) if text == "first" else 200)

    app = web.Application()
    app.router.add_post("/telegram/webhook", hook)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/telegram/webhook"
    try:
        assert (await call(tg, "setWebhook", url=url, secret_token="s3cret"))["ok"]
        assert (await call(tg, "getUpdates"))["error_code"] == 409
        kari = tg.person(42)
        await kari.says("first")
        await kari.says("second")
        await tg.settled()
        assert [text for _, text in got] == ["first", "first", "first", "second"]
        assert {secret for secret, _ in got} == {"s3cret"}
        assert [post.status for post in tg.posts] == [500, 503, 200, 200]
    finally:
        await runner.cleanup()


async def test_held_updates_come_late_twice_and_out_of_order(tg: TelegramServer) -> None:
    kari = tg.person(42)
    tg.hold()
    for text in "abcd":
        await kari.says(text)
    assert (await call(tg, "getUpdates"))["result"] == []
    tg.release(shuffle=Random(3), copies=2)
    texts = [update["message"]["text"] for update in (await call(tg, "getUpdates"))["result"]]
    assert sorted(texts) == list("aabbccdd")
    assert texts != sorted(texts)
    assert (await call(tg, "getUpdates"))["result"] == []


async def test_a_failed_wait_says_what_the_chat_shows(tg: TelegramServer) -> None:
    kari = tg.person(42)
    await call(tg, "sendMessage", chat_id=42, text="something else")
    with pytest.raises(AssertionError, match="something else"):
        await kari.hears("the answer", timeout=0.01)
