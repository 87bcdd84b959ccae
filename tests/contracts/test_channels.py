"""What every channel promises, one suite over all of them: the web, Telegram by polling and webhook, Slack both ways.

The house is whole and shared by the tests of one channel; each test has customers of its own. A channel that lacks
something says why in `customers.CANNOT`, and the test is skipped with that reason: nothing is left out in silence.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from bot import outbox
from bot.model import Author, AuthorKind
from bot.storage import history
from channels.delivery import paces
from surveys import store as surveys
from tests.contracts.customers import CANNOT, CHANNELS, PNG, Customer, Platform, standing
from tests.fakes.faults import Fault

pytestmark = pytest.mark.asyncio(loop_scope="module")
ANN = Author(AuthorKind.AGENT, "Ann", "ann")
HEBREW = "שלום! הקוד שלי הוא AB-12345 (כן, 12:30) ✓"
HOSTILE = (
    "<!channel> <!here> <b>bold</b> *_[x](javascript:alert(1))_* `code` ~no~ &amp; <https://evil.example|bank> \\ ```"
)


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=list(CHANNELS))
async def platform(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paces, "RATES", {})  # the pace has tests of its own, and it is measured in real seconds
        async with standing(request.param, tmp_path_factory.mktemp(request.param)) as built:
            yield built


@pytest_asyncio.fixture(loop_scope="module")
async def kari(platform: Platform) -> Customer:
    return await platform.customer()


def able(platform: Platform, what: str) -> None:
    """Go on only where the channel has such a thing; else its reason stands in the report."""
    reason = platform.cannot(what)
    if reason is not None:
        pytest.skip(f"{platform.key}: {reason}")


def texts(messages: list[Any]) -> list[str]:
    return [one.body.text for one in messages]


# ── words ──────────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_words_arrive_both_ways_and_in_order(kari: Customer) -> None:
    for number in range(5):
        await kari.writes(f"line {number}")
    await kari.hears("you said: line 4")
    assert texts(await kari.stored()) == [f"line {number}" for number in range(5)]
    assert await kari.texts() == [f"you said: line {number}" for number in range(5)]
    await kari.timeline()


async def test_who_wrote_is_one_identity_of_the_channel(platform: Platform, kari: Customer) -> None:
    await kari.writes("hello")
    await kari.hears("you said: hello")
    who = await kari.identity()
    assert (who.channel, who.reachable) == (platform.channel, True)
    assert all(one.channel == platform.channel for one in await kari.stored())


async def test_the_same_delivery_twice_is_one_message(kari: Customer) -> None:
    await kari.writes("once")
    await kari.hears("you said: once")
    await kari.again()
    await kari.again()
    assert texts(await kari.stored()) == ["once"]
    assert await kari.texts() == ["you said: once"]


async def test_hebrew_with_a_code_in_it_arrives_letter_by_letter(kari: Customer) -> None:
    await kari.writes(HEBREW)
    answer = await kari.hears("AB-12345")
    assert texts(await kari.stored()) == [HEBREW]
    assert answer.text == f"you said: {HEBREW}"


async def test_a_text_of_5000_characters_arrives_whole_and_in_order(kari: Customer) -> None:
    words = " ".join(f"word{number:04d}" for number in range(560))[:5000]
    await kari.writes("hello")
    await kari.said(words)
    await kari.hears("word0500")
    shown = [one for one in await kari.texts() if "word" in one]
    assert " ".join(shown).split() == words.split()


async def test_a_customers_text_of_5000_characters_is_stored_whole_and_in_order(kari: Customer) -> None:
    words = " ".join(f"word{number:04d}" for number in range(560))[:5000]
    await kari.writes(words)
    await kari.hears("you said: ")
    assert "".join(texts(await kari.stored())).split() == words.split()


@pytest.mark.parametrize(
    "typed",
    ["*bold* _it_ `code` ~gone~", "**Wow** [a](b) # x", "<b>bold</b> &amp; &lt;", "1 < 2 && 3 > 2", "a\nb\n\nc"],
)
async def test_markup_that_customers_type_is_shown_as_typed(kari: Customer, typed: str) -> None:
    await kari.writes(typed)
    answer = await kari.hears("you said: ")
    assert texts(await kari.stored()) == [typed]
    assert answer.text == f"you said: {typed}"
    assert not answer.formatted


async def test_hostile_sequences_neither_ping_nor_break(platform: Platform, kari: Customer) -> None:
    await kari.writes(HOSTILE)
    echoed = await kari.hears("you said: ")
    assert texts(await kari.stored()) == [HOSTILE]
    assert echoed.text == f"you said: {HOSTILE}"
    assert not echoed.formatted
    marked = await kari.said(f"**Dear** {HOSTILE}", Author(AuthorKind.AGENT, "<!channel> *Ann* <b>"), markdown=True)
    assert marked.seq is not None
    await kari.hears("Dear")
    if platform.slack is not None:
        assert not [one for one in await kari.sees() if one.raw.pages_everybody]
    await kari.writes("still here")
    await kari.hears("you said: still here")


# ── buttons and scores ─────────────────────────────────────────────────────────────────────────────────────────────
async def test_buttons_are_native_and_a_press_is_the_customers_message(kari: Customer) -> None:
    await kari.writes("menu")
    menu = await kari.hears("Pick one")
    assert menu.labels == ("My order", "A human")
    await kari.presses(menu, "A human")
    await kari.hears("chosen: human")
    assert texts(await kari.stored()) == ["menu", "A human"]


async def test_a_press_delivered_twice_is_one_answer(kari: Customer) -> None:
    await kari.writes("menu")
    await kari.presses(await kari.hears("Pick one"), "My order")
    await kari.hears("chosen: order")
    if kari.platform.slack is None:  # Slack tells an interaction once; and by then its button is gone
        await kari.again()
    else:
        assert not [one for one in await kari.sees() if one.labels]
    assert (await kari.texts()).count("chosen: order") == 1


async def survey_of(kari: Customer) -> Any:
    await kari.writes("hello")
    await kari.writes("done")
    await kari.house.passes(minutes=5)
    return next(one for one in [await kari.hears(""), *await kari.sees()] if one.labels)


async def response_of(kari: Customer) -> Any:
    who = await kari.id()
    found = await kari.house.app.storage.read(surveys.responses)
    return [one for one in found if one.customer_id == who]


async def test_a_surveys_scale_is_native_buttons_and_a_press_is_the_score(platform: Platform, kari: Customer) -> None:
    scale = await survey_of(kari)
    assert list(scale.labels[:7]) == list("1234567")
    await kari.presses(scale, "6")
    (response,) = await response_of(kari)
    assert (response.score, response.instrument, response.channel) == (6, "ces7", platform.channel)


async def test_a_typed_number_is_a_score_too(kari: Customer) -> None:
    await survey_of(kari)
    await kari.writes("5")
    (response,) = await response_of(kari)
    assert response.score == 5


# ── files ──────────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_a_customers_file_is_stored_with_its_bytes(platform: Platform, kari: Customer) -> None:
    await kari.sends_file("photo.png", PNG)
    await kari.hears("1 file(s)")
    await kari.house.settle()
    (message,) = await kari.stored()
    (file,) = message.body.files
    (row,) = [one for one in await platform.rows("files") if one.id == file.id]
    assert (row.name, row.type, bytes(row.data)) == ("photo.png", "image/png", PNG)


async def test_a_file_of_the_house_arrives_with_its_bytes(kari: Customer) -> None:
    await kari.writes("send me a file")
    await kari.hears("Here it is")
    found = await kari.until(lambda: files_of(kari))
    assert found == [("plan.png", PNG)]


async def files_of(kari: Customer) -> list[tuple[str, bytes]]:
    await kari.house.settle()
    return [file for one in await kari.sees() for file in one.files]


# ── second thoughts ────────────────────────────────────────────────────────────────────────────────────────────────
async def test_a_customers_edit_is_a_version_and_the_old_text_stays(platform: Platform, kari: Customer) -> None:
    able(platform, "customer edits")
    written = await kari.writes("order 12")
    await kari.hears("you said: order 12")
    await kari.edits(written, "order 13")
    assert texts(await kari.stored()) == ["order 13"]
    told = [(one.kind, one.message.body.text) for one in await kari.timeline() if one.message.author.kind == "customer"]
    assert told == [("message", "order 12"), ("edit", "order 13")]


async def test_a_deleted_messages_words_are_gone(platform: Platform, kari: Customer) -> None:
    able(platform, "customer deletes")
    written = await kari.writes("my pin is hunter2")
    await kari.edits(written, "my pin was hunter2")
    await kari.deletes(written)
    (message,) = await kari.stored()
    assert message.deleted_at is not None
    assert "hunter2" not in str(
        [one.message.body for one in await kari.timeline() if one.message.author.kind == "customer"]
    )


async def test_what_an_agent_edits_is_edited_at_the_customer(kari: Customer) -> None:
    await kari.writes("hello")
    await kari.hears("you said: hello")
    said = await kari.said("Tomorow at 9", ANN)
    first = await kari.hears("Tomorow at 9")
    assert await kari.house.app.storage.write(lambda tx: outbox.edit(tx, said, "Tomorrow at 10"))
    second = await kari.hears("Tomorrow at 10")
    assert second.id == first.id
    assert not [one for one in await kari.texts() if "Tomorow" in one]


async def test_what_an_agent_takes_back_is_gone_at_the_customer(kari: Customer) -> None:
    await kari.writes("hello")
    said = await kari.said("not for you", ANN)
    await kari.hears("not for you")
    known = await kari.house.app.storage.read(lambda conn: history.message(conn, said.id))
    assert known is not None
    assert await kari.house.app.storage.write(lambda tx: outbox.delete(tx, known))
    await kari.until(lambda: gone(kari, "not for you"))
    await kari.timeline()


async def gone(kari: Customer, words: str) -> bool:
    await kari.house.settle()
    return not [one for one in await kari.texts() if words in one]


# ── trouble ────────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_a_platform_that_answers_429_delays_only_that_chat(platform: Platform, kari: Customer) -> None:
    able(platform, "429")
    ola = await platform.customer()
    await kari.writes("hello")
    await ola.writes("hello")
    await ola.hears("you said: hello")
    kari.meets(Fault.status(429, retry_after=35))
    await kari.said("for Kari")
    await ola.said("for Ola")
    await ola.hears("for Ola")
    await platform.house.passes(seconds=30)
    await ola.writes("still?")
    await ola.hears("you said: still?")
    assert not [one for one in await kari.texts() if "for Kari" in one]
    await platform.house.passes(seconds=8)
    await kari.hears("for Kari")


async def test_what_was_taken_and_then_reset_does_not_come_twice(platform: Platform, kari: Customer) -> None:
    """Slack can be asked what became of it. Telegram can't: at most once more, and the house knows (`doubled`)."""
    await kari.writes("hello")
    await kari.hears("you said: hello")
    if platform.channel == "web":
        await reset_of_a_widget(kari)
        return
    kari.meets(Fault.accept_then_reset())
    await kari.said("exactly this")
    for _ in range(4):
        await platform.house.passes(seconds=6)
    came = [one for one in await kari.texts() if "exactly this" in one]
    who = await kari.id()
    rows = [
        one for one in await platform.rows("outbox") if one.customer_id == who and "exactly this" in str(one.payload)
    ]
    assert [one.state for one in rows] == ["sent"]
    assert len(came) == 1 + rows[0].doubled
    assert rows[0].doubled is (platform.channel == "telegram")


