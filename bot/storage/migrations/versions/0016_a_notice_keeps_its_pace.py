"""A notice keeps its pace, also after a downtime"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("notices", sa.Column("free_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("notices", sa.Column("last_at", sa.DateTime(timezone=True), nullable=True))
    said = sa.table("schema_versions", sa.column("revision", sa.Text()), sa.column("oldest_program", sa.Text()))
    op.bulk_insert(said, [{"revision": "0016", "oldest_program": "0001"}])  # an older program tells all that is overdue
