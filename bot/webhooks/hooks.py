"""What each event looks like outside: `{"event", "at", "data"}`, `data` as the REST API has it. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from bot.model import Message
from bot.storage.export import to_json

LANES = 4  # a webhook; so many sends of it are under way at most


def message_body(event: str, message: Message, now: datetime) -> dict[str, Any]:
    """`message.added`, `message.edited` or `message.deleted`; one that was deleted has lost its words."""
    gone = message.deleted_at is not None
    body, author = message.body, message.author
    files = [{"id": one.id, "name": one.name, "type": one.type, "size": one.size} for one in body.files]
    data = {
        "seq": message.seq,
        "id": message.id,
        "author": {"kind": str(author.kind), "name": author.name, "id": author.id},
        "channel": message.channel,
        "text": "" if gone else body.text,
        "files": [] if gone else files,
        "at": to_json(message.at),
        "customer": message.customer_id,
        "case": message.case_id,
        "edited_at": to_json(message.edited_at),
        "deleted_at": to_json(message.deleted_at),
    }
    return envelope(event, data, now)


def envelope(event: str, data: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    return {"event": event, "at": to_json(now), "data": dict(data)}


def lane(hook_id: str, of: str | None) -> str:
    """The events of one customer share a lane, and come in order; so do those of one wish. `of` is the id of either."""
    number = int.from_bytes(hashlib.sha256((of or "").encode()).digest()[:2]) % LANES
    return f"webhook:{hook_id}:{number}"
