"""The queries of linking: codes that were offered, opened, used."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Row, func, insert, select, update

from bot.storage import audit
from bot.storage import tables as t
from bot.storage.tx import Tx

WRONG_CODE = "link: wrong code"  # what the audit says of one; those of the last hour are counted there


@dataclass(frozen=True, slots=True)
class Link:
    code_hash: str
    identity_id: str
    customer_id: str
    opened_by: str | None
    digits: str | None
    tries: int


def offer(tx: Tx, code: str, identity_id: str, customer_id: str, expires_at: datetime) -> None:
    """A new code. The identity's older ones are dead."""
    c = t.link_codes
    tx.conn.execute(update(c).where(c.c.identity_id == identity_id, c.c.state != "used").values(state="dead"))
    tx.conn.execute(
        insert(c).values(
            code_hash=hashed(code),
            identity_id=identity_id,
            customer_id=customer_id,
            created_at=tx.now,
            expires_at=expires_at,
        )
    )


def offered(tx: Tx, code: str) -> Link | None:
    """The living, unopened code."""
    c = t.link_codes
    where = (c.c.code_hash == hashed(code), c.c.state == "offered", c.c.expires_at > tx.now)
    row = tx.conn.execute(select(c).where(*where)).first()
    return None if row is None else _link(row)


def opened(tx: Tx, identity_id: str) -> Link | None:
    """The code of this identity that somebody has opened, and that waits for its digits."""
    c = t.link_codes
    where = (c.c.identity_id == identity_id, c.c.state == "opened", c.c.expires_at > tx.now)
    row = tx.conn.execute(select(c).where(*where)).first()
    return None if row is None else _link(row)


def open_for(tx: Tx, link: Link, opened_by: str, digits: str) -> bool:
    """Open the code for this identity. False: somebody else was first."""
    c = t.link_codes
    where = (c.c.code_hash == link.code_hash, c.c.state == "offered")
    values = {"state": "opened", "opened_by": opened_by, "digits": digits}
    return bool(tx.conn.execute(update(c).where(*where).values(**values)).rowcount)


def mark(tx: Tx, link: Link, **values: object) -> None:
    tx.conn.execute(update(t.link_codes).where(t.link_codes.c.code_hash == link.code_hash).values(**values))


def note_failure(tx: Tx, identity_id: str) -> None:
    audit.note(tx, identity_id, WRONG_CODE)


def failures_since(tx: Tx, identity_id: str, since: datetime) -> int:
    a = t.audit
    where = (a.c.who == identity_id, a.c.what == WRONG_CODE, a.c.at >= since)
    return int(tx.conn.execute(select(func.count()).select_from(a).where(*where)).scalar() or 0)


def hashed(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()


def _link(row: Row[tuple[object, ...]]) -> Link:
    return Link(row.code_hash, row.identity_id, row.customer_id, row.opened_by, row.digits, row.tries)
