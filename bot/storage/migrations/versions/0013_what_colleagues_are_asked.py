"""What colleagues are asked for a case, what helps with it, and answers that are held for a second look"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

Json = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
Utc = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("relays", sa.Column("held", Json, nullable=True))
    op.create_table(
        "errands",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("team", sa.Text(), nullable=True),
        sa.Column("owner_id", sa.Text(), nullable=True),
        sa.Column("asked_by", sa.Text(), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("desk", sa.Text(), nullable=False),
        sa.Column("ref", sa.Text(), nullable=True),
        sa.Column("asked_at", Utc, nullable=False),
        sa.Column("due_at", Utc, nullable=False),
        sa.Column("reminders", sa.Integer(), nullable=False),
        sa.Column("answer_id", sa.Text(), nullable=True),
        sa.Column("answered_by", sa.Text(), nullable=True),
        sa.Column("ended_at", Utc, nullable=True),
        sa.Column("channel", sa.Text(), nullable=True),
        sa.Column("root", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_errands"),
        sa.UniqueConstraint("desk", "ref", name="uq_errands_desk_ref"),
    )
    for columns in (["case_id"], ["customer_id"], ["state", "due_at"], ["channel", "root"]):
        op.create_index(f"ix_errands_{'_'.join(columns)}", "errands", columns)
    op.create_table(
        "case_hints",
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("question_hash", sa.Text(), nullable=False),
        sa.Column("articles", Json, nullable=False),
        sa.Column("similar", Json, nullable=False),
        sa.Column("summary", sa.Text(), nullable=True),
        sa.Column("made_at", Utc, nullable=False),
        sa.PrimaryKeyConstraint("case_id", name="pk_case_hints"),
    )
    op.create_index("ix_case_hints_customer_id", "case_hints", ["customer_id"])
    said = sa.table("schema_versions", sa.column("revision", sa.Text()), sa.column("oldest_program", sa.Text()))
    op.bulk_insert(said, [{"revision": "0013", "oldest_program": "0001"}])  # an older program holds nothing back
