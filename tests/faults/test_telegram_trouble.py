"""Telegram as it is on a bad day: it takes a message and says nothing, asks to wait, is away; the real program against it.

What the program does after minutes is seen at once: its clock is set ahead, and somebody writes, which wakes it.
"""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from tests.fakes.faults import Fault
from tests.fakes.telegram import TelegramServer
from tests.fakes.telegram_person import Person
from tests.faults import chance
from tests.faults.invariants import Books, check
from tests.faults.program import Program

QUESTION = "where is my order?"
SECOND, THIRD = f"{QUESTION} (2)", f"{QUESTION} (3)"
WORDS = "order number"
STATES = "SELECT state FROM outbox WHERE via = 'telegram' AND lane = ? ORDER BY n LIMIT 1"


def of(person: Person) -> str:
    return f"telegram:{person.id}"


def about(person: Person):  # type: ignore[no-untyped-def]
    return lambda params: str(params.get("chat_id")) == str(person.id)


def answers(person: Person) -> int:
    return sum(WORDS in text for text in person.texts)


async def becomes(books: Books, person: Person, state: str) -> None:
    """Until the first answer to this person has come to this state, in the database."""
    async with asyncio.timeout(30):
        while [row["state"] for row in books.rows(STATES, of(person))] != [state]:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.02)


async def later(program: Program, tg: TelegramServer, seconds: float) -> None:
    """Time passes; and somebody new writes, which wakes whoever slept by the old time."""
    program.sets_clock(seconds=seconds)
    passer_by = tg.person(9000 + int(seconds), "Passer-by")
    await passer_by.says(f"{QUESTION} (after {seconds})")
    await passer_by.hears(WORDS, timeout=30)


UNKNOWN = {
    "accepted, then reset": (Fault.accept_then_reset(), 2),
    "accepted, then 502 in HTML": (Fault.accept_then_502(), 2),
    "accepted, then an empty answer": (Fault.raw(), 2),
    "accepted, then half an answer": (Fault.raw(b'{"ok":true,"result":{"mess'), 2),
    "reset, not accepted": (Fault.reset(), 1),
    "502 in HTML, not accepted": (Fault.html(502), 1),
}


async def test_f16_f18_f19_a_send_whose_outcome_nobody_knows_waits_and_is_repeated_once_and_marked(
    both: Program, tg: TelegramServer
) -> None:
    """Never at once; after the wait once more; then the chat holds it once, or twice where Telegram had taken it."""
    both.sets_clock(seconds=0)
    await both.starts()
    books = Books(both.database)
    people = {name: tg.person(1001 + number, name) for number, name in enumerate(UNKNOWN)}
    for name, (fault, _) in UNKNOWN.items():
        tg.script("sendMessage", fault, when=about(people[name]))
        await people[name].says(f"{QUESTION} ({name})")
    for person in people.values():
        await becomes(books, person, "uncertain")
        assert len([call for call in tg.calls("sendMessage") if about(person)(call.params)]) == 1, "not at once"
    await later(both, tg, 60)
    for person in people.values():
        await becomes(books, person, "sent")
    await tg.settled(timeout=30)
    await books.at_rest()
    check(books, [f"{QUESTION} ({name})" for name in UNKNOWN], tg)
    for name, (_, copies) in UNKNOWN.items():
        assert answers(people[name]) == copies, name
    marked = books.one("SELECT count(*) FROM outbox WHERE doubled")
    assert marked == len(UNKNOWN)


async def test_f14_a_platform_that_asks_to_wait_holds_up_that_chat_alone(both: Program, tg: TelegramServer) -> None:
    both.sets_clock(seconds=0)
    await both.starts()
    books = Books(both.database)
    kari, ola = tg.person(1001, "Kari"), tg.person(1002, "Ola")
    tg.script("sendMessage", Fault.status(429, retry_after=35), when=about(kari))
    await kari.says(QUESTION)
    await becomes(books, kari, "retry")
    await ola.says(SECOND)
    await ola.hears(WORDS, timeout=30)
    assert answers(kari) == 0
    assert await both.figure("outbox_rate_limited_total") == 1
    await later(both, tg, 30)
    assert answers(kari) == 0, "35 seconds have not passed"
    await later(both, tg, 40)
    await kari.hears(WORDS, timeout=30)
    await tg.settled(timeout=30)
    await books.at_rest()
    check(books, [QUESTION, SECOND], tg)
    assert answers(kari) == 1


