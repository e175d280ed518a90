"""The first tables, the event guard and the numbers that begin."""

# ruff: noqa: E501

from __future__ import annotations

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
LOCKED = (
    "id", "agency", "at", "ticket", "seq", "kind", "actor", "data", "seal", "pos", "prev", "hash",
)  # fmt: skip


def upgrade() -> None:
    _tables()
    if op.get_bind().dialect.name == "sqlite":
        _guard_sqlite()
    else:
        _guard_postgresql()
    meta = sa.table("meta", sa.column("key", sa.Text), sa.column("value", sa.Text))
    first = {"ids": "1", "outbox_ids": "1", "base": "0", "epoch": str(secrets.randbits(17))}
    op.bulk_insert(meta, [{"key": key, "value": value} for key, value in first.items()])


def _guard_sqlite() -> None:
    """Events stay as they are, but for the salt, which erasing a text sets to NULL."""
    same = " AND ".join(f'NEW."{column}" IS OLD."{column}"' for column in LOCKED)
    op.execute(
        f"CREATE TRIGGER event_stays BEFORE UPDATE ON event WHEN NOT (NEW.salt IS NULL AND {same}) "
        "BEGIN SELECT RAISE(ABORT, 'events are never changed'); END"
    )
    op.execute(
        "CREATE TRIGGER event_kept BEFORE DELETE ON event BEGIN SELECT RAISE(ABORT, 'events are never deleted'); END"
    )


def _guard_postgresql() -> None:
    same = " AND ".join(f'NEW."{column}" IS NOT DISTINCT FROM OLD."{column}"' for column in LOCKED)
    op.execute(
        "CREATE FUNCTION event_guard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF TG_OP = 'UPDATE' THEN IF NEW.salt IS NULL AND {same} THEN RETURN NEW; END IF; "
        "RAISE EXCEPTION 'events are never changed'; END IF; "
        "RAISE EXCEPTION 'events are never deleted'; END $$"
    )
    op.execute(
        "CREATE TRIGGER event_stays BEFORE UPDATE OR DELETE ON event FOR EACH ROW EXECUTE FUNCTION event_guard()"
    )
    op.execute("CREATE TRIGGER event_kept BEFORE TRUNCATE ON event FOR EACH STATEMENT EXECUTE FUNCTION event_guard()")


