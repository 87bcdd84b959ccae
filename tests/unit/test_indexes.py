"""The indexes that every message writes: few, and small where few rows matter; and whatever needs one finds it.

Transactions run on the event loop, one after the other: what reads a table that only grows as a whole stops everybody.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, delete, insert, inspect, select
from sqlalchemy.ext.asyncio import create_async_engine

from bot.api import store as api
from bot.errors import DatabaseFault
from bot.model import CaseStatus
from bot.replay import store as replays
from bot.storage import counts, erasure, history, inbox_rows, links, merging, outbox_rows, schema, trouble, wish_titles
from bot.storage import tables as t
from bot.storage.belongings import Belongings
from bot.storage.marks import CASES
from bot.storage.tx import Tx, Wiring
from channels.web import store as web
from handoff import store as cases
from handoff.case import Case
from handoff.slack import store as slack
from handoff.web import store as wall
from surveys import store as surveys
from surveys.insights import store as insights
from surveys.rollups.raw import store as facts
from surveys.team import store as team

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
DELIVERY = "sqlite_autoindex_inbox_1"
KEY, OF_CUSTOMER, OF_CASE = (
    "sqlite_autoindex_messages_1",
    "ix_messages_customer_id_seq_case_id",
    "sqlite_autoindex_cases_1",
)
OPEN, AWAITING, RECEIVED = "ix_inbox_unhandled", "ix_inbox_awaiting", "ix_inbox_received_at"
THEIR_DELIVERIES = "ix_inbox_customer_id"
SENDS, A_ROW = "ix_outbox_message_id", "PRIMARY"
NUMBER, ENDED = "ix_cases_number", "ix_cases_resolved_at"
GROWING = "messages|inbox|outbox|cases|case_events|timers|survey_responses|link_codes|audit|merges|idempotency_keys|message_refs|relays|wish_votes"
READS_ALL = re.compile(rf"SCAN ({GROWING}|o|s|m)")
FROM_ITS_END = re.compile(
    r"SELECT outbox\.n \nFROM outbox \nWHERE outbox\.created_at < \S+ \S+ ORDER BY outbox\.n DESC\n? LIMIT 1 "
)
"""Read to the first row that is older."""
CASE = Case("c1", 12, "kari", CaseStatus.OPEN, "web", "en", NOON, NOON)
KARI = Belongings(("kari", "k2"), (), (), ("c1",), (), ())
UNSENT, LIVE, SENDABLE = "ix_outbox_unsent", "ix_outbox_live", "ix_outbox_waiting"


# ── from 0017 ──────────────────────────────────────────────────────────────────────────────────────────────────────
async def on(url: str, work: Callable[[Connection], Any]) -> Any:
    engine = create_async_engine(url)
    async with engine.begin() as conn:
        found = await conn.run_sync(work)
    await engine.dispose()
    return found


def fill(conn: Connection) -> None:
    """Two customers, of whom one was merged into the other; what they said; both doors in all their states."""
    talk = {"author_kind": "customer", "channel": "web", "text": "hei", "at": NOON}
    kari = {"id": "kari", "locale": "nb", "created_at": NOON}
    conn.execute(insert(t.customers), [kari, kari | {"id": "k2", "merged_into": "kari"}])
    conn.execute(insert(t.customers), kari | {"id": "ola"})
    talks = [{"customer_id": one, "updated_at": NOON} for one in ("kari", "ola")]
    conn.execute(insert(t.conversations), talks)
    conn.execute(
        insert(t.messages),
        [
            talk | {"id": "m1", "customer_id": "k2", "seq": 1, "case_id": "c1", "copied_from": None},
            talk | {"id": "m1", "customer_id": "kari", "seq": 2, "case_id": "c1", "copied_from": "k2"},
            talk | {"id": "m0", "customer_id": "kari", "seq": 1, "case_id": None, "copied_from": None},
            talk | {"id": "n1", "customer_id": "kari", "seq": None, "case_id": "c1", "copied_from": None},
        ],
    )
    came = {"source": "web", "received_at": NOON, "raw": b"{}", "happening": {"is": "written"}, "due_at": None}
    waits = {"parked": "web:r1", "new": None, "done": None, "dead": None, "alias": None}
    conn.execute(
        insert(t.inbox), [came | {"key": one, "state": one, "waits_for": waits_for} for one, waits_for in waits.items()]
    )
    leaves = {"lane": "web:1", "via": "web", "kind": "text", "payload": {"a": 1}, "due_at": NOON, "created_at": NOON}
    states = ("sent", "ready", "sending", "retry", "uncertain", "failed", "expired")
    conn.execute(insert(t.outbox), [leaves | {"id": one, "state": one} for one in states])


def held(conn: Connection) -> dict[str, list[Any]]:
    """All rows, but those that migrations write."""
    some = [one for one in t.metadata.sorted_tables if one is not t.schema_versions]
    new = {t.conversations.c.last_at}  # came with 0021
    return {one.name: sorted(map(repr, conn.execute(select(*(set(one.c) - new))))) for one in some}


def shape(conn: Connection) -> dict[str, Any]:
    """Each table's key, columns, indexes and foreign keys."""
    seen = inspect(conn)
    return {
        one: (
            seen.get_pk_constraint(one)["constrained_columns"],
            {(column["name"], column["nullable"]) for column in seen.get_columns(one)},
            {(index["name"], tuple(index["column_names"])) for index in seen.get_indexes(one)},
            {(key["name"], key["referred_table"]) for key in seen.get_foreign_keys(one)},
        )
        for one in seen.get_table_names()
        if one != "alembic_version"
    }


