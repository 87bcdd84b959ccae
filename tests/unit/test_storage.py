"""The database under both engines: what is acknowledged is durable, and no unit harms its neighbour."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, insert, select, text, update

from bot.desk_folder import Desk
from bot.errors import DatabaseFault
from bot.model import BOT, Body, Message, Sender, TimelineEntry, new_id
from bot.storage import customers, history
from bot.storage import tables as t
from bot.storage.engine import Storage
from bot.storage.schema import HEAD, check, current, upgrade
from bot.storage.tx import Tx
from bot.storage.writer import PAGE
from tests.support.rooms import NOON, SetClock, rooms, wrote


def put(key: str) -> object:
    return lambda tx: tx.conn.execute(insert(t.settings).values(key=key, value={"at": key}))


async def keys(storage: Storage) -> set[str]:
    return set(await storage.read(lambda conn: conn.execute(select(t.settings.c.key)).scalars().all()))


def test_ids_rise_within_a_process_even_within_one_instant() -> None:
    made = [new_id() for _ in range(5_000)]
    assert made == sorted(set(made))


async def test_a_unit_that_fails_leaves_its_neighbours_alone(database_url: str) -> None:
    async with rooms(database_url) as house:

        def breaks(tx: Tx) -> None:
            put("half")(tx)
            raise ZeroDivisionError

        units = [put("a"), breaks, put("b"), breaks, put("c")]
        results = await asyncio.gather(*(house.storage.write(unit) for unit in units), return_exceptions=True)
        assert [isinstance(one, ZeroDivisionError) for one in results] == [False, True, False, True, False]
        assert await keys(house.storage) == {"a", "b", "c"}


@pytest.mark.parametrize(
    ("told", "spoken"),
    [("fr-CA", "fr"), ("nl-BE", "nl"), ("en-US", "en"), ("no", "nb"), ("fi-FI", "nl"), ("", "nl"), ("*", "nl")],
)
async def test_a_customer_speaks_one_of_the_desks_languages_whatever_their_app_calls_it(
    sqlite_url: str, told: str, spoken: str
) -> None:
    """Else one language would be two in every figure, and one that nobody has answered is no language of the desk."""
    async with rooms(sqlite_url) as house:
        house.storage.wiring.desk = lambda: Desk("Shop", ("nl", "fr", "en", "nb"))
        sender = Sender("slack", "T1:U1", "D1", "Kari", told)
        who, _ = await house.storage.write(lambda tx: customers.create(tx, sender, "nl"))
        assert who.locale == spoken


async def test_what_follows_a_commit_never_follows_a_rollback(database_url: str) -> None:
    async with rooms(database_url) as house:
        woken: list[str] = []
        house.storage.wiring.wake = woken.append

        def fails(tx: Tx) -> None:
            tx.wake("rolled back")
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await house.storage.write(fails)
        await house.storage.write(lambda tx: tx.wake("committed"))
        await asyncio.sleep(0)
        assert woken == ["committed"]


async def test_a_commit_that_fails_is_told_to_everybody_in_it_and_the_writer_goes_on(sqlite_url: str) -> None:
    async with rooms(sqlite_url) as house:
        held, go = threading.Event(), threading.Event()

        def holds(_tx: Tx) -> None:
            held.set()
            go.wait(10)

        def dangles(tx: Tx) -> None:  # its foreign key is checked at the COMMIT itself
            tx.conn.exec_driver_sql("PRAGMA defer_foreign_keys=ON")
            tx.conn.execute(insert(t.conversations).values(customer_id="nobody", updated_at=NOON))

        first = asyncio.ensure_future(house.storage.write(holds))
        await asyncio.to_thread(held.wait, 10)
        batch = [asyncio.ensure_future(house.storage.write(unit)) for unit in (put("a"), dangles, put("b"))]
        await asyncio.sleep(0)
        go.set()
        await first
        results = await asyncio.gather(*batch, return_exceptions=True)
        assert all(isinstance(one, DatabaseFault) for one in results)
        assert await keys(house.storage) == set()
        await house.storage.write(put("later"))
        assert await keys(house.storage) == {"later"}


async def test_a_caller_that_gives_up_does_not_undo_what_is_committed(sqlite_url: str) -> None:
    async with rooms(sqlite_url) as house:
        held, go = threading.Event(), threading.Event()

        def slow(tx: Tx) -> None:
            held.set()
            go.wait(10)
            put("kept")(tx)

        task = asyncio.ensure_future(house.storage.write(slow))
        await asyncio.to_thread(held.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go.set()
        await house.storage.write(put("next"))
        assert await keys(house.storage) == {"kept", "next"}


async def test_a_write_after_the_end_is_refused_not_left_hanging(sqlite_url: str) -> None:
    async with rooms(sqlite_url) as house:
        writer = house.storage._writer
        assert writer is not None
        await asyncio.to_thread(writer.close)
        with pytest.raises(DatabaseFault):
            await asyncio.wait_for(house.storage.write(put("late")), 5)
        house.storage._writer = None


async def test_the_databases_own_trouble_is_a_database_fault(sqlite_url: str) -> None:
    """A full disk is not the unit's mistake: channels answer "try again" to it."""
    async with rooms(sqlite_url) as house:

        def fills(tx: Tx) -> None:
            tx.conn.exec_driver_sql("PRAGMA max_page_count=1")
            for number in range(1000):
                tx.conn.execute(insert(t.settings).values(key=f"k{number}", value={"much": "x" * 4_000}))

        with pytest.raises(DatabaseFault):
            await house.storage.write(fills)
        await house.storage.write(lambda tx: tx.conn.exec_driver_sql("PRAGMA max_page_count=1000000"))
        await house.storage.write(put("after"))
        assert await keys(house.storage) == {"after"}


