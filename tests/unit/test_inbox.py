"""The door in: once, in order, and never half."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace

import pytest
from sqlalchemy import select

from bot.events import TurnFailed
from bot.inbox import PARKED_AT_MOST
from bot.model import (
    Answered,
    Body,
    Choice,
    Chose,
    Deleted,
    Edited,
    FileRef,
    Inbound,
    Message,
    Reachability,
    Sender,
    Wrote,
)
from bot.outbox import say
from bot.storage import counts, history
from bot.storage import tables as t
from bot.storage.engine import Storage
from bot.turn import Turn
from tests.support.rooms import BOT, NOON, Rooms, SetClock, echo, rooms, wrote

KARI = Sender("paper", "kari", "kari")
SPOKEN = (t.messages, t.timeline, t.inbox, t.outbox, t.dead_letters)


class Moody:
    """A taker that fails as often as it is told to, after it has said half of what it wanted.

    A turn that fails is run anew at once, with real savepoints: that is the same try.
    """

    def __init__(self, failures: int, only: str = "") -> None:
        self.failures = failures
        self.only = only
        self.tries = 0

    def __call__(self, turn: Turn) -> bool:
        if not self.only or turn.text == self.only:
            number = self.tries + 1
            fails = number <= self.failures
            self.tries = number if turn.tx.careful or not fails else self.tries
            say(turn.tx, turn.customer.id, Body(text="half"), author=BOT)
            if fails:
                msg = "boom"
                raise ValueError(msg)
        return echo(turn)


# ── once ───────────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_the_same_delivery_again_changes_nothing_and_gets_the_same_receipt(database_url: str) -> None:
    async with rooms(database_url) as house:
        first = await house.hears("hi", key="u1")
        again = await house.hears("hi", key="u1")
        assert (again.message_id, again.seq, again.duplicate, again.conflict) == (first.message_id, 1, True, False)
        assert await house.said(await house.customer()) == [("customer", "hi"), ("bot", "heard: hi")]
        assert house.inbox.duplicates == 1


async def test_what_cannot_be_read_is_kept_once_however_often_it_is_delivered(database_url: str) -> None:
    async with rooms(database_url) as house:
        for key in ("E1", "E1", "E2", None, None):
            await house.inbox.drop("slack", b"{", "no JSON", key)
        assert sorted(str(row.key) for row in await house.rows("dead_letters")) == ["E1", "E2", "None", "None"]


async def test_the_inbox_keeps_the_words_of_a_turn_only_until_it_is_done(database_url: str) -> None:
    async with rooms(database_url, takers=(moody := Moody(1),)) as house:
        await house.hears("later", key="u1")
        (row,) = await house.rows("inbox")
        assert (row.state, row.happening["is"]["text"]) == ("new", "later")
        moody.failures = 0
        await house.hears("now", key="u2")
        kept = {row.key: row.happening for row in await house.rows("inbox")}
        assert kept["u2"] is None
        assert "now" not in str(kept)


async def test_one_key_with_other_words_is_a_conflict(database_url: str) -> None:
    async with rooms(database_url) as house:
        await house.hears("hi", key="u1")
        assert (await house.hears("bye", key="u1")).conflict
        assert await house.words(await house.customer()) == ["hi"]


@pytest.mark.parametrize("keys", [("e1", "p1", "e2", "p1"), ("p1", "x", "e2", "p1"), ("e1", "p1", "p1", "e9")])
async def test_two_deliveries_that_share_any_name_are_one(database_url: str, keys: tuple[str, str, str, str]) -> None:
    """Slack tells one post under two event ids; what they share is the post's own name."""
    async with rooms(database_url) as house:
        first = await house.hears("hi", key=keys[0], also=(keys[1],))
        again = await house.hears("hi", key=keys[2], also=(keys[3],))
        assert again.duplicate
        assert again.customer_id == first.customer_id
        assert await house.words(await house.customer()) == ["hi"]


async def test_four_deliveries_at_once_over_two_nodes_are_one_message(database_url: str) -> None:
    async with rooms(database_url) as house:
        nodes = [house.inbox]
        other = None
        if not house.storage.is_sqlite:
            other = Storage(database_url, house.clock)
            await other.open()
            nodes.append(type(house.inbox)(other, [echo]))
        receipts = await asyncio.gather(*(nodes[n % len(nodes)].receive(wrote("hi", key="u1")) for n in range(4)))
        assert sum(not one.duplicate for one in receipts) == 1
        assert await house.said(await house.customer()) == [("customer", "hi"), ("bot", "heard: hi")]
        if other is not None:
            await other.close()


