"""The web desk's own queries: links and sessions, lists of cases with their last line, marks of delivery, files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import Connection, Select, func, insert, select, update

from bot.model import LIVE, CaseStatus, FileRef, Message, new_id
from bot.storage import history
from bot.storage import tables as t
from bot.storage.tx import Tx
from handoff.case import Case
from handoff.errands import store as errands
from handoff.store import _urgency as urgency
from handoff.store import to_case

VIEWS = ("queue", "mine", "asked", "all", "resolved")
MOST = 200  # cases a list shows
HELD = (CaseStatus.OPEN, CaseStatus.PENDING, CaseStatus.SNOOZED)
OVER = (CaseStatus.RESOLVED, CaseStatus.CLOSED)
NEWEST = 2_000  # cases that are asked which topics there are
UPLOADED = "desk"  # in files.remote: an agent's own upload, and whose


# ── links and sessions ─────────────────────────────────────────────────────────────────────────────────────────────
def add_invitation(tx: Tx, token: str, agent_id: str, expires_at: datetime) -> None:
    tx.conn.execute(
        insert(t.sign_ins).values(token_hash=_hash(token), kind="invitation", agent_id=agent_id, expires_at=expires_at)
    )


def invited(conn: Connection, token: str, now: datetime) -> str | None:
    """Whom a link would sign in; None if it is unknown, used or too old."""
    s = t.sign_ins.c
    alive = (s.token_hash == _hash(token), s.kind == "invitation", s.used_at.is_(None), s.expires_at > now)
    return conn.execute(select(s.agent_id).where(*alive)).scalar()


def use_invitation(tx: Tx, token: str) -> str | None:
    """As `invited`, and used up by it: of two who press at once, one gets in."""
    s = t.sign_ins
    alive = (s.c.token_hash == _hash(token), s.c.kind == "invitation", s.c.used_at.is_(None), s.c.expires_at > tx.now)
    return tx.conn.execute(update(s).where(*alive).values(used_at=tx.now).returning(s.c.agent_id)).scalar()


def revoke(tx: Tx, session_id: str, until: datetime) -> None:
    """End a session before its time."""
    if not is_revoked(tx.conn, session_id):
        tx.conn.execute(insert(t.sign_ins).values(token_hash=_hash(session_id), kind="revoked", expires_at=until))


def is_revoked(conn: Connection, session_id: str) -> bool:
    s = t.sign_ins.c
    return conn.execute(select(s.kind).where(s.token_hash == _hash(session_id))).first() is not None


def _hash(value: str) -> str:
    return hashlib.sha256(f"desk\0{value}".encode()).hexdigest()


# ── cases ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def listed(conn: Connection, view: str, agent_id: str, team: str | None = None) -> list[Case]:
    """The cases of a view, in the order in which they want to be looked at. `asked`: those for which this agent, or their team,
    is asked something.
    """
    c = t.cases.c
    query: Select[tuple[object, ...]] = select(t.cases)
    if view == "queue":
        query = query.where(c.status == CaseStatus.QUEUED).order_by(urgency(), c.escalated_at, c.id)
    elif view == "mine":
        query = query.where(c.status.in_(HELD), c.agent_id == agent_id).order_by(c.updated_at.desc(), c.id)
    elif view == "asked":
        wanted = list(dict.fromkeys(one.case_id for one in errands.asked_of(conn, agent_id, team)))
        found = {row.id: to_case(row) for row in conn.execute(query.where(c.id.in_(wanted)))}
        return [found[one] for one in wanted if one in found]
    elif view == "all":
        query = query.where(c.status.in_(tuple(LIVE))).order_by(c.updated_at.desc(), c.id)
    else:
        query = query.where(c.status.in_(OVER)).order_by(func.coalesce(c.resolved_at, c.closed_at).desc(), c.id)
    return [to_case(row) for row in conn.execute(query.limit(MOST))]


def counts(conn: Connection, agent_id: str, team: str | None = None) -> dict[str, int]:
    """How many cases stand in each view that has an end."""
    c = t.cases.c
    query = select(c.status, c.agent_id, func.count().label("n")).where(c.status.in_(tuple(LIVE)))
    rows = conn.execute(query.group_by(c.status, c.agent_id)).all()
    return {
        "queue": sum(row.n for row in rows if row.status == CaseStatus.QUEUED),
        "mine": sum(row.n for row in rows if row.status in HELD and row.agent_id == agent_id),
        "asked": len({one.case_id for one in errands.asked_of(conn, agent_id, team)}),
        "all": sum(row.n for row in rows),
    }


def last_lines(conn: Connection, cases: Iterable[Case]) -> dict[str, Message]:
    """Case id → the last thing that people said in it; what the bot says tells an agent nothing."""
    m = t.messages
    place = (
        func.row_number()
        .over(partition_by=m.c.case_id, order_by=(m.c.at.desc(), m.c.seq.desc(), m.c.id.desc()))
        .label("place")
    )
    said = (t.cases.c.id.in_([one.id for one in cases]), m.c.seq.is_not(None), m.c.deleted_at.is_(None))
    theirs = select(m, place).join(t.cases, history.OF_ITS_CASE)
    ranked = theirs.where(*said, m.c.author_kind.in_(("customer", "agent"))).subquery()
    rows = conn.execute(select(ranked).where(ranked.c.place == 1))
    return {row.case_id: history.to_message(row) for row in rows}


def topics(conn: Connection) -> list[str]:
    """Topics that the newest cases were given, for whoever gives the next one."""
    c = select(t.cases).order_by(t.cases.c.opened_at.desc()).limit(NEWEST).subquery().c
    query = select(c.topic).where(c.topic.is_not(None)).group_by(c.topic).order_by(func.max(c.updated_at).desc())
    return [row.topic for row in conn.execute(query.limit(50))]


def deliveries(conn: Connection, message_ids: Sequence[str]) -> dict[str, tuple[str, str | None]]:
    """Message id → pending | sent | failed | uncertain, and why; only for those that were to be sent."""
    o = t.outbox.c
    query = select(o.message_id, o.state, o.error).where(o.message_id.in_(list(message_ids))).order_by(o.n)
    rows: dict[str, list[tuple[str, str | None]]] = {}
    for row in conn.execute(query):
        rows.setdefault(row.message_id, []).append((row.state, row.error))
    return {message_id: _mark(found) for message_id, found in rows.items()}


def _mark(sends: Sequence[tuple[str, str | None]]) -> tuple[str, str | None]:
    """One mark for all sends of a message: the worst wins, as in `handoff.store.delivery`."""
    for state, mark in (("failed", "failed"), ("uncertain", "uncertain"), ("retry", "pending")):
        for found, error in sends:
            if found == state:
                return mark, error
    return ("pending" if any(state in {"ready", "sending"} for state, _ in sends) else "sent"), None


# ── files ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def add_upload(tx: Tx, agent_id: str, name: str, kind: str, data: bytes) -> FileRef:
    """An agent's file. It is no customer's, so a customer gets it only once it stands in what was said to them."""
    file = FileRef(new_id(), name, kind, len(data))
    mine = {"via": UPLOADED, "ref": agent_id}
    values = {"id": file.id, "name": name, "type": kind, "size": len(data), "data": data, "remote": mine}
    tx.conn.execute(insert(t.files).values(**values, created_at=tx.now))
    return file


def uploads(conn: Connection, ids: Sequence[str], agent_id: str) -> list[FileRef]:
    """Those of the files that this agent uploaded, in the order asked for."""
    f = t.files
    rows = conn.execute(select(f.c.id, f.c.name, f.c.type, f.c.size, f.c.remote).where(f.c.id.in_(list(ids))))
    mine = {
        row.id: FileRef(row.id, row.name, row.type, row.size)
        for row in rows
        if row.remote == {"via": UPLOADED, "ref": agent_id}
    }
    return [mine[one] for one in ids if one in mine]


def file_in_timeline(conn: Connection, file_id: str, customer_id: str) -> tuple[FileRef, bytes | None] | None:
    """A file that stands in this customer's timeline, notes included; its bytes None while they are not here."""
    m, f = t.messages, t.files
    said = conn.execute(select(m.c.files).where(m.c.customer_id == customer_id, m.c.deleted_at.is_(None)))
    if not any(one["id"] == file_id for (files,) in said for one in files or ()):
        return None
    row = conn.execute(select(f).where(f.c.id == file_id)).first()
    return None if row is None else (FileRef(row.id, row.name, row.type, row.size), row.data)