async def test_a_second_process_on_one_file_is_refused_by_name(sqlite_url: str) -> None:
    async with rooms(sqlite_url):
        with pytest.raises(DatabaseFault, match=r"in use by another stafett \(process \d+\)"):
            await Storage(sqlite_url).open()


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("mysql://x/y", "mysql is not supported"),
        ("sqlite+aiosqlite://", "names no file"),
        ("nonsense", "not a database URL"),
        ("postgresql+asyncpg://127.0.0.1:1/x", "can't open the database"),
    ],
)
async def test_a_database_that_cannot_be_is_one_line(url: str, told: str) -> None:
    with pytest.raises(DatabaseFault, match=told) as fault:
        await Storage(url).open()
    assert "\n" not in str(fault.value)


async def test_a_postgresql_database_that_is_not_there_is_one_line_without_its_password(postgres_url: str) -> None:
    wrong = postgres_url.rsplit("/", 1)[0].replace("@", ":hush-hush@") + "/not_there"
    with pytest.raises(DatabaseFault, match="not_there") as fault:
        await Storage(wrong).open()
    assert "hush" not in str(fault.value)
    assert "\n" not in str(fault.value)


async def test_a_folder_with_odd_characters_serves(tmp_path: Path) -> None:
    folder = tmp_path / "my shop #1 100%"
    folder.mkdir()
    async with rooms(f"sqlite+aiosqlite:///{folder / 'stafett.db'}") as house:
        await house.storage.write(put("a"))
        assert await keys(house.storage) == {"a"}


async def test_readers_can_never_write(sqlite_url: str) -> None:
    async with rooms(sqlite_url) as house:
        with pytest.raises(Exception, match="readonly"):
            await house.storage.read(lambda conn: conn.execute(delete(t.settings)))


async def test_a_newer_database_is_refused_and_an_upgrade_is_done_once(database_url: str) -> None:
    assert await upgrade(database_url) is True
    assert await upgrade(database_url) is False
    async with rooms(database_url) as house:
        await house.storage.read(check)
        assert await house.storage.read(current) == HEAD
        await house.storage.write(lambda tx: tx.conn.execute(text("UPDATE alembic_version SET version_num = '9999'")))
        with pytest.raises(DatabaseFault, match="newer stafett"):
            await house.storage.read(check)


async def test_foreign_tables_are_left_alone(database_url: str) -> None:
    async with rooms(database_url) as house:
        await house.storage.write(lambda tx: tx.conn.execute(text("DROP TABLE alembic_version")))
    with pytest.raises(DatabaseFault, match="not ours"):
        await upgrade(database_url)


