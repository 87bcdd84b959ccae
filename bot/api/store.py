"""The API's own queries: keys of idempotent writes, scores beside cases, and the audit of cases as a feed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from sqlalchemy import Connection, delete, func, insert, select

from bot.storage import tables as t
from bot.storage.tx import Tx

Reader: TypeAlias = Connection
"""What queries run on. Files outside the fence around SQLAlchemy know it by this name."""

KEPT = timedelta(hours=24)  # so long is a key remembered
SETTLED = timedelta(
    seconds=2
)  # on PostgreSQL a smaller number may be committed after a greater one, by so much at most


@dataclass(frozen=True, slots=True)
class Kept:
    body_hash: str
    status: int
    answer: Any


def kept(tx: Tx, key: str) -> Kept | None:
    """What was answered to this key before."""
    k = t.idempotency_keys
    row = tx.conn.execute(select(k).where(k.c.key == key, k.c.at > tx.now - KEPT)).first()
    return None if row is None else Kept(row.body_hash, row.status, row.answer)


def keep(tx: Tx, key: str, answer: Kept) -> None:
    k = t.idempotency_keys
    tx.conn.execute(delete(k).where(k.c.at <= tx.now - KEPT))
    row = {"key": key, "body_hash": answer.body_hash, "status": answer.status, "answer": answer.answer}
    tx.conn.execute(insert(k).values(**row, at=tx.now))


def scores(conn: Reader, case_ids: Iterable[str]) -> dict[str, Mapping[str, Any]]:
    """The survey answer of each case that has one."""
    r = t.survey_responses.c
    query = select(r.case_id, r.instrument, r.score, r.comment, r.at).where(r.case_id.in_(list(case_ids)))
    return {row["case_id"]: dict(row) for row in conn.execute(query).mappings()}


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a case, from the audit."""

    n: int
    kind: str
    case_id: str
    customer_id: str
    agent_id: str | None
    status: str | None
    at: datetime


def last_step(conn: Reader) -> int:
    return int(conn.execute(select(func.max(t.case_events.c.n))).scalar() or 0)


def steps(conn: Reader, after: int, now: datetime, limit: int = 100) -> list[Step]:
    """What happened to cases after the step `after`, in order. `status` is the case's as it is now."""
    e, c = t.case_events.c, t.cases.c
    query = (
        select(e.n, e.kind, e.case_id, e.customer_id, e.agent_id, c.status, e.at)
        .outerjoin(t.cases, c.id == e.case_id)
        .where(e.n > after)
        .order_by(e.n)
        .limit(limit)
    )
    if conn.dialect.name == "postgresql":
        query = query.where(e.at <= now - SETTLED)
    return [Step(*row) for row in conn.execute(query)]
