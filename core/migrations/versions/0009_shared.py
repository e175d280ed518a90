"""Units besides a ticket's own."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

SHARED = sa.text("added != '[]'")


def upgrade() -> None:
    op.add_column("ticket", sa.Column("added", sa.Text, nullable=False, server_default="[]"))
    op.create_index("ix_ticket_added", "ticket", ["id"], postgresql_where=SHARED, sqlite_where=SHARED)
