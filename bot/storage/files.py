"""Stored files: their bytes, or where those still lie, or why they never came. One place for all channels and desks."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, update

from bot.errors import NotSent, Refused
from bot.model import FileRef
from bot.storage import customers
from bot.storage import tables as t
from bot.storage.tx import Tx

LONGEST_REASON = 300
NOT_YET = 5.0  # seconds until a send that needs the bytes looks again


@dataclass(frozen=True, slots=True)
class StoredFile:
    """`data` is None until it has been fetched; `error` says why it never will be."""

    ref: FileRef
    customer_id: str | None
    data: bytes | None
    error: str | None


def one(conn: Connection, file_id: str) -> StoredFile | None:
    row = conn.execute(select(t.files).where(t.files.c.id == file_id)).first()
    if row is None:
        return None
    return StoredFile(FileRef(row.id, row.name, row.type, row.size), row.customer_id, row.data, row.error)


def keep(tx: Tx, ref: FileRef, customer_id: str, data: bytes) -> None:
    """A file that we give to a customer. Again under the same id, or for nobody: nothing."""
    if one(tx.conn, ref.id) is None and customers.customer(tx.conn, customer_id) is not None:
        values = {"id": ref.id, "name": ref.name, "type": ref.type, "size": ref.size, "data": data}
        tx.conn.execute(insert(t.files).values(**values, customer_id=customer_id, created_at=tx.now))


def keep_own(tx: Tx, ref: FileRef, data: bytes) -> None:
    """A file of the house itself, which is no customer's: a chart for colleagues."""
    values = {"id": ref.id, "name": ref.name, "type": ref.type, "size": ref.size, "data": data}
    tx.conn.execute(insert(t.files).values(**values, customer_id=None, created_at=tx.now))


def came(tx: Tx, file_id: str, kind: str, data: bytes) -> None:
    """The bytes are here; `kind` is their MIME type by content."""
    values = {"data": data, "type": kind, "size": len(data), "error": None}
    tx.conn.execute(update(t.files).where(t.files.c.id == file_id).values(**values))


def never_comes(tx: Tx, file_id: str, why: str) -> None:
    tx.conn.execute(update(t.files).where(t.files.c.id == file_id).values(error=why[:LONGEST_REASON]))


def ready(found: StoredFile | None) -> tuple[FileRef, bytes]:
    """A file that can be sent on. Raises Refused when it never can, NotSent while its bytes are still on their way."""
    if found is None:
        raise Refused("the file is no longer there")
    if found.error is not None:
        raise Refused(f"the file was refused: {found.error}")
    if found.data is None:
        raise NotSent("the file has not arrived from its platform yet", NOT_YET)
    return found.ref, found.data
