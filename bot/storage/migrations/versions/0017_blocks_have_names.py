"""A block of figures has a name of its own, and cases are found by their opening: reports over a million cases"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("figure_blocks", sa.Column("made", sa.Text(), nullable=True))
    op.create_index("ix_figure_blocks_family_day_made", "figure_blocks", ["family", "day", "made"])
    op.create_index("ix_cases_opened_at", "cases", ["opened_at"])
    said = sa.table("schema_versions", sa.column("revision", sa.Text()), sa.column("oldest_program", sa.Text()))
    op.bulk_insert(said, [{"revision": "0017", "oldest_program": "0001"}])  # an older program makes its own facts anew
