"""Who is asked once more after an absence, and who is left alone: the sweep, the turn that asks, and what it reads."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import count
from typing import Any

import pytest_asyncio
from sqlalchemy import Connection, event, select

from bot import absence, outbox
from bot.events import EscalationAsked
from bot.model import BOT, Body, CaseStatus, Choice
from bot.storage import asked_rows, history, merging, timer_rows
from bot.storage import tables as t
from bot.timers import Timers
from handoff import cases, store
from handoff.case import Case
from tests.unit.handoff_house import House, build

LONG = timedelta(hours=2)
NUMBERS = count(1)


@pytest_asyncio.fixture
async def house(database_url: str) -> AsyncIterator[House]:
    built = await build(database_url)
    await built.do(absence.heard, "telegram")
    yield built
    await built.storage.close()


async def asked(house: House, name: str) -> str:
    """A new customer who wrote, and was asked something with buttons in their case."""
    customer_id = await house.newcomer(name, channel="telegram")
    await house.writes(customer_id, "my parcel")
    await ask(house, customer_id, (await live(house, customer_id)).id)
    return customer_id


async def ask(house: House, customer_id: str, case_id: str | None = None) -> None:
    body = Body("Is it this one?", choices=(Choice("yes", "Yes"), Choice("no", "No")))
    await house.do(outbox.say, customer_id, body, author=BOT, case_id=case_id)
    await arrives(house)


async def arrives(house: House) -> None:
    """Whatever was said has left, and Telegram has given it its number."""
    o = t.outbox.c
    for row in await house.look(lambda conn: conn.execute(select(o.id).where(o.state == "ready")).all()):
        await house.do(outbox.settle, row.id, "sent", ext_id=f"1:{next(NUMBERS)}")


async def live(house: House, customer_id: str) -> Case:
    case = await house.look(store.live_case, customer_id)
    assert case is not None
    return case


async def escalated(house: House, customer_id: str) -> Case:
    case = await house.do(cases.on_escalation, EscalationAsked(customer_id, "asked"))
    await arrives(house)
    return case


async def claimed(house: House, customer_id: str) -> Case:
    return await house.do(cases.claim, (await live(house, customer_id)).id, "ann", desk="wall")


async def comes_back(house: House) -> set[str]:
    """After two hours; the names of those who are asked again."""
    house.now += LONG
    await house.do(absence.heard, "telegram")
    house.now += absence.CATCH_UP
    timers = Timers(house.storage, {absence.SWEEP: absence.sweep, absence.ASK: absence.ask})
    for _ in range(2):  # the sweep, then those whom it found
        await timers.run()
    return await asked_again(house)


async def asked_again(house: House) -> set[str]:
    o, who = t.outbox.c, t.customers.c
    query = select(who.name, o.payload).join_from(t.outbox, t.customers, o.customer_id == who.id)
    rows = await house.look(lambda conn: conn.execute(query).all())
    return {row.name for row in rows if "so I ask once more" in row.payload["text"]}


async def ends(house: House, customer_id: str) -> None:
    """As a case ends of which the customer is not told."""
    await house.do(cases.resolve, (await live(house, customer_id)).id, "ann", "spam")


async def test_f20_who_has_answered_talks_with_a_person_or_is_done_is_left_alone(house: House) -> None:
    kari, ola, per, eva, liv, nils, siri, tor = [
        await asked(house, name) for name in ("Kari", "Ola", "Per", "Eva", "Liv", "Nils", "Siri", "Tor")
    ]
    house.now += timedelta(minutes=1)
    await house.writes(ola, "the first one")
    await escalated(house, per)
    for one in (eva, liv, nils):
        await claimed(house, one)
    await house.do(cases.await_customer, (await live(house, liv)).id, "ann", desk="wall")
    tomorrow = house.now + timedelta(days=1)
    await house.do(cases.snooze, (await live(house, nils)).id, "ann", tomorrow, desk="wall")
    for one in (eva, liv, nils):
        await ask(house, one)  # as a notice does, whoever they talk with
    for one in (siri, tor):
        await ends(house, one)
    await arrives(house)
    last = [(await house.look(history.latest, one, 1))[0] for one in (kari, eva, liv, nils, siri, tor)]
    assert [one.body.text for one in last] == ["Is it this one?"] * 6, "only their case says that it is no more open"
    await ask(house, tor)  # as a survey's question: after the end, and about it
    assert await comes_back(house) == {"Kari", "Tor"}


async def test_f20_what_is_offered_in_the_queue_stands_and_a_question_from_before_it_does_not(house: House) -> None:
    """That one is the last of a history that came by a merge: its number is new, its time is not."""
    kari, other, ola = [await asked(house, name) for name in ("Kari", "Kari elsewhere", "Ola")]
    await ask(house, other)
    house.now += timedelta(minutes=1)
    for one in (kari, ola):
        await escalated(house, one)
    await ask(house, ola)
    await house.do(merging.merge, kari, other, "linked")
    assert (await house.look(history.since, kari, 0))[-1].message.body.choices
    assert await comes_back(house) == {"Ola"}


async def test_f20_who_is_taken_between_the_sweep_and_the_asking_is_left_alone(house: House) -> None:
    kari = await asked(house, "Kari")
    await asked(house, "Ola")
    await house.later(hours=2)
    await house.do(absence.heard, "telegram")
    house.now += absence.CATCH_UP
    (due,) = await house.look(timer_rows.due, house.now)
    await house.do(absence.sweep, due)
    await house.do(store.change, await live(house, kari), status=CaseStatus.OPEN)  # and not a word of it so far
    for timer in await house.look(timer_rows.due, house.now):
        if timer.kind == absence.ASK:
            await house.do(absence.ask, timer)
    assert await asked_again(house) == {"Ola"}


async def test_f20_the_sweep_reads_no_history_from_end_to_end(house: House) -> None:
    """However many conversations there are: it is asked at a start, where everybody waits."""
    await asked(house, "Kari")

    def plan(conn: Connection) -> str:
        seen: list[tuple[str, Any]] = []
        event.listen(conn, "before_cursor_execute", lambda _c, _cur, sql, given, *_: seen.append((sql, given)))
        assert len(asked_rows.unanswered(conn, "telegram", house.now - LONG, house.now + LONG)) == 1
        ((sql, given),) = [one for one in seen if "FROM messages" in one[0]]
        conn.exec_driver_sql("SET enable_seqscan = off" if conn.dialect.name == "postgresql" else "SELECT 1")
        explain = "EXPLAIN" if conn.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN"
        return "\n".join(str(tuple(row)) for row in conn.exec_driver_sql(f"{explain} {sql}", given))

    steps = await house.look(plan)
    for table in ("messages", "conversations", "cases", "customers"):
        assert f"SCAN {table}" not in steps
        assert f"Seq Scan on {table}" not in steps