async def test_a_clients_id_that_was_forgotten_or_is_somebody_elses_makes_no_second_message(database_url: str) -> None:
    async with rooms(database_url) as house:
        mine = str(uuid.uuid4())
        await house.hears("hi", key="k1", id=mine)
        bots = (await house.storage.read(lambda conn: history.messages(conn, "" or _only(conn))))[1].id
        house.clock.passes(days=8)
        await house.inbox.forget_old()
        again = await house.hears("hi", key="k1", id=mine)
        assert (again.seq, again.duplicate, again.conflict) == (1, True, False)
        assert (await house.hears("other", key="k2", id=mine)).conflict
        assert (await house.hears("heard: hi", key="k3", id=bots)).conflict
        assert await house.said(await house.customer()) == [("customer", "hi"), ("bot", "heard: hi")]


def _only(conn):
    from sqlalchemy import select

    from bot.storage import tables as t

    return conn.execute(select(t.customers.c.id)).scalar()


async def test_keys_are_kept_for_a_week(database_url: str) -> None:
    async with rooms(database_url) as house:
        await house.hears("hi", key="u1")
        house.clock.passes(days=6.9)
        await house.inbox.forget_old()
        assert (await house.hears("hi", key="u1")).duplicate


# ── never half ─────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_a_turn_that_fails_leaves_the_message_and_nothing_else_and_is_tried_again(database_url: str) -> None:
    moody = Moody(2)
    async with rooms(database_url, takers=[moody]) as house:
        receipt = await house.hears("hi")
        assert receipt.seq == 1
        who = await house.customer()
        assert await house.said(who) == [("customer", "hi")]
        assert await house.rows("outbox") == []
        assert await house.inbox.run() == NOON.replace(second=1)
        assert moody.tries == 1
        house.clock.passes(seconds=1)
        await house.inbox.run()
        assert moody.tries == 2
        house.clock.passes(seconds=1.9)
        await house.inbox.run()
        assert moody.tries == 2
        house.clock.passes(seconds=0.2)
        assert await house.inbox.run() is None
        assert await house.said(who) == [("customer", "hi"), ("bot", "half"), ("bot", "heard: hi")]
        assert len(await house.rows("outbox")) == 2


async def test_f40_after_five_tries_it_is_a_dead_letter_that_somebody_is_told_of_and_the_chat_goes_on(
    database_url: str,
) -> None:
    moody, told = Moody(99, only="poison"), []
    async with rooms(
        database_url,
        takers=[moody],
        subscribers={TurnFailed: [lambda tx, event: tx.after_commit(lambda: told.append(event))]},
    ) as house:
        await house.hears("poison")
        await house.hears("and you?")
        for _ in range(8):
            house.clock.passes(seconds=60)
            await house.inbox.run()
        assert moody.tries == 5
        assert [event.customer_id for event in told] == [await house.customer()]
        dead = [row for row in await house.rows("inbox") if row.state == "dead"]
        assert [(row.raw, row.attempts) for row in dead] == [(b"poison", 5)]
        assert await house.said(await house.customer()) == [
            ("customer", "poison"),
            ("customer", "and you?"),
            ("bot", "heard: and you?"),
        ]
        found = await house.storage.read(counts.read)
        assert (found.inbox_dead, found.inbox_oldest) == (1, None)
        house.clock.passes(days=30)
        await house.inbox.forget_old()
        assert [row.state for row in await house.rows("inbox")] == ["dead"]


async def test_a_turn_is_run_once_though_two_nodes_find_it_due(postgres_url: str) -> None:
    moody = Moody(1)
    async with rooms(postgres_url, takers=[moody]) as house:
        await house.hears("hi")
        house.clock.passes(seconds=5)
        other = Storage(postgres_url, house.clock)
        second = type(house.inbox)(other, [moody])
        row = (await house.rows("inbox"))[0]
        await asyncio.gather(*(box._again(row.source, row.key) for box in (house.inbox, second) * 3))
        assert moody.tries == 2
        await other.close()


async def test_whoever_writes_can_be_reached_again(database_url: str) -> None:
    async with rooms(database_url) as house:
        await house.hears("hi")
        await house.inbox.receive(Inbound("paper", "left", KARI, Reachability(False)))
        assert (await house.rows("identities"))[0].reachable is False
        await house.hears("back")
        assert (await house.rows("identities"))[0].reachable is True


async def test_what_cannot_be_read_is_kept_and_counted(database_url: str) -> None:
    async with rooms(database_url) as house:
        await house.inbox.drop("paper", b"\x00garbage", "not JSON", "k")
        row = (await house.rows("dead_letters"))[0]
        assert (row.raw, row.error, row.key, house.inbox.dropped) == (b"\x00garbage", "not JSON", "k", 1)


