"""What conversations can be played again with"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

Json = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "recordings",
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("asked", Json, nullable=False),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("answer", Json, nullable=True),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("case_id", "token", name=op.f("pk_recordings")),
    )
    op.create_index(op.f("ix_recordings_customer_id"), "recordings", ["customer_id"])
    op.create_index(op.f("ix_recordings_at"), "recordings", ["at"])
    said = sa.table("schema_versions", sa.column("revision", sa.Text()), sa.column("oldest_program", sa.Text()))
    op.bulk_insert(said, [{"revision": "0005", "oldest_program": "0001"}])  # one more table harms no older program
