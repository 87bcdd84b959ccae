"""What stands behind one trouble: the raw copy of what came, or what was to be sent. For people's eyes only."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection, select

from bot.storage import tables as t

LONGEST = 50_000  # characters
_SECRET = frozenset({"token", "authorization", "secret", "password"})


def copy_of(conn: Connection, trouble_id: str) -> str | None:
    """Indented JSON where it is JSON, else the text as it came; None where nothing is kept under this id."""
    o, i, d = t.outbox.c, t.inbox.c, t.dead_letters.c
    source, _, key = trouble_id.partition(":")
    row = conn.execute(select(o.payload).where(o.id == trouble_id)).first()
    if row is not None:
        return _shown(row.payload)
    row = conn.execute(select(i.raw, i.happening).where(i.source == source, i.key == key)).first()
    if row is not None:
        return _shown(row.raw if row.raw is not None else row.happening)
    row = conn.execute(select(d.raw).where(d.id == trouble_id)).first()
    return None if row is None or row.raw is None else _shown(row.raw)


def _shown(content: Any) -> str:
    if isinstance(content, bytes | memoryview):
        text = bytes(content).decode("utf-8", "replace")
        try:
            content = json.loads(text)
        except (ValueError, RecursionError):
            return text[:LONGEST]
    return json.dumps(_without_secrets(content, 0), ensure_ascii=False, indent=2)[:LONGEST]


def _without_secrets(content: Any, depth: int) -> Any:
    if depth > 40:
        return "…"
    if isinstance(content, dict):
        return {
            key: "…" if str(key).lower() in _SECRET else _without_secrets(one, depth + 1)
            for key, one in content.items()
        }
    return [_without_secrets(one, depth + 1) for one in content] if isinstance(content, list) else content
