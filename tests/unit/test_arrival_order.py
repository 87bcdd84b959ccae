"""Platforms deliver late, twice and in any order: what stands in the history in the end does not depend on it (F13).

New messages are numbered as they arrive: nobody can hold back what a customer writes until it is certain that nothing older
is still on its way. What happens *to* a message (edits, deletion, the other photos of its album) is sorted by what the
platform says of its time, and waits where it comes before the message itself. A button needs no such wait: its message
stands in the history before its first copy leaves, so a press finds it however early it comes.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.model import BOT, Body, Choice, Chose, Deleted, Edited, FileRef, Inbound, Sender, Wrote
from bot.outbox import say
from bot.turn import Turn
from tests.support.rooms import Rooms, rooms

KARI = Sender("paper", "kari", address="kari", name="Kari", locale="en")
NUMBERS = itertools.count()


@st.composite
def happenings(draw: st.DrawFn) -> list[Inbound]:
    """What a customer did, in the order in which they did it."""
    done: list[Any] = []
    for number in range(draw(st.integers(1, 4))):
        ref = f"chat:{number}"
        done.append(Wrote(f"{number} as written", ref=ref))
        for version in range(draw(st.integers(0, 3))):
            text = draw(st.sampled_from([f"{number} version {version}", f"{number} as written"]))
            done.append(Edited(ref, text, version=f"{version + 1:03d}"))
        if draw(st.booleans()):
            done.append(Deleted(ref))
    for photo in range(draw(st.integers(0, 3))):
        file = FileRef(f"photo {photo}", f"{photo}.png", "image/png", 1)
        done.append(Wrote(f"caption {photo}", files=(file,), ref=f"chat:{8 + photo}", album="A"))
    return [Inbound("paper", f"k{place}", KARI, one, raw=b"raw") for place, one in enumerate(done)]


def by(person: str, inbound: Inbound) -> Inbound:
    """The same, done by somebody else, in a chat of their own."""
    happening: Any = inbound.happening
    sender = replace(KARI, external_id=person, address=person)
    return replace(
        inbound,
        key=f"{person}:{inbound.key}",
        sender=sender,
        happening=replace(happening, ref=f"{person}:{happening.ref}"),
    )


async def outcome(house: Rooms, deliveries: Sequence[Inbound]) -> dict[str, Any]:
    """What is known in the end of each message: by its platform's name, its words, whether it is gone, its photos."""
    person = f"person {next(NUMBERS)}"
    for one in deliveries:
        await house.inbox.receive(by(person, one))
        house.clock.passes(seconds=0.01)
    house.clock.passes(seconds=2)
    await house.timers.run()
    await house.inbox.run()
    who = await house.customer(person)
    await house.said(who)  # without a gap
    assert {row.state for row in await house.rows("inbox")} <= {"done", "alias"}, "nothing waits any more"
    messages = {row.id: row for row in await house.rows("messages") if row.customer_id == who}
    refs = [row for row in await house.rows("message_refs") if row.customer_id == who]
    assert {row.message_id for row in refs} == messages.keys(), "each message once, and no other"
    found = {}
    for row in refs:
        message = messages[row.message_id]
        files = [] if message.deleted_at else [file["id"] for file in message.files]
        found[row.ref.removeprefix(person)] = (message.text, message.deleted_at is not None, files)
    return found


def test_what_stands_in_the_end_does_not_depend_on_the_order_of_arrival(sqlite_url: str) -> None:
    with asyncio.Runner() as runner:
        opened = rooms(sqlite_url, takers=())
        house = runner.run(opened.__aenter__())

        @settings(max_examples=30, deadline=None)
        @given(happened=happenings(), order=st.randoms(use_true_random=False), twice=st.sets(st.integers(0, 20)))
        def holds(happened: list[Inbound], order: random.Random, twice: set[int]) -> None:
            shuffled = [*happened, *(one for place, one in enumerate(happened) if place in twice)]
            order.shuffle(shuffled)
            assert runner.run(outcome(house, happened)) == runner.run(outcome(house, shuffled))

        try:
            holds()
        finally:
            runner.run(opened.__aexit__(None, None, None))


async def test_an_edit_that_comes_after_the_deletion_brings_no_word_back(database_url: str) -> None:
    async with rooms(database_url, takers=()) as house:
        wrote, edit, gone = Wrote("my pin", ref="r"), Edited("r", "my pin is 9876", "1"), Deleted("r")
        for key, one in (("w", wrote), ("d", gone), ("e", edit)):
            await house.inbox.receive(Inbound("paper", key, KARI, one, raw=str(one).encode()))
        (message,) = await house.rows("messages")
        assert (message.text, message.deleted_at is not None) == ("", True)
        held = [str(row) for table in ("messages", "timeline", "inbox") for row in await house.rows(table)]
        assert [row for row in held if "9876" in row] == []


async def test_an_older_edit_that_comes_later_changes_nothing(database_url: str) -> None:
    async with rooms(database_url, takers=()) as house:
        await house.hears("a", ref="r")
        for key, text, version in (("1", "c", "3"), ("2", "b", "2"), ("3", "d", "4"), ("4", "by hand", "")):
            await house.inbox.receive(Inbound("paper", key, KARI, Edited("r", text, version)))
            assert await house.words(await house.customer()) == [{"b": "c"}.get(text, text)]


async def test_a_press_that_comes_before_we_know_that_its_message_arrived_counts(database_url: str) -> None:
    """Telegram's presses go by another queue than its messages, and faster than its answer to our own call."""
    pressed: list[str] = []

    def taker(turn: Turn) -> bool:
        if turn.pressed is not None:
            pressed.append(turn.pressed.value)
        else:
            say(
                turn.tx, turn.customer.id, Body(text="Which?", choices=(Choice("a", "A"), Choice("b", "B"))), author=BOT
            )
        return True

    async with rooms(database_url, takers=[taker]) as house:
        await house.hears("hi")
        await house.storage.write(house.delivery._claim)
        (row,) = await house.rows("outbox")
        assert row.state == "sending"
        await house.inbox.receive(Inbound("paper", "press", KARI, Chose(row.message_id, "b")))
        assert pressed == ["b"]
        await house.inbox.receive(
            Inbound("paper", "again", replace(KARI, external_id="eve"), Chose(row.message_id, "a"))
        )
        assert pressed == ["b"], "and nobody else's press does"
