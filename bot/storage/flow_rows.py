"""Every version of a flow that was ever in force, by the hash of its content. Rows are added, never changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Text, case, cast, func, select
from sqlalchemy.dialects import postgresql, sqlite

from bot.model import LIVE
from bot.storage import audit
from bot.storage import tables as t
from bot.storage.tx import Tx


def keep(tx: Tx, versions: Sequence[Mapping[str, Any]]) -> int:
    """Add those that are new; how many that were. `versions` as `bot.flows.versions.to_row` makes them."""
    f = t.flow_versions
    hashes = [one["hash"] for one in versions]
    known = set(tx.conn.execute(select(f.c.hash).where(f.c.hash.in_(hashes))).scalars())
    new = {one["hash"]: {**one, "at": tx.now} for one in versions if one["hash"] not in known}
    add = postgresql.insert if tx.conn.dialect.name == "postgresql" else sqlite.insert
    if new:  # another node may be first
        tx.conn.execute(add(f).on_conflict_do_nothing(), list(new.values()))
    return len(new)


def find(conn: Connection, content_hash: str) -> Mapping[str, Any] | None:
    row = conn.execute(select(t.flow_versions).where(t.flow_versions.c.hash == content_hash)).mappings().first()
    return None if row is None else dict(row)


def labels(conn: Connection, hashes: Sequence[str]) -> dict[str, tuple[int, datetime]]:
    """Hash → (the version's label, when it was first in force), of those that are kept."""
    f = t.flow_versions.c
    found: dict[str, tuple[int, datetime]] = {}
    for at in range(0, len(hashes), 500):
        query = select(f.hash, f.version, f.at).where(f.hash.in_(hashes[at : at + 500]))
        found |= {row.hash: (row.version, row.at) for row in conn.execute(query)}
    return found


def previous(conn: Connection, flow: str, content_hash: str) -> str | None:
    """The newest kept version of the flow but this one."""
    f = t.flow_versions.c
    query = select(f.hash).where(f.flow == flow, f.hash != content_hash).order_by(f.at.desc()).limit(1)
    return conn.execute(query).scalar()


def arms(conn: Connection, flow: str, hashes: Sequence[str], since: datetime) -> dict[str, tuple[int, int, int]]:
    """Hash → (cases that began in that version, of them ended, of these went to people), of cases opened since."""
    c = t.cases.c
    ended = case((c.resolved_at.is_not(None), 1), else_=0)
    fetched = func.coalesce(cast(c.escalation, Text), "null") != "null"  # a reopening forgets `escalated_at`
    went = case((c.resolved_at.is_not(None) & (fetched | c.escalated_at.is_not(None)), 1), else_=0)
    query = select(c.flow_version, func.count(), func.sum(ended), func.sum(went))
    query = query.where(c.flow == flow, c.flow_version.in_(hashes), c.opened_at >= since).group_by(c.flow_version)
    return {found: (n, int(over or 0), int(people or 0)) for found, n, over, people in conn.execute(query)}


def running(conn: Connection) -> list[tuple[str, Mapping[str, Any]]]:
    """Conversations with a live case in which the bot remembers something: (customer, the bot's state)."""
    c, k = t.conversations.c, t.cases.c
    live = select(k.customer_id).where(k.status.in_(sorted(LIVE)))
    query = select(c.customer_id, c.bot_state).where(c.customer_id.in_(live)).order_by(c.customer_id)
    return [(row.customer_id, row.bot_state) for row in conn.execute(query) if row.bot_state]


def told(tx: Tx, by: str, flow: str, content_hash: str, moved: int, refused: int) -> None:
    """A line in the audit: conversations were moved to this version."""
    audit.note(tx, by, "conversations moved", flow=flow, hash=content_hash, moved=moved, refused=refused)
