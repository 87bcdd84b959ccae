"""The door out: in order, at a pace, and never twice."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.util import await_only

from bot.errors import DatabaseFault, FileRefused, NotSent, RateLimited, Refused, Uncertain
from bot.events import SendDelayed, SendSettled
from bot.model import BOT, Author, AuthorKind, Body, Inbound, Reachability, Sender
from bot.outbox import edit, enqueue, say
from bot.storage import customers, history, outbox_rows
from bot.storage import tables as t
from bot.storage.engine import Storage
from channels.delivery import DeliveryLoop, claims
from channels.delivery.leases import SHARED_LEASE
from channels.delivery.loop import AT_ONCE, DOWNLOADS
from channels.delivery.outcomes import FIRST_BACKOFF, LAST_BACKOFF, Counters, backoff
from channels.delivery.paces import Paces, limits
from channels.port import Delivery, Sent, Verdict
from tests.support.rooms import NOON, PaperSender, Rooms, SetClock, rooms

ANN = Author(AuthorKind.AGENT, "Ann", "ann")


async def queue(house: Rooms, *texts: str, lane: str = "paper:1", via: str = "paper", **more: Any) -> list[str]:
    def unit(tx: Any) -> list[str]:
        kind = more.pop("kind", "text")
        return [enqueue(tx, via=via, lane=lane, kind=kind, payload={"text": one}, **more) for one in texts]

    return await house.storage.write(unit)


async def states(house: Rooms) -> list[str]:
    return [row.state for row in sorted(await house.rows("outbox"), key=lambda row: row.n)]


async def row(house: Rooms) -> Any:
    return (await house.rows("outbox"))[0]


# ── order ──────────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_a_lane_leaves_one_at_a_time_and_in_order(database_url: str) -> None:
    async with rooms(database_url) as house:
        now, most = 0, 0

        async def slowly(_: Delivery) -> None:
            nonlocal now, most
            now += 1
            most = max(most, now)
            await asyncio.sleep(0)
            now -= 1

        house.sender.script = [slowly] * 6
        await queue(house, *"abcdef")
        await house.deliver()
        assert house.sender.texts == list("abcdef")
        assert most == 1
        assert set(await states(house)) == {"sent"}


async def test_a_lane_that_waits_holds_only_itself_up(database_url: str) -> None:
    async with rooms(database_url) as house:
        house.sender.script = [RateLimited("429", retry_after=35)]
        await queue(house, "a1", "a2", lane="paper:a")
        await queue(house, "b1", "b2", lane="paper:b")
        due = await house.deliver()
        assert house.sender.texts == ["b1", "b2"]
        assert due == NOON + timedelta(seconds=35)
        assert house.delivery.counters.rate_limited == 1
        house.clock.passes(seconds=34)
        await house.deliver()
        assert house.sender.texts == ["b1", "b2"]
        house.clock.passes(seconds=1)
        await house.deliver()
        assert house.sender.texts == ["b1", "b2", "a1", "a2"]


async def test_a_part_that_fails_does_not_repeat_or_hold_up_the_others(database_url: str) -> None:
    async with rooms(database_url) as house:
        await house.hears("hi")
        who = await house.customer()
        house.sender.script = [None, Refused("too old")]
        await house.storage.write(lambda tx: say(tx, who, Body(text="one\n\ntwo\n\nthree"), author=ANN))
        await house.deliver()
        assert house.sender.texts == ["heard: hi", "two", "three"]


async def test_rows_of_a_channel_that_is_off_wait(database_url: str) -> None:
    async with rooms(database_url) as house:
        await queue(house, "x", via="stone")
        assert await house.deliver() is None
        assert await states(house) == ["ready"]


# ── the baton ──────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_the_bot_never_talks_over_a_human(database_url: str) -> None:
    async with rooms(database_url) as house:
        await house.hears("hi")
        who = await house.customer()
        await house.storage.write(lambda tx: say(tx, who, Body(text="from Ann"), author=ANN))
        await house.storage.write(lambda tx: customers.move_baton(tx, who))
        await house.storage.write(lambda tx: say(tx, who, Body(text="a human is coming"), author=BOT))
        await house.deliver()
        assert house.sender.texts == ["from Ann", "a human is coming"]
        assert await states(house) == ["expired", "sent", "sent"]


async def test_what_would_come_too_late_does_not_come(database_url: str) -> None:
    async with rooms(database_url) as house:
        await queue(house, "now or never", expires_at=NOON + timedelta(minutes=1))
        house.clock.passes(minutes=1)
        await house.deliver()
        assert (house.sender.tried, await states(house)) == ([], ["expired"])


async def test_who_cannot_be_reached_is_sent_nothing(database_url: str) -> None:
    async with rooms(database_url) as house:
        await house.hears("hi")
        await house.inbox.receive(Inbound("paper", "left", Sender("paper", "kari", "kari"), Reachability(False)))
        who = await house.customer()
        await house.storage.write(lambda tx: say(tx, who, Body(text="are you there?"), author=ANN))
        assert (await states(house))[-1] == "failed"


async def test_an_edit_of_what_has_not_left_yet_leaves_as_the_new_words(database_url: str) -> None:
    async with rooms(database_url) as house:
        await house.hears("hi")
        who = await house.customer()
        house.sender.script = [NotSent("down")]
        await house.deliver()
        said = await house.storage.write(lambda tx: say(tx, who, Body(text="Your orderr is here"), author=ANN))
        assert await house.storage.write(lambda tx: edit(tx, said, "Your order is here"))
        house.clock.passes(minutes=1)
        await house.deliver()
        assert house.sender.texts == ["heard: hi", "Your order is here"]
        sent = await house.storage.read(lambda conn: history.message(conn, said.id))
        assert sent is not None
        await house.storage.write(lambda tx: edit(tx, sent, "Your order is there"))
        await house.deliver()
        assert house.sender.sent[-1].kind == "edit"


# ── in the turn's own commit ───────────────────────────────────────────────────────────────────────────────────────
async def left(house: Rooms) -> None:
    """Until nothing is on its way, and what came of it is written down; nobody runs the loop."""
    async with asyncio.timeout(30):
        while any(one.state in {"ready", "sending"} for one in await house.rows("outbox")):
            await house.delivery.idle()
            await asyncio.sleep(0)


async def test_what_a_turn_says_leaves_with_its_own_commit_and_is_marked_by_one_more(sqlite_url: str) -> None:
    async with rooms(sqlite_url) as house:
        house.storage.wiring.courier = house.delivery.courier
        before = house.storage.commits
        await house.hears("hi")
        state = [row.state for row in await house.rows("outbox")]
        await left(house)
        assert state in (["sending"], ["sent"]), "marked before the first byte leaves"
        assert house.sender.texts == ["heard: hi"]
        assert house.storage.commits - before == 2


async def test_who_follows_in_a_lane_leaves_with_the_commit_that_marks_the_one_before(sqlite_url: str) -> None:
    async with rooms(sqlite_url) as house:
        house.storage.wiring.courier = house.delivery.courier
        before = house.storage.commits
        await queue(house, *"abcdef")
        await left(house)
        assert house.sender.texts == list("abcdef")
        assert house.storage.commits - before == 7


async def test_what_a_courier_finds_to_be_due_later_wakes_the_loop_though_it_had_no_room_before(
    sqlite_url: str,
) -> None:
    async with rooms(sqlite_url) as house:
        woken: list[str] = []
        house.storage.wiring.courier, house.delivery.wake = house.delivery.courier, lambda: woken.append("loop")
        released = asyncio.Event()

        async def waits(_: Delivery) -> None:
            await released.wait()

        soon = house.clock.now + timedelta(seconds=1)
        await queue(house, "soon", lane="paper:soon", due_at=soon)
        assert await house.delivery.run() == soon
        house.sender.script = [waits] * AT_ONCE
        house.clock.passes(seconds=1)
        for number in range(AT_ONCE - 1):
            await queue(house, "x", lane=f"paper:{number}")
        assert await house.delivery.run() is None, "full"
        woken.clear()
        await queue(house, "later", lane="paper:x", due_at=house.clock.now + timedelta(seconds=30))
        released.set()
        await house.delivery.idle()
        assert woken
        assert await house.delivery.run() == house.clock.now + timedelta(seconds=30)


async def test_who_was_turned_away_by_sends_that_had_just_ended_is_looked_at_again(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their ends are written down before the busy loop has counted them out: nobody else would look."""
    async with rooms(sqlite_url) as house:
        woken: list[str] = []
        house.storage.wiring.courier, house.delivery.wake = house.delivery.courier, lambda: woken.append("loop")
        finished, ended = house.delivery._finished, list[Any]()
        monkeypatch.setattr(house.delivery, "_finished", ended.append)

        def unit(tx: Any) -> None:
            for number in range(AT_ONCE + 1):
                enqueue(tx, via="paper", lane=f"paper:{number}", kind="text", payload={"text": str(number)})

        await house.storage.write(unit)
        sent = 0
        async with asyncio.timeout(30):
            while sent < AT_ONCE:
                sent = (await states(house)).count("sent")
        assert woken == []
        monkeypatch.undo()
        for task in ended:
            finished(task)
        assert woken
        await house.deliver()
        assert len(house.sender.sent) == AT_ONCE + 1


