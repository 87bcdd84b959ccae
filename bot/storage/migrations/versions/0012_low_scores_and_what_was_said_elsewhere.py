"""Low scores that somebody looks after, questions of a campaign, and what customers said elsewhere"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from bot.storage.tables import Json, Utc

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("survey_invitations", sa.Column("campaign", sa.Text(), nullable=True))
    op.add_column("survey_responses", sa.Column("source", sa.Text(), nullable=True))
    op.add_column("survey_responses", sa.Column("mode", sa.Text(), nullable=True))
    op.create_table(
        "survey_alerts",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("response_id", sa.Text(), nullable=False),
        sa.Column("case_id", sa.Text(), nullable=True),
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("instrument", sa.Text(), nullable=False),
        sa.Column("score", sa.Float(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=True),
        sa.Column("team", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("agent_id", sa.Text(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("contact", sa.Boolean(), nullable=True),
        sa.Column("follow_up", sa.Text(), nullable=True),
        sa.Column("reminded", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("ref", sa.Text(), nullable=True),
        sa.Column("opened_at", Utc(), nullable=False),
        sa.Column("due_at", Utc(), nullable=False),
        sa.Column("claimed_at", Utc(), nullable=True),
        sa.Column("closed_at", Utc(), nullable=True),
        sa.Column("withdrawn_at", Utc(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_survey_alerts")),
        sa.UniqueConstraint("response_id", name=op.f("uq_survey_alerts_response_id")),
    )
    op.create_index(op.f("ix_survey_alerts_customer_id"), "survey_alerts", ["customer_id"])
    op.create_index(op.f("ix_survey_alerts_state_due_at"), "survey_alerts", ["state", "due_at"])
    op.create_table(
        "outside_feedback",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=True),
        sa.Column("case_id", sa.Text(), nullable=True),
        sa.Column("respondent", sa.Text(), nullable=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("agent_id", sa.Text(), nullable=True),
        sa.Column("team", sa.Text(), nullable=True),
        sa.Column("topic", sa.Text(), nullable=True),
        sa.Column("locale", sa.Text(), nullable=True),
        sa.Column("extra", Json, nullable=False),
        sa.Column("at", Utc(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outside_feedback")),
    )
    op.create_index(op.f("ix_outside_feedback_at"), "outside_feedback", ["at"])
    op.create_index(op.f("ix_outside_feedback_customer_id"), "outside_feedback", ["customer_id"])
    said = sa.table("schema_versions", sa.column("revision", sa.Text()), sa.column("oldest_program", sa.Text()))
    op.bulk_insert(said, [{"revision": "0012", "oldest_program": "0001"}])
