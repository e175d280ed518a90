"""The tables, once for both stores: times are ms UTC, words of a state are text with a CHECK, JSON is text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
)

from core.model import ContactKind, Kind, Purpose, State, Way

AGENCY = 1  #: the one agency of an installation, until cells come
OPEN_STATES = tuple(s.value for s in State if s not in (State.CLOSED, State.MERGED, State.JUNK))
OUTBOX_STATES = (
    "waiting", "sending", "unknown", "parked", "accepted", "sent",
    "delivered", "undelivered", "failed", "cancelled", "blocked", "expired",
)  # fmt: skip
UNFINISHED = ("waiting", "sending", "unknown")

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
Big = BigInteger().with_variant(Integer(), "sqlite")


def canonical(value: Any) -> str:
    """`value` as JSON with sorted keys: one text for one value, so that hashes can be made over it."""
    return encoded(value).decode()


encoded = msgspec.json.Encoder(order="sorted").encode  #: `canonical` as UTF-8


class Json(sa.types.TypeDecorator[Any]):
    """A JSON value in a text column; NULL stays None."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> str | None:
        return None if value is None else canonical(value)

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> Any:
        return None if value is None else msgspec.json.decode(value)


def _one_of(column: str, words: Iterable[str]) -> CheckConstraint:
    return CheckConstraint(f"{column} IN ({', '.join(repr(str(w)) for w in words)})", name=column)


def _key() -> Column[int]:
    return Column("id", Big, primary_key=True, autoincrement=False)


def _base() -> tuple[Column[Any], ...]:
    return (
        _key(),
        Column("agency", SmallInteger, nullable=False, server_default="1"),
        Column("at", Big, nullable=False),
    )


def _flag(name: str) -> Column[bool]:
    return Column(name, Boolean, nullable=False, server_default=sa.false())


def _live(*columns: str) -> Index:
    where = sa.text("state NOT IN ('closed', 'merged', 'junk')")
    return Index(f"ix_ticket_live_{columns[0]}", *columns, postgresql_where=where, sqlite_where=where)


# ---------------------------------------------------------------- people and units

unit = Table(
    "unit",
    metadata,
    *_base(),
    Column("slug", Text, nullable=False),
    Column("parent", Text),  #: slug
    Column("kind", Text, nullable=False, server_default="unit"),
    Column("names", Json, nullable=False),  #: by language
    Column("email", Text),
    Column("extension", Text),
    Column("shortcode", Text),
    Column("head", Text),  #: login
    Column("active", Boolean, nullable=False, server_default=sa.true()),
    Column("facts", Json, nullable=False, server_default="{}"),
    UniqueConstraint("agency", "slug"),
    _one_of("kind", ("unit", "secretariat", "oversight")),
)