async def test_a_commit_in_which_the_loop_looks_and_a_courier_goes_along_claims_no_more_than_may_leave_at_once(
    sqlite_url: str,
) -> None:
    async with rooms(sqlite_url) as house:
        await house.delivery.run()  # so that all statements are ready, and the next look takes no time
        for number in range(AT_ONCE + 8):
            await queue(house, "x", lane=f"paper:{number}")
        released = asyncio.Event()

        async def waits(_: Delivery) -> None:
            await released.wait()

        house.sender.script = [waits] * (2 * AT_ONCE)
        house.storage.wiring.courier = house.delivery.courier

        def unit(tx: Any) -> None:
            enqueue(tx, via="paper", lane="paper:one more", kind="text", payload={"text": "x"})

        await asyncio.gather(house.delivery.run(), house.storage.write(unit, quick=True))
        assert (await states(house)).count("sending") == AT_ONCE
        released.set()
        await left(house)
        assert len(house.sender.sent) == AT_ONCE + 9


async def test_who_found_no_room_in_a_commit_leaves_when_others_have_though_the_loop_took_all_in_it_before(
    sqlite_url: str,
) -> None:
    async with rooms(sqlite_url) as house:
        await house.delivery.run()  # so that all statements are ready, and the next look takes no time
        for number in range(AT_ONCE - 1):
            await queue(house, "x", lane=f"paper:{number}")
        released = asyncio.Event()

        async def waits(_: Delivery) -> None:
            await released.wait()

        house.sender.script = [waits] * AT_ONCE
        house.storage.wiring.courier = house.delivery.courier

        def unit(tx: Any) -> None:
            for number in range(5):
                enqueue(tx, via="paper", lane=f"paper:more {number}", kind="text", payload={"text": "x"})

        await asyncio.gather(house.delivery.run(), house.storage.write(unit, quick=True))
        assert (await states(house)).count("sending") == AT_ONCE
        released.set()
        await left(house)
        assert len(house.sender.sent) == AT_ONCE + 4


async def test_a_look_that_takes_exactly_as_many_as_there_is_room_for_knows_what_is_due_later(sqlite_url: str) -> None:
    """Nobody waits then, so no send that ends asks for another look."""
    async with rooms(sqlite_url) as house:
        later = house.clock.now + timedelta(seconds=30)
        await queue(house, "later", lane="paper:later", due_at=later)
        for number in range(AT_ONCE):
            await queue(house, "x", lane=f"paper:{number}")
        house.storage.wiring.courier = house.delivery.courier
        assert await house.delivery.run() == later


