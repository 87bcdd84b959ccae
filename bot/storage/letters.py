"""Dead letters: what could not be read or handled, kept with its raw copy for inspection and replay.

Whoever sends rubbish must not be able to fill the disk: a source has so many a day; the last of them says that more came,
which are counted and not kept. After a month they go.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Row, delete, false, func, insert, select, update

from bot.model import new_id
from bot.storage import tables as t
from bot.storage.tx import Tx

RAW = 1_000_000  # bytes of one that are kept
PER_DAY = 500  # of one source
KEEP = timedelta(days=30)
FULL = f"more than {PER_DAY} today: the others of this day are counted, not kept"


@dataclass(frozen=True, slots=True)
class Letter:
    id: str
    source: str
    key: str | None
    raw: bytes | None
    error: str
    at: datetime


def bury(tx: Tx, source: str, key: str | None, raw: bytes, error: str) -> bool:
    """Keep it; what comes again under its key is kept already. False: this source has had its share of this day (UTC).

    One query more, of rows that are rare.
    """
    d = t.dead_letters
    named = None if key is None else storable(key)
    today = tx.now.replace(hour=0, minute=0, second=0, microsecond=0)
    is_same = d.c.key == named if named is not None else false()  # platforms repeat what was not acknowledged in time
    query = select(func.count(), func.count().filter(is_same)).where(d.c.source == source, d.c.at >= today)
    count, known = tx.conn.execute(query).one()
    if known:
        return True
    if count > PER_DAY:
        return False
    if count == PER_DAY:
        tx.conn.execute(insert(d).values(id=new_id(), source=source, at=tx.now, error=FULL))
        return False
    keep(tx, source, named, raw, error)
    return True


def keep(tx: Tx, source: str, key: str | None, raw: bytes, error: str) -> None:
    """As `bury`, however many: what is our own, and stands nowhere else any more."""
    values = {"id": new_id(), "source": source, "key": key, "at": tx.now}
    tx.conn.execute(insert(t.dead_letters).values(**values, raw=raw[:RAW], error=storable(error)[:500]))


def storable(text: str) -> str:
    """Without what a database refuses to keep: half of a surrogate pair, NUL. It comes from who sends what can't be read."""
    return text.encode("utf-8", "replace").decode().replace("\x00", "?")


def one(tx: Tx, letter_id: str) -> Letter | None:
    row = tx.conn.execute(select(t.dead_letters).where(t.dead_letters.c.id == letter_id)).first()
    return None if row is None else _letter(row)


def remove(tx: Tx, letter_id: str) -> bool:
    """False: it was not there any more."""
    return bool(tx.conn.execute(delete(t.dead_letters).where(t.dead_letters.c.id == letter_id)).rowcount)


def still(tx: Tx, letter_id: str, error: str) -> None:
    """It was read again, and could not be."""
    d = t.dead_letters
    tx.conn.execute(update(d).where(d.c.id == letter_id).values(error=f"tried again: {error}"[:500]))


def forget_old(tx: Tx) -> int:
    return tx.conn.execute(delete(t.dead_letters).where(t.dead_letters.c.at < tx.now - KEEP)).rowcount


def _letter(row: Row[tuple[object, ...]]) -> Letter:
    return Letter(row.id, row.source, row.key, row.raw, row.error, row.at)