def made_at_once(conn: Connection) -> dict[str, Any]:
    """The same database as it is declared."""
    t.metadata.drop_all(conn)
    t.metadata.create_all(conn)
    return shape(conn)


async def test_a_filled_database_comes_to_the_declared_keys_with_every_row_or_not_at_all(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """0018 writes `messages` anew on SQLite: what it had stays, and a migration that breaks off has done nothing."""
    with monkeypatch.context() as past:
        past.setattr(schema, "HEAD", "0017")
        past.setattr(schema, "_create", schema.migrate)
        await schema.upgrade(database_url)
    await on(database_url, fill)
    rows, old = await on(database_url, held), await on(database_url, shape)
    assert old["messages"][0] == ["customer_id", "id"]

    in_its_way = insert(t.schema_versions).values(revision="0018", oldest_program="0001")
    await on(database_url, lambda conn: conn.execute(in_its_way))
    with pytest.raises(DatabaseFault):
        await schema.upgrade(database_url)
    assert (await on(database_url, schema.current), await on(database_url, shape)) == ("0017", old)
    out_of_it = delete(t.schema_versions).where(t.schema_versions.c.revision == "0018")
    await on(database_url, lambda conn: conn.execute(out_of_it))

    assert await schema.upgrade(database_url)
    assert await on(database_url, held) == rows
    new = await on(database_url, shape)
    assert new["messages"][0] == ["id", "customer_id"]
    indexed = {"cases", "case_events", "timers", "relays", "survey_responses", "link_codes", "audit", "merges"}
    changed = {"messages", "inbox", "outbox", "idempotency_keys", "conversations"} | indexed
    assert {name for name in new if new[name] != old[name]} == changed
    assert await on(database_url, made_at_once) == new


async def test_a_timeline_that_held_a_copy_of_each_message_reads_as_it_did(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """0021 takes away the copies that say nothing else: not the words before an edit, nor the place of who left and came back."""
    with monkeypatch.context() as past:
        past.setattr(schema, "HEAD", "0020")
        past.setattr(schema, "_create", schema.migrate)
        await schema.upgrade(database_url)
    later = NOON + timedelta(minutes=5)

    def fill_timeline(conn: Connection) -> None:
        conn.execute(insert(t.customers), {"id": "kari", "locale": "nb", "created_at": NOON})
        conn.execute(insert(t.conversations), {"customer_id": "kari", "last_seq": 6, "updated_at": later})
        wrote = {"customer_id": "kari", "author_kind": "customer", "channel": "web", "at": NOON}
        said = [("m1", 1, "plain"), ("m2", 2, "mended"), ("m3", 6, "came back")]
        conn.execute(insert(t.messages), [wrote | {"id": one, "seq": seq, "text": text} for one, seq, text in said])
        lines = [
            (1, "message", "m1", "plain", NOON),
            (2, "message", "m2", "wrong", NOON),
            (3, "message", "m3", "", NOON),
            (4, "delete", "m3", "", NOON),
            (5, "edit", "m2", "mended", later),
            (6, "message", "m3", "came back", later),
        ]
        names = ("seq", "kind", "message_id", "text", "at")
        conn.execute(
            insert(t.timeline), [{"customer_id": "kari"} | dict(zip(names, one, strict=True)) for one in lines]
        )

    def read(conn: Connection) -> list[Any]:
        return [(one.seq, one.kind, one.message.id, one.message.body.text) for one in history.since(conn, "kari", 0)]

    await on(database_url, fill_timeline)
    before = await on(database_url, read)
    assert [(seq, text) for seq, _, _, text in before] == [
        (1, "plain"), (2, "wrong"), (3, ""), (4, ""), (5, "mended"), (6, "came back"),
    ]  # fmt: skip
    assert await schema.upgrade(database_url)
    assert await on(database_url, read) == before
    assert await on(database_url, lambda conn: sorted(conn.execute(select(t.timeline.c.seq)).scalars())) == [2, 3, 4, 5]
    assert await on(database_url, lambda conn: conn.execute(select(t.conversations.c.last_at)).scalar()) == later
    assert await on(database_url, lambda conn: [one.kind for one in trouble.find(conn, later)]) == []


# ── which index a statement takes ──────────────────────────────────────────────────────────────────────────────────
ASKED: dict[str, tuple[Callable[[Tx], Any], set[str]]] = {
    "a message by its id": (lambda tx: history.message(tx.conn, "m"), {KEY}),
    "a customer's message": (lambda tx: history.of_customer(tx.conn, "c", "m"), {KEY}),
    "a case's messages": (lambda tx: history.of_case(tx.conn, "c"), {OF_CASE, OF_CUSTOMER}),
    "what was said last in some": (lambda tx: wall.last_lines(tx.conn, [CASE]), {OF_CASE, OF_CUSTOMER}),
    "who knows a case": (lambda tx: slack.noted_before(tx.conn, "c", "ann"), {OF_CASE, OF_CUSTOMER}),
    "its notes in Slack": (lambda tx: slack.posts_of(tx.conn, "c", "C1", NOON), {OF_CASE, OF_CUSTOMER}),
    "what its thread shows": (lambda tx: slack.forget_shown(tx, CASE), {OF_CUSTOMER}),
    "where the bot's part ended": (lambda tx: surveys.last_step(tx.conn, "c"), {OF_CASE, OF_CUSTOMER}),
    "what a rater reads": (lambda tx: team.transcript(tx.conn, "c"), {OF_CASE, OF_CUSTOMER}),
    "what some began with": (lambda tx: insights.first_words(tx.conn, ["c", "d"]), {OF_CASE, OF_CUSTOMER}),
    "what their figures count": (
        lambda tx: facts.make(tx.conn, CASES, ["c", "d"], lambda _: None),
        {OF_CASE, OF_CUSTOMER},
    ),
    "what their replay hears": (lambda tx: replays.load(tx.conn, ["c", "d"]), {OF_CASE, OF_CUSTOMER}),
    "what a customer said": (lambda tx: history.messages(tx.conn, "c"), {OF_CUSTOMER}),
    "the last of it": (lambda tx: history.latest(tx.conn, "c", notes=True), {OF_CUSTOMER}),
    "what a widget missed": (lambda tx: history.since(tx.conn, "c", 5), {KEY, OF_CUSTOMER}),
    "a customer's files": (lambda tx: web.owned_file(tx.conn, "f", "c"), {OF_CUSTOMER}),
    "what is parked for one thing": (lambda tx: inbox_rows.parked(tx, "x"), {AWAITING, KEY}),
    "what is parked for some": (lambda tx: inbox_rows.known(tx, "x", ["y"], ["z"]), {AWAITING, DELIVERY}),
    "what is parked for a kind": (lambda tx: inbox_rows.parked_like(tx.conn, "words:"), {OPEN}),
    "what is tried again": (lambda tx: inbox_rows.due(tx.conn, NOON), {OPEN}),
    "when that is": (lambda tx: inbox_rows.next_due(tx.conn), {OPEN}),
    "what was parked for too long": (lambda tx: inbox_rows.overdue(tx.conn, NOON), {OPEN}),
    "who has waited longest": (lambda tx: inbox_rows.oldest_waiting(tx.conn), {OPEN}),
    "what was taken back": (lambda tx: inbox_rows.forget_words(tx, "m", ["x"]), {THEIR_DELIVERIES, KEY}),
    "old keys": (lambda tx: inbox_rows.forget_before(tx, NOON), {RECEIVED}),
    "lanes that send": (lambda tx: outbox_rows.heads(tx, [("web", False)], 5), {SENDABLE, UNSENT, LIVE}),
    "places that send": (lambda tx: outbox_rows.posting(tx, ["x"], []), {UNSENT}),
    "whose sender died": (lambda tx: outbox_rows.strand(tx, "me", ["x"], others_may_live=True), {UNSENT}),
    "a clock that went back": (lambda tx: outbox_rows.hurry(tx, NOON), {UNSENT}),
    "what goes on under a new epoch": (lambda tx: cases.carry_over(tx, "c", 1, 2), {UNSENT}),
    "what a widget was shown": (lambda tx: web.shown(tx, "a", 5), {LIVE, KEY}),
    "a case by its number": (lambda tx: cases.by_number(tx.conn, 7), {NUMBER}),
    "how long a case takes": (lambda tx: cases.handling_s(tx.conn, "a team"), {ENDED}),
    "what cases were given": (lambda tx: api.scores(tx.conn, ["c1"]), {"ix_survey_responses_case_id"}),
    "a code that was opened": (lambda tx: links.opened(tx, "an identity"), {"ix_link_codes_identity_id"}),
    "wrong codes": (lambda tx: links.failures_since(tx, "an identity", NOON), {"ix_audit_who_at"}),
    "old answers": (lambda tx: api.keep(tx, "k", api.Kept("h", 200, {})), {"ix_idempotency_keys_at"}),
    "who can part again": (lambda tx: merging.last_merge(tx, "kari"), {"ix_merges_winner_id", "ix_merges_loser_id"}),
    "two who become one": (lambda tx: merging.merge(tx, "kari", "ola", "linked"), {UNSENT, SENDS, OF_CUSTOMER}),
    "two who were one": (lambda tx: merging.unmerge(tx, joined(tx)), {SENDS, OF_CUSTOMER, A_ROW}),
    "what an erasure can't reach": (lambda tx: erasure._left(tx, KARI), {SENDS, OF_CUSTOMER}),
    "what no wish is called any more": (
        lambda tx: wish_titles.forget(tx, KARI.customers),
        {"ix_wish_votes_customer_id"},
    ),
    "an operator's figures": (lambda tx: counts.read(tx.conn), {OPEN, UNSENT, LIVE}),
    "an operator's list": (lambda tx: trouble.find(tx.conn, NOON), {OPEN, UNSENT}),
}


def joined(tx: Tx) -> str:
    return tx.conn.execute(select(t.merges.c.id)).scalar() or merging.merge(tx, "kari", "ola", "linked")


@pytest.fixture(scope="module")
def tx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tx]:
    engine = create_engine(f"sqlite:///{tmp_path_factory.mktemp('plans') / 'plans.db'}")
    with engine.begin() as conn:
        t.metadata.create_all(conn)
        fill(conn)
        yield Tx(conn, NOON, Wiring())
    engine.dispose()


@pytest.mark.parametrize("name", ASKED)
def test_what_is_asked_takes_its_index_and_reads_no_table_whole(tx: Tx, name: str) -> None:
    """SQLite takes a partial index only for a statement that says its condition: see `outbox_rows.live`."""
    ask, expected = ASKED[name]
    driver: Any = tx.conn.connection.dbapi_connection
    said: list[str] = []
    driver.set_trace_callback(said.append)
    ask(tx)
    driver.set_trace_callback(None)
    plans = {
        statement: [str(row[3]) for row in driver.execute(f"EXPLAIN QUERY PLAN {statement}")]
        for statement in dict.fromkeys(said)
        if re.search(rf"\b({GROWING})\b", statement) and not statement.startswith("--")
    }
    assert expected <= {word for steps in plans.values() for step in steps for word in step.split()}, plans
    whole = {statement for statement, steps in plans.items() for step in steps if READS_ALL.fullmatch(step)}
    assert [one for one in whole if not FROM_ITS_END.match(one)] == []


@pytest.mark.parametrize("table", ["messages", "message_refs", "timeline", "inbox", "outbox"])
def test_what_each_message_writes_makes_no_table_for_each_row(tx: Tx, table: str) -> None:
    """As a partial index does whose condition holds a list: see `tables._in_states`."""
    columns = t.metadata.tables[table].c
    given = ", ".join("?" * len(columns))
    steps = {
        str(row[1])
        for write in (
            f"INSERT INTO {table} VALUES ({given})",
            f"UPDATE {table} SET {list(columns)[-1].name} = ? WHERE rowid = ?",
        )
        for row in tx.conn.exec_driver_sql(f"EXPLAIN {write}", tuple(range(write.count("?"))))
    }
    assert {"NewRowid", "Insert"} <= steps
    assert "OpenEphemeral" not in steps
