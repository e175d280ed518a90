"""Who was told of a ticket that waits."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "told",
        sa.Column("id", BIG, nullable=False, autoincrement=False),
        sa.Column("agency", sa.SmallInteger, nullable=False, server_default="1"),
        sa.Column("at", BIG, nullable=False),
        sa.Column("staff", BIG, nullable=False),
        sa.Column("ticket", BIG, nullable=False),
        sa.Column("rung", sa.SmallInteger, nullable=False),
        sa.ForeignKeyConstraint(["staff"], ["staff.id"], name="fk_told_staff"),
        sa.PrimaryKeyConstraint("id", name="pk_told"),
    )
    op.create_index("ix_told_staff", "told", ["staff", "ticket"])
    op.create_index("ix_told_at", "told", ["at"])
