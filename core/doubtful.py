"""Letters that wait for a person (beside a ticket, unreadable, from machines, orphans), and what is done with them.

A letter beside a ticket came in its thread from somebody whose identity is not proven: staff accept it or make a ticket
of its own of it; the citizen is not shown it. Raises NotFound (also for another unit's), NotAllowed, Guarded.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.parser import BytesHeaderParser
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, RowMapping

from core import cipher, events, ids, outbox
from core.access import actor, enter, may, scope
from core.channels import Auto, Door, Inbound, Receipt
from core.errors import Guarded, NotAllowed, NotFound
from core.files import Files
from core.followups import BESIDE, SPLIT
from core.fresh import UNTOLD
from core.model import HELD, Purpose, State
from core.office import Office, of
from core.permissions import Permission, allowed
from core.prepared import UNREADABLE
from core.schema import code, contact, file, message, raw, ticket, unit
from core.store import Store
from core.text import clean
from core.turn import turn
from core.views import Actor

Reread = Callable[[str | None, bytes], Awaitable[Inbound]]  #: (line, original) → the letter as it is read now
MOST = 200  # rows of a list
SHOWN = 300  # characters of a letter in a list
HEAD = 16_384  # octets of an original in which its fields are looked for
_MARKED = sa.text("message.marks != '[]'")  # as its index has it
LOOSE = ("automatic", "orphan")  #: why originals lie without a ticket


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter on a ticket that waits for a decision."""

    message: int
    ticket: int
    code: str
    subject: str  #: the ticket's
    unit: str
    sender: str
    text: str  #: its beginning
    at: int
    defects: Sequence[str]
    trust: str


@dataclass(frozen=True, slots=True)
class Loose:
    """An original without a ticket."""

    raw: int
    why: str
    sender: str
    subject: str
    at: int
    size: int


# ---------------------------------------------------------------- lists


async def marked(store: Store, who: Actor, mark: str) -> list[Letter]:
    """Letters marked `beside`, `unreadable` or `no_receipt` on tickets `who` may read, the newest first."""
    office = of(store)
    return [_letter(office, row) for row in await store.read(_marked, scope(office, who), mark)]


async def loose(store: Store, who: Actor, why: str) -> list[Loose]:
    """Originals kept without a ticket for `why`, the newest first; empty for who may not review."""
    if why not in LOOSE or not _reviews(of(store), who):
        return []
    return await store.read(_loose, why)


def _marked(s: Connection, within: sa.ColumnElement[bool], mark: str) -> Sequence[RowMapping]:
    ask = (
        sa.select(
            message, ticket.c.subject, ticket.c.id.label("ticket_id"), code.c.value.label("code"), unit.c.names,
            ticket.c.unit, contact.c.value.label("sender"),
        )
        .join(ticket, ticket.c.id == message.c.ticket)
        .join(code, sa.and_(code.c.ticket == ticket.c.id, code.c.kind == "tracking"))
        .join(unit, sa.and_(unit.c.slug == ticket.c.unit, unit.c.agency == ticket.c.agency), isouter=True)
        .join(contact, contact.c.id == message.c.contact, isouter=True)
        .where(_MARKED, sa.cast(message.c.marks, sa.Text).contains(f'"{mark}"'), within)
        .order_by(message.c.at.desc(), message.c.id.desc())
        .limit(MOST)
    )  # fmt: skip
    return s.execute(ask).mappings().all()


def _letter(office: Office, row: RowMapping) -> Letter:
    names = row["names"] or {}
    return Letter(
        row["id"], row["ticket"], row["code"], row["subject"] or "",
        str(names.get(office.config.agency.lang) or next(iter(names.values()), row["unit"])),
        _opened(office, row["contact"], row["sender"]), row["text"][:SHOWN], row["at"],
        row["meta"].get("defects", ()), row["meta"].get("trust", ""),
    )  # fmt: skip


def _opened(office: Office, number: int | None, sealed: bytes | None) -> str:
    return cipher.unseal(office.keyring, "contact", "value", number, sealed).decode() if number and sealed else ""


def _loose(s: Connection, why: str) -> list[Loose]:
    ask = sa.select(
        raw.c.id, raw.c.at, raw.c.why, sa.func.substr(raw.c.bytes, 1, HEAD).label("head"),
        sa.func.length(raw.c.bytes).label("size"),
    ).where(raw.c.message.is_(None), raw.c.channel == "mail", raw.c.why == why)  # fmt: skip
    found = s.execute(ask.order_by(raw.c.at.desc(), raw.c.id.desc()).limit(MOST)).mappings()
    return [Loose(row["id"], row["why"], *_fields(bytes(row["head"])), row["at"], row["size"]) for row in found]