async def reset_of_a_widget(kari: Any) -> None:
    """The line is cut after the message left and before anything came back; the widget sends it again, as it does."""
    frame = {"type": "message", "id": "0190b0d0-0000-7000-8000-000000000001", "text": "exactly this", "files": []}
    await kari.visitor.sends(frame)
    kari.visitor._socket.transport.abort()
    await kari.stores(2)
    await kari.visitor.leaves()
    await kari.comes_back()
    await kari._sends(frame)
    await kari.hears("you said: exactly this")
    assert texts(await kari.stored()).count("exactly this") == 1
    assert (await kari.texts()).count("you said: exactly this") == 1
    assert kari.visitor.seqs == list(range(1, kari.visitor.last_seq + 1))


async def test_who_can_not_be_reached_is_marked_and_comes_back(platform: Platform, kari: Customer) -> None:
    able(platform, "block")
    await kari.writes("hello")
    await kari.hears("you said: hello")
    await kari.blocks()
    await kari.until(lambda: reachable(kari, expected=False))
    await kari.unblocks()
    await kari.writes("I am back")
    await kari.hears("you said: I am back")
    assert (await kari.identity()).reachable


async def reachable(kari: Customer, *, expected: bool) -> bool:
    await kari.house.settle()
    return (await kari.identity()).reachable is expected


