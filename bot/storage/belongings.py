"""Whose row is it: everything in the database that belongs to one customer, table by table.

Erasure and export both ask here, so that neither can forget a table: a table with a `customer_id` counts by itself, the
others are named below. A customer is all histories that were merged into one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, Table, Text, bindparam, false, or_, select, tuple_

from bot.storage import customers
from bot.storage import tables as t

NOBODYS = {
    "agent_states",
    "settings",
    "sign_ins",
    "desk_drafts",
    "desk_files",
    "desk_versions",
    "console_people",
    "step_counts",
    "notices",
    "topic_alarms",
    "problems",
    "wishes",
    "improvements",
    "quality_samples",
    "pulse_rounds",
    "figure_marks",
    "figure_blocks",
}
"""Tables that hold nothing of a customer (`sign_ins` keeps only hashes). A test holds every other one against this page."""
LEAST_ID = 5  # bytes; a shorter external id would be found in anybody's raw update


def kin() -> Select[Any]:
    """The ids of customer `of` and of all who were merged into them, however often; for use within a statement."""
    found = select(bindparam("of", type_=Text).label("id")).cte("kin", recursive=True)
    found = found.union(select(t.customers.c.id).join(found, t.customers.c.merged_into == found.c.id))
    return select(found.c.id)


_KIN = kin()


@dataclass(frozen=True, slots=True)
class Belongings:
    """One customer with all their ids. `customers` begins with the living one."""

    customers: tuple[str, ...]
    identities: tuple[str, ...]
    external_ids: tuple[str, ...]
    cases: tuple[str, ...]
    dead_letters: tuple[str, ...]
    idempotency_keys: tuple[str, ...]

    @property
    def id(self) -> str:
        return self.customers[0]

    def where(self, table: Table) -> Any:
        """The condition that picks this customer's rows of a table."""
        columns = table.c
        if table.name in NOBODYS:
            return false()
        if table is t.customers:
            return columns.id.in_(self.customers)
        if table is t.merges:
            return or_(columns.winner_id.in_(self.customers), columns.loser_id.in_(self.customers))
        if table is t.dead_letters:
            return columns.id.in_(self.dead_letters)
        if table is t.idempotency_keys:
            return columns.key.in_(self.idempotency_keys)
        if table is t.audit:
            return columns.who.in_(self.identities)
        mine = [columns.customer_id.in_(self.customers)] if "customer_id" in columns else []
        if "case_id" in columns:
            mine.append(columns.case_id.in_(self.cases))
        return or_(false(), *mine)


def find(conn: Connection, customer_id: str) -> Belongings | None:
    """All that belongs to the customer of that id, or to the one that they were merged into. None: nobody has it."""
    who = customers.customer(conn, customer_id)
    if who is None:
        return None
    ids = tuple(family(conn, who.id))
    i, c = t.identities.c, t.cases.c
    known = conn.execute(select(i.id, i.external_id).where(i.customer_id.in_(ids))).all()
    externals = tuple(row.external_id for row in known)
    return Belongings(
        ids,
        tuple(row.id for row in known),
        externals,
        tuple(conn.execute(select(c.id).where(c.customer_id.in_(ids))).scalars()),
        tuple(_dead_letters(conn, ids, externals)),
        tuple(_answers(conn, ids)),
    )


def find_named(conn: Connection, name: str) -> Belongings | None:
    """As `find`, by a customer's id or by `channel:external id`."""
    found = find(conn, name)
    channel, colon, external_id = name.partition(":")
    if found is None and colon:
        one = customers.identity(conn, channel, external_id)
        found = find(conn, one.customer_id) if one else None
    return found


def family(conn: Connection, customer_id: str) -> list[str]:
    """The customer and all who were merged into them, however often."""
    return [customer_id, *(one for one in conn.execute(_KIN, {"of": customer_id}).scalars() if one != customer_id)]


def _dead_letters(conn: Connection, ids: tuple[str, ...], externals: tuple[str, ...]) -> Iterator[str]:
    """Raw copies that nobody could read: those of this customer's deliveries, and those that name an address of theirs."""
    d, i = t.dead_letters.c, t.inbox.c
    mine = select(i.source, i.key).where(i.customer_id.in_(ids))
    yield from conn.execute(select(d.id).where(tuple_(d.source, d.key).in_(mine))).scalars()
    needles = [one.encode() for one in externals if len(one.encode()) >= LEAST_ID]
    for row in conn.execute(select(d.id, d.raw).where(d.raw.is_not(None))):
        if any(needle in row.raw for needle in needles):
            yield row.id


def _answers(conn: Connection, ids: tuple[str, ...]) -> Iterator[str]:
    """Stored answers of the API that name this customer."""
    k = t.idempotency_keys.c
    for row in conn.execute(select(k.key, k.answer)):
        if any(one in str(row.answer) for one in ids):
            yield row.key
