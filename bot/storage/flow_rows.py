"""Every version of a flow that was ever in force, by the hash of its content. Rows are added, never changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from bot.storage import tables as t
from bot.storage.tx import Tx


def keep(tx: Tx, versions: Sequence[Mapping[str, Any]]) -> int:
    """Add those that are new; how many that were. `versions` as `bot.flows.versions.to_row` makes them."""
    f = t.flow_versions
    hashes = [one["hash"] for one in versions]
    known = set(tx.conn.execute(select(f.c.hash).where(f.c.hash.in_(hashes))).scalars())
    new = {one["hash"]: {**one, "at": tx.now} for one in versions if one["hash"] not in known}
    insert = postgresql.insert if tx.conn.dialect.name == "postgresql" else sqlite.insert
    if new:  # another node may be first
        tx.conn.execute(insert(f).on_conflict_do_nothing(), list(new.values()))
    return len(new)


def find(conn: Connection, content_hash: str) -> Mapping[str, Any] | None:
    row = conn.execute(select(t.flow_versions).where(t.flow_versions.c.hash == content_hash)).mappings().first()
    return None if row is None else dict(row)
