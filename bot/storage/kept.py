"""Single values that outlive the process and that all nodes share."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from bot.storage import tables as t
from bot.storage.tx import Tx


def get(conn: Connection, key: str) -> Any:
    """The value under the key; None where there is none."""
    return conn.execute(select(t.settings.c.value).where(t.settings.c.key == key)).scalar()


def swap(tx: Tx, key: str, value: Any) -> Any:
    """Keep this value under the key, and give the one from before; None where there was none."""
    s = t.settings
    before = tx.conn.execute(select(s.c.value).where(s.c.key == key)).scalar()
    add = postgresql.insert if tx.conn.dialect.name == "postgresql" else sqlite.insert
    new = add(s).values(key=key, value=value)
    tx.conn.execute(new.on_conflict_do_update(index_elements=[s.c.key], set_={"value": new.excluded.value}))
    return before


def move(tx: Tx, key: str, value: Any) -> bool:
    """Keep this value under the key; whether another one stood there before. Of two nodes that move it at once one hears yes."""
    s = t.settings
    add = postgresql.insert if tx.conn.dialect.name == "postgresql" else sqlite.insert
    new = add(s).values(key=key, value=value)
    changed = new.on_conflict_do_update(
        index_elements=[s.c.key], set_={"value": new.excluded.value}, where=s.c.value != new.excluded.value
    )
    return tx.conn.execute(changed.returning(s.c.key)).first() is not None
