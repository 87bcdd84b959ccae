"""A customer writes to the bot on Telegram: the real aiogram against a Bot API server on this machine."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from random import Random

import pytest
import structlog

from bot import outbox
from bot.events import ReachabilityChanged
from bot.model import BOT, Author, AuthorKind, Choice, SurveyCard
from bot.storage import history
from bot.turn import Turn
from channels.telegram import store
from tests.fakes.faults import Fault
from tests.fakes.telegram import TelegramServer
from tests.support.telegram_house import House, SetClock

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 50

pytestmark = pytest.mark.usefixtures("unhurried")


@pytest.fixture
async def house(sqlite_url: str, tg: TelegramServer, clock: SetClock) -> AsyncIterator[House]:
    async with House(sqlite_url, tg, clock) as made:
        yield made


# ── writing and being answered ─────────────────────────────────────────────────────────────────────────────────────
async def test_a_message_is_stored_and_answered(house: House, tg: TelegramServer) -> None:
    kari = tg.person(42, "Kari Nordmann", language_code="nb")
    await kari.says("Hvor er pakken min?")
    await kari.hears("you said: Hvor er pakken min?")
    await tg.settled()
    asked, answer = await house.messages(42)
    assert (asked.author.kind, asked.author.name, asked.channel) == (AuthorKind.CUSTOMER, "Kari Nordmann", "telegram")
    assert answer.author == BOT
    who = await house.identity(42)
    customer = await house.storage.read(lambda conn: store.pressed_on(conn, "", who.customer_id))
    assert customer[1] == "nb"


async def test_the_bot_learns_its_name_and_shows_its_commands_in_four_languages(
    house: House, tg: TelegramServer
) -> None:
    await house.channel.ready()
    assert await house.storage.read(store.username) == "stafett_bot"
    await house.channel.idle()
    assert set(tg.api.commands) == {"", "en", "nl", "nb", "he"}
    assert house.channel.faults() == ()


async def test_a_deep_links_payload_reaches_the_turn(house: House, tg: TelegramServer) -> None:
    seen: list[tuple[str | None, str]] = []

    def taker(turn: Turn) -> bool:
        seen.append((turn.command, turn.argument))
        return True

    house.taker = taker
    await tg.person(42).start("ABCD2345")
    await house.until(lambda: seen)
    assert seen == [("start", "ABCD2345")]


async def test_an_edit_keeps_both_versions(house: House, tg: TelegramServer) -> None:
    kari = tg.person(42)
    first = await kari.says("Order 1")
    await kari.hears("Order 1")
    await kari.edits(first, "Order 2")
    await tg.settled()
    line = await house.timeline(42)
    assert ("message", "Order 1") in line
    assert ("edit", "Order 2") in line


async def test_an_edit_that_overtakes_its_message_is_applied_when_that_comes(house: House, tg: TelegramServer) -> None:
    kari = tg.person(42)
    await kari.says("hello")
    await kari.hears("hello")
    tg.hold()
    first = await kari.says("Order 1")
    await kari.edits(first, "Order 2")
    tg.updates.held.reverse()
    tg.release(copies=1)
    await house.until(lambda: _has(house, ("edit", "Order 2")))
    assert ("message", "Order 1") in await house.timeline(42)


async def _has(house: House, entry: tuple[str, str]) -> bool:
    return entry in await house.timeline(42)


async def test_an_album_is_one_message_with_its_photos_stored(house: House, tg: TelegramServer) -> None:
    kari = tg.person(42)
    await kari.sends_album([PNG + b"1", PNG + b"2", PNG + b"3"], caption="The box")
    await tg.settled()
    house.later(2)
    await kari.hears("you said: The box")
    album = (await house.messages(42))[0]
    assert len(album.body.files) == 3
    await house.until(lambda: len(house.settled("sent", "fetch")) == 3)
    rows = await house.rows("files")
    assert {bytes(row.data) for row in rows} == {PNG + b"1", PNG + b"2", PNG + b"3"}
    assert {row.type for row in rows} == {"image/png"}  # by content, whatever the platform said


async def test_a_program_and_a_huge_file_are_refused_and_the_customer_is_told_once(
    house: House, tg: TelegramServer
) -> None:
    kari = tg.person(42)
    await kari.sends_document(b"MZ\x90\0", "invoice.pdf")
    await kari.hears("I can't take the file invoice.pdf")
    stored = tg.api.files
    await kari.sends(
        document={"file_id": "huge", "file_unique_id": "u", "file_name": "film.mkv", "file_size": 21 * 1024 * 1024}
    )
    assert "huge" not in stored.kept
    await kari.hears("I can't take the file film.mkv")
    rows = await house.rows("files")
    assert all(row.data is None and row.error for row in rows)
    assert not [call for call in tg.calls("getFile") if call.params["file_id"] == "huge"]


async def test_a_file_is_fetched_again_when_telegram_stumbles(house: House, tg: TelegramServer) -> None:
    tg.script("getFile", Fault.html(502))
    kari = tg.person(42)
    await kari.sends_voice(b"OggS" + b"\0" * 20)
    await kari.hears("1 files")
    await house.until(lambda: len(tg.calls("getFile")) == 1)
    await house.until(lambda: house.delivery.counters.retried)
    house.later(5)
    await house.until(lambda: house.settled("sent", "fetch"))
    assert [bytes(row.data)[:4] for row in await house.rows("files")] == [b"OggS"]


# ── buttons ────────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_a_pressed_button_is_answered_stored_and_goes_away(house: House, tg: TelegramServer) -> None:
    kari = tg.person(42)
    await kari.says("menu")
    menu = await kari.hears("menu")
    assert menu.labels == ["Yes", "No"]
    await kari.presses(menu, "Yes")
    await kari.hears("you said: yes")
    await tg.called("editMessageReplyMarkup")
    await house.channel.idle()
    assert kari.toasts == ["✓ Yes"]
    assert kari.sees[0].labels == []
    assert [message.body.text for message in await house.messages(42)] == [
        "menu",
        "you said: menu",
        "Yes",
        "you said: yes",
    ]


async def test_a_surveys_scale_stays_and_shows_the_chosen_number(house: House, tg: TelegramServer) -> None:
    kari = tg.person(42)
    await kari.says("hello")
    await kari.hears("hello")
    scale = tuple(Choice(str(score), str(score)) for score in range(1, 8))
    await house.say(42, text="How easy?", choices=scale, survey=SurveyCard("s", "ces7", 1, 7, "hard", "easy"))
    question = await kari.hears("How easy?")
    await kari.presses(question, "6")
    await kari.hears("you said: 6")
    await kari.hears(lambda seen: "✓ 6" in seen.labels)
    await kari.presses(kari.sees[1], "5")
    await kari.hears("you said: 5")
    await kari.hears(lambda seen: "✓ 5" in seen.labels and "6" in seen.labels)


async def test_a_forged_or_strangers_button_does_nothing_but_is_answered(house: House, tg: TelegramServer) -> None:
    kari, eve = tg.person(42, "Kari"), tg.person(66, "Eve")
    await kari.says("menu")
    menu = await kari.hears("menu")
    await eve.says("hello")
    greeting = await eve.hears("hello")
    await eve.forges(greeting, menu.button("Yes").data or "")  # Kari's button
    await eve.forges(greeting, "admin:1")
    await tg.settled()
    await house.until(lambda: len(eve.toasts) == 2)
    assert all(toast.startswith("That button no longer works") for toast in eve.toasts)
    assert [message.body.text for message in await house.messages(66)] == ["hello", "you said: hello"]
    assert kari.sees[0].labels == ["Yes", "No"]


# ── what the bot says ──────────────────────────────────────────────────────────────────────────────────────────────
async def test_an_agents_words_come_under_their_name_with_their_file(house: House, tg: TelegramServer) -> None:
    kari = tg.person(42)
    await kari.sends_photo(PNG)
    await kari.hears("1 files")
    await house.until(lambda: house.settled("sent", "fetch"))
    picture = (await house.messages(42))[0].body.files[0]
    await house.say(
        42, text="Is it **this** one?", markdown=True, files=(picture,), author=Author(AuthorKind.AGENT, "Ann")
    )
    shown = await kari.hears("this one")
    assert (shown.kind, shown.text, shown.marked("bold")) == ("photo", "Ann\nIs it this one?", ["Ann", "this"])
    assert shown.file is not None
    assert shown.file.content == PNG


async def test_formatting_that_telegram_refuses_is_sent_as_plain_text(house: House, tg: TelegramServer) -> None:
    kari = tg.person(42)
    await kari.says("hello")
    await kari.hears("hello")
    tg.script("sendMessage", Fault.refusal("Bad Request: can't parse entities: entity begins after the end"))
    await house.say(42, text="**Important**: read", markdown=True)
    shown = await kari.hears("Important: read")
    assert shown.entities == ()
    assert len(tg.calls("sendMessage")) == 3


async def test_a_photo_that_telegram_can_not_draw_goes_as_a_document(house: House, tg: TelegramServer) -> None:
    kari = tg.person(42)
    await kari.sends_photo(PNG)
    await kari.hears("1 files")
    await house.until(lambda: house.settled("sent", "fetch"))
    picture = (await house.messages(42))[0].body.files[0]
    tg.script("sendPhoto", Fault.refusal("Bad Request: PHOTO_INVALID_DIMENSIONS"))
    await house.say(42, text="See", files=(picture,))
    assert (await kari.hears("See")).kind == "document"


async def test_a_file_that_telegram_refuses_takes_no_words_with_it(house: House, tg: TelegramServer) -> None:
    """What went with it as its caption comes by itself, once, in its place; and can be edited like any text."""
    kari = tg.person(42)
    await kari.sends_photo(PNG)
    await kari.hears("1 files")
    await house.until(lambda: house.settled("sent", "fetch"))
    picture = (await house.messages(42))[0].body.files[0]
    tg.script("sendPhoto", Fault.refusal("Bad Request: file must be non-empty"))
    yes = Choice("yes", "Yes")
    said = await house.say(42, text="Is it **this** one?", markdown=True, files=(picture,), choices=(yes,))
    await house.say(42, text="Take your time")
    shown = await kari.hears("this one")
    await kari.hears("Take your time")
    assert (shown.kind, shown.marked("bold"), shown.labels) == ("text", ["this"], ["Yes"])
    assert [one for one in kari.texts if one] == ["you said: 1 files", "Is it this one?", "Take your time"]
    (lost,) = await house.until(lambda: house.settled("failed"))
    assert (lost.kind, lost.message_id, lost.error) == (
        "photo",
        said.id,
        "Telegram: Bad Request: file must be non-empty",
    )
    assert "caption" not in lost.payload
    await house.write(lambda tx: outbox.edit(tx, said, "Is it that one?"))
    assert (await kari.hears("that one")).id == shown.id


async def test_what_an_agent_edits_or_takes_back_changes_in_the_chat(house: House, tg: TelegramServer) -> None:
    kari = tg.person(42)
    await kari.says("hello")
    await kari.hears("hello")
    said = await house.say(42, text="Tomorow", author=Author(AuthorKind.AGENT, "Ann"))
    await kari.hears("Tomorow")
    assert await house.write(lambda tx: outbox.edit(tx, said, "Tomorrow"))
    assert (await kari.hears("Tomorrow")).edited
    edited = await house.storage.read(lambda conn: history.message(conn, said.id))
    assert edited is not None
    assert await house.write(lambda tx: outbox.delete(tx, edited))
    await house.until(lambda: len(kari.sees) == 1)


async def test_an_edit_right_after_sending_shows_only_the_new_text(house: House, tg: TelegramServer) -> None:
    kari = tg.person(42)
    await kari.says("hello")
    await kari.hears("hello")

    def unit(tx: object) -> None:
        said = outbox.say(tx, who.customer_id, outbox.Body(text="Old"), author=BOT)  # type: ignore[arg-type]
        outbox.edit(tx, said, "New")  # type: ignore[arg-type]

    who = await house.identity(42)
    await house.write(unit)
    await kari.hears("New")
    assert "Old" not in kari.texts


async def test_an_edit_and_a_deletion_of_what_is_on_its_way_find_it_once_it_has_arrived(
    house: House, tg: TelegramServer
) -> None:
    kari = tg.person(42)
    await kari.says("hello")
    await kari.hears("hello")
    gate = asyncio.Event()
    tg.script("sendMessage", Fault.slow(gate))
    said = await house.say(42, text="Tomorow")
    await tg.called("sendMessage", times=2)
    assert await house.write(lambda tx: outbox.edit(tx, said, "Tomorrow"))
    gate.set()
    await kari.hears("Tomorrow")
    assert kari.texts == ["you said: hello", "Tomorrow"]

    again = asyncio.Event()
    tg.script("sendMessage", Fault.slow(again))
    oops = await house.say(42, text="Not for you")
    await tg.called("sendMessage", times=3)
    assert await house.write(lambda tx: outbox.delete(tx, oops))
    again.set()
    await tg.called("deleteMessage")
    await house.until(lambda: "Not for you" not in kari.texts)


# ── faults ─────────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_f26_who_blocks_the_bot_is_unreachable_until_they_start_it_again(
    house: House, tg: TelegramServer
) -> None:
    kari = tg.person(42)
    await kari.says("hello")
    await kari.hears("hello")
    await kari.blocks()
    await house.until(lambda: _reachable(house, expected=False))
    await kari.start()
    await kari.hears("/start")
    assert (await house.identity(42)).reachable


async def _reachable(house: House, *, expected: bool) -> bool:
    return (await house.identity(42)).reachable is expected


async def test_f26_a_send_that_is_forbidden_marks_the_customer_once_and_writing_lifts_it(
    house: House, tg: TelegramServer
) -> None:
    kari = tg.person(42)
    await kari.says("hello")
    await kari.hears("hello")
    blocked = Fault.refusal("Forbidden: bot was blocked by the user", code=403)
    # The second may be said when we know already: then nobody asks Telegram.
    tg.script("sendMessage", blocked, times=2, when=lambda params: params["text"] in {"one", "two"})
    await house.say(42, text="one")
    await house.say(42, text="two")
    await house.until(lambda: len(house.settled("failed")) == 2)
    assert any("blocked" in (event.error or "") for event in house.settled("failed"))
    assert not (await house.identity(42)).reachable
    changes = [event.reachable for event in house.heard if isinstance(event, ReachabilityChanged)]
    assert changes == [False]
    await kari.says("I am back")  # no membership update came
    await kari.hears("I am back")
    assert (await house.identity(42)).reachable


async def test_429_holds_up_only_its_own_chat(house: House, tg: TelegramServer) -> None:
    kari, ola = tg.person(42, "Kari"), tg.person(43, "Ola")
    tg.script("sendMessage", Fault.status(429, retry_after=35), when=lambda params: str(params["chat_id"]) == "42")
    await kari.says("hello")
    await tg.called("sendMessage", when=lambda params: str(params["chat_id"]) == "42")
    await ola.says("hello")
    await ola.hears("hello")
    assert kari.texts == []
    await house.until(lambda: house.delivery.counters.rate_limited)
    house.later(34)
    await ola.says("still?")
    await ola.hears("still?")
    assert kari.texts == []
    house.later(2)
    await kari.hears("hello")


@pytest.mark.parametrize("fault", [Fault.accept_then_reset(), Fault.accept_then_502(), Fault.raw(b'{"ok":tr')])
async def test_a_send_that_nobody_knows_of_is_doubled_once_at_the_most(
    house: House, tg: TelegramServer, fault: Fault
) -> None:
    kari = tg.person(42)
    tg.script("sendMessage", fault, fault, fault)
    await kari.says("hello")
    await house.until(lambda: house.delivery.counters.uncertain == 1)
    assert len(tg.calls("sendMessage")) == 1  # never again at once
    house.later(6)
    await house.until(lambda: house.delivery.counters.uncertain == 2)
    house.later(6)
    (failed,) = await house.until(lambda: house.settled("failed"))
    assert failed.doubled
    assert kari.texts == ["you said: hello"] * 2


async def test_a_pressed_button_proves_that_its_message_arrived(house: House, tg: TelegramServer) -> None:
    kari = tg.person(42)
    tg.script("sendMessage", Fault.accept_then_reset())
    await kari.says("menu")
    menu = await kari.hears("menu")
    await kari.presses(menu, "Yes")
    await tg.called("editMessageReplyMarkup")
    await house.until(lambda: house.delivery.counters.uncertain == 1)
    house.later(6)
    await kari.hears("you said: yes")
    assert kari.texts == ["you said: menu", "you said: yes"]


async def test_an_answer_that_quotes_a_message_proves_that_it_arrived(house: House, tg: TelegramServer) -> None:
    kari = tg.person(42)
    await kari.says("hello")
    await kari.hears("hello")  # the same words, known by their number: no proof of what comes now
    house.later(60)
    tg.script("sendMessage", Fault.accept_then_reset())
    await kari.says("hello")
    quoted = await kari.hears("hello")
    await house.until(lambda: house.delivery.counters.uncertain == 1)
    await kari.says("what do you mean?", reply_to=quoted)
    await house.until(lambda: _in_inbox(house, 3))
    house.later(6)
    await kari.hears("what do you mean?")
    assert kari.texts == ["you said: hello", "you said: hello", "you said: what do you mean?"]
    assert not any(event.doubled for event in house.settled("sent"))


async def test_an_answer_to_an_earlier_message_of_the_same_words_proves_nothing(
    house: House, tg: TelegramServer
) -> None:
    kari = tg.person(42)
    await kari.says("hello")
    earlier = await kari.hears("hello")
    tg.script("sendMessage", Fault.reset())
    await kari.says("hello")
    await house.until(lambda: house.delivery.counters.uncertain == 1)
    await kari.says("what?", reply_to=earlier)
    await house.until(lambda: _in_inbox(house, 3))
    house.later(6)
    await kari.hears("what?")
    assert kari.texts == ["you said: hello", "you said: hello", "you said: what?"]


async def _in_inbox(house: House, count: int) -> bool:
    return len([row for row in await house.rows("inbox") if row.state == "done"]) == count


async def test_what_was_not_delivered_is_sent_again(house: House, tg: TelegramServer) -> None:
    kari = tg.person(42)
    tg.script("sendMessage", Fault.reset())
    await kari.says("hello")
    await house.until(lambda: house.delivery.counters.uncertain == 1)
    house.later(6)
    await kari.hears("hello")
    assert len(kari.texts) == 1


async def test_while_telegram_is_down_answers_wait_and_then_come_once(house: House, tg: TelegramServer) -> None:
    kari = tg.person(42)
    await kari.says("hello")
    await kari.hears("hello")
    await tg.settled()
    await tg.down()
    await house.say(42, text="good news")
    await house.until(lambda: house.delivery.counters.retried)
    assert house.delivery.counters.uncertain == 0  # refused: certainly not sent
    await tg.up()
    house.later(5)
    await kari.hears("good news")
    assert len([text for text in kari.texts if "good news" in text]) == 1


async def test_an_update_that_comes_again_is_one_message(house: House, tg: TelegramServer) -> None:
    kari = tg.person(42)
    await kari.says("once")
    await kari.hears("once")
    tg.repeat()
    tg.repeat()
    await house.until(lambda: house.inbox.duplicates >= 2)
    assert [message.body.text for message in await house.messages(42)] == ["once", "you said: once"]


async def test_shuffled_and_doubled_updates_leave_one_of_each(house: House, tg: TelegramServer) -> None:
    people = [tg.person(100 + n, f"P{n}") for n in range(5)]
    tg.hold()
    for person in people:
        await person.says("one")
        await person.says("two")
    tg.release(shuffle=Random(7), copies=3)
    for person in people:
        await person.hears("one")
        await person.hears("two")
    await tg.settled()
    for person in people:
        assert sorted(message.body.text for message in await house.messages(person.id)) == [
            "one", "two", "you said: one", "you said: two",
        ]  # fmt: skip


async def test_ids_that_begin_anew_after_a_quiet_week_are_accepted(house: House, tg: TelegramServer) -> None:
    kari = tg.person(42)
    await kari.says("before")
    await kari.hears("before")
    await tg.settled()
    tg.updates.next_id = 5_000
    await kari.says("after")
    await kari.hears("after")
    await kari.says("and on")
    await kari.hears("and on")


async def test_a_malformed_update_is_kept_and_does_not_stop_the_next(house: House, tg: TelegramServer) -> None:
    kari = tg.person(42)
    tg.push("message", {"message_id": "seven", "chat": {"id": 42, "type": "private"}, "from": kari.user})
    tg.push("message", {"poll_of_the_future": [[[]]]})
    tg.push("business_message", {"message_id": 1})
    await kari.says("hello")
    await kari.hears("hello")
    await tg.settled()
    dead = await house.rows("dead_letters")
    assert len(dead) == house.channel.intake.malformed == 2
    assert b"seven" in bytes(dead[0].raw)
    raw = bytes(dead[0].raw)
    with pytest.raises(ValueError, match=r"."):
        await house.channel.read_again(raw)
    assert len(await house.rows("dead_letters")) == 2, "what still can't be read is no third letter"
    mended = {**json.loads(raw)["message"], "message_id": 7, "date": 1_700_000_000, "text": "seven at last"}
    await house.channel.read_again(json.dumps({**json.loads(raw), "message": mended}).encode())
    await kari.hears("seven at last")


async def test_a_batch_that_is_no_json_is_passed_one_by_one(house: House, tg: TelegramServer) -> None:
    kari = tg.person(42)
    await kari.says("first")
    await kari.hears("first")
    await tg.settled()
    deep = b'{"ok":true,"result":[{"update_id":%d,"message":%s%s}]}' % (
        tg.updates.next_id,
        b"[" * 100_000,
        b"]" * 100_000,
    )
    await house.until(lambda: tg.calls("getUpdates"))
    tg.script("getUpdates", Fault.raw(deep, acts=False), Fault.raw(deep, acts=False))
    tg.updates.next_id += 1  # the id that the deep one had
    await kari.says("second")
    await kari.hears("second")
    await house.until(lambda: house.channel.intake.malformed == 1)
    await kari.says("third")
    await kari.hears("third")


async def test_an_update_that_the_inbox_can_not_take_lets_the_next_ones_through(
    house: House, tg: TelegramServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    receive = house.inbox.receive

    async def broken(inbound):  # type: ignore[no-untyped-def]
        if getattr(inbound.happening, "text", "") == "poison":
            raise ValueError("a bug")
        return await receive(inbound)

    monkeypatch.setattr(house.inbox, "receive", broken)
    monkeypatch.setattr("channels.telegram.polling.FIRST_REST", 0.001)
    kari = tg.person(42)
    await kari.says("poison")
    await kari.says("hello")
    await kari.hears("hello")
    assert len(await house.rows("dead_letters")) == 1


async def test_nothing_is_confirmed_to_telegram_before_it_is_committed(
    house: House, tg: TelegramServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    receive, fails = house.inbox.receive, [True, True]

    async def away(inbound):  # type: ignore[no-untyped-def]
        if fails:
            fails.pop()
            assert tg.updates.pending  # still Telegram's
            raise OSError("the database is away")
        return await receive(inbound)

    monkeypatch.setattr(house.inbox, "receive", away)
    monkeypatch.setattr("channels.telegram.polling.FIRST_REST", 0.001)
    kari = tg.person(42)
    await kari.says("hello")
    await kari.hears("hello")
    await tg.settled()
    assert kari.texts == ["you said: hello"]


# ── starting and stopping ──────────────────────────────────────────────────────────────────────────────────────────
async def test_a_wrong_token_is_one_clear_line(sqlite_url: str, tg: TelegramServer, clock: SetClock) -> None:
    for wrong in ("7000000001:AAwrongTokenThatNobodyEverGaveOut00000", "not-a-token"):
        async with House(sqlite_url, tg, clock, telegram_token=wrong) as house:
            with pytest.raises(Exception, match="STAFETT_TELEGRAM_TOKEN is not valid; ask @BotFather"):
                await house.channel.ready()
            assert len(house.channel.faults()) == 1


async def test_telegram_may_be_down_at_start(sqlite_url: str, tg: TelegramServer, clock: SetClock) -> None:
    await tg.down()
    async with House(sqlite_url, tg, clock) as house:
        await house.until(house.channel.faults)
        assert "ClientConnectorError" in house.channel.faults()[0]
        await tg.up()
        kari = tg.person(42)
        await kari.says("hello")
        await kari.hears("hello")
        assert house.channel.faults() == ()


async def test_after_a_restart_what_was_missed_comes_and_nothing_comes_twice(
    sqlite_url: str, tg: TelegramServer, clock: SetClock
) -> None:
    kari = tg.person(42)
    async with House(sqlite_url, tg, clock):
        await kari.says("before")
        await kari.hears("before")
    await kari.says("meanwhile")
    async with House(sqlite_url, tg, clock) as house:
        await kari.hears("meanwhile")
        await tg.settled()
        assert [message.body.text for message in await house.messages(42)] == [
            "before", "you said: before", "meanwhile", "you said: meanwhile",
        ]  # fmt: skip


async def test_of_two_nodes_one_polls_and_the_other_takes_over(
    postgres_url: str, tg: TelegramServer, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("channels.telegram.polling.WAIT", 1)
    url = postgres_url.replace("postgresql://", "postgresql+asyncpg://")
    kari = tg.person(42)
    async with House(url, tg, clock, secret="s" * 32) as second:
        async with House(url, tg, clock, secret="s" * 32) as first:
            await first.channel.ready()
            await kari.says("one")
            await kari.hears("one")
            await kari.sends_photo(PNG)
            await kari.hears("1 files")
            assert first.channel.faults() == second.channel.faults() == ()
        await kari.says("two")
        await kari.hears("two", timeout=15)
        await tg.settled()
        assert len(kari.texts) == 3
        assert not [call for call in tg.calls("getUpdates") if call.reply and call.reply.get("error_code") == 409]


async def test_a_second_poller_is_told_of_as_a_fault(
    house: House, tg: TelegramServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("channels.telegram.polling.FIRST_REST", 0.05)
    await house.channel.ready()
    tg.script("getUpdates", *[Fault.refusal("Conflict: terminated by other getUpdates request", code=409)] * 3)
    tg.person(42)
    await tg.called("getUpdates")
    await tg.person(42).says("wake up")
    await house.until(lambda: any("somebody else" in fault for fault in house.channel.faults()))
    await house.until(lambda: not house.channel.faults())


@pytest.mark.usefixtures("logs_of_its_own")
async def test_the_token_stands_in_no_log_and_no_row(
    house: House, tg: TelegramServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = tg.token.partition(":")[2]
    kari = tg.person(42)
    with structlog.testing.capture_logs() as logs:
        tg.script("file", Fault.status(404), Fault.reset())
        tg.script("sendMessage", Fault.html(502))
        await kari.sends_photo(PNG)
        await house.until(lambda: house.delivery.counters.retried)
        await house.until(lambda: house.delivery.counters.uncertain)
        house.later(10)
        await house.until(lambda: house.settled("sent", "fetch"))
        await kari.hears("1 files")
        retried = house.delivery.counters.retried
        await tg.down()
        await house.say(42, text="later")
        await house.until(lambda: house.delivery.counters.retried > retried)
        await tg.up()
    assert secret not in repr(logs) + caplog.text
    for table in ("outbox", "inbox", "files", "settings", "dead_letters"):
        assert secret not in repr(await house.rows(table))