# ── order: edits, albums, what waits ───────────────────────────────────────────────────────────────────────────────
async def test_edits_and_deletions_that_come_before_their_message_are_applied_when_it_comes(database_url: str) -> None:
    async with rooms(database_url) as house:
        await house.inbox.receive(Inbound("paper", "e1", KARI, Edited("r1", "better")))
        await house.inbox.receive(Inbound("paper", "e2", KARI, Edited("r1", "best")))
        await house.inbox.receive(Inbound("paper", "d1", KARI, Deleted("r2")))
        await house.hears("good", ref="r1")
        await house.hears("oops", ref="r2")
        who = await house.customer()
        assert await house.words(who) == ["best"]
        entries = await house.storage.read(lambda conn: history.since(conn, who, 0))
        kinds = [(one.kind, one.message.body.text) for one in entries if one.message.author.kind == "customer"]
        assert kinds == [("message", "good"), ("edit", "better"), ("edit", "best"), ("message", ""), ("delete", "")]


async def test_words_that_were_taken_back_are_nowhere_any_more(database_url: str) -> None:
    async with rooms(database_url, takers=()) as house:
        written = Wrote("my pin is 1234", ref="r1")
        await house.inbox.receive(Inbound("paper", "k1", KARI, written, raw=b"my pin is 1234", also=("k1b",)))
        await house.inbox.receive(Inbound("paper", "e1", KARI, Edited("r1", "my pin is 9876"), raw=b"my pin is 9876"))
        await house.inbox.receive(Inbound("paper", "d1", KARI, Deleted("r1")))
        held = await house.storage.read(
            lambda conn: [str(row) for table in SPOKEN for row in conn.execute(select(table))]
        )
        assert [row for row in held if "1234" in row or "9876" in row] == []
        again = await house.inbox.receive(Inbound("paper", "k1", KARI, written))
        assert again.duplicate, "its key is still known"


async def test_nobody_edits_what_is_not_theirs(database_url: str) -> None:
    async with rooms(database_url) as house:
        await house.hears("mine", ref="r1")
        await house.inbox.receive(Inbound("paper", "e1", replace(KARI, external_id="eve"), Edited("r1", "hers")))
        await house.inbox.receive(Inbound("paper", "d1", replace(KARI, external_id="eve"), Deleted("r1")))
        assert await house.words(await house.customer()) == ["mine"]


async def test_an_edit_of_what_never_came_is_nobodys_trouble_and_is_forgotten(database_url: str) -> None:
    async with rooms(database_url) as house:
        await house.inbox.receive(Inbound("paper", "e1", KARI, Edited("never", "x")))
        assert (await house.storage.read(counts.read)).inbox_oldest is None
        house.clock.passes(days=8)
        await house.inbox.forget_old()
        assert await house.rows("inbox") == []


def photo(number: int) -> FileRef:
    return FileRef(f"f{number}", f"{number}.png", "image/png", 10)


async def test_an_album_is_one_message_with_its_photos_in_order(database_url: str) -> None:
    turns: list[int] = []

    def taker(turn: Turn) -> bool:
        turns.append(len(turn.message.body.files) if turn.message else -1)
        return True

    async with rooms(database_url, takers=[taker]) as house:
        for number in range(3):
            text = "look" if number == 0 else ""
            await house.hears(text, key=f"a{number}", ref=f"r{number}", album="A", files=(photo(number),))
            house.clock.passes(seconds=0.4)
        await house.hears("", key="a1", ref="r1", album="A", files=(photo(1),))  # delivered again
        await house.timers.run()
        assert turns == []
        await house.inbox.receive(Inbound("paper", "e", KARI, Edited("r0", "look here")))
        house.clock.passes(seconds=1)
        await house.timers.run()
        assert turns == [3]
        who = await house.customer()
        whole = (await house.storage.read(lambda conn: history.messages(conn, who)))[0]
        assert [file.id for file in whole.body.files] == ["f0", "f1", "f2"]
        assert whole.body.text == "look here"
        assert {row.state for row in await house.rows("inbox")} == {"done"}


async def test_an_edit_of_one_photo_of_an_album_leaves_the_others_words_and_what_is_deleted_keeps_none(
    database_url: str,
) -> None:
    async def edits(ref: str, text: str, version: str) -> None:
        await house.inbox.receive(Inbound("paper", uuid.uuid4().hex, KARI, Edited(ref, text, version)))

    async def whole() -> Message:
        return (await house.storage.read(lambda conn: history.messages(conn, who)))[0]

    async with rooms(database_url) as house:
        for number, text in enumerate(("front", "", "back")):
            await house.hears(text, key=f"a{number}", ref=f"r{number}", album="A", files=(photo(number),))
        await edits("r2", "the back", "1")
        house.clock.passes(seconds=1)
        await house.timers.run()
        who = await house.customer()
        assert (await whole()).body.text == "front\nthe back"
        await edits("r0", "", "3")
        assert (await whole()).body.text == "the back"
        await edits("r1", "side", "2")
        await edits("r0", "late", "2")
        assert (await whole()).body.text == "side\nthe back"
        album = await whole()
        await house.storage.write(lambda tx: history.delete(tx, album))
        assert "side" not in str(await house.rows("messages"))
        assert "side" not in str(await house.rows("inbox"))