def _fields(head: bytes) -> tuple[str, str]:
    """From and Subject as an eye may read them; the original is beside."""
    found = BytesHeaderParser().parsebytes(re.split(rb"\r?\n\r?\n", head, maxsplit=1)[0] + b"\n\n")
    return _words(found.get("From")), _words(found.get("Subject"))


def _words(value: Any) -> str:
    said = str(value or "").encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    with suppress(HeaderParseError, LookupError, UnicodeError, ValueError):  # then it is shown as it stands
        said = str(make_header(decode_header(said)))
    return " ".join(clean(said).split())[:SHOWN]


# ---------------------------------------------------------------- deeds


async def original(store: Store, files: Files, who: Actor, number: int) -> bytes:
    """The untouched original of a message on a ticket `who` may read."""
    key, data = await store.read(_original, scope(of(store), who), number)
    return data if key is None else await files.read(key)


async def handed_out(store: Store, files: Files, who: Actor, number: int) -> bytes:
    """The original for somebody's own machine. Raises NotAllowed while a file in it waits for the scanner or is
    infected: the original holds it too."""
    if await store.read(_is_held, number):
        raise NotAllowed("held")
    return await original(store, files, who, number)


def _is_held(s: Connection, number: int) -> bool:
    ask = sa.select(file.c.id).where(file.c.message == number, file.c.scan.in_(sorted(HELD)))
    return s.execute(ask.limit(1)).first() is not None


async def loose_original(store: Store, who: Actor, number: int) -> bytes:
    """The original of a letter without a ticket."""
    if not _reviews(of(store), who):
        raise NotFound(f"original {number}")
    return await store.read(_loose_original, number)


async def accept(store: Store, who: Actor, number: int) -> int:
    """The letter belongs there: the citizen is shown it, and it does what any word of theirs does. Its ticket."""
    return await store.write(_accept, of(store), who, number)


async def split(store: Store, door: Door, files: Files, who: Actor, number: int, reread: Reread) -> Receipt:
    """Make a ticket of its own of the letter, with its sender; pressed twice it is the same one."""
    row = await store.write(_may_split, of(store), who, number)
    heard = await reread(row["line"], await original(store, files, who, number))
    heard = replace(heard, ref=f"split:{number}", hints=(), unit=row["unit"], auto=Auto.NO, message_id=None)
    receipt = await door.take(heard)
    await store.write(_splitted, of(store), who, number, receipt.ticket)
    return receipt


async def retry(store: Store, files: Files, who: Actor, number: int, reread: Reread) -> int:
    """Read an unreadable letter again; its ticket. Raises Guarded("unreadable") when it still is."""
    row = await store.write(_noted, of(store), who, number)
    heard = await reread(row["line"], await original(store, files, who, number))
    if heard.unreadable:
        raise Guarded("unreadable")
    return await store.write(_read, of(store), who, number, heard)


async def send_receipt(store: Store, who: Actor, number: int) -> int:
    """Queue the receipt that was held back for this message; its ticket. Raises Guarded("decided") the second time."""
    return await store.write(_send_receipt, of(store), who, number)


async def take_up(store: Store, door: Door, who: Actor, number: int, reread: Reread) -> Receipt:
    """Make a ticket of a letter that was only listed. Its sender is told nothing by itself."""
    data = await loose_original(store, who, number)
    heard = await reread(None, data)
    receipt = await door.take(replace(heard, ref=f"listed:{number}", hints=(), quiet=True, auto=Auto.NO))
    await store.write(_taken_up, number)
    return receipt


def _original(s: Connection, within: sa.ColumnElement[bool], number: int) -> tuple[str | None, bytes]:
    ask = sa.select(message.c.raw_key).join(ticket, ticket.c.id == message.c.ticket)
    row = s.execute(ask.where(message.c.id == number, within)).first()
    if row is None:
        raise NotFound(f"message {number}")
    if row.raw_key is not None:
        return row.raw_key, b""
    data = s.execute(sa.select(raw.c.bytes).where(raw.c.message == number, raw.c.why != "report").limit(1)).scalar()
    if data is None:
        raise NotFound(f"original of {number}")
    return None, data


def _loose_original(s: Connection, number: int) -> bytes:
    mine = (raw.c.id == number, raw.c.message.is_(None), raw.c.channel == "mail", raw.c.why.in_(LOOSE))
    data = s.execute(sa.select(raw.c.bytes).where(*mine)).scalar()
    if data is None:
        raise NotFound(f"original {number}")
    return bytes(data)


