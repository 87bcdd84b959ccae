"""Nodes on one PostgreSQL, in one process so that each can be held still: hints, the common clock, leases, rates, commits."""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import structlog
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event, make_url, select, text

from bot.errors import DatabaseFault, RateLimited
from bot.outbox import enqueue
from bot.storage import engine, history, kept, pace_rows, schema
from bot.storage import tables as t
from bot.storage.engine import POLL, Storage
from bot.storage.notices import LONGEST, Notices, payloads
from bot.storage.pace_rows import LONG_AGO
from bot.storage.schema import HEAD, check, upgrade
from bot.storage.shared_clock import NOISE, SharedClock
from channels.delivery import DeliveryLoop, leases, paces
from channels.delivery import loop as delivery_loop
from channels.delivery.leases import SHARED_LEASE
from channels.delivery.paces import Rate
from channels.telegram import leader, polling
from channels.web.hub import Hub
from tests.support.house import House, Visitor
from tests.support.rooms import PaperOutlet, PaperSender, Rooms, rooms

QUESTION = "where is my order?"


# ── hints ──────────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.fixture
async def houses(postgres_url: str, tmp_path: Path) -> AsyncIterator[tuple[House, House]]:
    """Two nodes whose sockets do not look by themselves: what arrives came by a hint."""
    for name in "ab":
        (tmp_path / name).mkdir()
    async with (
        House(tmp_path / "a", database_url=postgres_url) as a,
        House(tmp_path / "b", database_url=postgres_url) as b,
    ):
        for one in (a, b):
            await asyncio.wait_for(one.app.notices.connected.wait(), 10)
            assert one.app.web._following is not None
            one.app.web._following.cancel()
        yield a, b


async def test_a_widget_sees_what_happens_through_another_node(houses: tuple[House, House]) -> None:
    a, b = houses
    here = await a.visitor()
    await here.says("hello")
    there = await b.visitor(token=here.token)
    await there.hears("hello")
    await here.says(QUESTION)
    await there.hears(QUESTION, "customer")
    await there.hears("order number", "bot")
    await there.says("K1001")
    await here.hears("K1001", "customer")


