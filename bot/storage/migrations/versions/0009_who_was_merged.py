"""Who was merged into a customer is found without reading all customers"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    merged = sa.text("merged_into IS NOT NULL")
    op.create_index("ix_customers_merged", "customers", ["merged_into"], sqlite_where=merged, postgresql_where=merged)
    said = sa.table("schema_versions", sa.column("revision", sa.Text()), sa.column("oldest_program", sa.Text()))
    op.bulk_insert(said, [{"revision": "0009", "oldest_program": "0001"}])  # one more index harms no older program
