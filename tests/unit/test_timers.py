"""What is due later rings once, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest

from bot.storage import letters
from bot.storage.engine import Storage
from bot.storage.tx import Tx
from bot.timers import Timer, Timers, cancel, set_timer
from bot.worker import Worker
from tests.support.rooms import NOON, Rooms, SetClock, rooms

SOON = NOON + timedelta(minutes=5)


async def put(house: Rooms, key: str = "k", kind: str = "bell", due: Any = SOON, **more: Any) -> None:
    await house.storage.write(lambda tx: set_timer(tx, kind, key, due, **more))


async def test_it_rings_once_and_not_before(database_url: str) -> None:
    async with rooms(database_url) as house:
        rung: list[Timer] = []
        house.ringers["bell"] = lambda _, timer: rung.append(timer)
        await put(house, data={"of": 1})
        assert await house.timers.run() == SOON
        house.clock.passes(minutes=5)
        assert await house.timers.run() is None
        await house.timers.run()
        assert [timer.data for timer in rung] == [{"of": 1}]


async def test_setting_it_again_moves_it_and_cancelling_ends_it(database_url: str) -> None:
    async with rooms(database_url) as house:
        rung: list[str] = []
        house.ringers["bell"] = lambda _, timer: rung.append(timer.key)
        await put(house)
        await put(house, due=SOON + timedelta(hours=1))
        await put(house, "gone")
        await house.storage.write(lambda tx: cancel(tx, "gone"))
        house.clock.passes(minutes=5)
        assert await house.timers.run() == SOON + timedelta(hours=1)
        house.clock.passes(hours=1)
        await house.timers.run()
        assert rung == ["k"]


async def test_f38_two_nodes_ring_it_once(postgres_url: str) -> None:
    async with rooms(postgres_url) as house:
        rung: list[str] = []
        house.ringers["bell"] = lambda tx, timer: rung.append(timer.key)
        other = Storage(postgres_url, house.clock)
        second = Timers(other, house.ringers)
        for number in range(10):
            await put(house, f"k{number}")
        house.clock.passes(minutes=5)
        await asyncio.gather(house.timers.run(), second.run(), house.timers.run(), second.run())
        assert sorted(rung) == sorted(f"k{number}" for number in range(10))
        await other.close()


async def test_a_timer_that_fails_leaves_nothing_half_done_backs_off_and_becomes_a_dead_letter(
    database_url: str,
) -> None:
    async with rooms(database_url) as house:
        tried: list[Any] = []

        def breaks(tx: Tx, timer: Timer) -> None:
            tried.append((house.clock.now - SOON).total_seconds())
            set_timer(tx, "bell", "half", NOON)
            raise ZeroDivisionError

        house.ringers["bell"] = breaks
        good: list[str] = []
        house.ringers["good"] = lambda _, timer: good.append(timer.key)
        await put(house)
        await put(house, "other", "good")
        house.clock.passes(minutes=5)
        while (due := await house.timers.run()) is not None:
            house.clock.now = due
        assert tried == [0, 2, 6, 14, 30]
        assert good == ["other"]
        assert await house.rows("timers") == []
        buried = await house.rows("dead_letters")
        assert [(one.source, one.key) for one in buried] == [("timer", "k")]
        assert "ZeroDivisionError" in buried[0].error


async def test_a_kind_that_nobody_knows_is_kept_for_inspection(database_url: str) -> None:
    async with rooms(database_url) as house:
        await put(house, kind="of tomorrow", due=NOON)
        await house.timers.run()
        assert [one.key for one in await house.rows("dead_letters")] == ["k"]


async def test_however_many_timers_nobody_knows_each_is_kept_and_so_is_what_is_set_again_by_a_name(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a step back to an older program they stand nowhere else: what keeps rubbish from the disk is not for them."""
    monkeypatch.setattr(letters, "PER_DAY", 2)
    async with rooms(sqlite_url) as house:
        for number in (1, 2):
            for key in "abcd":
                await put(house, key, kind="of tomorrow", due=NOON, data={"number": number})
            await house.timers.run()
        kept = [(one.key, json.loads(one.raw)["data"]["number"]) for one in await house.rows("dead_letters")]
        assert sorted(kept) == [(key, number) for key in "abcd" for number in (1, 2)]


async def test_a_worker_sleeps_until_due_or_woken_and_survives_a_failure() -> None:
    clock, calls, seen = SetClock(), 0, asyncio.Event()

    async def work() -> Any:
        nonlocal calls
        calls += 1
        seen.set()
        if calls == 1:
            raise ZeroDivisionError
        return None

    worker = Worker("w", work, clock)
    worker.start()
    for wanted in (1, 2, 3):
        await asyncio.wait_for(seen.wait(), 5)
        seen.clear()
        assert calls == wanted
        await asyncio.sleep(0)
        assert (worker.fault is not None) == (wanted == 1)
        worker.wake()
    await worker.stop()


def test_a_worker_never_sleeps_through_a_jump_of_the_clock() -> None:
    async def work() -> Any:
        return None

    worker = Worker("w", work, SetClock())
    assert worker._until(NOON + timedelta(hours=5)) == 60
    assert worker._until(NOON + timedelta(seconds=5)) == 5
    assert worker._until(NOON - timedelta(seconds=5)) == 0
    assert worker._until(None) is None
