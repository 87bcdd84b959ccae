"""Drafts and published versions of the desk; who may use the console"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

Json = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
Counter = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "desk_drafts",
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("base_hash", sa.Text(), nullable=True),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("path", name=op.f("pk_desk_drafts")),
    )
    op.create_table(
        "desk_files",
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_desk_files")),
    )
    op.create_table(
        "desk_versions",
        sa.Column("n", Counter, autoincrement=True, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("files", Json, nullable=False),
        sa.Column("changes", Json, nullable=False),
        sa.PrimaryKeyConstraint("n", name=op.f("pk_desk_versions")),
    )
    op.create_table(
        "console_people",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("invited_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_console_people")),
    )
    said = sa.table("schema_versions", sa.column("revision", sa.Text()), sa.column("oldest_program", sa.Text()))
    op.bulk_insert(said, [{"revision": "0004", "oldest_program": "0001"}])  # more tables harm no older program
