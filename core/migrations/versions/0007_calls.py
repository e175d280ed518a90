"""Calls that are over."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "call",
        sa.Column("agency", sa.SmallInteger, nullable=False, server_default="1"),
        sa.Column("ref", sa.Text, nullable=False),
        sa.Column("at", BIG, nullable=False),
        sa.Column("seconds", sa.Integer, nullable=False),
        sa.Column("line", sa.Text, nullable=False),
        sa.Column("called", sa.Text, nullable=False),
        sa.Column("blind", sa.LargeBinary),
        sa.Column("proven", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("way", sa.Text, nullable=False),
        sa.Column("ticket", BIG),
        sa.Column("facts", sa.Text, nullable=False, server_default="{}"),
        sa.ForeignKeyConstraint(["ticket"], ["ticket.id"], name="fk_call_ticket"),
        sa.PrimaryKeyConstraint("agency", "ref", name="pk_call"),
    )
    op.create_index("ix_call_blind", "call", ["blind", "at"])
