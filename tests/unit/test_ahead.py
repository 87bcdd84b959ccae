"""Turns that share a commit read ahead together: what comes of them is what comes of each by itself."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, text

from bot import inbox
from bot.model import BOT, Body, CaseStatus, Edited, Inbound, Sender
from bot.outbox import say
from bot.storage import customers, merging
from bot.storage.prepared import Prepared
from bot.storage.tx import Tx
from bot.turn import Turn
from handoff import store as cases
from tests.support.rooms import Rooms, echo, rooms, wrote

OLA, PER = ("paper", "ola"), ("paper", "per")
PEOPLE = (("paper", "kari"), ("stone", "kari"), OLA, PER, ("paper", "newcomer"))
"""The two first are one customer, the last is nobody yet."""
TEXTS = (
    "hello",
    "open a case",
    "ask",
    "remember",
    "tell ola",
    "rename ola",
    "end ola's case",
    "open one for ola",
    "boom",
)
deliveries = st.tuples(
    st.sampled_from(["wrote", "wrote", "wrote", "edited", "agent"]),
    st.sampled_from(PEOPLE),
    st.sampled_from(TEXTS),
    st.integers(0, 3),  # the key of a delivery, and the name of its message
)


def taker(turn: Turn) -> bool:
    tx, mine = turn.tx, turn.customer.id
    case = cases.live_now(tx, mine)
    if turn.text == "open a case" and case is None:
        cases.insert_case(tx, mine, "paper", "en")
    elif turn.text == "ask" and case is not None:
        cases.count_question(tx, case.id)
        cases.change(tx, case, flow="order")
    elif turn.text == "remember":
        known = customers.talk(tx, mine).bot_state
        customers.set_bot_state(tx, mine, {"times": known.get("times", 0) + 1})
    elif "ola" in turn.text:
        ola = customers.identity(tx.conn, "paper", "ola")
        assert ola is not None
        tx.lock_customer(ola.customer_id)
        theirs = cases.live_now(tx, ola.customer_id)
        if turn.text == "tell ola":
            say(tx, ola.customer_id, Body(text="somebody asks for you"), author=BOT)
        elif turn.text == "end ola's case":
            if theirs is not None:
                cases.compare_and_set(tx, theirs, status=CaseStatus.RESOLVED)
        elif turn.text == "open one for ola":
            if theirs is None:
                cases.insert_case(tx, ola.customer_id, "paper", "en")
        else:
            customers.set_name(tx, ola.customer_id, f"{turn.customer.name}'s friend")
    elif turn.text == "boom":
        msg = "boom"
        raise ValueError(msg)
    return echo(turn)


async def met(house: Rooms) -> None:
    """All but the newcomer, and that two of them are one."""
    for channel, who in PEOPLE[:-1]:
        await house.hears("hello", who, channel=channel, key=f"first {channel} {who}")
    paper, stone = await house.customer("kari"), await house.customer("kari", "stone")
    await house.storage.write(lambda tx: merging.merge(tx, paper, stone, "linked"))


def asked(house: Rooms, run: str, delivery: Any) -> Any:
    """What is delivered, as one that can be awaited."""
    kind, (channel, who), words, number = delivery
    key, ref = f"{run} {channel} {who} {number}", f"{run}-{who}-{number}"
    if kind == "wrote":
        return house.inbox.receive(wrote(words, who, channel=channel, key=key, ref=ref))
    if kind == "edited":
        sender = Sender(channel, who, address=who, name=who.title(), locale="en")
        return house.inbox.receive(Inbound(channel, f"{key} edit", sender, Edited(ref, f"{words}, rather")))

    def agent(tx: Tx) -> None:
        found = customers.known_as(tx, Sender(channel, who, address=who))
        if found is not None:
            say(tx, found[0].id, Body(text="a person here"), author=BOT)
            customers.set_bot_state(tx, found[0].id, {"times": 70 + number})

    return house.storage.write(agent, quick=True)


async def stands(house: Rooms, run: str) -> Any:
    """Everything that is left of a run, without what is made up anew each time."""
    found: dict[str, Any] = {}
    for channel, who in PEOPLE:
        one = await house.storage.read(lambda conn, c=channel, w=who: customers.identity(conn, c, w))  # type: ignore[misc]
        if one is not None:
            talk = await house.storage.read(lambda conn, of=one.customer_id: customers.conversation(conn, of))  # type: ignore[misc]
            theirs = [row for row in await house.rows("cases") if row.customer_id == one.customer_id]
            case = sorted((row.status, row.questions, row.flow or "") for row in theirs)
            names = {row.author_name for row in await house.rows("messages") if row.customer_id == one.customer_id}
            found[f"{channel} {who}"] = (
                await house.said(one.customer_id),
                names,
                talk.bot_state,
                talk.reply_address,
                case,
            )
    states = [
        (row.key, row.state, row.waits_for, row.attempts)
        for row in await house.rows("inbox")
        if row.key.startswith(run)
    ]
    return found, sorted(states, key=repr), sorted(row.name for row in await house.rows("customers"))


async def test_together_is_as_one_by_one(sqlite_url: str, tmp_path: Any) -> None:
    alone_url = f"sqlite+aiosqlite:///{tmp_path}/alone.db"
    async with rooms(sqlite_url, takers=(taker,)) as house, rooms(alone_url, takers=(taker,)) as alone:
        for one in (house, alone):
            await met(one)

        async def check(plan: list[Any]) -> None:
            run = uuid.uuid4().hex
            await asyncio.gather(*(asked(house, run, delivery) for delivery in plan))
            for delivery in plan:
                await asked(alone, run, delivery)
            assert await stands(house, run) == await stands(alone, run)

        loop = asyncio.get_running_loop()

        @settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
        @given(st.lists(deliveries, min_size=2, max_size=8))
        @example([("edited", OLA, "hello", 1), ("wrote", PER, "hello", 1), ("wrote", OLA, "hello", 1)])
        @example([("wrote", PER, "rename ola", 1), ("wrote", OLA, "hello", 2)])
        @example([("wrote", PER, "open one for ola", 1), ("wrote", OLA, "ask", 2)])
        @example([("wrote", OLA, "open a case", 0), ("wrote", PER, "end ola's case", 1), ("wrote", OLA, "ask", 2)])
        @example([("agent", OLA, "", 1), ("wrote", PER, "hello", 2), ("wrote", OLA, "remember", 1)])
        def holds(plan: list[Any]) -> None:
            asyncio.run_coroutine_threadsafe(check(plan), loop).result()

        await asyncio.to_thread(holds)


async def test_on_postgresql_all_is_taken_in_once_and_the_timelines_have_no_gap(postgres_url: str) -> None:
    async with rooms(postgres_url, takers=(taker,)) as house:
        await met(house)

        async def check(plan: list[Any]) -> None:
            run = uuid.uuid4().hex
            before = Counter((await words(house)).elements())
            async with asyncio.timeout(60):
                await asyncio.gather(*(asked(house, run, delivery) for delivery in plan))
            new = {f"{run} {channel} {who} {number}" for kind, (channel, who), _, number in plan if kind == "wrote"}
            rows = {row.key: row for row in await house.rows("inbox") if row.key.startswith(run)}
            assert {key for key in rows if not key.endswith("edit")} == new
            assert sum((await words(house)).values()) == sum(before.values()) + len(new)

        loop = asyncio.get_running_loop()

        @settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow])
        @given(st.lists(deliveries, min_size=2, max_size=8))
        def holds(plan: list[Any]) -> None:
            asyncio.run_coroutine_threadsafe(check(plan), loop).result()

        await asyncio.to_thread(holds)


async def words(house: Rooms) -> Counter[str]:
    """What customers said, each customer counted once."""
    of = {row.customer_id for row in await house.rows("identities")}
    return Counter([text for one in of for text in await house.words(one)])


async def test_a_turn_among_many_has_no_statement_of_its_own(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with rooms(sqlite_url) as house:
        people = [f"customer {n}" for n in range(24)]
        await asyncio.gather(*(house.hears("hello", who) for who in people))
        ran: list[Any] = []
        everything = Prepared.all

        def noting(self: Prepared, conn: Any, /, **values: Any) -> list[Any]:
            ran.append(self)
            return everything(self, conn, **values)

        monkeypatch.setattr(Prepared, "all", noting)
        writer = house.storage._writer
        assert writer is not None
        event.listen(writer._engine, "before_cursor_execute", lambda *told: ran.append(told[2]))
        await asyncio.gather(*(house.hears("and again", who) for who in people))
        assert len(ran) < len(people)
        for who in people:
            assert await house.words(await house.customer(who)) == ["hello", "and again"]


async def test_who_is_held_by_another_transaction_holds_up_nobody_else(postgres_url: str) -> None:
    async with rooms(postgres_url) as house:
        for who in ("kari", "ola"):
            await house.hears("hello", who)
        kari = await house.customer("kari")
        async with house.storage.own_connection() as (other, _):
            await other.execute(text("SELECT 1 FROM conversations WHERE customer_id = :of FOR UPDATE"), {"of": kari})
            waiting = [asyncio.ensure_future(house.hears("again", who)) for who in ("kari", "ola")]
            async with asyncio.timeout(10):  # less than anybody waits for a lock
                await waiting[1]
            assert not waiting[0].done()
            await other.rollback()
        await waiting[0]
        assert await house.words(kari) == ["hello", "again"]


def test_what_has_more_to_it_is_not_read_ahead() -> None:
    assert inbox.coming(wrote("hi", key="k", ref="7")) is not None
    for one in (wrote("hi", also=("other",)), wrote("hi", album="a"), wrote("hi", id="theirs")):
        assert inbox.coming(one) is None