async def test_one_look_that_fails_does_not_end_the_looking(
    houses: tuple[House, House], monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, web = asyncio.Queue[None](), houses[0].app.web

    async def fails() -> None:
        looks.put_nowait(None)
        raise ValueError("nobody foresaw it")

    monkeypatch.setattr(web, "look_around", fails)
    following = asyncio.create_task(web._follow(0))
    for _look in range(3):
        await asyncio.wait_for(looks.get(), 10)
    following.cancel()


async def test_a_case_that_is_claimed_and_answered_at_one_node_shows_at_the_other(houses: tuple[House, House]) -> None:
    a, b = houses
    kari = await b.visitor()
    await kari.says("I want to talk to a human")
    agent = await a.agent()
    queue: list[dict[str, Any]] = []
    async with asyncio.timeout(10):
        while not queue:
            queue = await agent.sees()
    seen: list[str] = []
    b.app.web_desk.hub.add("*", lambda _customer, hint: seen.append(hint["kind"]))
    await agent.does(queue[0]["id"], "claim")
    await agent.replies(queue[0]["id"], "Ann here")
    await kari.hears("Ann here", "agent")
    case = await kari.gets(lambda frame: frame["type"] == "case" and frame["status"] in {"open", "pending"})
    assert case["agent"] is not None
    assert {"case", "message"} <= set(seen), "the agents' pages at the other node were told too"


async def test_typing_passes_between_nodes(houses: tuple[House, House]) -> None:
    a, b = houses
    here = await a.visitor()
    await here.says("hello")
    customer = here.ready["customer"] and await a.app.storage.read(
        lambda conn: conn.execute(select(t.conversations.c.customer_id)).scalar_one()
    )
    heard = asyncio.Event()
    b.app.web.hub.add(customer, lambda _customer, hint: heard.set() if hint["kind"] == "typing" else None)
    await here.sends({"type": "typing"})
    await asyncio.wait_for(heard.wait(), 10)


async def test_f36_after_a_lost_connection_everybody_looks_on_both_nodes(houses: tuple[House, House]) -> None:
    """F36: what was told meanwhile is gone; nobody waits for it."""
    a, b = houses
    looked: list[str] = []
    both = asyncio.Event()

    def watcher(name: str) -> Callable[[str, Any], None]:
        def look(_customer: str, hint: Any) -> None:
            if hint["kind"] == "look":
                looked.append(name)
                if {"a", "b"} <= set(looked):
                    both.set()

        return look

    a.app.web.hub.add("somebody", watcher("a"))
    b.app.web.hub.add("somebody", watcher("b"))
    listening = "SELECT pid FROM pg_stat_activity WHERE query ILIKE 'LISTEN%' OR query LIKE '%pg_notify%'"
    before = [house.app.notices.reconnects for house in houses]
    killer = await asyncpg.connect(a.settings.database_url.replace("+asyncpg", ""))
    async with asyncio.timeout(30):
        while any(house.app.notices.reconnects == known for house, known in zip(houses, before, strict=True)):
            # Again, until both were hit: one of them may just have been asking something else.
            for row in await killer.fetch(f"{listening} OR query = 'SELECT 1'"):
                with contextlib.suppress(asyncpg.PostgresError):
                    await killer.execute("SELECT pg_terminate_backend($1) WHERE $1 <> pg_backend_pid()", row["pid"])
            await asyncio.sleep(1)
        await both.wait()
    await killer.close()
    assert {"a", "b"} <= set(looked)


async def test_hints_are_gathered_and_never_stand_in_a_turn(postgres_url: str) -> None:
    """A thousand changes of one conversation within a moment are few notices."""
    await upgrade(postgres_url)
    storage = Storage(postgres_url)
    hub, other = Hub(), Hub()
    told, heard = Notices(storage, {"web": hub}, lambda _: None), Notices(storage, {"web": other}, lambda _: None)
    got: list[Any] = []
    last = asyncio.Event()

    def hear(_customer: str, hint: Any) -> None:
        got.append(hint)
        if hint.get("seq") == 999:
            last.set()

    other.add("kari", hear)
    for one in (told, heard):
        one.start()
        await asyncio.wait_for(one.connected.wait(), 10)
    for number in range(1000):
        hub.hint("kari", "timeline", seq=number)
    await asyncio.wait_for(last.wait(), 10)
    assert told.sent <= 5
    for one in (told, heard):
        await one.stop()
    await storage.close()


async def test_on_sqlite_there_is_nobody_to_tell(sqlite_url: str) -> None:
    await upgrade(sqlite_url)
    storage, hub = Storage(sqlite_url), Hub()
    notices = Notices(storage, {"web": hub}, lambda _: None)
    notices.start()
    assert hub.relay is None
    await notices.stop()
    await storage.close()


async def test_a_notice_that_is_not_ours_does_no_harm(postgres_url: str) -> None:
    await upgrade(postgres_url)
    storage, hub = Storage(postgres_url), Hub()
    woken: list[str] = []
    notices = Notices(storage, {"web": hub}, woken.append)
    for payload in (
        "",
        "nonsense",
        "7",
        "{}",
        '["look", 3]',
        '[["web"]]',
        '[["attic", "kari", {"kind": "case"}]]',
        "[null]",
    ):
        notices._hear(payload)
    notices._hear('[["work", "outbox"]]')
    assert woken == ["outbox"]
    await storage.close()


@given(
    st.lists(st.tuples(st.just("web"), st.text(max_size=80), st.dictionaries(st.just("kind"), st.text(max_size=300))))
)
def test_no_notice_is_too_long_and_none_is_left_out(items: list[Any]) -> None:
    made = list(payloads(items))
    assert all(len(one.encode()) <= LONGEST for one in made)
    fits = [list(item) for item in items if len(json.dumps(item, separators=(",", ":"))) + 2 <= LONGEST]
    assert [item for one in made for item in json.loads(one)] == fits


# ── time ───────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_the_common_clock_goes_on_between_answers_and_not_back_for_a_late_one() -> None:
    """F37: the node's wall clock is not asked at all."""
    ticks = [100.0]
    clock = SharedClock(lambda: ticks[0])
    noon = datetime(2030, 1, 1, 12, tzinfo=UTC)
    clock.heard(noon)
    ticks[0] += 90
    assert clock() == noon + timedelta(seconds=90)
    clock.heard(noon + timedelta(seconds=90) - NOISE / 2)
    assert clock() == noon + timedelta(seconds=90)
    clock.heard(noon + timedelta(hours=1))
    assert clock() == noon + timedelta(hours=1)
    clock.heard(noon)
    assert clock() == noon


async def test_f37_a_node_whose_clock_is_an_hour_off_works_by_the_databases(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F37: leases and timers of a node that is ahead are nobody's loss."""
    await upgrade(postgres_url)
    from bot.storage import shared_clock

    ahead = datetime.now(UTC) + timedelta(hours=1)
    monkeypatch.setattr(shared_clock, "system_clock", lambda: ahead)
    storage = Storage(postgres_url)
    await storage.write(lambda tx: None)
    now = await storage.write(lambda tx: tx.now)
    there = await storage.read(lambda conn: conn.execute(text("SELECT clock_timestamp()")).scalar_one())
    assert abs(now - there) < timedelta(seconds=5)
    assert abs(storage.clock() - there) < timedelta(seconds=5)
    await storage.close()


async def test_whoever_waited_for_a_customer_writes_at_a_later_time(postgres_url: str) -> None:
    """`at` rises with `seq`, though the later turn may have begun first."""
    async with rooms(postgres_url) as made:
        await made.hears("first")
        storage = Storage(postgres_url)
        customer = await made.customer()
        began = asyncio.Event()
        loop = asyncio.get_running_loop()

        def waits(tx: Any) -> tuple[datetime, datetime]:
            before = tx.now
            loop.call_soon(began.set)
            tx.lock_customer(customer)
            return before, tx.now

        async with made.storage._engine.begin() as conn:
            await conn.execute(
                select(t.conversations).where(t.conversations.c.customer_id == customer).with_for_update()
            )
            waiting = asyncio.ensure_future(storage.write(waits))
            await began.wait()
            released = (await conn.execute(text("SELECT clock_timestamp()"))).scalar_one()
        before, after = await waiting
        assert before < released < after
        await storage.close()


# ── a commit whose answer is lost ──────────────────────────────────────────────────────────────────────────────────
@asynccontextmanager
async def wire(url: str) -> AsyncIterator[tuple[str, dict[str, str]]]:
    """A connection to PostgreSQL through us: we can lose the COMMIT, or the answer to it."""
    to, wish = make_url(url), {"lose": ""}
    writers: list[asyncio.StreamWriter] = []

    async def carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter, ends: Callable[[bytes], bool]) -> None:
        with contextlib.suppress(OSError):
            while piece := await source.read(65_536):
                if ends(piece):
                    break
                sink.write(piece)
                await sink.drain()
        for writer in writers:
            writer.close()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server, upwards = await asyncio.open_connection(to.host, to.port)
        writers.extend((writer, upwards))
        asked = [False]

        def request(piece: bytes) -> bool:
            asked[0] = asked[0] or b"COMMIT" in piece
            return asked[0] and wish["lose"] == "the commit"

        def answer(_piece: bytes) -> bool:
            return asked[0] and wish["lose"] == "the answer"

        await asyncio.gather(carry(reader, upwards, request), carry(server, writer, answer))

    listening = await asyncio.start_server(take, "127.0.0.1")
    port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield to.set(host="127.0.0.1", port=port).render_as_string(hide_password=False), wish


@pytest.mark.parametrize("lost", ["the commit", "the answer"])
async def test_f33_a_commit_of_unknown_outcome_is_looked_up_and_done_once(postgres_url: str, lost: str) -> None:
    """F33: PostgreSQL is asked how that very transaction ended; its work is neither lost nor done twice."""
    await upgrade(postgres_url)
    async with wire(postgres_url) as (url, wish):
        storage = Storage(url)
        followed: list[str] = []
        runs: list[str] = []

        def unit(tx: Any) -> str:
            runs.append("run")
            if len(runs) > 1:
                wish["lose"] = ""
            enqueue(tx, via="paper", lane="paper:1", kind="text", payload={})
            tx.after_commit(lambda: followed.append("done"))
            return "result"

        await storage.read(lambda conn: conn.execute(text("SELECT 1")))
        wish["lose"] = lost
        task = asyncio.ensure_future(storage.write(unit))
        await asyncio.sleep(0)
        if lost == "the answer":
            async with asyncio.timeout(10):
                while not runs:  # noqa: ASYNC110 - the unit runs below SQLAlchemy
                    await asyncio.sleep(0.005)
        assert await task == "result"
        wish["lose"] = ""
        rows = await storage.read(lambda conn: conn.execute(select(t.outbox.c.id)).all())
        assert (len(rows), followed, len(runs)) == (1, ["done"], 2 if lost == "the commit" else 1)
        await storage.close()


async def test_a_database_that_is_gone_for_long_is_a_fault_not_a_guess(postgres_url: str) -> None:
    storage = Storage("postgresql+asyncpg://nobody@127.0.0.1:1/nothing")
    with pytest.raises(DatabaseFault):
        await storage.write(lambda tx: None)
    await storage.close()


async def test_a_database_that_has_no_connection_left_is_a_fault_that_passes(postgres_url: str) -> None:
    """Whoever beats or polls in the background goes on after a DatabaseFault, and would end with anything else."""
    role = f"few_{uuid.uuid4().hex}"
    few = make_url(postgres_url).set(username=role).render_as_string(hide_password=False)
    async with rooms(postgres_url) as house:
        await house.storage.write(lambda tx: tx.conn.execute(text(f"CREATE ROLE {role} LOGIN CONNECTION LIMIT 0")))
        storage = Storage(few, house.clock)
        try:
            with pytest.raises(DatabaseFault, match="too many connections"):
                await storage.write(lambda _tx: None)
            with pytest.raises(DatabaseFault, match="too many connections"):
                await storage.read(lambda _conn: None)
        finally:
            await storage.close()
            await house.storage.write(lambda tx: tx.conn.execute(text(f"DROP ROLE {role}")))


async def test_a_database_that_takes_no_writes_just_now_is_a_fault_that_passes(postgres_url: str) -> None:
    """It came up as the standby of another one. An API tells its caller to come again, and no turn or timer is blamed for it."""
    async with rooms(postgres_url) as house:
        name = make_url(postgres_url).database
        await house.storage.write(
            lambda tx: tx.conn.execute(text(f"ALTER DATABASE {name} SET default_transaction_read_only = on"))
        )
        storage = Storage(postgres_url, house.clock)
        with pytest.raises(DatabaseFault, match="read-only"):
            await storage.write(lambda tx: kept.swap(tx, "anything", 1))
        await storage.close()


async def test_a_lock_that_is_never_let_go_is_a_fault_that_passes(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(engine.SESSION, "lock_timeout", "10")
    async with rooms(postgres_url) as house:
        await house.storage.write(lambda tx: kept.swap(tx, "anything", 1))
        async with house.storage.own_connection() as (connection, _):
            await connection.execute(text("LOCK TABLE settings"))
            with pytest.raises(DatabaseFault, match="lock timeout"):
                await house.storage.write(lambda tx: kept.swap(tx, "anything", 2))


async def test_no_connection_free_in_time_is_a_fault_that_passes(postgres_url: str) -> None:
    async with rooms(postgres_url) as house:
        house.storage._urgent = house.storage._on_postgresql(pool_size=1, max_overflow=0, pool_timeout=0.01)
        async with house.storage._urgent.connect():
            with pytest.raises(DatabaseFault, match="timed out"):
                await house.storage.write(lambda _tx: None, urgent=True)


async def test_a_frozen_nodes_transaction_is_ended_by_the_server(postgres_url: str) -> None:
    """Its lock on a customer would hold up every other node."""
    storage = Storage(postgres_url)
    limit = "SELECT extract(epoch FROM current_setting('idle_in_transaction_session_timeout')::interval)"
    seconds = await storage.read(lambda conn: conn.execute(text(limit)).scalar_one())
    assert 0 < seconds < 10
    await storage.close()


# ── leases and rates ───────────────────────────────────────────────────────────────────────────────────────────────
def test_another_node_goes_on_within_ten_seconds_by_its_numbers() -> None:
    assert timedelta(seconds=10) > SHARED_LEASE + POLL
    assert SHARED_LEASE.total_seconds() > leases.BEAT * 2 + leases.EARLIER
    assert leader.LEASE.total_seconds() + polling.STANDBY < 10
    assert leader.LEASE.total_seconds() > leader.BEAT * 2 + leader.EARLIER


async def put(house: Rooms, count: int, lane: str, bucket: str) -> None:
    def unit(tx: Any) -> None:
        for number in range(count):
            enqueue(tx, via="paper", lane=f"{lane}:{number}", bucket=bucket, kind="text", payload={"text": str(number)})

    await house.storage.write(unit)


async def test_a_long_send_keeps_its_lease_and_a_lost_lease_ends_the_send(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "BEAT", 0.02)
    async with rooms(postgres_url) as house:
        stopped = asyncio.Event()

        async def hangs(_delivery: Any) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                stopped.set()

        house.sender.script = [hangs]
        await put(house, 1, "paper", "")
        await house.delivery.run()
        until = [(await house.rows("outbox"))[0].lease_until]
        house.clock.passes(seconds=5)
        async with asyncio.timeout(10):
            while (await house.rows("outbox"))[0].lease_until == until[0]:  # noqa: ASYNC110 - a beat tells nobody
                await asyncio.sleep(0.01)
        assert not stopped.is_set()
        await house.storage.write(lambda tx: tx.conn.execute(t.outbox.update().values(lease_owner="another node")))
        await asyncio.wait_for(stopped.wait(), 10)
        await house.delivery.idle()
        (row,) = await house.rows("outbox")
        assert (row.state, row.lease_owner) == ("sending", "another node"), (
            "it writes nothing about what is not its own"
        )
        assert house.delivery.counters.leases_lost == 1


async def test_leases_are_renewed_again_whatever_kept_them_from_it(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A renewal that fails by an error that nobody foresaw is not the last one."""
    monkeypatch.setattr(leases, "BEAT", 0.02)
    async with rooms(postgres_url) as house:

        async def hangs(_delivery: Any) -> None:
            await asyncio.Event().wait()

        house.sender.script = [hangs]
        await put(house, 1, "paper", "")
        await house.delivery.run()
        async with asyncio.timeout(10):
            await once_failed(house, "outbox", "leases could not be renewed")
        before = (await house.rows("outbox"))[0].lease_until
        house.clock.passes(seconds=5)
        async with asyncio.timeout(10):
            while (await house.rows("outbox"))[0].lease_until == before:  # noqa: ASYNC110 - a beat tells nobody
                await asyncio.sleep(0.01)
        await house.delivery.stop(0)


@pytest.mark.usefixtures("logs_of_its_own")
async def test_who_polls_telegram_keeps_its_lease_whatever_kept_it_from_that_for_a_while(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leader, "BEAT", 0.02)
    async with rooms(postgres_url) as house:
        one = leader.Leader(house.storage, "one")
        assert await one.leads()
        beating = asyncio.create_task(one.beats())
        async with asyncio.timeout(10):
            await once_failed(house, "settings", "the lease of Telegram's poller could not be renewed")
        before = await house.rows("settings")
        house.clock.passes(seconds=1)
        async with asyncio.timeout(10):
            while await house.rows("settings") == before:  # noqa: ASYNC110 - a beat tells nobody
                await asyncio.sleep(0.01)
        beating.cancel()


async def once_failed(house: Rooms, table: str, said: str) -> None:
    """Hide a table until what is logged says so."""
    with structlog.testing.capture_logs() as logged:
        await house.storage.write(lambda tx: tx.conn.execute(text(f"ALTER TABLE {table} RENAME TO hidden")))
        while said not in {line["event"] for line in logged}:  # noqa: ASYNC110 - a beat tells nobody
            await asyncio.sleep(0.01)
        await house.storage.write(lambda tx: tx.conn.execute(text(f"ALTER TABLE hidden RENAME TO {table}")))


@pytest.mark.parametrize("platform", ["telegram", "slack"])
async def test_two_nodes_together_keep_one_pace(postgres_url: str, platform: str) -> None:
    """A burst of three, then one a second: of one chat or channel, over all nodes."""
    async with rooms(postgres_url) as house:
        await put(house, 12, "paper", f"{platform}:C1")
        other = DeliveryLoop(house.storage, {"paper": PaperSender()})
        nodes = [house.delivery, other]
        counts = []
        for _ in range(6):
            for _again in range(3):
                await asyncio.gather(*(node.run() for node in nodes))
                await asyncio.gather(*(node.idle() for node in nodes))
            counts.append(sum(node.counters.sent for node in nodes))
            house.clock.passes(seconds=1)
        assert all(count <= 4 + second for second, count in enumerate(counts)), counts
        assert counts[-1] >= 8, "and what may leave does"


@pytest.mark.parametrize(("platform", "seconds", "most"), [("telegram", 2, 55), ("slack", 5, 26)])
async def test_two_nodes_together_keep_the_limit_of_the_whole_platform(
    postgres_url: str, platform: str, seconds: int, most: int
) -> None:
    """Each chat has its own pace, the bot one for all: 25 a second for Telegram, 200 posts a minute for Slack."""
    async with rooms(postgres_url) as house:

        def unit(tx: Any) -> None:
            for number in range(100):
                name = f"{platform}:{number}"
                enqueue(tx, via="paper", lane=name, bucket=name, kind="text", payload={"text": str(number)})

        await house.storage.write(unit)
        nodes = [house.delivery, DeliveryLoop(house.storage, {"paper": PaperSender()})]
        for _ in range(seconds * 5):
            await asyncio.gather(*(node.run() for node in nodes))
            await asyncio.gather(*(node.idle() for node in nodes))
            house.clock.passes(seconds=0.2)
        count = sum(node.counters.sent for node in nodes)
        assert most * 0.7 <= count <= most


async def test_a_platform_that_asks_to_wait_is_obeyed_by_all_nodes_for_all_lanes_of_that_channel(
    postgres_url: str,
) -> None:
    async with rooms(postgres_url) as house:
        house.sender.script = [RateLimited("429", retry_after=30)]
        await put(house, 1, "first", "slack:C1")
        await house.delivery.run()
        await house.delivery.idle()
        await put(house, 1, "second", "slack:C1")
        await put(house, 1, "third", "slack:C2")
        other = DeliveryLoop(house.storage, {"paper": PaperSender()})
        await other.run()
        await other.idle()
        assert [row.lane for row in await house.rows("outbox") if row.state == "sent"] == ["third:0"]
        house.clock.passes(seconds=31)
        for _ in range(2):  # one at a time in one channel
            await other.run()
            await other.idle()
        assert {row.state for row in await house.rows("outbox")} == {"sent"}


# ── in the turn's own commit ───────────────────────────────────────────────────────────────────────────────────────
WHO = ("kari", "ola", "nils")


class Placed(PaperOutlet):
    """Each address is a place with a pace of its own."""

    def bucket(self, address: str) -> str | None:
        return self.lane(address)


@pytest.fixture
async def node(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rooms]:
    """One of several, whose commits take along what they put into the outbox; three customers have had an answer before."""
    rates = {"paper": Rate(1.0, 3), "paper.all": Rate(25.0, 5)}
    monkeypatch.setattr(paces, "RATES", rates)
    monkeypatch.setattr(paces, "WIDE", ("paper.all",))
    async with rooms(postgres_url) as house:
        house.storage.wiring.outlets = {"paper": Placed("paper")}
        for name in WHO:
            await house.hears("hi", name)
        await house.deliver()
        house.clock.passes(minutes=1)
        await asyncio.sleep(0)
        house.storage.wiring.courier = house.delivery.courier
        yield house


async def rested(house: Rooms) -> None:
    """As if nobody had sent anything for a while: the rates count by the database's clock."""
    await house.storage.write(lambda tx: tx.conn.execute(t.paces.update().values(free_at=LONG_AGO)))


def woken(house: Rooms) -> list[str]:
    names: list[str] = []
    house.storage.wiring.wake = names.append
    return names


async def answers(house: Rooms) -> list[str]:
    """The states of what was said since the fixture's first answers."""
    return sorted(row.state for row in await house.rows("outbox") if row.payload["text"] == "heard: again")


async def test_an_answer_leaves_with_its_turns_own_commit_on_each_of_several_nodes(node: Rooms) -> None:
    await rested(node)
    said = await asyncio.gather(*(node.hears("again", name) for name in WHO))
    assert set(await answers(node)) <= {"sending", "sent"}, "nobody ran the loop"
    await node.delivery.idle()
    assert node.sender.texts[-3:] == ["heard: again"] * 3
    assert await answers(node) == ["sent"] * 3
    assert {one.seq for one in said} == {3}
    assert all(row.free_at > LONG_AGO for row in await node.rows("paces")), (
        "what they spent is written down for all nodes"
    )


@pytest.mark.parametrize("reason", ["held", "spent", "lane", "room"])
async def test_what_would_have_to_wait_is_left_to_the_loop_and_the_turn_does_not_wait(
    node: Rooms, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    await rested(node)
    if reason == "spent":  # somebody may wait for it, on another node
        await node.storage.write(lambda tx: tx.conn.execute(t.paces.update().values(free_at=tx.now)))
    if reason == "lane":
        (lane,) = {row.lane for row in await node.rows("outbox") if row.customer_id == await node.customer("kari")}
        await node.storage.write(lambda tx: enqueue(tx, via="stone", lane=lane, kind="text", payload={"text": "first"}))
    if reason == "room":
        monkeypatch.setattr(delivery_loop, "AT_ONCE", 0)
    names = woken(node)
    async with node.storage.own_connection() as (other, _):
        if reason == "held":
            await other.execute(select(t.paces).with_for_update())
        await asyncio.wait_for(node.hears("again", "kari"), 10)
        assert await answers(node) == ["ready"]
        assert "outbox" in names
        await other.rollback()
    monkeypatch.undo()
    if reason != "lane":  # which nobody here can send on
        await node.deliver()
        assert await answers(node) == ["sent"]


@pytest.mark.parametrize("late", [6.5, 7.5])
async def test_what_was_claimed_by_a_commit_whose_answer_came_too_late_has_not_left_and_leaves_later(
    node: Rooms, late: float
) -> None:
    """Nobody asks what became of it, nothing says that it may have come twice, and a code is not given up."""
    await rested(node)

    def courier(tx: Any, asked: int, began: float) -> bool:
        tx.after_commit(lambda: node.clock.passes(seconds=late))
        return node.delivery.courier(tx, asked, began - late)

    node.storage.wiring.courier = courier
    before = list(node.sender.texts)
    await node.hears("again", "kari")
    await node.delivery.idle()
    assert (await answers(node), node.sender.texts) == (["retry"], before)
    node.clock.passes(seconds=5)
    await node.deliver()
    assert node.sender.texts == [*before, "heard: again"]
    (row,) = [row for row in await node.rows("outbox") if row.payload["text"] == "heard: again"]
    assert (row.state, bool(row.doubled)) == ("sent", False)


@pytest.mark.parametrize("kind", ["edit", "mark", "tell"])
async def test_who_waits_for_a_limit_of_many_lanes_is_not_overtaken_by_a_later_commit(
    node: Rooms, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Slack's limits of one method are spent from by all cases: who waits on another node has the next turn."""
    name = f"slack.{paces.METHODS[kind]}"
    monkeypatch.setitem(paces.RATES, name, Rate(0.5, 20))

    def unit(tx: Any, spent: timedelta) -> bool:
        pace_rows.block(tx, name, tx.now - spent)
        enqueue(tx, via="paper", lane="paper:new", bucket="slack:C1", kind=kind, payload={})
        claimed = node.delivery._claims.claim_added(tx, node.delivery.senders, 8, 1)
        tx.conn.execute(t.outbox.delete())
        return claimed is not None

    assert not await node.storage.write(lambda tx: unit(tx, timedelta(seconds=1)))
    await rested(node)
    assert await node.storage.write(lambda tx: unit(tx, timedelta(minutes=1)))


async def test_a_node_that_stops_leaves_nothing_on_its_way_of_what_its_last_turns_claimed(node: Rooms) -> None:
    await rested(node)
    hearing = [asyncio.create_task(node.hears("again", name)) for name in WHO]
    async with asyncio.timeout(10):
        while node.storage._turns._running is None:  # noqa: ASYNC110 - a turn that begins tells nobody
            await asyncio.sleep(0)
    await node.delivery.stop()
    await asyncio.gather(*hearing)
    assert len(await answers(node)) == 3
    assert set(await answers(node)) <= {"ready", "sent"}


async def test_a_node_that_stops_as_its_claim_is_committed_still_sends_what_it_claimed(postgres_url: str) -> None:
    """What is `sending` and never left would be asked about, doubled, or given up."""
    async with rooms(postgres_url) as house:
        await put(house, 1, "paper", "")
        stopping: list[asyncio.Task[None]] = []

        def stop(_conn: Any) -> None:
            stopping.append(asyncio.get_running_loop().create_task(house.delivery.stop()))

        event.listen(house.storage._engine.sync_engine, "commit", stop, once=True)
        looking = asyncio.create_task(house.delivery.run())
        async with asyncio.timeout(10):
            while not stopping:  # noqa: ASYNC110 - a commit tells nobody
                await asyncio.sleep(0)
            await stopping[0]
        assert (house.sender.texts, looking.done()) == (["0"], True)
        assert [row.state for row in await house.rows("outbox")] == ["sent"]


async def test_who_stops_ends_the_loop_of_sends_only_when_they_have_come_to_an_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running: list[bool] = []
    async with House(tmp_path) as one:
        stop, worker = one.app.delivery.stop, one.app.workers["outbox"]

        async def stops() -> None:
            running.append(worker._task is not None)
            await stop()

        monkeypatch.setattr(one.app.delivery, "stop", stops)
    assert (running, worker._task) == ([True], None)


async def test_a_node_that_stops_writes_down_what_it_could_not_while_the_database_was_away(
    node: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rested(node)

    async def away(*_args: Any, **_how: Any) -> None:
        msg = "away"
        raise DatabaseFault(msg)

    async def sent(_delivery: Any) -> None:
        monkeypatch.setattr(node.storage, "write", away)

    node.sender.script = [sent]
    await node.hears("again", "kari")
    await node.delivery.idle()
    monkeypatch.undo()
    assert await answers(node) == ["sending"]
    await node.delivery.stop()
    assert await answers(node) == ["sent"]


async def test_a_node_that_stops_does_not_wait_until_nobody_writes_any_more(node: Rooms) -> None:
    """Telegram is polled until the end: there is always a turn under way, and the whole grace would pass."""
    await rested(node)
    stopping = asyncio.Event()

    async def writes(name: str) -> None:
        await node.hears("again", name)
        while not stopping.is_set():
            await node.hears("and on", name)

    writing = [asyncio.create_task(writes(name)) for name in WHO]
    async with asyncio.timeout(10):
        while not await answers(node):  # noqa: ASYNC110 - a turn tells nobody
            await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await node.delivery.stop(grace=600)
    stopping.set()
    await asyncio.gather(*writing)
    assert {"sending", "uncertain"}.isdisjoint(row.state for row in await node.rows("outbox"))


# ── two versions side by side ──────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(("oldest", "fits"), [("0001", True), (HEAD, True), ("9999", False), (None, False)])
async def test_f52_a_newer_schema_says_which_programs_still_work_on_it(
    database_url: str, oldest: str | None, fits: bool
) -> None:
    """F52: nodes of the last release go on while the new ones come; a schema that does not name them stops them."""
    async with rooms(database_url) as house:

        def newer(tx: Any) -> None:
            tx.conn.execute(text("UPDATE alembic_version SET version_num = '9999'"))
            if oldest is not None:
                tx.conn.execute(t.schema_versions.insert().values(revision="9999", oldest_program=oldest))

        await house.storage.write(newer)
        if fits:
            await house.storage.read(check)
            await house.hears("goes on")
        else:
            with pytest.raises(DatabaseFault, match="newer stafett"):
                await house.storage.read(check)


@pytest.mark.parametrize("way", ["created", "migrated"])
async def test_a_new_database_and_a_migrated_one_have_the_declared_schema(
    database_url: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On both engines: not a column more or less than bot/storage/tables.py says, and the rows that migrations write."""
    if way == "migrated":
        monkeypatch.setattr(schema, "_create", schema.migrate)
    await upgrade(database_url)
    storage = Storage(database_url)

    def differences(conn: Any) -> list[Any]:
        found = compare_metadata(MigrationContext.configure(conn, opts={"compare_type": False}), t.metadata)
        return list(found)

    assert await storage.read(differences) == []
    assert await storage.read(schema.current) == HEAD
    said = await storage.read(
        lambda conn: {row.revision: row.oldest_program for row in conn.execute(select(t.schema_versions))}
    )
    assert said == schema.OLDEST_PROGRAMS
    await storage.close()


# ── turns ──────────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_f10_f45_many_write_through_two_nodes_at_once_from_their_first_word(houses: tuple[House, House]) -> None:
    """F45, F10: each visitor's first words come at both nodes at once, one of them as a copy; one customer, one case."""
    a, b = houses
    made = [await a.visitor() for _ in range(4)]
    twins: list[tuple[Visitor, Visitor]] = [(one, await b.visitor(token=one.token)) for one in made]

    async def say(tab: Visitor, words: str, client_id: str) -> None:
        await tab.sends({"type": "message", "id": client_id, "text": words, "files": []})
        await tab.gets(lambda frame: frame["type"] in {"ack", "error"} and frame.get("id") == client_id)

    async with asyncio.TaskGroup() as group:
        for here, there in twins:
            same = str(uuid.uuid4())
            group.create_task(say(here, "said twice", same))
            group.create_task(say(there, "said twice", same))
            group.create_task(say(here, "hello from here", str(uuid.uuid4())))
            group.create_task(say(there, "hello from there", str(uuid.uuid4())))
    for house in houses:
        await house.settle()
    rows = await a.app.storage.read(lambda conn: conn.execute(select(t.conversations)).all())
    assert len(rows) == len(twins)
    for row in rows:
        grew = await a.app.storage.read(lambda conn, whose=row.customer_id: history.since(conn, whose, 0))  # type: ignore[misc]
        assert [one.seq for one in grew] == list(range(1, row.last_seq + 1))
        m = t.messages
        words = select(m.c.text).where(m.c.customer_id == row.customer_id, m.c.author_kind == "customer")
        said = await a.app.storage.read(lambda conn, query=words: conn.execute(query).scalars().all())  # type: ignore[misc]
        assert sorted(said) == ["hello from here", "hello from there", "said twice"]
    live = await a.app.storage.read(lambda conn: conn.execute(select(t.cases.c.customer_id)).scalars().all())
    assert len(live) == len(set(live)) == len(twins)
