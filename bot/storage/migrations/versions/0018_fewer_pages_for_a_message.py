"""A message touches fewer pages: its key grows at its end, and what is done or sent leaves the indexes of what is not"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

KEY = ["id", "customer_id"]
PARTIAL = (  # name, table, columns, which rows; and the index whose place it takes
    ("ix_inbox_unhandled", "inbox", ["state", "due_at"], "state NOT IN ('done','alias')", "ix_inbox_state_due_at"),
    ("ix_inbox_awaiting", "inbox", ["waits_for"], "waits_for IS NOT NULL", "ix_inbox_waits_for"),
    ("ix_outbox_unsent", "outbox", ["state", "due_at"], "state != 'sent'", "ix_outbox_state_due_at"),
)


def upgrade() -> None:
    op.drop_index("ix_messages_id", "messages")
    if op.get_bind().dialect.name == "sqlite":
        with op.batch_alter_table("messages", recreate="always") as messages:  # copied by one INSERT … SELECT
            messages.drop_constraint("pk_messages", type_="primary")
            messages.create_primary_key("pk_messages", KEY)
    else:
        op.drop_constraint("pk_messages", "messages", type_="primary")
        op.create_primary_key("pk_messages", "messages", KEY)
    for name, table, columns, which, instead_of in PARTIAL:
        op.drop_index(instead_of, table)
        op.create_index(name, table, columns, sqlite_where=sa.text(which), postgresql_where=sa.text(which))
    said = sa.table("schema_versions", sa.column("revision", sa.Text()), sa.column("oldest_program", sa.Text()))
    op.bulk_insert(said, [{"revision": "0018", "oldest_program": "0001"}])  # older programs see other indexes, no more
