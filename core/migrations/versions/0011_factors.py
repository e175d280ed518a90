"""The second factor of staff."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "factor",
        sa.Column("id", BIG, autoincrement=False, nullable=False),
        sa.Column("agency", sa.SmallInteger, nullable=False, server_default="1"),
        sa.Column("at", BIG, nullable=False),
        sa.Column("staff", BIG, nullable=False),
        sa.Column("secret", sa.LargeBinary, nullable=False),
        sa.Column("confirmed_at", BIG),
        sa.Column("step", BIG, nullable=False, server_default="0"),
        sa.Column("recovery", sa.Text, nullable=False, server_default="[]"),
        sa.ForeignKeyConstraint(["staff"], ["staff.id"], name="fk_factor_staff"),
        sa.PrimaryKeyConstraint("id", name="pk_factor"),
        sa.UniqueConstraint("staff", name="uq_factor_staff"),
    )
