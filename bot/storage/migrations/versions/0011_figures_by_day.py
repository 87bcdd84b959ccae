"""What figures are made of, case by case and day by day; and what has changed since they were made"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "figure_marks",
        sa.Column("n", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("family", sa.Text(), nullable=False),
        sa.Column("ref", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("n", name=op.f("pk_figure_marks")),
    )
    op.create_table(
        "figure_facts",
        sa.Column("family", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=True),
        sa.Column("fact", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("family", "id", name=op.f("pk_figure_facts")),
    )
    op.create_index(op.f("ix_figure_facts_family_day"), "figure_facts", ["family", "day"])
    op.create_index(op.f("ix_figure_facts_customer_id"), "figure_facts", ["customer_id"])
    op.create_table(
        "figure_blocks",
        sa.Column("family", sa.Text(), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("block", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("family", "day", name=op.f("pk_figure_blocks")),
    )
    said = sa.table("schema_versions", sa.column("revision", sa.Text()), sa.column("oldest_program", sa.Text()))
    op.bulk_insert(said, [{"revision": "0011", "oldest_program": "0001"}])  # three tables that no older program knows
