"""A customer's file, from Telegram into our store: sniffed by content, and never by its name or its sender's word."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bot.errors import Refused
from bot.storage import files
from bot.storage.engine import Storage
from bot.storage.files import StoredFile
from channels.port import Sent
from channels.telegram import store
from channels.web.files import sniff

if TYPE_CHECKING:
    from channels.telegram.calls import Calls

MAX_DOWNLOAD = 20 * 1024 * 1024  # bytes, Bot API getFile
MB = 1024 * 1024


async def fetch(calls: Calls, storage: Storage, payload: Mapping[str, Any]) -> Sent:
    """Get the bytes that `payload` ({file_id, ref}) names. Raises Refused, once the customer has been told why."""
    one = await storage.read(lambda conn: files.one(conn, payload["file_id"]))
    if one is None or one.data is not None:
        return Sent()  # erased meanwhile, or fetched before
    try:
        data = await _bytes(calls, one, str(payload["ref"]))
        kind = sniff(data)
    except Refused as error:
        reason = str(error)
        await storage.write(lambda tx: store.refuse_file(tx, one, reason, MAX_DOWNLOAD // MB))
        raise
    await storage.write(lambda tx: files.came(tx, one.ref.id, kind, data))
    return Sent(data={"file": one.ref.id, "type": kind, "size": len(data)})


async def _bytes(calls: Calls, one: StoredFile, ref: str) -> bytes:
    if one.ref.size > MAX_DOWNLOAD:
        raise Refused("a file is at most 20 MB")
    data = await calls.download(ref, MAX_DOWNLOAD)
    if not data:
        raise Refused("the file is empty")
    return data