staff = Table(
    "staff",
    metadata,
    *_base(),
    Column("login", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("password", Text, nullable=False),  #: argon2id's own string
    Column("lang", Text, nullable=False, server_default="fa"),
    Column("active", Boolean, nullable=False, server_default=sa.true()),
    Column("changed_at", Big, nullable=False, server_default="0"),  #: rights or password; older sessions end
    UniqueConstraint("agency", "login"),
)

grant = Table(
    "grant",
    metadata,
    *_base(),
    Column("staff", Big, ForeignKey("staff.id"), nullable=False),
    Column("role", Text, nullable=False),
    Column("unit", Text, nullable=False),  #: slug; holds in all units below it
    Column("until", Big),
    UniqueConstraint("staff", "role", "unit"),
)

told = Table(  # who was told of a ticket that waits, by which rung of the ladder
    "told",
    metadata,
    *_base(),
    Column("staff", Big, ForeignKey("staff.id"), nullable=False),
    Column("ticket", Big, nullable=False),
    Column("rung", SmallInteger, nullable=False),
    Index("ix_told_staff", "staff", "ticket"),
    Index("ix_told_at", "at"),
)

session = Table(
    "session",
    metadata,
    *_base(),
    Column("hash", LargeBinary, nullable=False),  #: SHA-256 of the cookie's value
    Column("staff", Big, ForeignKey("staff.id"), nullable=False),
    Column("csrf", Text, nullable=False),
    Column("peer", Text),
    Column("idle_at", Big, nullable=False),  #: when it ends unless used before
    Column("ends_at", Big, nullable=False),
    UniqueConstraint("hash"),
    Index("ix_session_staff", "staff"),
)

factor = Table(  # the second factor of a member of staff
    "factor",
    metadata,
    *_base(),
    Column("staff", Big, ForeignKey("staff.id"), nullable=False),
    Column("secret", LargeBinary, nullable=False),  #: sealed
    Column("confirmed_at", Big),  #: NULL until the first right code
    Column("step", Big, nullable=False, server_default="0"),  #: of the last code that was taken
    Column("recovery", Json, nullable=False, server_default="[]"),  #: what is kept of codes not used yet
    UniqueConstraint("staff"),
)

api_token = Table(
    "api_token",
    metadata,
    *_base(),
    Column("hash", LargeBinary, nullable=False),  #: SHA-256 of the token
    Column("staff", Big, ForeignKey("staff.id"), nullable=False),
    Column("name", Text, nullable=False, server_default=""),
    Column("scopes", Json, nullable=False),
    Column("until", Big),
    _flag("revoked"),
    UniqueConstraint("hash"),
)

contact = Table(
    "contact",
    metadata,
    *_base(),
    Column("kind", Text, nullable=False),
    Column("value", LargeBinary, nullable=False),  #: sealed
    Column("blind", LargeBinary, nullable=False),  #: HMAC of (kind, value)
    Column("proven_by", Text),
    Column("proven_at", Big),
    Column("preferred", Text),
    Column("stops", Json),
    UniqueConstraint("agency", "kind", "blind"),
    _one_of("kind", ContactKind),
)

# ---------------------------------------------------------------- tickets

shared_ones = sa.text("ticket.added != '[]'")  #: as the index of shared tickets has it
_added = sa.text("added != '[]'")

ticket = Table(
    "ticket",
    metadata,
    *_base(),
    Column("state", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("level", SmallInteger, nullable=False, server_default="0"),  #: objections so far: 0 unit, 1, 2
    Column("unit", Text, nullable=False),  #: slug
    Column("added", Json, nullable=False, server_default="[]"),  #: slugs of other units it was written to as well
    Column("assignee", Big, ForeignKey("staff.id")),
    Column("contact", Big, ForeignKey("contact.id")),
    Column("answer_by", Text, nullable=False),  #: channel of the answer
    Column("answer_to", Big, ForeignKey("contact.id")),  #: when not `contact`
    Column("name", LargeBinary),  #: the citizen's name as given, sealed
    Column("service", Text),
    Column("channel", Text, nullable=False),
    Column("line", Text),
    Column("lang", Text, nullable=False, server_default="fa"),
    Column("subject", Text),
    Column("place", Text),
    _flag("urgent"),
    Column("tags", Json, nullable=False, server_default="[]"),
    Column("route", Json, nullable=False, server_default="{}"),  #: rule, keys that matched, note
    Column("facts", Json, nullable=False, server_default="{}"),  #: call path, envelope, …
    Column("related", Big),  #: another ticket it may continue
    Column("version", Integer, nullable=False, server_default="1"),  #: the lock of every write
    Column("seq", Integer, nullable=False, server_default="1"),  #: last message's
    Column("events", Integer, nullable=False, server_default="1"),  #: last event's
    Column("chain", LargeBinary, nullable=False),  #: last event's hash
    Column("clock", Text, nullable=False, server_default="runs"),
    Column("budget", Text),  #: "10wd"
    Column("due_from", Big),  #: when the budget began to count
    Column("due_at", Big),
    Column("due_steps", Json, nullable=False, server_default="[]"),
    Column("paused_at", Big),
    Column("pauses", Json, nullable=False, server_default="[]"),  #: [from, to] in ms, those that are over
    Column("lapse_at", Big),
    Column("remind_at", Big),  #: when the citizen is reminded of what we asked
    Column("rung", SmallInteger, nullable=False, server_default="0"),
    Column("rung_at", Big),
    Column("answered_at", Big),
    Column("objected_at", Big),
    Column("closed_at", Big),
    Column("last_at", Big, nullable=False),
    Column("pin_no", SmallInteger, nullable=False, server_default="0"),
    Column("pin_key", Integer, nullable=False, server_default="1"),  #: id of the key the PIN is made with
    _one_of("state", State),
    _one_of("kind", Kind),
    _one_of("clock", ("runs", "paused", "stopped")),
    _live("unit", "state", "due_at", "id"),
    _live("assignee", "due_at"),
    _live("rung_at"),
    _live("lapse_at"),
    _live("remind_at"),
    _live("contact", "at"),
    Index("ix_ticket_unit_at", "unit", "at"),
    Index("ix_ticket_added", "id", postgresql_where=_added, sqlite_where=_added),
)

code = Table(
    "code",
    metadata,
    *_base(),
    Column("kind", Text, nullable=False, server_default="tracking"),
    Column("value", Text, nullable=False),
    Column("ticket", Big, ForeignKey("ticket.id"), nullable=False),
    UniqueConstraint("agency", "kind", "value"),
    Index("ix_code_ticket", "ticket"),
    _one_of("kind", ("tracking", "open311")),
)

seen = Table(
    "seen",
    metadata,
    Column("agency", SmallInteger, primary_key=True, server_default="1"),
    Column("channel", Text, primary_key=True),
    Column("ref", LargeBinary, primary_key=True),  #: 16-byte hash
    Column("body_hash", LargeBinary, primary_key=True),  #: 16 bytes
    Column("at", Big, nullable=False),
    Column("ticket", Big, nullable=False),
    Column("message", Big, nullable=False),
    sqlite_with_rowid=False,
)

_marked = sa.text("marks != '[]'")

message = Table(
    "message",
    metadata,
    *_base(),
    Column("ticket", Big, ForeignKey("ticket.id"), nullable=False),
    Column("seq", Integer, nullable=False),
    Column("way", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("author", Big, ForeignKey("staff.id")),
    Column("contact", Big, ForeignKey("contact.id")),
    Column("text", Text, nullable=False, server_default=""),
    Column("quoted", Text),
    Column("lang", Text, nullable=False, server_default="fa"),
    Column("meta", Json, nullable=False, server_default="{}"),
    Column("marks", Json, nullable=False, server_default="[]"),  #: same_id, unreadable, beside, …
    Column("before", Json),  #: a reply's: what `unsend` puts back
    Column("raw_key", Text),  #: file of the untouched original, when it is not in `raw`
    Column("withdrawn_at", Big),
    UniqueConstraint("ticket", "seq"),
    Index("ix_message_marked", "at", postgresql_where=_marked, sqlite_where=_marked),
    _one_of("way", Way),
)

raw = Table(
    "raw",
    metadata,
    *_base(),
    Column("message", Big, ForeignKey("message.id")),  #: NULL: kept without a ticket, readable by no role
    Column("channel", Text, nullable=False),
    Column("ref", Text, nullable=False, server_default=""),
    Column("why", Text, nullable=False, server_default=""),
    Column("bytes", LargeBinary, nullable=False),
    Index("ix_raw_message", "message"),
)

_unscanned = sa.text("scan IN ('waiting', 'unscanned')")

file = Table(
    "file",
    metadata,
    *_base(),
    Column("key", Text, nullable=False),
    Column("size", Big, nullable=False),
    Column("type", Text, nullable=False),
    Column("label", Text, nullable=False, server_default=""),
    Column("seconds", sa.Float),
    Column("scan", Text),  #: core.model.Scan; NULL: not asked for
    Column("found", Text),  #: what the scanner found, or why it did not answer
    Column("ticket", Big, ForeignKey("ticket.id"), nullable=False),
    Column("message", Big, ForeignKey("message.id")),
    Column("state", Text, nullable=False, server_default="kept"),
    UniqueConstraint("key", "message"),
    Index("ix_file_ticket", "ticket"),
    Index("ix_file_message", "message"),
    Index("ix_file_scan", "scan", "id", postgresql_where=_unscanned, sqlite_where=_unscanned),
    _one_of("state", ("kept", "gone")),
)

event = Table(
    "event",
    metadata,
    *_base(),
    Column("ticket", Big, ForeignKey("ticket.id"), nullable=False),
    Column("seq", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("actor", Text, nullable=False),  #: citizen, system, or staff:<id>
    Column("data", Json, nullable=False, server_default="{}"),
    Column("salt", LargeBinary),  #: NULL once the text it commits to is erased
    Column("seal", LargeBinary),  #: BLAKE2b(salt ‖ text), NULL where there is no text
    Column("pos", Big, nullable=False),
    Column("prev", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    UniqueConstraint("ticket", "seq"),
    Index("ix_event_pos", "pos", "id"),
)

participant = Table(
    "participant",
    metadata,
    *_base(),
    Column("ticket", Big, ForeignKey("ticket.id"), nullable=False),
    Column("n", SmallInteger, nullable=False),
    Column("contact", Big, ForeignKey("contact.id"), nullable=False),
    UniqueConstraint("ticket", "n"),
    UniqueConstraint("ticket", "contact"),
)

mail_id = Table(
    "mail_id",
    metadata,
    *_base(),
    Column("hash", LargeBinary, nullable=False),  #: 16 bytes of BLAKE2b over the Message-ID without <>
    Column("value", Text, nullable=False, server_default=""),  #: itself, for In-Reply-To
    Column("ticket", Big, ForeignKey("ticket.id"), nullable=False),
    Column("message", Big, ForeignKey("message.id")),
    UniqueConstraint("hash", "ticket"),
    Index("ix_mail_id_ticket", "ticket"),
)

# ---------------------------------------------------------------- out

_unfinished = sa.text("state IN ('waiting', 'sending', 'unknown')")

outbox = Table(
    "outbox",
    metadata,
    *_base(),
    Column("ticket", Big, ForeignKey("ticket.id")),  #: NULL: a sentence to somebody without one
    Column("seq", Integer, nullable=False),  #: order within (ticket, channel)
    Column("message", Big, ForeignKey("message.id")),
    Column("channel", Text, nullable=False),
    Column("line", Text),
    Column("contact", Big, ForeignKey("contact.id")),
    Column("to", LargeBinary, nullable=False, server_default=""),  #: sealed; empty for web and desk
    Column("purpose", Text, nullable=False),
    Column("lane", SmallInteger, nullable=False, server_default="1"),  #: lower goes first
    Column("state", Text, nullable=False, server_default="waiting"),
    Column("lang", Text, nullable=False, server_default="fa"),
    Column("text", Text, nullable=False, server_default=""),
    Column("key", Text),
    Column("facts", Json, nullable=False, server_default="{}"),
    Column("files", Json, nullable=False, server_default="[]"),
    Column("thread", Json, nullable=False, server_default="{}"),
    Column("due_at", Big, nullable=False),
    Column("not_after", Big),
    Column("attempt", Integer, nullable=False, server_default="0"),
    Column("fence", Integer, nullable=False, server_default="0"),
    Column("worker", Text),
    Column("ref", Text),  #: the outside's id for it
    Column("why", Text, nullable=False, server_default=""),
    Column("cost", Integer),
    Column("done_at", Big),
    Column("after", Big),  #: the row whose failure made this one: the next contact point
    Column("doubt_at", Big),  #: when it was first in doubt; NULL while it is not
    Column("parts", Integer),  #: messages it took on the air
    _one_of("state", OUTBOX_STATES),
    _one_of("purpose", Purpose),
    Index("ix_outbox_ref", "channel", "ref"),
    Index("ix_outbox_due", "channel", "lane", "due_at", postgresql_where=_unfinished, sqlite_where=_unfinished),
    Index("ix_outbox_order", "ticket", "channel", "seq", postgresql_where=_unfinished, sqlite_where=_unfinished),
    Index("ix_outbox_message", "message"),
    Index("ix_outbox_ticket", "ticket"),
)

delivery = Table(
    "delivery",
    metadata,
    *_base(),
    Column("channel", Text, nullable=False),
    Column("ref", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("why", Text, nullable=False, server_default=""),
    Column("outbox", Big),  #: NULL while its send is not recorded yet
    UniqueConstraint("channel", "ref", "state"),
)

# ---------------------------------------------------------------- short texts

question = Table(
    "question",
    metadata,
    *_base(),
    Column("channel", Text, nullable=False),
    Column("line", Text, nullable=False, server_default=""),  #: '' = any line of the channel
    Column("blind", LargeBinary, nullable=False),  #: the contact's
    Column("kind", Text, nullable=False),
    Column("ticket", Big, ForeignKey("ticket.id")),
    Column("data", Json, nullable=False, server_default="{}"),
    Column("until", Big, nullable=False),
    Index("ix_question_blind", "channel", "blind"),
    Index("ix_question_until", "until"),
)

call = Table(  # calls that are over; nothing of a call lies here before
    "call",
    metadata,
    Column("agency", SmallInteger, primary_key=True, server_default="1"),
    Column("ref", Text, primary_key=True),  #: random, of the call
    Column("at", Big, nullable=False),  #: when it began
    Column("seconds", Integer, nullable=False),
    Column("line", Text, nullable=False),
    Column("called", Text, nullable=False),
    Column("blind", LargeBinary),  #: HMAC of the caller's number
    _flag("proven"),
    Column("way", Text, nullable=False),  #: how it ended
    Column("ticket", Big, ForeignKey("ticket.id")),
    Column("facts", Json, nullable=False, server_default="{}"),
    Index("ix_call_blind", "blind", "at"),
    Index("ix_call_at", "at"),
)

heard = Table(
    "heard",
    metadata,
    Column("channel", Text, primary_key=True),
    Column("ref", LargeBinary, primary_key=True),  #: 16-byte hash over ref and body
    Column("at", Big, nullable=False),
    Column("weak", LargeBinary, nullable=False),  #: 16-byte hash over the body alone
    Column("idless", Boolean, nullable=False),  #: the outside gave no id for it
    Column("verdict", Json, nullable=False),
    Index("ix_heard_weak", "weak"),
    Index("ix_heard_at", "at"),
    sqlite_with_rowid=False,
)

budget = Table(
    "budget",
    metadata,
    Column("key", LargeBinary, primary_key=True),  #: 16-byte hash over rule and key
    Column("full_at", Big, nullable=False),  #: when all would have come back, ms UTC
    Index("ix_budget_full_at", "full_at"),
    sqlite_with_rowid=False,
)

optout = Table(
    "optout",
    metadata,
    Column("channel", Text, primary_key=True),
    Column("line", Text, primary_key=True),
    Column("blind", LargeBinary, primary_key=True),
    Column("at", Big, nullable=False),
    Column("why", Text, nullable=False, server_default=""),
)

spent = Table(
    "spent",
    metadata,
    Column("channel", Text, primary_key=True),
    Column("line", Text, primary_key=True),
    Column("day", Integer, primary_key=True),  #: days since 1/1/1 in the body's zone
    Column("parts", Big, nullable=False, server_default="0"),
    Column("rial", Big, nullable=False, server_default="0"),
    Column("auto_parts", Big, nullable=False, server_default="0"),  #: of those, for receipts and states
    Column("auto_rial", Big, nullable=False, server_default="0"),
)

# ---------------------------------------------------------------- letters

automatic = Table(
    "automatic",
    metadata,
    *_base(),
    Column("kind", Text, nullable=False),
    Column("sender", LargeBinary, nullable=False),  #: the contact's blind index
    Column("domain", LargeBinary, nullable=False),  #: 16-byte hash
    Column("ticket", Big, nullable=False),
    _one_of("kind", ("receipt", "other")),
    Index("ix_automatic_sender", "sender", "at"),
    Index("ix_automatic_at", "at"),
    Index("ix_automatic_ticket", "ticket"),
)

# ---------------------------------------------------------------- marks of the program itself

box = Table(
    "box",
    metadata,
    Column("box", Text, primary_key=True),
    Column("at", Big, nullable=False),
    Column("closed_until", Big),
)

drawer = Table(
    "drawer",
    metadata,
    Column("box", Text, primary_key=True),
    Column("slot", Text, primary_key=True),
    Column("at", Big, nullable=False),
    Column("bytes", LargeBinary, nullable=False),
)

cursor = Table(
    "cursor",
    metadata,
    Column("name", Text, primary_key=True),
    Column("pos", Big, nullable=False, server_default="0"),
    Column("event", Big, nullable=False, server_default="0"),
)

meta = Table(
    "meta",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
)