async def test_files_are_fetched_a_few_at_a_time_and_hold_up_no_words(sqlite_url: str) -> None:
    """Each may have 20 MB, and is in memory as a whole."""
    async with rooms(sqlite_url) as house:
        for number in range(DOWNLOADS + 5):
            await queue(house, "a file", lane=f"fetch:{number}", kind="fetch")
        await queue(house, "words")
        released, said = asyncio.Event(), asyncio.Event()

        async def waits(_: Delivery) -> None:
            await released.wait()

        async def says(_: Delivery) -> None:
            said.set()

        house.sender.script = [*[waits] * DOWNLOADS, says]
        await house.delivery.run()
        await said.wait()
        assert [one.kind for one in house.sender.tried] == ["fetch"] * DOWNLOADS + ["text"]
        released.set()
        await left(house)
        assert len(house.sender.sent) == DOWNLOADS + 6


@pytest.fixture
async def at_once(sqlite_url: str) -> AsyncIterator[Rooms]:
    """A house with a courier, which has looked and found that nobody waits."""
    async with rooms(sqlite_url) as house:
        house.storage.wiring.courier = house.delivery.courier
        await house.delivery.run()
        yield house


async def test_an_answer_that_nobody_waits_for_is_written_down_as_sending_without_a_look_at_all_others(
    at_once: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    await at_once.hears("they are known from now on")
    await left(at_once)
    looks: list[str] = []
    monkeypatch.setattr(at_once.delivery._claims, "claim", lambda *_: looks.append("looked"))
    await at_once.hears("hi")
    await left(at_once)
    _, sent = await at_once.rows("outbox")
    assert (sent.state, sent.attempts, sent.lease_owner, sent.started_at) == ("sent", 1, None, at_once.clock.now)
    assert at_once.sender.sent[1].payload == sent.payload
    assert looks == [], "neither when it left, nor when its end was written down"


async def test_an_answer_waits_for_the_one_before_it_in_its_lane_and_leaves_when_that_has_ended(at_once: Rooms) -> None:
    released = asyncio.Event()

    async def waits(_: Delivery) -> None:
        await released.wait()

    at_once.sender.script = [waits]
    await queue(at_once, "first")
    await queue(at_once, "second")
    assert await states(at_once) == ["sending", "ready"]
    released.set()
    await left(at_once)
    assert at_once.sender.texts == ["first", "second"]


async def test_what_was_said_before_the_baton_moved_in_the_same_commit_does_not_leave(at_once: Rooms) -> None:
    await at_once.hears("hi")
    await left(at_once)
    who = await at_once.customer()

    def unit(tx: Any) -> None:
        say(tx, who, Body(text="the bot talks on"), author=BOT)
        customers.move_baton(tx, who)

    await at_once.storage.write(unit)
    await left(at_once)
    assert await states(at_once) == ["sent", "expired"]


async def test_answers_that_leave_at_once_spend_what_their_chat_takes(at_once: Rooms) -> None:
    for number in range(4):
        await queue(at_once, str(number), lane="telegram:5", bucket="telegram:5")
        while (await states(at_once)).count("sending"):
            await at_once.delivery.idle()
            await asyncio.sleep(0)
    assert await states(at_once) == ["sent", "sent", "sent", "ready"]


def test_limits_are_spent_for_all_or_for_none() -> None:
    paces, one, other = Paces(), limits("telegram:1"), limits("telegram:2")
    assert paces.spend_all([one, other], now=100.0)
    before = dict(paces.free)
    assert not paces.spend_all([other, one, one, one], now=100.0), "a fourth in one chat"
    assert paces.free == before
    assert paces.spend_all([other, one, one], now=100.0)


async def test_a_courier_that_stumbles_undoes_no_turn_and_leaves_the_work_to_its_worker(sqlite_url: str) -> None:
    async with rooms(sqlite_url) as house:
        woken: list[str] = []

        def stumbles(tx: Any, _asked: int) -> None:
            tx.conn.execute(t.outbox.delete())
            raise ZeroDivisionError

        house.storage.wiring.courier, house.storage.wiring.wake = stumbles, woken.append
        await house.hears("hi")
        await asyncio.sleep(0)
        assert (await states(house), woken) == (["ready"], ["outbox"])
        await house.deliver()
        assert house.sender.texts == ["heard: hi"]


async def test_nothing_is_begun_once_it_stops(sqlite_url: str) -> None:
    """It would be uncertain after the next start, and perhaps be said twice."""
    async with rooms(sqlite_url) as house:
        house.storage.wiring.courier = house.delivery.courier
        await house.delivery.stop()
        await house.hears("hi")
        await house.delivery.idle()
        assert (await states(house), house.sender.tried) == (["ready"], [])


async def test_what_a_commit_claims_while_we_stop_leaves_before_we_have_stopped(sqlite_url: str) -> None:
    """Marked as on its way, and never begun: it would be uncertain after the next start."""
    async with rooms(sqlite_url) as house:
        claimed, durable = threading.Event(), threading.Event()

        writer = house.storage._writer
        assert writer is not None
        committed = writer._committed

        def slowly() -> Exception | None:
            claimed.set()
            durable.wait(30)
            return committed()

        house.storage.wiring.courier = house.delivery.courier
        writer._committed = slowly  # type: ignore[method-assign]
        heard = asyncio.create_task(house.hears("hi"))
        await asyncio.to_thread(claimed.wait, 30)
        stopping = asyncio.create_task(house.delivery.stop())
        for _ in range(5):
            await asyncio.sleep(0)
        assert not stopping.done()
        durable.set()
        await stopping
        assert (house.sender.texts, await states(house)) == (["heard: hi"], ["sent"])
        await heard


async def test_outcomes_of_one_group_are_each_written_though_a_room_fails_over_one_of_them(sqlite_url: str) -> None:
    def breaks(_tx: Any, event: SendSettled) -> None:
        if event.payload["text"] == "3":
            raise ZeroDivisionError

    async with rooms(sqlite_url, subscribers={SendSettled: [breaks]}) as house:
        for number in range(6):
            await queue(house, str(number), lane=f"paper:{number}")
        await house.deliver()
        rows = sorted(await house.rows("outbox"), key=lambda row: row.n)
        assert [(row.state, row.ext_id) for row in rows] == [("sent", f"ext-{row.id}") for row in rows]
        assert house.delivery.counters.sent == 6


async def test_what_comes_to_its_end_while_the_last_outcomes_are_just_written_is_written_too(sqlite_url: str) -> None:
    """Whoever writes has looked for the last time, and nobody has noticed yet that it is done: no lane waits for that."""
    async with rooms(sqlite_url) as house:
        house.storage.wiring.courier, written = house.delivery.courier, asyncio.Event()

        class Noticed(Counters):
            def add(self, *names: str, via: str = "") -> None:
                super().add(*names, via=via)
                written.set()

        async def waits(_: Delivery) -> None:
            await written.wait()

        house.delivery.counters, house.sender.script = Noticed(), [None, waits]

        def unit(tx: Any) -> None:
            for lane in ("paper:1", "paper:2"):
                enqueue(tx, via="paper", lane=lane, kind="text", payload={"text": lane})

        await house.storage.write(unit)
        await left(house)
        assert (await states(house), house.delivery.counters.sent) == (["sent", "sent"], 2)


async def test_what_leaves_again_with_the_commit_that_ended_its_first_try_is_held_while_it_does(
    sqlite_url: str,
) -> None:
    """A refused file's words: were they thought to be nobody's, a laptop that slept meanwhile would ask about them."""
    async with rooms(sqlite_url) as house:
        house.storage.wiring.courier = house.delivery.courier
        under_way, arrives = asyncio.Event(), asyncio.Event()

        async def waits(_: Delivery) -> None:
            under_way.set()
            await arrives.wait()

        house.sender.script = [FileRefused("no such file", {"text": "see this"}, {"file_id": "f"}), waits]
        await queue(house, "see this", kind="photo")
        await asyncio.wait_for(under_way.wait(), 30)
        house.clock.passes(minutes=5)
        await house.delivery.run()
        assert (await row(house)).state == "sending"
        arrives.set()
        await left(house)
        assert (house.sender.texts, await states(house)) == (["see this"], ["sent", "failed"])


# ── trying again ───────────────────────────────────────────────────────────────────────────────────────────────────
def test_back_off_grows_from_a_second_to_five_minutes_with_jitter() -> None:
    for attempt in range(1, 40):
        wanted = min(LAST_BACKOFF, FIRST_BACKOFF * 2 ** min(attempt - 1, 30))
        assert wanted <= backoff(attempt) <= wanted * 1.2
    assert len({backoff(3) for _ in range(20)}) > 1
    assert backoff(100_000) >= LAST_BACKOFF
    assert backoff(0) >= FIRST_BACKOFF


@pytest.mark.parametrize("asked", [0, -5, 86_400, float("nan"), float("inf")])
async def test_an_absurd_retry_after_is_not_obeyed(sqlite_url: str, asked: float) -> None:
    async with rooms(sqlite_url) as house:
        house.sender.script = [RateLimited("429", retry_after=asked)]
        await queue(house, "a")
        due = await house.deliver()
        assert due is not None
        assert timedelta(seconds=1) <= due - NOON <= timedelta(seconds=1.2)


async def test_after_24_hours_it_is_given_up(database_url: str) -> None:
    async with rooms(database_url) as house:
        house.sender.script = [NotSent("connection refused")] * 1_000
        await queue(house, "a")
        for _ in range(30):
            await house.deliver()
            house.clock.passes(hours=1)
        assert await states(house) == ["failed"]
        assert 20 <= len(house.sender.tried) <= 30
        assert "given up after 24 hours: connection refused" in (await row(house)).error


async def test_a_refusal_is_final_and_told(database_url: str) -> None:
    told: list[SendSettled] = []
    async with rooms(
        database_url, subscribers={SendSettled: [lambda tx, event: tx.after_commit(lambda: told.append(event))]}
    ) as house:
        house.sender.script = [Refused("blocked by the user")]
        await queue(house, "a", "b")
        await house.deliver()
        assert [(one.outcome, one.error) for one in told] == [("failed", "blocked by the user"), ("sent", None)]


async def test_words_that_went_with_a_refused_file_leave_in_its_place(database_url: str) -> None:
    told: list[SendSettled] = []
    async with rooms(
        database_url, subscribers={SendSettled: [lambda tx, event: tx.after_commit(lambda: told.append(event))]}
    ) as house:
        house.sender.script = [FileRefused("no such file", {"text": "see this"}, {"file_id": "f"})]
        (first,) = await queue(house, "see this", kind="photo")
        await queue(house, "next")
        await house.deliver()
        assert house.sender.texts == ["see this", "next"]
        assert [(one.kind, one.outcome, one.payload.get("file_id")) for one in told] == [
            ("photo", "failed", "f"),
            ("text", "sent", None),
            ("text", "sent", None),
        ]
        assert told[1].outbox_id == first
        assert await states(house) == ["sent", "sent", "failed"]


async def test_a_listener_that_fails_never_makes_it_be_sent_again(database_url: str) -> None:
    def breaks(_tx: Any, _event: Any) -> None:
        raise ZeroDivisionError

    async with rooms(database_url, subscribers={SendSettled: [breaks]}) as house:
        await queue(house, "a", "b")
        await queue(house, "late", lane="paper:2", expires_at=NOON)
        await house.deliver()
        assert house.sender.texts == ["a", "b"]
        assert await states(house) == ["sent", "sent", "expired"]


# ── nobody knows ───────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("error", [Uncertain("read timeout"), RuntimeError("a bug")])
@pytest.mark.parametrize(
    ("verdict", "state", "times", "doubled"),
    [
        (Sent("found"), "sent", 1, False),
        (Verdict.ABSENT, "sent", 2, False),
        (Verdict.RESEND, "sent", 2, True),
        (Verdict.GIVE_UP, "failed", 1, False),
    ],
)
async def test_an_uncertain_send_is_never_repeated_before_its_resolver_has_spoken(
    database_url: str, error: Exception, verdict: Any, state: str, times: int, doubled: bool
) -> None:
    async with rooms(database_url) as house:
        house.sender.script = [error]
        house.sender.verdicts = [verdict]
        await queue(house, "a", "b")
        await house.deliver()
        assert await states(house) == ["uncertain", "ready"]
        assert (len(house.sender.tried), house.sender.asked) == (1, [])
        house.clock.passes(seconds=5)
        await house.deliver()
        assert await states(house) == [state, "sent"]
        assert (len(house.sender.tried), (await row(house)).doubled) == (times + 1, doubled)


async def test_a_resolver_that_must_wait_is_asked_five_times_however_often_the_send_was_retried(
    database_url: str,
) -> None:
    async with rooms(database_url) as house:
        house.sender.script = [NotSent("down")] * 9 + [Uncertain("timeout")]
        house.sender.verdicts = [Verdict.WAIT] * 4 + [Sent("found at last")]
        await queue(house, "a")
        for _ in range(10):
            await house.deliver()
            house.clock.passes(minutes=6)
        for _ in range(5):
            house.clock.passes(seconds=10)
            await house.deliver()
        assert await states(house) == ["sent"]
        assert len(house.sender.asked) == 5


async def test_a_resolver_is_asked_5_and_15_seconds_after_the_send(sqlite_url: str) -> None:
    async with rooms(sqlite_url) as house:
        house.sender.script = [Uncertain("timeout")]
        house.sender.verdicts = [Verdict.WAIT, Verdict.ABSENT]
        await queue(house, "a")
        asked = []
        for second in range(20):
            before = len(house.sender.asked)
            await house.deliver()
            asked += [second] * (len(house.sender.asked) - before)
            house.clock.passes(seconds=1)
        assert asked == [5, 15]
        assert await states(house) == ["sent"]


async def test_a_resolver_that_waits_for_ever_is_given_up(database_url: str) -> None:
    async with rooms(database_url) as house:
        house.sender.script = [Uncertain("timeout")]
        await queue(house, "a")
        for _ in range(12):
            await house.deliver()
            house.clock.passes(seconds=5)
        assert await states(house) == ["failed"]
        assert len(house.sender.tried) == 1


async def test_a_platform_that_cannot_be_asked_says_nothing_about_the_message(database_url: str) -> None:
    async with rooms(database_url) as house:
        house.sender.script = [Uncertain("timeout")]
        house.sender.verdicts = [OSError("down")] * 12 + [Verdict.ABSENT]
        await queue(house, "a")
        for _ in range(20):
            await house.deliver()
            house.clock.passes(minutes=6)
        assert house.sender.texts == ["a"]


async def test_what_was_on_its_way_in_a_crash_is_asked_about_never_just_sent_again(database_url: str) -> None:
    clock = SetClock()
    async with rooms(database_url, clock=clock) as house:
        await queue(house, "a", "b")
        await house.storage.write(house.delivery._claim)  # … and here the process dies
    async with rooms(database_url, clock=clock) as house:
        clock.passes(minutes=3)  # on PostgreSQL nobody knows of the death before its lease ends
        await house.delivery.recover()
        assert await states(house) == ["uncertain", "ready"]
        house.sender.verdicts = [Sent("it had arrived")]
        await house.deliver()
        assert house.sender.texts == ["b"]


async def test_a_crash_while_asking_is_taken_up_at_once_on_sqlite(sqlite_url: str) -> None:
    async with rooms(sqlite_url) as house:
        house.sender.script = [Uncertain("timeout")]
        await queue(house, "a")
        await house.deliver()
        house.clock.passes(seconds=5)
        await house.storage.write(house.delivery._claim)
        reborn = DeliveryLoop(house.storage, {"paper": house.sender})
        await reborn.recover()
        house.sender.verdicts = [Sent("found")]
        await reborn.run()
        await reborn.idle()
        assert await states(house) == ["sent"]


async def test_an_outcome_that_could_not_be_written_is_written_later_and_not_sent_again(database_url: str) -> None:
    """The platform has it, the database is away: the proof is kept, the lane waits."""
    async with rooms(database_url) as house:
        write, broken = house.storage.write, True

        async def flaky(unit: Any, **how: Any) -> Any:
            if broken and house.sender.sent:
                msg = "away"
                raise DatabaseFault(msg)
            return await write(unit, **how)

        house.storage.write = flaky  # type: ignore[method-assign]
        await queue(house, "a", "b")
        await house.delivery.run()
        await house.delivery.idle()
        for _ in range(3):
            with pytest.raises(DatabaseFault):
                await house.delivery.run()
        broken = False
        await house.deliver()
        assert house.sender.texts == ["a", "b"]
        assert [one.ext_id is not None for one in await house.rows("outbox")] == [True, True]


async def test_a_claim_whose_answer_was_lost_is_not_held_for_ever(database_url: str) -> None:
    async with rooms(database_url) as house:
        await queue(house, "a")
        await house.storage.write(house.delivery._claim)  # committed, and then the connection broke
        house.sender.verdicts = [Verdict.ABSENT]
        await house.deliver()
        assert house.sender.sent == []
        house.clock.passes(minutes=3)
        await house.deliver()
        assert house.sender.texts == ["a"]


# ── many nodes ─────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_two_nodes_on_one_database_send_nothing_twice_and_all_in_order(postgres_url: str) -> None:
    async with rooms(postgres_url) as house:
        other = Storage(postgres_url, house.clock)
        sent: list[str] = []

        class Shared(PaperSender):
            async def send(self, delivery: Delivery) -> Sent:
                sent.append(delivery.payload["text"])
                await asyncio.sleep(0)
                return Sent()

        loops = [DeliveryLoop(store, {"paper": Shared()}) for store in (house.storage, other)]
        for lane in range(6):
            await queue(house, *(f"{lane}-{n}" for n in range(8)), lane=f"paper:{lane}")
        async with asyncio.timeout(60):
            while any(one.state != "sent" for one in await house.rows("outbox")):
                await asyncio.gather(*(loop.run() for loop in loops))
                await asyncio.gather(*(loop.idle() for loop in loops))
        assert len(sent) == len(set(sent)) == 48
        for lane in range(6):
            assert [one for one in sent if one.startswith(f"{lane}-")] == [f"{lane}-{n}" for n in range(8)]
        await other.close()


async def test_a_node_that_slept_through_its_lease_sends_and_writes_nothing(postgres_url: str) -> None:
    async with rooms(postgres_url) as house:
        await queue(house, "a")
        (claimed, _), *_ = [await house.storage.write(house.delivery._claim)]
        house.clock.passes(minutes=3)
        other = DeliveryLoop(house.storage, {"paper": house.sender})
        await house.delivery._send(claimed[0][0])
        assert house.sender.tried == []
        house.sender.verdicts = [Sent("found by the other")]
        await other.run()
        await other.idle()
        house.delivery._conclude(house.delivery._outcomes.refused(claimed[0][0], Refused("too late")))
        await house.delivery.idle()
        assert (await row(house)).ext_id == "found by the other"
        assert await states(house) == ["sent"]


async def test_a_live_nodes_lease_is_respected(postgres_url: str) -> None:
    async with rooms(postgres_url) as house:
        await queue(house, "a")
        await house.storage.write(house.delivery._claim)
        other = DeliveryLoop(house.storage, {"paper": house.sender})
        house.clock.passes(seconds=SHARED_LEASE.total_seconds() - 1)
        await other.run()
        await other.idle()
        assert (await states(house), house.sender.asked) == (["sending"], [])


# ── pace ───────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_chat_bursts_then_keeps_the_platforms_pace_and_others_are_free() -> None:
    paces, chat = Paces(), limits("telegram:1", "text")
    at, spent = 100.0, list[float]()
    while len(spent) < 10:
        wait, _ = paces.wait(chat, at)
        if wait == 0:
            spent.append(at)
        at += wait
    assert spent[2] == spent[0], "three at once"
    assert spent[-1] - spent[2] == pytest.approx(7, abs=0.01)
    assert paces.wait(limits("telegram:2", "text"), at)[0] == 0
    assert paces.wait(limits(None), at)[0] == paces.wait(limits("web:1"), at)[0] == 0


async def test_a_chat_over_its_pace_waits_and_says_until_when(sqlite_url: str) -> None:
    async with rooms(sqlite_url) as house:
        house.delivery.senders["telegram"] = house.sender
        await queue(house, *"abcdefgh", lane="telegram:1", via="telegram", bucket="telegram:1")
        due = None
        while due is None or due <= house.clock.now:
            due = await house.delivery.run()
            await house.delivery.idle()
        assert 3 <= len(house.sender.sent) <= 5
        assert due <= NOON + timedelta(seconds=1.1)


def test_each_row_spends_the_limits_of_its_place_its_method_and_its_platform() -> None:
    def names(*args: Any, **how: Any) -> list[str]:
        return [one.name for one in limits(*args, **how)]

    assert names("telegram:42", "text") == ["telegram:42", "telegram.all"]
    assert names("telegram:-100", "text") == ["telegram:-100.group", "telegram:-100", "telegram.all"]
    assert names("telegram:42", "text", bulk=True) == ["telegram:42", "telegram.bulk", "telegram.all"]
    assert names("slack:C1", "thread") == names("slack:C1", "text") == ["slack:C1", "slack.all"]
    assert names("slack:C1", "card") == names("slack:D1", "edit") == ["slack.update"]
    assert names("slack:C1", "mark") == ["slack.react"]
    assert names("slack:C1", "thread", asks=True) == ["slack.ask"]
    assert names("telegram:42", "text", asks=True) == names(None, "fetch") == names("web:1", "text") == []


def spent_within(spends: Any, seconds: float, tries: int = 400) -> int:
    """How many leave in the first so many seconds when somebody always wants to."""
    paces, at, count = Paces(), 1_000.0, 0
    for _ in range(tries):
        wait, _ = paces.wait(spends, at)
        at += wait
        if at >= 1_000 + seconds:
            break
        count += wait == 0
    return count


@pytest.mark.parametrize(
    ("bucket", "kind", "seconds", "most"),
    [
        ("telegram:-100", "text", 60, 20),  # a group takes 20 a minute
        ("telegram:1", "text", 60, 62),
        ("slack:C1", "card", 60, 50),  # tier 3
        ("slack:C1", "tell", 60, 100),  # tier 4
    ],
)
def test_no_minute_sees_more_than_the_platform_takes(bucket: str, kind: str, seconds: float, most: int) -> None:
    count = spent_within(limits(bucket, kind), seconds)
    assert most * 0.8 <= count <= most


@pytest.mark.parametrize(
    ("places", "bulk", "seconds", "most"),
    [("telegram", False, 1, 30), ("telegram", True, 1, 24), ("slack", False, 60, 200)],
)
def test_all_places_together_keep_the_platforms_limit(places: str, bulk: bool, seconds: float, most: int) -> None:
    paces, at, count = Paces(), 0.0, 0
    for number in range(1_000):
        wait, slowest = paces.wait(limits(f"{places}:{number}", "text", bulk=bulk), at)
        assert slowest is None or slowest.is_wide
        at += wait
        if at >= seconds:
            break
        count += wait == 0
    assert most * 0.8 <= count <= most


def test_bulk_leaves_room_for_replies() -> None:
    """Of Telegram's 25 a second, five are never given to what nobody waits for."""
    paces, bulk, replies, at = Paces(), 0, 0, 0.0
    for tick in range(1_000):
        at = tick / 100  # ten seconds
        while paces.wait(limits(f"telegram:b{tick}.{bulk}", "text", bulk=True), at)[0] == 0:
            bulk += 1
        if tick % 20 == 0:
            reply = limits(f"telegram:r{tick}", "text")
            wait, _ = paces.wait(reply, at)
            assert wait <= 1 / 25 + 0.001, "a reply waits for nobody's news"
            assert wait == 0 or paces.wait(reply, at + wait)[0] == 0
            replies += 1
    assert replies == 50
    assert 190 <= bulk <= 210


async def delivered(house: Rooms, seconds: int) -> None:
    """Let the platform take what it may for so many seconds; the house's clock is the paces' too."""
    for _ in range(seconds * 5):
        await house.deliver()
        house.clock.passes(seconds=0.2)


@pytest.fixture
def house_time(monkeypatch: pytest.MonkeyPatch) -> SetClock:
    """A clock by which paces count as well, so that seconds pass when the test says so."""
    clock = SetClock()
    monkeypatch.setattr(claims, "monotonic", lambda: clock().timestamp())
    return clock


async def test_a_customer_with_a_thousand_lines_takes_turns_with_the_others(
    database_url: str, house_time: SetClock
) -> None:
    async with rooms(database_url, clock=house_time) as house:
        house.delivery.senders["telegram"] = house.sender
        for number in range(40):  # enough of them to fill all that Telegram takes
            lines = [f"{number}:{line}" for line in range(25)]
            await queue(house, *lines, lane=f"telegram:{number}", via="telegram", bucket=f"telegram:{number}")
            house.clock.passes(seconds=0.001)
        await delivered(house, 2)
        house.sender.sent.clear()
        for number in range(100, 110):
            await queue(house, f"{number}:0", lane=f"telegram:{number}", via="telegram", bucket=f"telegram:{number}")
        await delivered(
            house, 3
        )  # one round of all; the others' second and third lines, which may leave at once, come after
        assert {f"{number}:0" for number in range(100, 110)} <= set(house.sender.texts)
        await delivered(house, 4)  # one round of all
        for number in range(40):
            lines = [one for one in house.sender.texts if one.startswith(f"{number}:")]
            assert lines == sorted(lines, key=lambda one: int(one.split(":")[1])), "in order"


async def test_a_full_channel_hides_no_other_and_no_other_customers(database_url: str, house_time: SetClock) -> None:
    """A hundred cases wait for one Slack channel, which takes one post a second: Telegram goes on, and the next channel."""
    async with rooms(database_url, clock=house_time) as house:
        other = PaperSender("telegram")
        house.delivery.senders = {"slack": house.sender, "telegram": other}
        for number in range(100):
            await queue(house, f"C1:{number}", lane=f"case:{number}", via="slack", bucket="slack:C1")
        await queue(house, "C2", lane="case:x", via="slack", bucket="slack:C2")
        await queue(house, "T", lane="telegram:1", via="telegram", bucket="telegram:1")
        await house.deliver()
        assert other.texts == ["T"]
        assert "C2" in house.sender.texts
        await delivered(house, 20)
        posts = [one for one in house.sender.texts if one.startswith("C1:")]
        assert posts == [f"C1:{number}" for number in range(len(posts))], "in the order in which they were asked for"
        assert 18 <= len(posts) <= 24


async def test_lanes_that_share_a_place_show_up_in_the_order_in_which_they_came(
    database_url: str, house_time: SetClock
) -> None:
    """Cards of many cases in one Slack channel: who comes later never overtakes, nor while Slack asks to wait."""
    async with rooms(database_url, clock=house_time) as house:
        house.delivery.senders = {"slack": house.sender}
        house.sender.script = [None, None, RateLimited("429", retry_after=7)]
        now, most = 0, 0

        async def slowly(_: Delivery) -> None:
            nonlocal now, most
            now, most = now + 1, max(most, now + 1)
            await asyncio.sleep(0)
            now -= 1

        house.sender.script += [slowly] * 40
        for number in range(30):
            await queue(house, str(number), lane=f"case:{number}", via="slack", bucket="slack:C1", kind="root")
            await house.deliver()
            house.clock.passes(seconds=0.31)
        await delivered(house, 40)
        assert house.sender.texts == [str(number) for number in range(30)]
        assert most == 1, "one at a time: two that are under way may arrive the other way round"


async def test_lanes_that_share_a_place_stand_in_line_over_all_nodes(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One node has looked which rows are due, and before it takes one the other has begun to post in that channel."""
    async with rooms(postgres_url) as house:
        house.delivery.senders = {"slack": house.sender}
        other = DeliveryLoop(house.storage, {"slack": house.sender})
        for number in range(2):
            await queue(house, str(number), lane=f"case:{number}", via="slack", bucket="slack:C1", kind="root")
        look = outbox_rows._due

        class Looks:
            def all(self, conn: Any, **given: Any) -> list[Any]:
                found = look((("slack", False),)).all(conn, **given)
                monkeypatch.setattr(outbox_rows, "_due", look)
                await_only(house.storage.write(other._claim))
                return found

        monkeypatch.setattr(outbox_rows, "_due", lambda _windows: Looks())
        claimed, _ = await house.storage.write(house.delivery._claim)
        assert claimed == []
        assert await states(house) == ["sending", "ready"]


async def test_who_waits_in_line_for_more_than_a_minute_is_told_of(sqlite_url: str, house_time: SetClock) -> None:
    told: list[SendDelayed] = []
    async with rooms(
        sqlite_url,
        clock=house_time,
        subscribers={SendDelayed: [lambda tx, event: tx.after_commit(lambda: told.append(event))]},
    ) as house:
        house.delivery.senders = {"slack": house.sender}
        for number in range(70):
            await queue(house, "x", lane=f"case:{number}", via="slack", bucket="slack:C1", message_id=f"m{number}")
        await delivered(house, 58)
        assert told == []
        await delivered(house, 15)
        waited = [row.message_id for row in await house.rows("outbox") if row.delayed_at is not None]
        assert [one.message_id for one in told] == waited
        assert 5 <= len(told) <= 10


async def test_replies_go_before_what_nobody_waits_for(database_url: str, house_time: SetClock) -> None:
    async with rooms(database_url, clock=house_time) as house:
        house.delivery.senders["telegram"] = house.sender
        for number in range(60):
            lane = f"telegram:{number}"
            await queue(house, f"survey {number}", lane=lane, via="telegram", bucket=lane, bulk=True)
        await queue(house, "reply", lane="telegram:x", via="telegram", bucket="telegram:x")
        await house.deliver()
        assert house.sender.texts[0] == "reply"
        await delivered(house, 4)
        assert len(house.sender.texts) == 61


async def test_a_method_of_slacks_that_is_asked_to_wait_holds_up_that_method_alone(
    database_url: str, house_time: SetClock
) -> None:
    async with rooms(database_url, clock=house_time) as house:
        house.delivery.senders["slack"] = house.sender
        house.sender.script = [RateLimited("429", retry_after=30)]

        def unit(tx: Any) -> None:
            for kind, channel in (("card", "C1"), ("redraw", "C2"), ("thread", "C1"), ("mark", "C1")):
                payload = {"text": f"{kind} {channel}"}
                enqueue(
                    tx, via="slack", lane=f"{kind}:{channel}", kind=kind, payload=payload, bucket=f"slack:{channel}"
                )

        await queue(house, "card C3", lane="first", via="slack", bucket="slack:C3", kind="card")
        await house.deliver()
        await house.storage.write(unit)
        await house.deliver()
        assert sorted(house.sender.texts) == ["mark C1", "thread C1"]
        assert house.delivery.counters.rate_limited_by == {"slack": 1}
        await delivered(house, 40)
        assert len(house.sender.texts) == 5


async def test_a_clock_that_is_set_back_holds_nothing_up(database_url: str) -> None:
    """F37: what was to be tried again in two seconds by the old time is not kept for an hour."""
    async with rooms(database_url) as house:
        house.sender.script = [NotSent("down"), RateLimited("429", 30), None]
        await queue(house, "a")
        await queue(house, "b", "c", lane="paper:2")
        await house.deliver()
        house.clock.passes(hours=-1)
        await house.deliver()
        assert sorted(house.sender.texts) == ["a", "b", "c"]


async def test_a_clock_that_was_set_back_while_we_were_down_holds_nothing_up(database_url: str) -> None:
    async with rooms(database_url) as house:
        await queue(house, "a")
        house.clock.passes(days=-1)
        reborn = DeliveryLoop(house.storage, {"paper": house.sender})
        await reborn.recover()
        await reborn.run()
        await reborn.idle()
        assert house.sender.texts == ["a"]


async def test_what_leaves_more_than_a_minute_late_is_told_once_and_by_then_only(database_url: str) -> None:
    told: list[SendDelayed] = []
    clock = SetClock()
    async with rooms(
        database_url,
        clock=clock,
        subscribers={SendDelayed: [lambda tx, event: tx.after_commit(lambda: told.append(event))]},
    ) as house:
        await house.hears("hi")
        who = await house.customer()
        house.sender.script = [RateLimited("429", retry_after=50), RateLimited("429", retry_after=50), NotSent("down")]
        await house.storage.write(lambda tx: say(tx, who, Body(text="from Ann"), author=ANN))
        await house.deliver()
        assert told == [], "fifty seconds are not a minute"
        clock.passes(seconds=51)
        await house.deliver()
        assert [one.via for one in told] == ["paper"] * 2, "the head of the lane, and who stands behind it"
        clock.passes(seconds=51)
        await house.deliver()
        clock.passes(seconds=60)
        await house.deliver()
        assert house.sender.texts == ["heard: hi", "from Ann"]
        assert len(told) == 2


async def test_a_room_that_fails_over_a_delay_does_not_stop_the_sends(database_url: str) -> None:
    def breaks(_tx: Any, _event: Any) -> None:
        raise ZeroDivisionError

    async with rooms(database_url, subscribers={SendDelayed: [breaks]}) as house:
        await house.hears("hi")
        house.sender.script = [RateLimited("429", retry_after=300)]
        await house.deliver()
        house.clock.passes(seconds=301)
        await house.deliver()
        assert house.sender.texts == ["heard: hi"]


async def test_nothing_leaves_beside_what_is_under_way_in_its_lane_even_where_an_earlier_number_comes_later(
    database_url: str,
) -> None:
    """Numbers are given before their commits: on PostgreSQL an earlier row may turn up while a later one is being sent."""
    async with rooms(database_url) as house:
        await queue(house, "b")
        await house.storage.write(house.delivery._claim)

        def earlier(tx: Any) -> None:
            tx.conn.execute(t.outbox.update().values(n=7))
            outbox_rows.add(tx, {**late_row(), "n": 3, "due_at": tx.now})

        await house.storage.write(earlier)
        other = DeliveryLoop(house.storage, {"paper": house.sender})
        other._claims._stranded_at = house.clock.now  # it believes that the first one lives
        claimed, _ = await house.storage.write(other._claim)
        assert claimed == []


def late_row() -> dict[str, Any]:
    return {"id": "late", "lane": "paper:1", "via": "paper", "kind": "text", "payload": {"text": "a"}}
