"""Whether PostgreSQL would keep every acknowledged commit if its primary were lost: what `stafett doctor` asks."""

from __future__ import annotations

from sqlalchemy import Connection


def read(conn: Connection) -> tuple[str, str, int | None]:
    """`synchronous_commit`, `synchronous_standby_names`, and how many such standbys are there (None: we may not see)."""
    commit = str(conn.exec_driver_sql("SHOW synchronous_commit").scalar_one())
    names = str(conn.exec_driver_sql("SHOW synchronous_standby_names").scalar_one())
    may_see, there = conn.exec_driver_sql(
        "SELECT pg_has_role(current_user, 'pg_read_all_stats', 'usage'), "
        "(SELECT count(*) FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum'))"
    ).one()
    return commit, names, int(there) if may_see else None
