"""What waits goes in by one statement on PostgreSQL, and is what goes in by many."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Table, insert, select
from sqlalchemy.dialects import postgresql

from bot.storage import prepared
from bot.storage import tables as t
from bot.storage.one_trip import as_one
from bot.storage.prepared import Changes, Prepared
from tests.support.rooms import NOON, rooms
from tests.unit.test_prepared import PLAIN, Undone, rows

ADD, ADD_REF = Prepared(insert(t.outbox)), Prepared(postgresql.insert(t.message_refs).on_conflict_do_nothing())
ADD_DELIVERY, CHANGES = Prepared(insert(t.inbox)), Changes(t.conversations, "customer_id")
WHO = ("kari", "ola", "nils")
changes = st.lists(
    st.tuples(
        st.sampled_from(WHO),
        st.fixed_dictionaries(
            {}, optional={"last_seq": st.integers(0, 9), "bot_state": st.sampled_from([{}, {"a": [1, None]}]), "reply_address": st.none() | st.just("x")}
        ).filter(bool),
    ),
    max_size=6,
)  # fmt: skip
raws = st.lists(st.none() | st.binary(max_size=8), max_size=4)
refs = st.lists(st.tuples(st.sampled_from(["1", "2", "3"]), st.none() | st.just("o")), max_size=6)


def all_of(conn: Connection, table: Table, *but: str) -> list[dict[str, Any]]:
    rows = conn.execute(select(table).order_by(*table.primary_key.columns)).mappings()
    return [{name: value for name, value in row.items() if name not in but} for row in rows]


def write(
    conn: Connection, sends: list[dict[str, Any]], said: list[Any], known: list[Any], raw: list[Any]
) -> list[Any]:
    """All that may wait, and then what the tables hold; the outbox in the order in which it counts its rows."""
    for name in WHO:
        conn.execute(insert(t.customers).values(id=name, locale="nb", created_at=NOON))
        conn.execute(insert(t.conversations).values(customer_id=name, updated_at=NOON))
    for place, row in enumerate(sends):
        ADD.later(conn, **{**PLAIN, **row, "id": f"{place}"})
    for ref, outbox_id in known:
        ADD_REF.later(conn, channel="x", ref=ref, customer_id="kari", message_id=f"m{ref}", outbox_id=outbox_id)
    for place, one in enumerate(raw):
        ADD_DELIVERY.later(conn, source="x", key=f"{place}", raw=one, happening=None, state="done", received_at=NOON)
    for of, values in said:
        CHANGES.later(conn, of, {**values, "updated_at": NOON + timedelta(seconds=1)})
    return [all_of(conn, t.outbox, "n"), *(all_of(conn, one) for one in (t.message_refs, t.inbox, t.conversations))]


async def test_one_statement_writes_what_many_write(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wholes: list[str] = []

    def watched(parts: Any) -> Any:
        made = as_one(parts)
        wholes.extend([made[0]] if made else [])
        return made

    async with rooms(database_url) as house:

        async def written(how: Any, *what: Any) -> list[Any]:
            monkeypatch.setattr(prepared, "as_one", how)
            found: list[Any] = []

            def undone(tx: Any) -> None:
                found[:] = write(tx.conn, *what)
                raise Undone

            with pytest.raises(Undone):
                await house.storage.write(undone)
            return found

        @settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
        @given(st.tuples(st.lists(rows, max_size=4), changes, refs, raws))
        def drawn(what: Any) -> None:
            told.append(what)

        told: list[Any] = []
        drawn()
        for what in told:
            assert await written(watched, *what) == await written(lambda _parts: None, *what)
    assert bool(wholes) == database_url.startswith("postgresql")


INSERT = "INSERT INTO a (x, y) VALUES ($1::VARCHAR, $2::TIMESTAMP WITH TIME ZONE)"
UPDATE = "UPDATE b SET y=$1::INTEGER WHERE b.x = $2::VARCHAR"


def test_a_column_of_all_rows_is_one_array() -> None:
    sql, arrays = as_one([(UPDATE, [(1, "k"), (2, "l")]), (INSERT, [("p", NOON)])]) or ("", [])
    assert sql == (
        "WITH p0 AS (INSERT INTO a (x, y) SELECT v.c1, v.c2 FROM unnest($1::VARCHAR[], $2::TIMESTAMP WITH TIME ZONE[]) AS v(c1, c2)) "
        "UPDATE b SET y=v.c1 FROM unnest($3::INTEGER[], $4::VARCHAR[]) AS v(c1, c2) WHERE b.x = v.c2"
    )
    assert arrays == [("p",), (NOON,), (1, 2), ("k", "l")]


@pytest.mark.parametrize(
    "others",
    [
        pytest.param([], id="there is nothing else to write"),
        pytest.param([UPDATE.replace(" b", " a").replace("b.", "a.")], id="a row may be for two of them"),
        pytest.param([UPDATE.replace("::INTEGER", "")], id="a value has no type"),
        pytest.param(["DELETE FROM b WHERE b.x = $1::VARCHAR"], id="it is something else"),
    ],
)
def test_it_is_several_statements_where(others: list[str]) -> None:
    assert as_one([(sql, [("k", 1)]) for sql in (INSERT, *others)]) is None
