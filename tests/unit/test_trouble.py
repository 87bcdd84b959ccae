"""What an operator sees of what went wrong, and what `audit --retry` and `--drop` do about it."""

from __future__ import annotations

import json
from collections.abc import Coroutine
from typing import Any

import pytest
from sqlalchemy import update

from bot import figures, replays, timers
from bot.doctor import FAULT, OK, WARNING, standby
from bot.errors import Conflict, RateLimited, Uncertain
from bot.model import BOT, Body, Inbound, Sender, Wrote
from bot.outbox import enqueue, say
from bot.replays import Replays
from bot.storage import counts, letters, replication, trouble
from bot.storage import tables as t
from bot.storage.engine import Storage
from bot.turn import Turn
from channels.port import Verdict
from tests.support.rooms import NOON, Rooms, rooms

KARI = Sender("paper", "kari", address="kari", name="Kari", locale="en")


async def found(house: Rooms) -> list[trouble.Trouble]:
    return await house.storage.read(lambda conn: trouble.find(conn, house.clock()))


async def kinds(house: Rooms) -> list[str]:
    return [one.kind for one in await found(house)]


def reading(house: Rooms, *, fails: str = "") -> list[Any]:
    """Let dead letters of `paper` be read again as words; returns the errands that were run."""
    errands: list[Coroutine[Any, Any, None]] = []

    async def read_again(raw: bytes) -> None:
        if fails:
            raise ValueError(fails)
        told = json.loads(raw)
        await house.inbox.receive(Inbound("paper", told["id"], KARI, Wrote(told["text"]), raw=raw))

    house.ringers[replays.KIND] = Replays(house.storage, {"paper": read_again}, errands.append).due
    return errands


async def run(house: Rooms, errands: list[Any]) -> None:
    await house.timers.run()
    for errand in errands:
        await errand


async def test_all_that_went_wrong_is_listed_by_kind(database_url: str) -> None:
    def breaks(_turn: Turn) -> bool:
        raise ZeroDivisionError

    async with rooms(database_url, takers=[breaks]) as house:
        await house.hears("hi")
        for _ in range(6):
            await house.inbox.run()
            house.clock.passes(minutes=1)
        await house.inbox.drop("paper", b"garbage", "not JSON")
        house.sender.script = [RateLimited("429", 300), Uncertain("timeout")]
        house.sender.verdicts = [Verdict.GIVE_UP]
        who = await house.customer()
        await house.storage.write(lambda tx: say(tx, who, Body(text="slow"), author=BOT))
        await house.storage.write(lambda tx: enqueue(tx, via="paper", lane="x", kind="text", payload={"text": "y"}))
        await house.deliver()
        listed = {one.kind: one for one in await found(house)}
        assert listed.keys() == {"dead", "delayed", "uncertain"}
        assert listed["delayed"].why.startswith("429; next try ")
        assert (await house.storage.read(counts.read)).outbox_delayed == 1
        house.clock.passes(seconds=10)
        await house.deliver()
        assert "failed" in await kinds(house)
        house.clock.passes(minutes=20)
        assert "stuck" in await kinds(house)


@pytest.mark.parametrize(
    "instead", [9, 2, None], ids=["a hole", "a hole beside a number that is there twice", "too few"]
)
async def test_numbers_that_are_not_one_each_are_told(database_url: str, instead: int | None) -> None:
    async with rooms(database_url) as house:
        for words in ("one", "two"):
            await house.hears(words)
        assert await kinds(house) == []
        m = t.messages
        await house.storage.write(lambda tx: tx.conn.execute(update(m).where(m.c.seq == 3).values(seq=instead)))
        assert await kinds(house) == ["gap"]


async def test_a_dead_letter_is_replayed_from_its_raw_copy(database_url: str) -> None:
    async with rooms(database_url) as house:
        errands = reading(house)
        await house.inbox.drop("paper", b'{"id": "u7", "text": "at last"}', "a kind that we did not know")
        (dead,) = await found(house)
        done = await house.storage.write(lambda tx: trouble.retry(tx, dead.id))
        assert "read again" in done
        await run(house, errands)
        assert await house.words(await house.customer()) == ["at last"]
        assert await found(house) == []


async def test_what_was_taken_meanwhile_is_no_second_message(database_url: str) -> None:
    async with rooms(database_url) as house:
        errands = reading(house)
        await house.hears("at last", key="u7")
        await house.inbox.drop("paper", b'{"id": "u7", "text": "at last"}', "unlucky")
        (dead,) = await found(house)
        await house.storage.write(lambda tx: trouble.retry(tx, dead.id))
        await run(house, errands)
        assert await house.words(await house.customer()) == ["at last"]