# ── seq ────────────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_numbers_are_gapless_however_many_write_at_once(database_url: str) -> None:
    """40 tasks over two nodes, a third of which fail after they have drawn a number."""
    async with rooms(database_url) as house:
        await house.hears("first")
        who = await house.customer()

        def unit(number: int, tx: Tx) -> None:
            tx.lock_customer(who)
            history.append(tx, who, Body(text=f"n{number}"), author=BOT, channel="paper")
            if number % 3 == 0:
                raise ZeroDivisionError

        other = None if house.storage.is_sqlite else Storage(database_url, house.clock)
        stores = [house.storage, other or house.storage]
        tasks = [stores[n % 2].write(lambda tx, n=n: unit(n, tx)) for n in range(40)]
        results = await asyncio.gather(*tasks, return_exceptions=True)
        failed = [one for one in results if isinstance(one, Exception)]
        assert all(isinstance(one, ZeroDivisionError) for one in failed)
        assert len(await house.said(who)) == 2 + 40 - len(failed) == 2 + 26
        if other is not None:
            await other.close()


@settings(max_examples=25)
@given(st.lists(st.tuples(st.sampled_from(["say", "note", "edit", "delete", "fail"]), st.integers(0, 5)), max_size=25))
def test_whatever_happens_to_a_timeline_who_was_away_is_told_it_all_once_and_in_order(
    steps: list[tuple[str, int]],
) -> None:
    """Numbers without a gap, each version with its own words, and no word of what was taken back; whole and page by page."""
    import tempfile

    async def play(folder: str) -> None:
        async with rooms(f"sqlite+aiosqlite:///{folder}/a.db") as house:
            await house.hears("first")
            who = await house.customer()
            known = await house.storage.read(lambda conn: history.messages(conn, who))
            told = [("message", one.id, one.body.text) for one in known]
            for place, (verb, number) in enumerate(steps):
                known = await house.storage.read(lambda conn: history.messages(conn, who))
                chosen, words = known[number % len(known)], f"{verb} {place}"

                def unit(tx: Tx, verb: str = verb, chosen: Message = chosen, words: str = words) -> Message:
                    if verb == "edit":
                        return history.edit(tx, chosen, words)
                    if verb == "delete":
                        return history.delete(tx, chosen)
                    said = history.append(tx, who, Body(text=words), author=BOT, channel="paper", note=verb == "note")
                    if verb == "fail":
                        raise ZeroDivisionError
                    return said

                with contextlib.suppress(ZeroDivisionError):
                    done = await house.storage.write(unit)
                if verb == "say":
                    told.append(("message", done.id, words))
                elif verb == "edit":
                    told.append(("edit", chosen.id, words))
                elif verb == "delete":
                    told = [(kind, of, "" if of == chosen.id else text) for kind, of, text in told]
                    told.append(("delete", chosen.id, ""))
            for page in (100, 3):
                found: list[TimelineEntry] = []
                while some := await house.storage.read(
                    partial(history.since, customer_id=who, after=len(found), limit=page)
                ):
                    found += some
                assert [one.seq for one in found] == [*range(1, len(told) + 1)]
                assert [(one.kind, one.message.id, one.message.body.text) for one in found] == told

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(play(folder))


async def test_a_question_comes_before_its_answer_though_both_share_one_instant(database_url: str) -> None:
    """Web clients choose random ids: order within a transaction is by `seq`, never by id."""
    async with rooms(database_url) as house:
        await house.hears("question", id="ffffffff-ffff-4fff-bfff-ffffffffffff")
        await house.hears("and?", id="00000000-0000-4000-8000-000000000000")
        who = await house.customer()
        told = ["question", "heard: question", "and?", "heard: and?"]
        for read in (
            lambda conn: history.latest(conn, who),
            lambda conn: history.latest(conn, who, notes=True),
        ):
            assert [one.body.text for one in await house.storage.read(read)] == told


# ── who writes ─────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_two_first_messages_at_once_are_one_customer(database_url: str) -> None:
    async with rooms(database_url) as one, SecondNode(database_url, one.clock) as other:
        senders = [one.inbox, other or one.inbox] * 6
        receipts = await asyncio.gather(*(inbox.receive(wrote(f"m{n}")) for n, inbox in enumerate(senders)))
        assert len({receipt.customer_id for receipt in receipts}) == 1
        assert len(await one.rows("customers")) == len(await one.rows("identities")) == 1
        assert sorted(await one.words(await one.customer())) == sorted(f"m{n}" for n in range(12))


