"""The messages of a case are found through its customer: an index less that each message writes"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_messages_customer_id_seq_case_id", "messages", ["customer_id", "seq", "case_id"])
    op.drop_index("ix_messages_customer_id_seq", "messages")
    op.drop_index("ix_messages_case_id", "messages")
    said = sa.table("schema_versions", sa.column("revision", sa.Text()), sa.column("oldest_program", sa.Text()))
    op.bulk_insert(
        said, [{"revision": "0022", "oldest_program": "0021"}]
    )  # which reads more for a case's messages, no more
