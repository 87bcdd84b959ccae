"""Everything held on one customer, as JSON: each table's rows of theirs, under the table's name.

Times are ISO 8601 UTC. Bytes are text where they are UTF-8, else `{"base64": …}`. Columns are named as in `tables.py`.
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, select

from bot.storage import belongings
from bot.storage import tables as t


def export(conn: Connection, name: str, now: datetime) -> dict[str, Any] | None:
    """All of the customer of that id (or `channel:external id`); None when nobody has it. Empty tables are left out."""
    mine = belongings.find_named(conn, name)
    if mine is None:
        return None
    held: dict[str, Any] = {"customer": mine.id, "exported_at": to_json(now)}
    for table in t.metadata.sorted_tables:
        query = select(table).where(mine.where(table)).order_by(*table.primary_key.columns)
        rows = [{key: to_json(value) for key, value in row.items()} for row in conn.execute(query).mappings()]
        if rows:
            held[table.name] = rows
    return held


def to_json(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, bytes | memoryview):
        raw = bytes(value)
        try:
            return raw.decode()
        except UnicodeDecodeError:
            return {"base64": base64.b64encode(raw).decode()}
    return value
