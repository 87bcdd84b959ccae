"""Statements that are made ready once give what they give by SQLAlchemy's own way, on both engines."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import json
import pkgutil
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, bindparam, delete, insert, null, select, text, update
from sqlalchemy.dialects.postgresql import asyncpg
from sqlalchemy.dialects.sqlite import aiosqlite
from sqlalchemy.exc import IntegrityError, NoResultFound, OperationalError

import bot
import channels
import handoff
import surveys
from bot.storage import tables as t
from bot.storage.json_text import dumps, loads
from bot.storage.prepared import Prepared, Waiting, among, put_in, put_off
from bot.storage.tx import Tx
from tests.support.rooms import NOON, rooms

words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**25), 10**25) | st.floats(-1000, 1000, width=16) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)
times = st.datetimes(
    datetime(1990, 1, 1), datetime(2200, 1, 1), timezones=st.sampled_from([UTC, timezone(timedelta(hours=5.5))])
)
rows = st.fixed_dictionaries(
    {"id": words.filter(bool), "lane": words, "payload": values, "due_at": times, "expires_at": st.none() | times, "bulk": st.booleans(),
     "epoch": st.none() | st.integers(-(2**31), 2**31 - 1)}
)  # fmt: skip

ADD, ALL = insert(t.outbox), select(t.outbox).where(t.outbox.c.via == bindparam("by")).order_by(t.outbox.c.n)
MOVE = update(t.outbox).where(t.outbox.c.id == bindparam("of")).values(state="sent").returning(t.outbox)
HAVE = select(t.outbox.c.id).where(among(t.outbox.c.id, "names"), t.outbox.c.state != "failed")
add, all_of, move, have = (Prepared(one) for one in (ADD, ALL, MOVE, HAVE))
PLAIN = {"via": "x", "kind": "text", "state": "ready", "created_at": NOON}


class Undone(Exception):
    pass


async def in_a_transaction(database_url: str, unit: Any) -> None:
    """Run in one that is rolled back."""
    async with rooms(database_url) as house:

        def undone(tx: Tx) -> None:
            unit(tx.conn)
            raise Undone

        with pytest.raises(Undone):
            await house.storage.write(undone)


async def test_it_gives_what_the_ordinary_way_gives(database_url: str) -> None:
    def unit(conn: Connection) -> None:
        @settings(max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(rows)
        def equal(row: dict[str, Any]) -> None:
            savepoint = conn.begin_nested()
            try:
                add.run(conn, **PLAIN, **row)
                mine = all_of.one(conn, by="x")
                theirs = conn.execute(ALL, {"by": "x"}).one()
                assert tuple(mine) == tuple(theirs)
                assert mine._fields == theirs._fields
                assert (mine.payload, mine.due_at, mine.attempts) == (row["payload"], row["due_at"], 0)
                conn.execute(delete(t.outbox))
                conn.execute(ADD, {**PLAIN, **row})
                assert [mine._replace(n=0)] == [one._replace(n=0) for one in all_of.all(conn, by="x")]
                changed = move.one(conn, of=row["id"], error="E", sent_at=row["due_at"])
                assert tuple(changed) == tuple(conn.execute(ALL, {"by": "x"}).one())
                assert (changed.state, changed.error, changed.sent_at) == ("sent", "E", row["due_at"])
            finally:
                savepoint.rollback()

        equal()

    await in_a_transaction(database_url, unit)


async def test_many_rows_a_list_of_values_and_none_at_all(database_url: str) -> None:
    def unit(conn: Connection) -> None:
        many = [{**PLAIN, "id": name, "lane": "l", "payload": {}, "due_at": NOON} for name in "abc"]
        add.run_many(conn, many)
        add.run_many(conn, [])
        assert [row.id for row in all_of.all(conn, by="x")] == ["a", "b", "c"]
        assert {row.id for row in have.all(conn, names=["c", "a", "z"])} == {"a", "c"}
        assert have.all(conn, names=[]) == []
        assert (all_of.first(conn, by="y"), have.scalar(conn, names=["b"]), have.scalar(conn, names=["z"])) == (
            None,
            "b",
            None,
        )
        assert Prepared(delete(t.outbox).where(among(t.outbox.c.id, "names"))).run(conn, names=["a", "b"]) == 2
        with pytest.raises(NoResultFound):
            all_of.one(conn, by="y")

    await in_a_transaction(database_url, unit)


async def test_errors_are_sqlalchemys_and_a_savepoint_undoes_them(database_url: str) -> None:
    def unit(conn: Connection) -> None:
        whole = {**PLAIN, "id": "a", "lane": "l", "payload": {}, "due_at": NOON}
        add.run(conn, **whole)
        savepoint = conn.begin_nested()
        with pytest.raises(IntegrityError):
            add.run(conn, **whole)
        savepoint.rollback()
        savepoint = conn.begin_nested()
        with pytest.raises(Exception, match="no_such") as told:
            Prepared(text("SELECT * FROM no_such")).all(conn)
        assert isinstance(told.value, OperationalError) or type(told.value).__name__ == "ProgrammingError"
        savepoint.rollback()
        with pytest.raises(TypeError, match="by"):
            all_of.all(conn)
        with pytest.raises(TypeError, match="whose"):
            all_of.all(conn, by="x", whose="y")
        with pytest.raises(TypeError, match="among"):
            Prepared(select(t.outbox.c.id).where(t.outbox.c.id.in_(["a"]))).all(conn)
        with pytest.raises(ValueError, match="naive"):
            add.run(conn, **{**whole, "due_at": NOON.replace(tzinfo=None)})
        assert len(all_of.all(conn, by="x")) == 1

    await in_a_transaction(database_url, unit)


async def test_reading_alone_sees_one_moment(database_url: str) -> None:
    """A prepared statement may be the first of a reader: from then on nothing changes under its eyes (SQLite's snapshot)."""
    async with rooms(database_url) as house:
        found = await house.storage.read(lambda conn: (all_of.all(conn, by="x"), conn.in_transaction()))
        assert found == ([], True)


@given(values)
def test_json_comes_back_as_it_went_in_and_others_read_it(value: Any) -> None:
    assert loads(dumps(value)) == json.loads(dumps(value)) == loads(json.dumps(value)) == value


def test_json_that_orjson_would_change_or_refuse() -> None:
    assert loads(dumps({"n": 10**30, "half": "\ud83d", "keys": {1: 2}})) == {
        "n": 10**30,
        "half": "\ud83d",
        "keys": {"1": 2},
    }
    with pytest.raises(TypeError):
        dumps({"at": NOON})


async def test_no_value_and_the_null_of_json_are_told_apart_as_ever(database_url: str) -> None:
    count = text("SELECT count(*) FROM outbox WHERE error IS NULL AND expires_at IS NULL")

    def unit(conn: Connection) -> None:
        add.run(conn, **PLAIN, id="a", lane="l", payload=None, due_at=NOON, error=None)
        assert Prepared(count).scalar(conn) == 1
        forget = Prepared(update(t.inbox).where(t.inbox.c.key == bindparam("named")))
        conn.execute(insert(t.inbox), {"source": "s", "key": "k", "state": "new", "received_at": NOON, "happening": {}})
        forget.run(conn, named="k", happening=null())
        assert conn.execute(text("SELECT count(*) FROM inbox WHERE happening IS NULL")).scalar() == 1

    await in_a_transaction(database_url, unit)


@pytest.mark.filterwarnings(
    "ignore:unclosed database:ResourceWarning"
)  # aiosqlite's, of who gives up while it connects
async def test_who_gives_up_in_the_middle_leaves_no_transaction_to_the_next(database_url: str) -> None:
    """A question that is cut off at any moment: what others write after it is committed, and others see it."""
    ask, keep = Prepared(text("SELECT 1")), Prepared(insert(t.settings))
    kept = text("SELECT count(*) FROM settings WHERE key LIKE 'after %'")

    def note(tx: Tx, key: str) -> None:
        keep.run(tx.conn, key=key, value=1)

    async with rooms(database_url) as house:
        for steps in range(30):
            asking = asyncio.create_task(house.storage.read(ask.all))
            for _ in range(steps):
                await asyncio.sleep(0)
            asking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asking
            await house.storage.write(partial(note, key=f"after {steps}"))
        assert await house.storage.read_apart(lambda conn: conn.execute(kept).scalar()) == 30
    gc.collect()  # so that Python 3.13 warns here


async def test_a_row_that_waits_takes_no_column_that_it_was_added_without(database_url: str) -> None:
    def unit(conn: Connection) -> None:
        put_off(conn)
        row = add.later(conn, **PLAIN, id="a", lane="l", payload={}, due_at=NOON)
        assert row is not None
        with pytest.raises(KeyError, match="lease_owner"):
            row.change(lease_owner="n1")
        assert row.change(state="sending")
        put_in(conn)
        assert [(one.state, one.lease_owner) for one in all_of.all(conn, by="x")] == [("sending", None)]

    await in_a_transaction(database_url, unit)


@pytest.mark.parametrize("write", [True, False])
async def test_nothing_of_a_transaction_waits_for_the_garbage_collector(database_url: str, write: bool) -> None:
    """Rows that waited know each other: thousands of them, with all that they hold, would lie about until it comes."""

    def unit(conn: Connection) -> None:
        put_off(conn)
        for one in ("a", "b"):
            add.later(conn, **PLAIN, id=one, lane="l", payload={}, due_at=NOON)
        gc.disable()
        try:
            put_in(conn, write=write)
            assert [one for one in gc.get_objects() if isinstance(one, Waiting)] == []
        finally:
            gc.enable()
        assert len(all_of.all(conn, by="x")) == (2 if write else 0)

    await in_a_transaction(database_url, unit)


def prepared_statements() -> list[Any]:
    """Every statement that a room of the house has made ready, by its place."""
    found = []
    for package in (bot, channels, handoff, surveys):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if (module.name.endswith("store") or ".storage." in module.name) and ".migrations" not in module.name:
                made = vars(importlib.import_module(module.name))
                found += [
                    pytest.param(one, id=f"{module.name}.{name}")
                    for name, one in made.items()
                    if isinstance(one, Prepared)
                ]
    return found


@pytest.mark.parametrize("dialect", [aiosqlite.dialect(), asyncpg.dialect()], ids=["sqlite", "postgresql"])
@pytest.mark.parametrize("statement", prepared_statements())
def test_each_of_the_houses_own_can_be_said_to_both_engines(statement: Prepared, dialect: Any) -> None:
    """With every value that it can be given. What is odd about a type shows here, not in the first turn that meets it."""
    asked = statement.statement.compile(dialect=dialect).binds
    names = sorted(name for name, one in asked.items() if one.required)
    assert statement.form(SimpleNamespace(dialect=dialect), names).sql  # type: ignore[arg-type]