class SecondNode:
    """Another process's inbox on the same PostgreSQL; None on SQLite, where a second one is refused."""

    def __init__(self, url: str, clock: SetClock) -> None:
        self.storage = None if url.startswith("sqlite") else Storage(url, clock)

    async def __aenter__(self) -> Any:
        from bot.inbox import Inbox
        from tests.support.rooms import echo

        if self.storage is None:
            return None
        await self.storage.open()
        return Inbox(self.storage, [echo])

    async def __aexit__(self, *_: object) -> None:
        if self.storage is not None:
            await self.storage.close()


@pytest.mark.parametrize("joined", [True, False])
async def test_a_message_that_waited_for_a_merge_or_its_undoing_lands_where_its_writer_is_now(
    postgres_url: str, joined: bool
) -> None:
    """The identity is looked up again under the lock: else the words land in somebody else's timeline."""
    async with rooms(postgres_url) as house:
        await house.hears(who="kari")
        await house.hears(who="ola")
        kari, ola = await house.customer("kari"), await house.customer("ola")
        other = Storage(postgres_url, house.clock)
        async with other._engine.connect() as conn:
            await conn.execute(select(t.conversations).where(t.conversations.c.customer_id == ola).with_for_update())
            late = asyncio.ensure_future(house.hears("late", "ola"))
            async with asyncio.timeout(10):
                while not await house.storage.read(_somebody_waits):  # noqa: ASYNC110 - the server tells nobody
                    await asyncio.sleep(0.01)
            await conn.execute(update(t.identities).where(t.identities.c.customer_id == ola).values(customer_id=kari))
            if joined:
                await conn.execute(update(t.customers).where(t.customers.c.id == ola).values(merged_into=kari))
            await conn.commit()
        receipt = await late
        assert receipt.customer_id == kari
        assert "late" in await house.words(kari)
        assert "late" not in await house.words(ola)
        await other.close()


def _somebody_waits(conn: Any) -> Any:
    return conn.execute(text("SELECT count(*) FROM pg_locks WHERE NOT granted")).scalar()


async def test_postgresql_that_goes_away_and_comes_back_is_a_fault_in_between(postgres_url: str) -> None:
    """Sessions that were killed are replaced; the unit is run again."""
    async with rooms(postgres_url) as house:
        await house.hears("before")
        other = Storage(postgres_url)
        killed = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()"
        await other.read(lambda conn: conn.execute(text(killed)).all())
        await other.close()
        assert (await house.hears("after")).seq == 3
        assert (
            await house.storage.read(lambda conn: conn.execute(select(func.count()).select_from(t.messages)).scalar())
            == 4
        )


async def test_a_known_name_stays_and_an_unknown_one_is_learnt(database_url: str) -> None:
    async with rooms(database_url) as house:
        await house.hears()
        who = await house.customer()
        found = await house.storage.read(lambda conn: customers.customer(conn, who))
        assert found is not None
        assert found.name == "Kari"


async def test_a_new_sqlite_file_has_large_pages_whoever_makes_it(tmp_path: Path) -> None:
    """A server opens the file before its tables are made; `stafett db upgrade` makes them first."""
    served, upgraded = (f"sqlite+aiosqlite:///{tmp_path / name}" for name in ("served.db", "upgraded.db"))
    storage = Storage(served)
    await storage.open()
    await upgrade(served, locked=True)
    await upgrade(upgraded)
    try:
        assert await storage.write(lambda tx: tx.conn.exec_driver_sql("PRAGMA page_size").scalar()) == PAGE
    finally:
        await storage.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "upgraded.db")) as conn:
        assert conn.execute("PRAGMA page_size").fetchone() == (PAGE,)


async def test_who_waits_for_a_search_does_not_wait_for_a_report(database_url: str) -> None:
    async with rooms(database_url) as house:
        begun, goes_on = threading.Event(), threading.Event()

        def report(conn: Any) -> int:
            begun.set()
            assert goes_on.wait(30)
            return int(conn.execute(select(func.count()).select_from(t.messages)).scalar_one())

        reporting = asyncio.create_task(house.storage.read_apart(report))
        await asyncio.to_thread(begun.wait, 30)
        async with asyncio.timeout(20):
            assert await house.storage.read_apart(lambda conn: conn.execute(select(1)).scalar(), soon=True) == 1
        goes_on.set()
        assert await reporting == 0
