"""When a citizen is reminded of what we asked."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
LIVE = sa.text("state NOT IN ('closed', 'merged', 'junk')")


def upgrade() -> None:
    op.add_column("ticket", sa.Column("remind_at", BIG))
    op.create_index("ix_ticket_live_remind_at", "ticket", ["remind_at"], postgresql_where=LIVE, sqlite_where=LIVE)