async def test_who_was_away_finds_everything_once_when_they_come_back(platform: Platform, kari: Any) -> None:
    if platform.channel != "web":
        pytest.skip(f"{platform.key}: the platform itself keeps what was said until the customer looks")
    await kari.writes("hello")
    await kari.hears("you said: hello")
    await kari.leaves()
    for number in range(3):
        await kari.said(f"news {number}")
    await kari.comes_back()
    await kari.hears("news 2")
    assert (await kari.texts())[-3:] == ["news 0", "news 1", "news 2"]


async def test_what_can_not_be_read_is_dropped_counted_and_kept_and_the_next_works(
    platform: Platform, kari: Customer
) -> None:
    await kari.writes("before")
    before, dropped = len(await platform.rows("dead_letters")), platform.house.app.inbox.dropped
    await kari.sends_rubbish()
    kept = (await platform.rows("dead_letters"))[before:]
    assert kept, "the raw copy is kept for inspection"
    assert all(one.source == platform.channel and one.raw and one.error for one in kept)
    assert platform.house.app.inbox.dropped - dropped == len(kept)
    await kari.writes("after")
    await kari.hears("you said: after")
    assert texts(await kari.stored()) == ["before", "after"]


async def test_many_customers_at_once_each_get_their_own(platform: Platform) -> None:
    people = [await platform.customer() for _ in range(6)]
    await asyncio.gather(*(one.writes(f"I am {one.number}") for one in people))
    for one in people:
        await one.hears(f"you said: I am {one.number}")
        assert await one.texts() == [f"you said: I am {one.number}"]


async def test_what_a_channel_lacks_is_written_down() -> None:
    assert set(CANNOT) == {channel for channel, _ in CHANNELS.values()}
    assert all(len(reason) > 20 for lacks in CANNOT.values() for reason in lacks.values())
