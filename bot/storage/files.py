"""Stored files: their bytes, or where those still lie, or why they never came. One place for all channels and desks."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, select, update

from bot.errors import NotSent, Refused
from bot.model import FileRef
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
