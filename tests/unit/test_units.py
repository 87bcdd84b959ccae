"""Units that share a commit, run as if nothing could go wrong: what comes of them is what comes of each by itself."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, select

from bot.storage import marks
from bot.storage import tables as t
from bot.storage.engine import Storage
from bot.storage.prepared import Prepared
from bot.storage.tx import Tx
from tests.support.rooms import rooms

MARKS = Prepared(select(func.count()).select_from(t.figure_marks))
REFS = select(t.figure_marks.c.ref).order_by(t.figure_marks.c.n)

steps = st.recursive(
    st.one_of(st.just("mark"), st.just("count"), st.just("count by SQLAlchemy"), st.just("fail")),
    lambda inner: st.tuples(st.sampled_from(["kept", "undone"]), st.lists(inner, max_size=3)),
    max_leaves=8,
)
units = st.lists(st.tuples(st.booleans(), st.lists(steps, max_size=4)), min_size=1, max_size=5)


class Failed(Exception):
    """What a unit of these tests raises."""


class Told:
    """What a unit saw: how many marks there were, each time that it asked."""

    def __init__(self, name: str, plan: list[Any]) -> None:
        self._name, self._plan = name, plan

    def __call__(self, tx: Tx) -> list[int]:
        self._made, self._seen = 0, list[int]()
        self._do(tx, self._plan)
        return self._seen

    def _do(self, tx: Tx, plan: list[Any]) -> None:
        for step in plan:
            if step == "mark":
                self._made += 1
                marks.mark(tx.conn, marks.CASES, f"{self._name}.{self._made}")
            elif step == "count":
                self._seen.append(MARKS.scalar(tx.conn))
            elif step == "count by SQLAlchemy":
                self._seen.append(len(tx.conn.execute(REFS).all()))
            elif step == "fail":
                raise Failed
            else:
                self._apart(tx, *step)

    def _apart(self, tx: Tx, how: str, plan: list[Any]) -> None:
        with contextlib.suppress(Failed), tx.savepoint():
            self._do(tx, plan)
            if how == "undone":
                raise Failed


class Model:
    """The same in a list."""

    def __init__(self) -> None:
        self.rows: list[str] = []

    def run(self, name: str, plan: list[Any]) -> list[int] | None:
        before, self._made, self._name = list(self.rows), 0, name
        seen: list[int] = []
        try:
            self._do(plan, seen)
        except Failed:
            self.rows = before
            return None
        return seen

    def _do(self, plan: list[Any], seen: list[int]) -> None:
        for step in plan:
            if step == "mark":
                self._made += 1
                self.rows.append(f"{self._name}.{self._made}")
            elif step in ("count", "count by SQLAlchemy"):
                seen.append(len(self.rows))
            elif step == "fail":
                raise Failed
            else:
                how, inner = step
                before = list(self.rows)
                with contextlib.suppress(Failed):
                    self._do(inner, seen)
                    before = before if how == "undone" else self.rows
                self.rows = before


async def together(storage: Storage, plans: list[tuple[bool, list[Any]]]) -> list[Any]:
    asked = [storage.write(Told(str(n), plan), quick=quick) for n, (quick, plan) in enumerate(plans)]
    return await asyncio.gather(*asked, return_exceptions=True)


async def test_units_give_and_leave_what_they_would_one_by_one_whatever_fails_in_them(sqlite_url: str) -> None:
    async with rooms(sqlite_url) as house:

        @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
        @given(units)
        def holds(plans: list[tuple[bool, list[Any]]]) -> None:
            asyncio.run_coroutine_threadsafe(check(plans), loop).result()

        async def check(plans: list[tuple[bool, list[Any]]]) -> None:
            model = Model()
            expected = [model.run(str(n), plan) for n, (_, plan) in enumerate(plans)]
            found = await together(house.storage, plans)
            assert [None if isinstance(one, Failed) else one for one in found] == expected
            assert await house.storage.read(lambda conn: list(conn.execute(REFS).scalars())) == model.rows
            await house.storage.write(lambda tx: tx.conn.execute(delete(t.figure_marks)))

        loop = asyncio.get_running_loop()
        await asyncio.to_thread(holds)


async def test_on_postgresql_too(postgres_url: str) -> None:
    """Each in a transaction of its own there, so one after the other."""
    async with rooms(postgres_url) as house:
        plans: list[list[Any]] = [
            ["mark", ("undone", ["mark", "count"]), "count", "mark", "count by SQLAlchemy"],
            ["mark", "fail"],
            [("kept", ["mark"]), "count", ("undone", ["mark", ("kept", ["mark"]), "fail"]), "count"],
        ]
        model = Model()
        for n, plan in enumerate(plans):
            expected = model.run(str(n), plan)
            found = await asyncio.gather(house.storage.write(Told(str(n), plan)), return_exceptions=True)
            assert [None if isinstance(one, Failed) else one for one in found] == [expected]
        assert await house.storage.read(lambda conn: list(conn.execute(REFS).scalars())) == model.rows


async def test_another_process_that_holds_the_lock_holds_up_no_event_loop(sqlite_url: str) -> None:
    async with rooms(sqlite_url) as house:
        other = sqlite3.connect(house.storage.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        writing = asyncio.ensure_future(house.storage.write(Told("late", ["mark", "count"]), quick=True))
        for _ in range(100):  # SQLite itself would wait for seconds in the first of these
            await asyncio.sleep(0)
        assert not writing.done()
        other.execute("ROLLBACK")
        other.close()
        assert await asyncio.wait_for(writing, 30) == [1]


async def test_what_was_asked_on_a_loop_that_has_ended_is_written_all_the_same(sqlite_url: str) -> None:
    async with rooms(sqlite_url) as house:
        writer = house.storage._writer
        assert writer is not None
        asking = writer.submit(Told("left", ["mark"]), quick=True)

        def ask_and_end() -> None:
            loop = asyncio.new_event_loop()
            loop.call_soon(lambda: asking.send(None))
            loop.call_soon(loop.stop)
            loop.run_forever()  # one round: it has been asked for, and nothing more
            loop.close()

        await asyncio.to_thread(ask_and_end)
        await asyncio.to_thread(writer.close)
        asking.close()
        with contextlib.closing(sqlite3.connect(house.storage.path)) as db, db:
            assert db.execute("SELECT ref FROM figure_marks").fetchall() == [("left.1",)]
        house.storage._writer = None
