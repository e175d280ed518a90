"""Open questions, what was heard, budgets and spending on disk, opt-outs; doubt and parts of what is sent."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("outbox", sa.Column("doubt_at", BIG))
    op.add_column("outbox", sa.Column("parts", sa.Integer))
    _question()
    op.create_table(
        "heard",
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("ref", sa.LargeBinary, nullable=False),
        sa.Column("at", BIG, nullable=False),
        sa.Column("weak", sa.LargeBinary, nullable=False),
        sa.Column("idless", sa.Boolean, nullable=False),
        sa.Column("verdict", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("channel", "ref", name="pk_heard"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_heard_weak", "heard", ["weak"])
    op.create_index("ix_heard_at", "heard", ["at"])
    op.create_table(
        "budget",
        sa.Column("key", sa.LargeBinary, nullable=False),
        sa.Column("full_at", BIG, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_budget"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_budget_full_at", "budget", ["full_at"])
    op.create_table(
        "optout",
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("line", sa.Text, nullable=False),
        sa.Column("blind", sa.LargeBinary, nullable=False),
        sa.Column("at", BIG, nullable=False),
        sa.Column("why", sa.Text, nullable=False, server_default=""),
        sa.PrimaryKeyConstraint("channel", "line", "blind", name="pk_optout"),
    )
    _spent()


def _question() -> None:
    op.create_table(
        "question",
        sa.Column("id", BIG, nullable=False),
        sa.Column("agency", sa.SmallInteger, nullable=False, server_default="1"),
        sa.Column("at", BIG, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("line", sa.Text, nullable=False, server_default=""),
        sa.Column("blind", sa.LargeBinary, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("ticket", BIG),
        sa.Column("data", sa.Text, nullable=False, server_default="{}"),
        sa.Column("until", BIG, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_question"),
        sa.ForeignKeyConstraint(["ticket"], ["ticket.id"], name="fk_question_ticket"),
    )
    op.create_index("ix_question_blind", "question", ["channel", "blind"])
    op.create_index("ix_question_until", "question", ["until"])


def _spent() -> None:
    counted = ("parts", "rial", "auto_parts", "auto_rial")
    op.create_table(
        "spent",
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("line", sa.Text, nullable=False),
        sa.Column("day", sa.Integer, nullable=False),
        *(sa.Column(name, BIG, nullable=False, server_default="0") for name in counted),
        sa.PrimaryKeyConstraint("channel", "line", "day", name="pk_spent"),
    )
