"""Writes that may be sent again: `Idempotency-Key` makes the second one an echo of the first.

The key is kept for 24 hours in the transaction of the write itself, so there is no moment in which one of the two is there
without the other. A write that was refused keeps nothing: the same key may try again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import orjson
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from bot.api import store
from bot.api.problems import BadRequest
from bot.api.store import Kept
from bot.errors import Conflict
from bot.storage.engine import Storage
from bot.storage.tx import Tx

LONGEST = 255  # characters of a key


async def write(storage: Storage, request: Request, status: int, unit: Callable[[Tx], BaseModel]) -> Response:
    """Run `unit` in a transaction, once per key, and answer with what it made. Raises Conflict for a key used otherwise."""
    key = request.headers.get("idempotency-key")
    if key is not None and not (1 <= len(key) <= LONGEST and key.isascii() and key.isprintable()):
        raise BadRequest(f"Idempotency-Key: 1 to {LONGEST} printable ASCII characters")
    body_hash = hash_of(request.method, request.url.path, await request.body())

    def run(tx: Tx) -> Kept:
        known = store.kept(tx, key) if key else None
        if known is not None and known.body_hash != body_hash:
            raise Conflict("this Idempotency-Key was used for another request")
        if known is not None:
            return known
        made = Kept(body_hash, status, unit(tx).model_dump(mode="json"))
        if key:
            store.keep(tx, key, made)
        return made

    answered = await storage.write(run)
    return Response(orjson.dumps(answered.answer), answered.status, media_type="application/json")


def hash_of(method: str, path: str, body: bytes) -> str:
    """Equal for requests that mean the same: spaces and the order of keys don't count."""
    value: Any = json.loads(body) if body else None
    content = json.dumps([method, path, value], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(content.encode()).hexdigest()
