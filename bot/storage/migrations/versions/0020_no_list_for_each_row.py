"""SQLite makes no table of the states any more, for each row of the outbox that is written, to see which index holds it"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

LIVE = ("ix_outbox_live", ["lane", "n"], ("ready", "sending", "retry", "uncertain"))
WAITING = ("ix_outbox_waiting", ["via", "bulk", "due_at", "n"], ("ready", "retry", "uncertain"))


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for name, columns, states in (LIVE, WAITING):
            op.drop_index(name, "outbox")
            which = sa.text(" OR ".join(f"state = '{one}'" for one in states))
            op.create_index(name, "outbox", columns, sqlite_where=which)
    said = sa.table("schema_versions", sa.column("revision", sa.Text()), sa.column("oldest_program", sa.Text()))
    op.bulk_insert(
        said, [{"revision": "0020", "oldest_program": "0001"}]
    )  # an older program looks further for its rows, no more
