"""The queries of errands. What was said about one are notes of its case, found by the errand's id in their meta."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Row, bindparam, case, insert, literal_column, or_, select, update

from bot.model import LIVE
from bot.storage import tables as t
from bot.storage.prepared import Prepared
from bot.storage.tx import Tx
from handoff.errands.errand import OPEN, Errand

MOST = 50  # errands of a case that are shown
_OPEN_OF = Prepared(
    select(t.errands)
    .where(t.errands.c.case_id == bindparam("of"), t.errands.c.state == literal_column(f"'{OPEN}'"))
    .order_by(t.errands.c.asked_at, t.errands.c.id)
)


def one(conn: Connection, errand_id: str) -> Errand | None:
    return _first(conn, t.errands.c.id == errand_id)


def by_ref(conn: Connection, desk: str, ref: str) -> Errand | None:
    """What was asked there under that name."""
    return _first(conn, t.errands.c.desk == desk, t.errands.c.ref == ref)


def under(conn: Connection, channel: str, root: str) -> Errand | None:
    """The errand whose thread in Slack that is."""
    return _first(conn, t.errands.c.channel == channel, t.errands.c.root == root)


def of_case(conn: Connection, case_id: str) -> list[Errand]:
    """Open ones first, then the latest."""
    e = t.errands.c
    query = select(t.errands).where(e.case_id == case_id)
    return _all(conn, query.order_by(case((e.state == OPEN, 0), else_=1), e.asked_at.desc(), e.id).limit(MOST))


def open_of(conn: Connection, case_id: str) -> list[Errand]:
    return [Errand(**row._asdict()) for row in _OPEN_OF.all(conn, of=case_id)]


def asked_of(conn: Connection, agent_id: str, team: str | None, limit: int = 200) -> list[Errand]:
    """What is open for an agent: their own tasks, and the questions to their team; the most urgent first."""
    e = t.errands.c
    theirs = or_(e.owner_id == agent_id, e.team == team) if team is not None else e.owner_id == agent_id
    return _all(conn, select(t.errands).where(e.state == OPEN, theirs).order_by(e.due_at, e.id).limit(limit))


def stranded(conn: Connection, customer_ids: Sequence[str]) -> list[Errand]:
    """Open ones of these customers whose case is over."""
    e, c = t.errands.c, t.cases.c
    query = select(t.errands).join(t.cases, c.id == e.case_id)
    query = query.where(e.customer_id.in_(list(customer_ids)), e.state == OPEN, c.status.not_in(tuple(LIVE)))
    return _all(conn, query.order_by(e.asked_at, e.id))


def add(tx: Tx, errand: Errand) -> Errand:
    tx.conn.execute(insert(t.errands).values(**asdict(errand)))
    return errand


def change(tx: Tx, errand: Errand, **values: Any) -> Errand:
    e = t.errands
    return _to_errand(tx.conn.execute(update(e).where(e.c.id == errand.id).values(**values).returning(e)).one())


def _first(conn: Connection, *where: Any) -> Errand | None:
    row = conn.execute(select(t.errands).where(*where).limit(1)).first()
    return None if row is None else _to_errand(row)


def _all(conn: Connection, query: Any) -> list[Errand]:
    return [_to_errand(row) for row in conn.execute(query)]


def _to_errand(row: Row[Any]) -> Errand:
    return Errand(**dict(row._mapping))  # noqa: SLF001 - the public name of a row's mapping in SQLAlchemy
