"""What waits in the outbox: found by its due time, with replies before what nobody waits for"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

WAITING = "state IN ('ready','retry','uncertain')"


def upgrade() -> None:
    op.add_column("outbox", sa.Column("bulk", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("outbox", sa.Column("delayed_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_outbox_waiting",
        "outbox",
        ["via", "bulk", "due_at", "n"],
        sqlite_where=sa.text(WAITING),
        postgresql_where=sa.text(WAITING),
    )
    said = sa.table("schema_versions", sa.column("revision", sa.Text()), sa.column("oldest_program", sa.Text()))
    op.bulk_insert(
        said, [{"revision": "0006", "oldest_program": "0001"}]
    )  # older programs leave both to their defaults