@pytest.mark.parametrize("source", ["paper", "stone"])
async def test_what_still_cannot_be_read_stays_and_says_why(sqlite_url: str, source: str) -> None:
    async with rooms(sqlite_url) as house:
        errands = reading(house, fails="no such field")
        await house.inbox.drop(source, b"{}", "unlucky")
        (dead,) = await found(house)
        await house.storage.write(lambda tx: trouble.retry(tx, dead.id))
        await run(house, errands)
        (still,) = await found(house)
        assert still.id == dead.id
        assert still.why == "tried again: " + ("no such field" if source == "paper" else "stone is not turned on")
        await house.storage.write(lambda tx: trouble.drop(tx, dead.id))
        assert await found(house) == []


async def test_a_widgets_frame_can_not_be_replayed_and_says_what_to_do(sqlite_url: str) -> None:
    async with rooms(sqlite_url) as house:
        await house.inbox.drop("web", b"{", "not JSON")
        (dead,) = await found(house)
        with pytest.raises(Conflict, match="--drop"):
            await house.storage.write(lambda tx: trouble.retry(tx, dead.id))


async def test_a_dead_timer_is_set_again_with_all_that_it_knew(database_url: str) -> None:
    async with rooms(database_url) as house:
        rung: list[Any] = []
        broken = True

        def ring(_tx: Any, timer: Any) -> None:
            if broken:
                raise ZeroDivisionError
            rung.append((timer.key, timer.data, timer.case_id))

        house.ringers["bell"] = ring
        await house.storage.write(
            lambda tx: timers.set_timer(tx, "bell", "bell:1", tx.now, case_id="c1", data={"a": [1]})
        )
        for _ in range(8):
            await house.timers.run()
            house.clock.passes(minutes=1)
        (dead,) = await found(house)
        assert dead.kind == "dead"
        broken = False
        await house.storage.write(lambda tx: trouble.retry(tx, dead.id))
        await house.timers.run()
        assert rung == [("bell:1", {"a": [1]}, "c1")]
        assert await found(house) == []


async def test_rubbish_can_not_fill_the_disk(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many of a source are kept a day; the last says that more came. All are counted; other sources have their own."""
    monkeypatch.setattr(letters, "PER_DAY", 5)
    async with rooms(sqlite_url) as house:
        for number in range(20):
            await house.inbox.drop("web", b"%d" % number, "not JSON")
        await house.inbox.drop("paper", b"x", "not JSON")
        kept = await house.rows("dead_letters")
        assert [row.raw for row in kept if row.source == "web"] == [b"0", b"1", b"2", b"3", b"4", None]
        assert "not kept" in kept[5].error
        assert sum(row.source == "paper" for row in kept) == 1
        assert house.inbox.dropped == 21
        house.clock.passes(days=1)
        await house.inbox.drop("web", b"tomorrow", "not JSON")
        assert len(await house.rows("dead_letters")) == 8
        house.clock.passes(days=31)
        await house.inbox.forget_old()
        assert await house.rows("dead_letters") == []


async def test_the_figures_tell_what_waits_and_who_asked_to_wait(sqlite_url: str) -> None:
    async with rooms(sqlite_url) as house:
        house.sender.script = [RateLimited("429", 300)]
        await house.hears("hi")
        await house.deliver()
        house.clock.passes(seconds=90)
        counted = await house.storage.read(counts.read)
        assert counted.outbox_oldest == NOON
        limited = figures.by_channel("rate_limited_total", house.delivery.counters.rate_limited_by, ["paper", "slack"])
        told = figures.render(
            counted, house.clock(), {**figures.of_delivery(house.delivery.counters), **limited}
        ).decode()
        for line in (
            "outbox_oldest_seconds 90.0",
            "outbox_delayed 1.0",
            'rate_limited_total{channel="paper"} 1.0',
            'rate_limited_total{channel="slack"} 0.0',
            "outbox_retried_total 1.0",
            "outbox_leases_lost_total 0.0",
        ):
            assert line in told, line


# ── doctor: F34 ────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("commit", "names", "there", "level", "told"),
    [
        ("on", "", 0, OK, "no synchronous standby"),
        ("on", "ANY 1 (a, b)", 1, OK, "loses nothing"),
        ("remote_apply", "a", None, OK, "loses nothing"),
        ("on", "a", 0, FAULT, "commits wait for it"),
        ("off", "", 0, WARNING, "acknowledged before it is safe"),
        ("local", "a", 1, WARNING, "acknowledged before it is safe"),
    ],
)
def test_doctor_tells_in_one_line_whether_a_failover_loses_anything(
    commit: str, names: str, there: int | None, level: str, told: str
) -> None:
    finding = standby(commit, names, there)
    assert finding.level == level
    assert told in str(finding)
    assert "\n" not in str(finding)


async def test_f34_a_plain_postgresql_has_no_standby(postgres_url: str) -> None:
    storage = Storage(postgres_url)
    commit, names, there = await storage.read(replication.read)
    await storage.close()
    assert (names, there) == ("", 0)
    assert standby(commit, names, there).level in {OK, WARNING}
