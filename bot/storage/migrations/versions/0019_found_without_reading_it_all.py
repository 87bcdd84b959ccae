"""What agents, rooms and mergers look for has an index: a case by its number, by its end, what is somebody's"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

WHOLE = (
    ("cases", ["number"]),
    ("case_events", ["customer_id"]),
    ("timers", ["customer_id"]),
    ("relays", ["customer_id"]),
    ("survey_responses", ["case_id"]),
    ("link_codes", ["identity_id"]),
    ("link_codes", ["customer_id"]),
    ("audit", ["who", "at"]),
    ("idempotency_keys", ["at"]),
    ("merges", ["winner_id"]),
    ("merges", ["loser_id"]),
)


def upgrade() -> None:
    for table, columns in WHOLE:
        op.create_index("_".join(("ix", table, *columns)), table, columns)
    ended = sa.text("resolved_at IS NOT NULL")
    op.create_index("ix_cases_resolved_at", "cases", ["resolved_at"], sqlite_where=ended, postgresql_where=ended)
    said = sa.table("schema_versions", sa.column("revision", sa.Text()), sa.column("oldest_program", sa.Text()))
    op.bulk_insert(said, [{"revision": "0019", "oldest_program": "0001"}])
