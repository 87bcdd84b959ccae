"""Agents can be busy: they are there, and are given no new cases"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("agent_states", sa.Column("busy", sa.Boolean(), server_default=sa.false(), nullable=False))
    said = sa.table("schema_versions", sa.column("revision", sa.Text()), sa.column("oldest_program", sa.Text()))
    op.bulk_insert(said, [{"revision": "0015", "oldest_program": "0001"}])  # an older program writes nobody busy
