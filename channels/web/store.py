"""The web channel's own queries: which sessions are dead, uploads, and what has been shown."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, Select, bindparam, delete, func, insert, literal_column, select, update

from bot.model import FileRef, Identity, new_id
from bot.outbox import settle
from bot.storage import customers, files
from bot.storage import tables as t
from bot.storage.files import StoredFile
from bot.storage.outbox_rows import live
from bot.storage.prepared import Prepared
from bot.storage.tx import Tx
from channels.web.sessions import Session

FOREVER = datetime(9999, 1, 1, tzinfo=UTC)
_TO_BE_SHOWN = Prepared(
    select(t.outbox.c.id)
    .join(t.messages, (t.messages.c.customer_id == t.outbox.c.customer_id) & (t.messages.c.id == t.outbox.c.message_id))
    .where(
        t.outbox.c.lane == bindparam("there"),
        live(t.outbox.c.state),
        t.outbox.c.state.in_([literal_column("'ready'"), literal_column("'retry'")]),
        t.messages.c.seq <= bindparam("up_to"),
    )
)


@dataclass(frozen=True, slots=True)
class Standing:
    customer_id: str
    last_seq: int
    case_at: datetime | None


def revoke(tx: Tx, session_id: str, until: datetime) -> None:
    """This session is over before its time: somebody signed in, or was linked."""
    s = t.sign_ins
    if tx.conn.execute(select(s.c.kind).where(s.c.token_hash == _hash(session_id))).first() is None:
        tx.conn.execute(insert(s).values(token_hash=_hash(session_id), kind="revoked", expires_at=until))


def moved(tx: Tx, visitor_id: str) -> None:
    """This visitor's conversation was joined with another: its `seq` begins anew, tokens from before don't serve."""
    s = t.sign_ins
    tx.conn.execute(delete(s).where(s.c.token_hash == _hash(visitor_id)))
    tx.conn.execute(insert(s).values(token_hash=_hash(visitor_id), kind="moved", used_at=tx.now, expires_at=FOREVER))


def visitors_of(tx: Tx, customer_id: str, *, undone: bool) -> list[str]:
    """The web identities that are about to move: of the loser, or (undone) those that go back to them."""
    if not undone:
        return [one.external_id for one in customers.identities(tx.conn, customer_id) if one.channel == "web"]
    m = t.merges
    last = tx.conn.execute(
        select(m.c.identities).where(m.c.loser_id == customer_id, m.c.undone_at.is_(None)).order_by(m.c.at.desc())
    ).scalar()
    i = t.identities
    query = select(i.c.external_id).where(i.c.id.in_((last or {}).get("identities", [])), i.c.channel == "web")
    return [str(one) for (one,) in tx.conn.execute(query)]


def death(conn: Connection, session: Session) -> str | None:
    """Why a session is over: "revoked", "moved", or None while it lives."""
    s = t.sign_ins
    hashes = [_hash(session.id), _hash(session.visitor)]
    rows = conn.execute(select(s).where(s.c.token_hash.in_(hashes))).all()
    if any(row.kind == "revoked" for row in rows):  # the stronger reason: who was moved too may not come back by it
        return "revoked"
    return "moved" if any(row.kind == "moved" and row.used_at >= session.issued_at for row in rows) else None


def moved_at(conn: Connection, session: Session) -> datetime | None:
    """When this visitor's conversation was joined with another, if it ever was."""
    s = t.sign_ins
    query = select(s.c.used_at).where(s.c.token_hash == _hash(session.visitor), s.c.kind == "moved")
    found: datetime | None = conn.execute(query).scalar()
    return found


def is_dead(conn: Connection, session: Session) -> bool:
    return death(conn, session) is not None


def _hash(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()


def visitor(conn: Connection, external_id: str) -> Identity | None:
    return customers.identity(conn, "web", external_id)


def standing(conn: Connection, visitors: Sequence[str]) -> dict[str, Standing]:
    """How far each of these visitors' conversations has come, on whichever node."""
    i, talks, c = t.identities, t.conversations, t.cases
    case = select(func.max(c.c.updated_at)).where(c.c.customer_id == i.c.customer_id).scalar_subquery()
    query = (
        select(i.c.external_id, i.c.customer_id, talks.c.last_seq, case.label("case_at"))
        .join(talks, talks.c.customer_id == i.c.customer_id)
        .where(i.c.channel == "web", i.c.external_id.in_(visitors))
    )
    return {row.external_id: Standing(row.customer_id, row.last_seq, row.case_at) for row in conn.execute(query)}


def add_file(tx: Tx, customer_id: str, name: str, kind: str, data: bytes) -> FileRef:
    file = FileRef(new_id(), name, kind, len(data))
    tx.conn.execute(
        insert(t.files).values(
            id=file.id, customer_id=customer_id, name=name, type=kind, size=len(data), data=data, created_at=tx.now
        )
    )
    return file


def uploaded_since(conn: Connection, customer_id: str, since: datetime) -> int:
    """Bytes that this customer has uploaded since then."""
    f = t.files
    query = select(func.coalesce(func.sum(f.c.size), 0)).where(f.c.customer_id == customer_id, f.c.created_at >= since)
    return int(conn.execute(query).scalar() or 0)


def owned_file(conn: Connection, file_id: str, customer_id: str) -> StoredFile | None:
    """The file, if it is this customer's or stands in their timeline. The owner check is the query's."""
    f, m = t.files, t.messages
    mine = select(f.c.id).where(f.c.id == file_id, f.c.customer_id.in_(_merged(customer_id)))
    if conn.execute(mine).first() is None:
        said = conn.execute(select(m.c.files).where(m.c.customer_id == customer_id, m.c.seq.is_not(None)))
        if not any(one["id"] == file_id for (listed,) in said for one in listed or ()):
            return None
    return files.one(conn, file_id)


def _merged(customer_id: str) -> Select[tuple[str]]:
    c = t.customers
    return select(c.c.id).where((c.c.id == customer_id) | (c.c.merged_into == customer_id))


def refs(conn: Connection, ids: list[str], customer_id: str) -> list[FileRef]:
    """Those of the files that are this customer's own uploads, in the order asked for."""
    f = t.files
    rows = conn.execute(select(f).where(f.c.id.in_(ids), f.c.customer_id == customer_id))
    found = {row.id: FileRef(row.id, row.name, row.type, row.size) for row in rows}
    return [found[one] for one in ids if one in found]


def shown(tx: Tx, address: str, seq: int) -> None:
    """A widget of this visitor has been sent everything up to `seq`: those rows of the outbox are delivered."""
    for row in _TO_BE_SHOWN.all(tx.conn, there=f"web:{address}", up_to=seq):
        settle(tx, row.id, "sent")


def touched(tx: Tx, customer_id: str) -> None:
    tx.conn.execute(
        update(t.conversations).where(t.conversations.c.customer_id == customer_id).values(updated_at=tx.now)
    )
