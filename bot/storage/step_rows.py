"""How many came to each step of a flow, by day. No customer stands in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, func, select
from sqlalchemy.dialects import postgresql, sqlite

from bot.storage import tables as t
from bot.storage.tx import Tx

Counted = Mapping[tuple[str, str, str], int]
"""(flow, step, day) → how many."""


def add(tx: Tx, reached: Counted, answered: Counted) -> None:
    """In the order of the key, so that two nodes wait for each other and never in a circle."""
    insert: Any = postgresql.insert if tx.conn.dialect.name == "postgresql" else sqlite.insert
    s = t.step_counts
    made = insert(s)
    more = {one: s.c[one] + made.excluded[one] for one in ("reached", "answered")}
    merge = made.on_conflict_do_update(index_elements=["flow", "step", "day"], set_=more)
    rows = [
        {
            "flow": key[0],
            "step": key[1],
            "day": key[2],
            "reached": reached.get(key, 0),
            "answered": answered.get(key, 0),
        }
        for key in sorted({*reached, *answered})
    ]
    if rows:
        tx.conn.execute(merge, rows)


def since(conn: Connection, flow: str, day: str) -> dict[str, tuple[int, int]]:
    """Step → (how many came, how many answered) from that day on."""
    s = t.step_counts.c
    query = select(s.step, func.sum(s.reached), func.sum(s.answered)).where(s.flow == flow, s.day >= day)
    return {step: (int(came), int(told)) for step, came, told in conn.execute(query.group_by(s.step))}
