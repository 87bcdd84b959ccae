"""Single values that outlive the process and that all nodes share."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from bot.storage import tables as t
from bot.storage.tx import Tx


def swap(tx: Tx, key: str, value: Any) -> Any:
    """Keep this value under the key, and give the one from before; None where there was none."""
    s = t.settings
    before = tx.conn.execute(select(s.c.value).where(s.c.key == key)).scalar()
    add = postgresql.insert if tx.conn.dialect.name == "postgresql" else sqlite.insert
    new = add(s).values(key=key, value=value)
    tx.conn.execute(new.on_conflict_do_update(index_elements=[s.c.key], set_={"value": new.excluded.value}))
    return before
