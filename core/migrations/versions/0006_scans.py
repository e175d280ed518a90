"""What the virus scanner said of a file."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

UNSCANNED = sa.text("scan IN ('waiting', 'unscanned')")


def upgrade() -> None:
    op.add_column("file", sa.Column("scan", sa.Text))
    op.add_column("file", sa.Column("found", sa.Text))
    op.create_index("ix_file_scan", "file", ["scan", "id"], postgresql_where=UNSCANNED, sqlite_where=UNSCANNED)