def _accept(s: Connection, office: Office, who: Actor, number: int) -> int:
    row, about = _entered(s, office, who, number, BESIDE, Permission.REPLY)
    marks = [mark for mark in row["marks"] if mark != BESIDE]
    s.execute(sa.update(message).where(message.c.id == number).values(marks=marks))
    event = "reopen" if about["state"] == State.CLOSED else "hear"
    turn(
        s, about, event, actor(who), office.clock.now(), office.calendar(about["unit"]), kind="join",
        data={"message": number},
    )  # fmt: skip
    return int(about["id"])


def _may_split(s: Connection, office: Office, who: Actor, number: int) -> RowMapping:
    return _entered(s, office, who, number, BESIDE, Permission.SPLIT)[1]


def _splitted(s: Connection, office: Office, who: Actor, number: int, new: int) -> None:
    row, about = _entered(s, office, who, number, BESIDE, Permission.SPLIT)
    marks = [SPLIT if mark == BESIDE else mark for mark in row["marks"]]
    s.execute(sa.update(message).where(message.c.id == number).values(marks=marks))
    s.execute(sa.update(ticket).where(ticket.c.id == new).values(related=about["id"]))
    events.add(s, about["id"], "split", actor(who), {"message": number, "next": new}, at=office.clock.now())


def _noted(s: Connection, office: Office, who: Actor, number: int) -> RowMapping:
    return _entered(s, office, who, number, UNREADABLE, Permission.NOTE)[1]


def _read(s: Connection, office: Office, who: Actor, number: int, heard: Inbound) -> int:
    row, about = _entered(s, office, who, number, UNREADABLE, Permission.NOTE)
    now, words = office.clock.now(), clean(heard.text).strip()
    values = {
        "text": words,
        "quoted": clean(heard.quoted) if heard.quoted else None,
        "marks": [mark for mark in row["marks"] if mark != UNREADABLE],
        "meta": row["meta"] | {"defects": [clean(one) for one in heard.defects]},
    }
    s.execute(sa.update(message).where(message.c.id == number).values(values))
    known = set(s.execute(sa.select(file.c.key).where(file.c.message == number)).scalars())
    for kept in {one.key: one for one in heard.files if one.key not in known}.values():
        s.execute(
            sa.insert(file).values(
                id=ids.new(s), at=now, key=kept.key, size=kept.size, type=kept.type, label=clean(kept.name),
                seconds=kept.seconds, ticket=about["id"], message=number, scan=kept.scan,
            )
        )  # fmt: skip
    if heard.subject and not about["subject"]:
        s.execute(sa.update(ticket).where(ticket.c.id == about["id"]).values(subject=clean(heard.subject)[:500]))
    events.add(s, about["id"], "reread", actor(who), {"message": number}, words, at=now)
    return int(about["id"])


def _send_receipt(s: Connection, office: Office, who: Actor, number: int) -> int:
    row, about = _entered(s, office, who, number, UNTOLD, Permission.REPLY)
    marks = [mark for mark in row["marks"] if mark != UNTOLD]
    s.execute(sa.update(message).where(message.c.id == number).values(marks=marks))
    now = office.clock.now()
    outbox.put(
        s, ticket=about["id"], seq=row["seq"], message=number, channel="mail", purpose=Purpose.RECEIPT, now=now,
        contact=about["answer_to"] or about["contact"], line=about["line"], lang=about["lang"], key="received",
    )  # fmt: skip
    events.add(s, about["id"], "receipt", actor(who), {"message": number}, at=now)
    return int(about["id"])


def _taken_up(s: Connection, number: int) -> None:
    s.execute(sa.delete(raw).where(raw.c.id == number, raw.c.message.is_(None)))


def _entered(
    s: Connection, office: Office, who: Actor, number: int, mark: str, permission: Permission
) -> tuple[RowMapping, RowMapping]:
    """The marked message and its locked ticket, if `who` may. Raises Guarded("decided") when it is marked no more."""
    row = s.execute(sa.select(message).where(message.c.id == number)).mappings().first()
    if row is None:
        raise NotFound(f"message {number}")
    about = enter(s, office, who, row["ticket"])
    if not may(office, who, permission, about):
        raise NotAllowed(permission)
    row = s.execute(sa.select(message).where(message.c.id == number)).mappings().one()
    if mark not in row["marks"]:
        raise Guarded("decided")
    return row, about


def _reviews(office: Office, who: Actor) -> bool:
    """What belongs to no unit is the secretariat's."""
    unit_ = office.config.routes.secretariat
    return allowed(who, Permission.REVIEW, unit_, office.rights, now=office.clock.now())