def _tables() -> None:
    op.create_table(
        "box",
        sa.Column("box", sa.Text(), nullable=False),
        sa.Column("at", BIG, nullable=False),
        sa.Column("closed_until", BIG, nullable=True),
        sa.PrimaryKeyConstraint("box", name=op.f("pk_box")),
    )
    op.create_table(
        "contact",
        sa.Column("id", BIG, autoincrement=False, nullable=False),
        sa.Column("agency", sa.SmallInteger(), server_default="1", nullable=False),
        sa.Column("at", BIG, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.Column("blind", sa.LargeBinary(), nullable=False),
        sa.Column("proven_by", sa.Text(), nullable=True),
        sa.Column("proven_at", BIG, nullable=True),
        sa.Column("preferred", sa.Text(), nullable=True),
        sa.Column("stops", sa.Text(), nullable=True),
        sa.CheckConstraint("kind IN ('phone', 'mail')", name=op.f("ck_contact_kind")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contact")),
        sa.UniqueConstraint("agency", "kind", "blind", name=op.f("uq_contact_agency_kind_blind")),
    )
    op.create_table(
        "cursor",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("pos", BIG, server_default="0", nullable=False),
        sa.Column("event", BIG, server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_cursor")),
    )
    op.create_table(
        "delivery",
        sa.Column("id", BIG, autoincrement=False, nullable=False),
        sa.Column("agency", sa.SmallInteger(), server_default="1", nullable=False),
        sa.Column("at", BIG, nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("ref", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), server_default="", nullable=False),
        sa.Column("outbox", BIG, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery")),
        sa.UniqueConstraint("channel", "ref", "state", name=op.f("uq_delivery_channel_ref_state")),
    )
    op.create_table(
        "drawer",
        sa.Column("box", sa.Text(), nullable=False),
        sa.Column("slot", sa.Text(), nullable=False),
        sa.Column("at", BIG, nullable=False),
        sa.Column("bytes", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("box", "slot", name=op.f("pk_drawer")),
    )
    op.create_table(
        "meta",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_meta")),
    )
    op.create_table(
        "seen",
        sa.Column("agency", sa.SmallInteger(), server_default="1", nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("ref", sa.LargeBinary(), nullable=False),
        sa.Column("body_hash", sa.LargeBinary(), nullable=False),
        sa.Column("at", BIG, nullable=False),
        sa.Column("ticket", BIG, nullable=False),
        sa.Column("message", BIG, nullable=False),
        sa.PrimaryKeyConstraint("agency", "channel", "ref", "body_hash", name=op.f("pk_seen")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "staff",
        sa.Column("id", BIG, autoincrement=False, nullable=False),
        sa.Column("agency", sa.SmallInteger(), server_default="1", nullable=False),
        sa.Column("at", BIG, nullable=False),
        sa.Column("login", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("password", sa.Text(), nullable=False),
        sa.Column("lang", sa.Text(), server_default="fa", nullable=False),
        sa.Column("active", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("changed_at", BIG, server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staff")),
        sa.UniqueConstraint("agency", "login", name=op.f("uq_staff_agency_login")),
    )
    op.create_table(
        "unit",
        sa.Column("id", BIG, autoincrement=False, nullable=False),
        sa.Column("agency", sa.SmallInteger(), server_default="1", nullable=False),
        sa.Column("at", BIG, nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("parent", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), server_default="unit", nullable=False),
        sa.Column("names", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("extension", sa.Text(), nullable=True),
        sa.Column("shortcode", sa.Text(), nullable=True),
        sa.Column("head", sa.Text(), nullable=True),
        sa.Column("active", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("facts", sa.Text(), server_default="{}", nullable=False),
        sa.CheckConstraint("kind IN ('unit', 'secretariat', 'oversight')", name=op.f("ck_unit_kind")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_unit")),
        sa.UniqueConstraint("agency", "slug", name=op.f("uq_unit_agency_slug")),
    )
    op.create_table(
        "api_token",
        sa.Column("id", BIG, autoincrement=False, nullable=False),
        sa.Column("agency", sa.SmallInteger(), server_default="1", nullable=False),
        sa.Column("at", BIG, nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("staff", BIG, nullable=False),
        sa.Column("name", sa.Text(), server_default="", nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("until", BIG, nullable=True),
        sa.Column("revoked", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.ForeignKeyConstraint(["staff"], ["staff.id"], name=op.f("fk_api_token_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_token")),
        sa.UniqueConstraint("hash", name=op.f("uq_api_token_hash")),
    )
    op.create_table(
        "grant",
        sa.Column("id", BIG, autoincrement=False, nullable=False),
        sa.Column("agency", sa.SmallInteger(), server_default="1", nullable=False),
        sa.Column("at", BIG, nullable=False),
        sa.Column("staff", BIG, nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("until", BIG, nullable=True),
        sa.ForeignKeyConstraint(["staff"], ["staff.id"], name=op.f("fk_grant_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_grant")),
        sa.UniqueConstraint("staff", "role", "unit", name=op.f("uq_grant_staff_role_unit")),
    )
    op.create_table(
        "session",
        sa.Column("id", BIG, autoincrement=False, nullable=False),
        sa.Column("agency", sa.SmallInteger(), server_default="1", nullable=False),
        sa.Column("at", BIG, nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("staff", BIG, nullable=False),
        sa.Column("csrf", sa.Text(), nullable=False),
        sa.Column("peer", sa.Text(), nullable=True),
        sa.Column("idle_at", BIG, nullable=False),
        sa.Column("ends_at", BIG, nullable=False),
        sa.ForeignKeyConstraint(["staff"], ["staff.id"], name=op.f("fk_session_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_session")),
        sa.UniqueConstraint("hash", name=op.f("uq_session_hash")),
    )
    with op.batch_alter_table("session", schema=None) as batch_op:
        batch_op.create_index("ix_session_staff", ["staff"], unique=False)

    op.create_table(
        "ticket",
        sa.Column("id", BIG, autoincrement=False, nullable=False),
        sa.Column("agency", sa.SmallInteger(), server_default="1", nullable=False),
        sa.Column("at", BIG, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("level", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("assignee", BIG, nullable=True),
        sa.Column("contact", BIG, nullable=True),
        sa.Column("answer_by", sa.Text(), nullable=False),
        sa.Column("answer_to", BIG, nullable=True),
        sa.Column("name", sa.LargeBinary(), nullable=True),
        sa.Column("service", sa.Text(), nullable=True),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("line", sa.Text(), nullable=True),
        sa.Column("lang", sa.Text(), server_default="fa", nullable=False),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column("place", sa.Text(), nullable=True),
        sa.Column("urgent", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("tags", sa.Text(), server_default="[]", nullable=False),
        sa.Column("route", sa.Text(), server_default="{}", nullable=False),
        sa.Column("facts", sa.Text(), server_default="{}", nullable=False),
        sa.Column("related", BIG, nullable=True),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("seq", sa.Integer(), server_default="1", nullable=False),
        sa.Column("events", sa.Integer(), server_default="1", nullable=False),
        sa.Column("chain", sa.LargeBinary(), nullable=False),
        sa.Column("clock", sa.Text(), server_default="runs", nullable=False),
        sa.Column("budget", sa.Text(), nullable=True),
        sa.Column("due_from", BIG, nullable=True),
        sa.Column("due_at", BIG, nullable=True),
        sa.Column("due_steps", sa.Text(), server_default="[]", nullable=False),
        sa.Column("paused_at", BIG, nullable=True),
        sa.Column("pauses", sa.Text(), server_default="[]", nullable=False),
        sa.Column("lapse_at", BIG, nullable=True),
        sa.Column("rung", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("rung_at", BIG, nullable=True),
        sa.Column("answered_at", BIG, nullable=True),
        sa.Column("objected_at", BIG, nullable=True),
        sa.Column("closed_at", BIG, nullable=True),
        sa.Column("last_at", BIG, nullable=False),
        sa.Column("pin_no", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("pin_key", sa.Integer(), server_default="1", nullable=False),
        sa.CheckConstraint("clock IN ('runs', 'paused', 'stopped')", name=op.f("ck_ticket_clock")),
        sa.CheckConstraint(
            "kind IN ('complaint', 'criticism', 'request', 'suggestion', 'thanks', 'comment', 'data')",
            name=op.f("ck_ticket_kind"),
        ),
        sa.CheckConstraint(
            "state IN ('held', 'new', 'open', 'asked', 'outside', 'approval', 'answered', 'disputed', 'closed', 'merged', 'junk')",
            name=op.f("ck_ticket_state"),
        ),
        sa.ForeignKeyConstraint(["answer_to"], ["contact.id"], name=op.f("fk_ticket_answer_to")),
        sa.ForeignKeyConstraint(["assignee"], ["staff.id"], name=op.f("fk_ticket_assignee")),
        sa.ForeignKeyConstraint(["contact"], ["contact.id"], name=op.f("fk_ticket_contact")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ticket")),
    )
    with op.batch_alter_table("ticket", schema=None) as batch_op:
        batch_op.create_index(
            "ix_ticket_live_assignee",
            ["assignee", "due_at"],
            unique=False,
            postgresql_where=sa.text("state NOT IN ('closed', 'merged', 'junk')"),
            sqlite_where=sa.text("state NOT IN ('closed', 'merged', 'junk')"),
        )
        batch_op.create_index(
            "ix_ticket_live_contact",
            ["contact", "at"],
            unique=False,
            postgresql_where=sa.text("state NOT IN ('closed', 'merged', 'junk')"),
            sqlite_where=sa.text("state NOT IN ('closed', 'merged', 'junk')"),
        )
        batch_op.create_index(
            "ix_ticket_live_lapse_at",
            ["lapse_at"],
            unique=False,
            postgresql_where=sa.text("state NOT IN ('closed', 'merged', 'junk')"),
            sqlite_where=sa.text("state NOT IN ('closed', 'merged', 'junk')"),
        )
        batch_op.create_index(
            "ix_ticket_live_rung_at",
            ["rung_at"],
            unique=False,
            postgresql_where=sa.text("state NOT IN ('closed', 'merged', 'junk')"),
            sqlite_where=sa.text("state NOT IN ('closed', 'merged', 'junk')"),
        )
        batch_op.create_index(
            "ix_ticket_live_unit",
            ["unit", "state", "due_at", "id"],
            unique=False,
            postgresql_where=sa.text("state NOT IN ('closed', 'merged', 'junk')"),
            sqlite_where=sa.text("state NOT IN ('closed', 'merged', 'junk')"),
        )
        batch_op.create_index("ix_ticket_unit_at", ["unit", "at"], unique=False)

    op.create_table(
        "code",
        sa.Column("id", BIG, autoincrement=False, nullable=False),
        sa.Column("agency", sa.SmallInteger(), server_default="1", nullable=False),
        sa.Column("at", BIG, nullable=False),
        sa.Column("kind", sa.Text(), server_default="tracking", nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("ticket", BIG, nullable=False),
        sa.CheckConstraint("kind IN ('tracking', 'open311')", name=op.f("ck_code_kind")),
        sa.ForeignKeyConstraint(["ticket"], ["ticket.id"], name=op.f("fk_code_ticket")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_code")),
        sa.UniqueConstraint("agency", "kind", "value", name=op.f("uq_code_agency_kind_value")),
    )
    with op.batch_alter_table("code", schema=None) as batch_op:
        batch_op.create_index("ix_code_ticket", ["ticket"], unique=False)

    op.create_table(
        "event",
        sa.Column("id", BIG, autoincrement=False, nullable=False),
        sa.Column("agency", sa.SmallInteger(), server_default="1", nullable=False),
        sa.Column("at", BIG, nullable=False),
        sa.Column("ticket", BIG, nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("data", sa.Text(), server_default="{}", nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=True),
        sa.Column("seal", sa.LargeBinary(), nullable=True),
        sa.Column("pos", BIG, nullable=False),
        sa.Column("prev", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["ticket"], ["ticket.id"], name=op.f("fk_event_ticket")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event")),
        sa.UniqueConstraint("ticket", "seq", name=op.f("uq_event_ticket_seq")),
    )
    with op.batch_alter_table("event", schema=None) as batch_op:
        batch_op.create_index("ix_event_pos", ["pos", "id"], unique=False)

    op.create_table(
        "message",
        sa.Column("id", BIG, autoincrement=False, nullable=False),
        sa.Column("agency", sa.SmallInteger(), server_default="1", nullable=False),
        sa.Column("at", BIG, nullable=False),
        sa.Column("ticket", BIG, nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("way", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("author", BIG, nullable=True),
        sa.Column("contact", BIG, nullable=True),
        sa.Column("text", sa.Text(), server_default="", nullable=False),
        sa.Column("quoted", sa.Text(), nullable=True),
        sa.Column("lang", sa.Text(), server_default="fa", nullable=False),
        sa.Column("meta", sa.Text(), server_default="{}", nullable=False),
        sa.Column("marks", sa.Text(), server_default="[]", nullable=False),
        sa.Column("before", sa.Text(), nullable=True),
        sa.Column("raw_key", sa.Text(), nullable=True),
        sa.Column("withdrawn_at", BIG, nullable=True),
        sa.CheckConstraint("way IN ('in', 'out', 'note')", name=op.f("ck_message_way")),
        sa.ForeignKeyConstraint(["author"], ["staff.id"], name=op.f("fk_message_author")),
        sa.ForeignKeyConstraint(["contact"], ["contact.id"], name=op.f("fk_message_contact")),
        sa.ForeignKeyConstraint(["ticket"], ["ticket.id"], name=op.f("fk_message_ticket")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_message")),
        sa.UniqueConstraint("ticket", "seq", name=op.f("uq_message_ticket_seq")),
    )
    op.create_table(
        "participant",
        sa.Column("id", BIG, autoincrement=False, nullable=False),
        sa.Column("agency", sa.SmallInteger(), server_default="1", nullable=False),
        sa.Column("at", BIG, nullable=False),
        sa.Column("ticket", BIG, nullable=False),
        sa.Column("n", sa.SmallInteger(), nullable=False),
        sa.Column("contact", BIG, nullable=False),
        sa.ForeignKeyConstraint(["contact"], ["contact.id"], name=op.f("fk_participant_contact")),
        sa.ForeignKeyConstraint(["ticket"], ["ticket.id"], name=op.f("fk_participant_ticket")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_participant")),
        sa.UniqueConstraint("ticket", "contact", name=op.f("uq_participant_ticket_contact")),
        sa.UniqueConstraint("ticket", "n", name=op.f("uq_participant_ticket_n")),
    )
    op.create_table(
        "file",
        sa.Column("id", BIG, autoincrement=False, nullable=False),
        sa.Column("agency", sa.SmallInteger(), server_default="1", nullable=False),
        sa.Column("at", BIG, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("size", BIG, nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), server_default="", nullable=False),
        sa.Column("seconds", sa.Float(), nullable=True),
        sa.Column("ticket", BIG, nullable=False),
        sa.Column("message", BIG, nullable=True),
        sa.Column("state", sa.Text(), server_default="kept", nullable=False),
        sa.CheckConstraint("state IN ('kept', 'gone')", name=op.f("ck_file_state")),
        sa.ForeignKeyConstraint(["message"], ["message.id"], name=op.f("fk_file_message")),
        sa.ForeignKeyConstraint(["ticket"], ["ticket.id"], name=op.f("fk_file_ticket")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_file")),
        sa.UniqueConstraint("key", "message", name=op.f("uq_file_key_message")),
    )
    with op.batch_alter_table("file", schema=None) as batch_op:
        batch_op.create_index("ix_file_message", ["message"], unique=False)
        batch_op.create_index("ix_file_ticket", ["ticket"], unique=False)

    op.create_table(
        "mail_id",
        sa.Column("id", BIG, autoincrement=False, nullable=False),
        sa.Column("agency", sa.SmallInteger(), server_default="1", nullable=False),
        sa.Column("at", BIG, nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("value", sa.Text(), server_default="", nullable=False),
        sa.Column("ticket", BIG, nullable=False),
        sa.Column("message", BIG, nullable=True),
        sa.ForeignKeyConstraint(["message"], ["message.id"], name=op.f("fk_mail_id_message")),
        sa.ForeignKeyConstraint(["ticket"], ["ticket.id"], name=op.f("fk_mail_id_ticket")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mail_id")),
        sa.UniqueConstraint("hash", "ticket", name=op.f("uq_mail_id_hash_ticket")),
    )
    with op.batch_alter_table("mail_id", schema=None) as batch_op:
        batch_op.create_index("ix_mail_id_ticket", ["ticket"], unique=False)

    op.create_table(
        "outbox",
        sa.Column("id", BIG, autoincrement=False, nullable=False),
        sa.Column("agency", sa.SmallInteger(), server_default="1", nullable=False),
        sa.Column("at", BIG, nullable=False),
        sa.Column("ticket", BIG, nullable=True),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("message", BIG, nullable=True),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("line", sa.Text(), nullable=True),
        sa.Column("contact", BIG, nullable=True),
        sa.Column("to", sa.LargeBinary(), server_default="", nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("lane", sa.SmallInteger(), server_default="1", nullable=False),
        sa.Column("state", sa.Text(), server_default="waiting", nullable=False),
        sa.Column("lang", sa.Text(), server_default="fa", nullable=False),
        sa.Column("text", sa.Text(), server_default="", nullable=False),
        sa.Column("key", sa.Text(), nullable=True),
        sa.Column("facts", sa.Text(), server_default="{}", nullable=False),
        sa.Column("files", sa.Text(), server_default="[]", nullable=False),
        sa.Column("thread", sa.Text(), server_default="{}", nullable=False),
        sa.Column("due_at", BIG, nullable=False),
        sa.Column("not_after", BIG, nullable=True),
        sa.Column("attempt", sa.Integer(), server_default="0", nullable=False),
        sa.Column("fence", sa.Integer(), server_default="0", nullable=False),
        sa.Column("worker", sa.Text(), nullable=True),
        sa.Column("ref", sa.Text(), nullable=True),
        sa.Column("why", sa.Text(), server_default="", nullable=False),
        sa.Column("cost", sa.Integer(), nullable=True),
        sa.Column("done_at", BIG, nullable=True),
        sa.Column("after", BIG, nullable=True),
        sa.CheckConstraint(
            "purpose IN ('receipt', 'answer', 'state', 'notice', 'otp', 'survey')", name=op.f("ck_outbox_purpose")
        ),
        sa.CheckConstraint(
            "state IN ('waiting', 'sending', 'unknown', 'parked', 'accepted', 'sent', 'delivered', 'undelivered', 'failed', 'cancelled', 'blocked', 'expired')",
            name=op.f("ck_outbox_state"),
        ),
        sa.ForeignKeyConstraint(["contact"], ["contact.id"], name=op.f("fk_outbox_contact")),
        sa.ForeignKeyConstraint(["message"], ["message.id"], name=op.f("fk_outbox_message")),
        sa.ForeignKeyConstraint(["ticket"], ["ticket.id"], name=op.f("fk_outbox_ticket")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
    )
    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.create_index(
            "ix_outbox_due",
            ["channel", "lane", "due_at"],
            unique=False,
            postgresql_where=sa.text("state IN ('waiting', 'sending', 'unknown')"),
            sqlite_where=sa.text("state IN ('waiting', 'sending', 'unknown')"),
        )
        batch_op.create_index("ix_outbox_message", ["message"], unique=False)
        batch_op.create_index(
            "ix_outbox_order",
            ["ticket", "channel", "seq"],
            unique=False,
            postgresql_where=sa.text("state IN ('waiting', 'sending', 'unknown')"),
            sqlite_where=sa.text("state IN ('waiting', 'sending', 'unknown')"),
        )
        batch_op.create_index("ix_outbox_ref", ["channel", "ref"], unique=False)
        batch_op.create_index("ix_outbox_ticket", ["ticket"], unique=False)

    op.create_table(
        "raw",
        sa.Column("id", BIG, autoincrement=False, nullable=False),
        sa.Column("agency", sa.SmallInteger(), server_default="1", nullable=False),
        sa.Column("at", BIG, nullable=False),
        sa.Column("message", BIG, nullable=True),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("ref", sa.Text(), server_default="", nullable=False),
        sa.Column("why", sa.Text(), server_default="", nullable=False),
        sa.Column("bytes", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["message"], ["message.id"], name=op.f("fk_raw_message")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_raw")),
    )
    with op.batch_alter_table("raw", schema=None) as batch_op:
        batch_op.create_index("ix_raw_message", ["message"], unique=False)
