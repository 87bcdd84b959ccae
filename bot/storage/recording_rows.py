"""What a case can be played again with when the desk has changed: how things stood, and what others answered.

Rows are written in the turn that they belong to, and kept for KEEP: a dry run looks back over weeks, not years, and
connectors' answers hold more of people than anybody needs for longer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, literal_column, select, update

from bot.storage import tables as t
from bot.storage.prepared import Prepared
from bot.storage.tx import Tx

KEEP = timedelta(days=92)  # a quarter
BEGAN = "began"
SUMMARY = "summary"  # the language model was asked for one by handoff/hints: no part of what a replay plays


_BEGAN = Prepared(
    select(t.recordings.c.token).where(
        t.recordings.c.case_id == bindparam("of"), t.recordings.c.token == literal_column(f"'{BEGAN}'")
    )
)
_LAST_SEQ = Prepared(select(t.conversations.c.last_seq).where(t.conversations.c.customer_id == bindparam("of")))
_ADD = Prepared(insert(t.recordings))


def began(tx: Tx, case_id: str, customer_id: str, stood: Mapping[str, Any]) -> None:
    """How things stood when the bot heard of a case for the first time. Again: nothing."""
    if _BEGAN.first(tx.conn, of=case_id) is None:
        _add(tx, case_id, customer_id, BEGAN, BEGAN, stood)


def asked(tx: Tx, case_id: str, customer_id: str, token: str, kind: str, request: Mapping[str, Any]) -> None:
    """Another system is asked; `answered` tells what came of it."""
    _add(tx, case_id, customer_id, token, kind, request)


def answered(tx: Tx, customer_id: str, token: str, outcome: str, answer: Any) -> None:
    """What the other system said; nothing where nobody asked."""
    r = t.recordings
    where = (r.c.customer_id == customer_id, r.c.token == token)
    tx.conn.execute(update(r).where(*where).values(outcome=outcome, answer=answer))


def happened(tx: Tx, case_id: str, customer_id: str, token: str, event: Mapping[str, Any]) -> None:
    _add(tx, case_id, customer_id, token, "event", event)


def of_cases(conn: Connection, case_ids: Sequence[str]) -> list[Row[Any]]:
    """In the order in which they were written."""
    r = t.recordings
    query = select(r).where(r.c.case_id.in_(case_ids)).order_by(r.c.case_id, r.c.seq, r.c.at, r.c.token)
    return list(conn.execute(query))


def tokens_since(conn: Connection, when: datetime, customer_id: str | None = None) -> int:
    """What the language model has cost since then: for all of them, or for one customer."""
    r = t.recordings
    spent = func.sum(r.c.answer["tokens"].as_integer())
    query = select(spent).where(r.c.kind.in_(("model", SUMMARY)), r.c.at >= when, r.c.outcome.is_not(None))
    if customer_id is not None:
        query = query.where(r.c.customer_id == customer_id)
    return conn.execute(query).scalar() or 0


def forget_before(tx: Tx, when: datetime) -> int:
    return tx.conn.execute(delete(t.recordings).where(t.recordings.c.at < when)).rowcount


def _add(tx: Tx, case_id: str, customer_id: str, token: str, kind: str, request: Mapping[str, Any]) -> None:
    known = tx.known.get(("place", customer_id)) if tx.holds(customer_id) else None
    seq = known[0] if known is not None else _LAST_SEQ.scalar(tx.conn, of=customer_id) or 0
    row = {"case_id": case_id, "token": token, "customer_id": customer_id, "kind": kind, "asked": dict(request)}
    _ADD.later(tx.conn, **row, seq=seq, at=tx.now)
