"""An index over the few messages that carry marks: those that wait for a person are found by it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

MARKED = sa.text("marks != '[]'")


def upgrade() -> None:
    op.create_index("ix_message_marked", "message", ["at"], postgresql_where=MARKED, sqlite_where=MARKED)
