"""Records of calls are looked for by their age."""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.create_index("ix_call_at", "call", ["at"])
