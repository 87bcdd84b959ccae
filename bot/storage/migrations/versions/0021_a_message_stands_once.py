"""A message stands once: the timeline keeps what becomes of one, and no copy of each; a conversation tells when it grew last"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

LAST = """
    UPDATE conversations SET last_at = (
        SELECT at FROM timeline WHERE timeline.customer_id = conversations.customer_id AND seq = last_seq
    )
"""
COPIES = """
    DELETE FROM timeline WHERE kind = 'message' AND EXISTS (
        SELECT 1 FROM messages m
        WHERE m.id = message_id AND m.customer_id = timeline.customer_id AND m.seq = timeline.seq AND m.text = timeline.text
    )
"""


def upgrade() -> None:
    op.add_column("conversations", sa.Column("last_at", sa.DateTime(timezone=True), nullable=True))
    op.execute(LAST)
    op.execute(COPIES)
    said = sa.table("schema_versions", sa.column("revision", sa.Text()), sa.column("oldest_program", sa.Text()))
    op.bulk_insert(
        said, [{"revision": "0021", "oldest_program": "0021"}]
    )  # an older program would show nothing that a newer one wrote; none was ever released