class Patient:
    """Parks everything until it is `ready`."""

    def __init__(self) -> None:
        self.ready = False
        self.heard: list[str] = []

    def __call__(self, turn: Turn) -> bool:
        if turn.answered is not None:
            self.ready = True
        elif not self.ready:
            turn.park_for = "call:T1"
        else:
            self.heard.append(turn.text)
        return True


async def talk_while_waiting(house: Rooms) -> None:
    for number in range(12):
        await house.hears(f"m{number}", key=f"k{number}")
        house.clock.passes(seconds=1)


async def test_what_was_said_while_a_connector_was_asked_is_heard_after_its_answer_in_order(database_url: str) -> None:
    patient = Patient()
    async with rooms(database_url, takers=[patient]) as house:
        await talk_while_waiting(house)
        assert patient.heard == []
        await house.inbox.receive_answer(await house.customer(), "o1", Answered("T1", "ok"))
        assert patient.heard == [f"m{number}" for number in range(12)]
        await house.inbox.receive_answer(await house.customer(), "o1", Answered("T1", "ok"))
        assert len(patient.heard) == 12


async def test_an_answer_whose_turn_failed_at_first_still_lets_the_waiting_words_go(database_url: str) -> None:
    patient, moody = Patient(), Moody(1)

    def taker(turn: Turn) -> bool:
        if turn.answered is not None and not moody.failures < moody.tries + 1:
            return moody(turn)
        return patient(turn)

    async with rooms(database_url, takers=[taker]) as house:
        await house.hears("m0")
        await house.inbox.receive_answer(await house.customer(), "o1", Answered("T1", "ok"))
        assert patient.heard == []
        house.clock.passes(seconds=2)
        await house.inbox.run()
        assert patient.heard == ["m0"]


async def test_who_waits_for_words_is_heard_though_the_node_that_loads_them_dies(database_url: str) -> None:
    """The loading is a process's own affair: nobody's release comes, and the turn is run all the same."""
    heard: list[str] = []
    loaded: list[bool] = []

    def taker(turn: Turn) -> bool:
        if loaded:
            heard.append(turn.text)
        else:
            turn.park_for = "words:nb"
        return True

    async with rooms(database_url, takers=[taker]) as house:
        await house.hears("hvor er pakken min")
        due = await house.inbox.run()
        assert heard == []
        assert due == house.clock() + PARKED_AT_MOST
        house.clock.passes(seconds=PARKED_AT_MOST.total_seconds())
        assert await house.inbox.run() == house.clock() + PARKED_AT_MOST, "still not loaded: once more, later"
        loaded.append(True)
        house.clock.passes(seconds=PARKED_AT_MOST.total_seconds())
        assert await house.inbox.run() is None
        assert heard == ["hvor er pakken min"]


async def test_releasing_twice_at_once_runs_each_turn_once(database_url: str) -> None:
    patient = Patient()
    async with rooms(database_url, takers=[patient]) as house:
        await talk_while_waiting(house)
        patient.ready = True
        await asyncio.gather(
            house.inbox.release("call:T1"), house.inbox.release("call:T1"), house.inbox.wake_parked("call:")
        )
        assert patient.heard == [f"m{number}" for number in range(12)]


# ── buttons ────────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_a_button_counts_only_on_a_message_of_ones_own(database_url: str) -> None:
    async with rooms(database_url) as house:
        await house.hears("hi")
        await house.hears("hi", "eve")
        who = await house.customer()
        choices = (Choice("yes", "Yes"), Choice("no", "No"))
        asked = await house.storage.write(lambda tx: say(tx, who, Body(text="Sure?", choices=choices), author=BOT))
        for wrong in (Chose(asked.id, "maybe"), Chose("nothing", "yes"), Chose(asked.id, index=7)):
            assert (await house.inbox.receive(Inbound("paper", uuid.uuid4().hex, KARI, wrong))).seq is None
        eve = Inbound("paper", "p0", Sender("paper", "eve", "eve"), Chose(asked.id, "yes"))
        assert (await house.inbox.receive(eve)).seq is None
        assert (await house.inbox.receive(Inbound("paper", "p1", KARI, Chose(asked.id, index=1)))).seq == 4
        assert (await house.words(who))[-1] == "No"


async def test_a_clock_that_stands_still_does_not_reorder(database_url: str) -> None:
    async with rooms(database_url, clock=SetClock()) as house:
        for number in range(12):
            await house.hears(f"m{number}")
        assert await house.words(await house.customer()) == [f"m{number}" for number in range(12)]