@pytest.mark.parametrize("asked", [None, 86_400])
async def test_f15_a_platform_that_asks_to_wait_for_ever_or_names_no_time_is_tried_again_soon(
    both: Program, tg: TelegramServer, asked: int | None
) -> None:
    both.sets_clock(seconds=0)
    await both.starts()
    books = Books(both.database)
    kari = tg.person(1001, "Kari")
    tg.script("sendMessage", Fault.status(429, retry_after=asked), when=about(kari))
    await kari.says(QUESTION)
    await kari.hears(WORDS, timeout=30)  # the first back-off is about a second
    await tg.settled(timeout=30)
    await books.at_rest()
    check(books, [QUESTION], tg)
    assert answers(kari) == 1


async def test_f17_f20_while_telegram_is_away_for_a_day_answers_wait_and_then_come_once_each(
    both: Program, tg: TelegramServer
) -> None:
    """Refused connections: certainly not sent, so never a copy; and what people wrote meanwhile is read and answered."""
    both.sets_clock(seconds=0)
    await both.starts()
    books = Books(both.database)
    kari, ola = tg.person(1001, "Kari"), tg.person(1002, "Ola")
    tg.script("sendMessage", Fault.status(429, retry_after=3), when=about(kari))
    await kari.says(QUESTION)
    await becomes(books, kari, "retry")
    await tg.settled(timeout=30)
    await tg.down()
    await ola.says(SECOND)
    both.sets_clock(hours=1)
    visitor = await both.visitor()  # whom nobody's trouble with Telegram concerns; and it wakes the program
    await visitor.says(THIRD)
    await visitor.hears(WORDS, "bot")
    await visitor.leaves()
    async with asyncio.timeout(30):
        while books.one("SELECT attempts FROM outbox WHERE lane = ? ORDER BY n LIMIT 1", of(kari)) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    both.sets_clock(hours=20)
    await tg.up()
    await ola.hears(WORDS, timeout=60)
    await kari.hears(WORDS, timeout=60)
    await tg.settled(timeout=30)
    await books.at_rest()
    check(books, [QUESTION, SECOND, THIRD], tg)
    assert (answers(kari), answers(ola)) == (1, 1)
    assert books.one("SELECT count(*) FROM outbox WHERE doubled") == 0


@pytest.mark.parametrize("seed", chance.several(1, in_a_long_run=10))
async def test_f10_f11_f13_updates_that_come_shuffled_and_several_times_count_once_each(
    both: Program, tg: TelegramServer, seed: int
) -> None:
    """Also when Telegram, after a quiet week, begins to number from anew."""
    await both.starts()
    people = [tg.person(1001 + number, f"Person {number}") for number in range(4)]
    tg.hold()
    told = []
    for person in people:
        first = await person.says(f"a parcel of {person.id}")
        await person.edits(first, f"the parcel of {person.id}")
        await person.says(f"and a letter of {person.id}")
        told += [f"the parcel of {person.id}", f"and a letter of {person.id}"]
    tg.release(shuffle=Random(seed), copies=3)
    await tg.settled(timeout=30)
    tg.updates.next_id = 5_000
    await people[0].says("a week later")
    await tg.settled(timeout=30)
    books = Books(both.database)
    await books.at_rest()
    check(books, [*told, "a week later"], tg)
    assert books.one("SELECT count(*) FROM messages WHERE author_kind = 'customer'") == len(told) + 1
    assert await both.figure("inbox_duplicates_total") > 0


async def test_f27_a_chat_that_is_not_there_any_more_fails_visibly_and_holds_up_nobody(
    both: Program, tg: TelegramServer
) -> None:
    """Only private chats are served, so no group can move from under us; but an account may be deleted."""
    await both.starts()
    books = Books(both.database)
    kari, ola = tg.person(1001, "Kari"), tg.person(1002, "Ola")
    tg.script("sendMessage", Fault.refusal("Bad Request: chat not found"), when=about(kari), times=5)
    await kari.says(QUESTION)
    await becomes(books, kari, "failed")
    assert "chat not found" in books.one(
        "SELECT error FROM outbox WHERE lane = ? AND state = 'failed' LIMIT 1", of(kari)
    )
    await ola.says(SECOND)
    await ola.hears(WORDS, timeout=30)
    await tg.settled(timeout=30)
    await books.at_rest()
    check(books, [QUESTION, SECOND], tg)
