"""Rates that several nodes keep together: when each bucket (a chat, a channel) is free again. PostgreSQL alone asks."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta

from sqlalchemy import bindparam, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from bot.storage import tables as t
from bot.storage.prepared import Prepared, among
from bot.storage.tx import Tx

_P = t.paces
_FREE = Prepared(
    select(_P.c.bucket, _P.c.free_at).where(among(_P.c.bucket, "some")).with_for_update(skip_locked=True), beside=True
)
_KEEP = Prepared(update(_P).where(_P.c.bucket == bindparam("name")), beside=True)
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
KEEP = timedelta(days=1)


def hold(tx: Tx, buckets: Collection[str]) -> dict[str, datetime]:
    """When each of them is free; nobody else spends from them until this transaction ends. In one order: no deadlocks."""
    if not buckets:
        return {}
    p = t.paces
    query = (
        select(p.c.bucket, p.c.free_at).where(p.c.bucket.in_(sorted(buckets))).order_by(p.c.bucket).with_for_update()
    )
    found = {row.bucket: row.free_at for row in tx.conn.execute(query)}
    if len(found) < len(set(buckets)):
        new = [{"bucket": one, "free_at": LONG_AGO} for one in sorted(set(buckets) - set(found))]
        tx.conn.execute(insert(p).on_conflict_do_nothing(), new)
        found = {row.bucket: row.free_at for row in tx.conn.execute(query)}
    return found


def hold_free(tx: Tx, buckets: Collection[str]) -> dict[str, datetime]:
    """As `hold`, of those that are written down already and that nobody else holds: it waits for nobody."""
    if not buckets:
        return {}
    return {row.bucket: row.free_at for row in _FREE.all(tx.conn, some=list(buckets))}


def keep(tx: Tx, free: Mapping[str, datetime]) -> None:
    """Write down when the buckets that were held are free again."""
    _KEEP.run_many(tx.conn, [{"name": name, "free_at": until} for name, until in free.items()])


def block(tx: Tx, bucket: str, until: datetime) -> None:
    """The platform itself named a time: nothing is spent before it."""
    p = t.paces
    new = insert(p).values(bucket=bucket, free_at=until)
    later = func.greatest(p.c.free_at, new.excluded.free_at)
    tx.conn.execute(new.on_conflict_do_update(index_elements=[p.c.bucket], set_={"free_at": later}))


def forget_old(tx: Tx) -> None:
    tx.conn.execute(delete(t.paces).where(t.paces.c.free_at < tx.now - KEEP))
