"""What automatic letters went to whom, so that they are rationed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "automatic",
        sa.Column("id", BIG, nullable=False, autoincrement=False),
        sa.Column("agency", sa.SmallInteger, nullable=False, server_default="1"),
        sa.Column("at", BIG, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("sender", sa.LargeBinary, nullable=False),
        sa.Column("domain", sa.LargeBinary, nullable=False),
        sa.Column("ticket", BIG, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_automatic"),
        sa.CheckConstraint("kind IN ('receipt', 'other')", name="ck_automatic_kind"),
    )
    op.create_index("ix_automatic_sender", "automatic", ["sender", "at"])
    op.create_index("ix_automatic_at", "automatic", ["at"])
    op.create_index("ix_automatic_ticket", "automatic", ["ticket"])
