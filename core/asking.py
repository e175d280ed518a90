"""What a citizen learns of a ticket: its state for the code, its words only with proof. Misses are counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, RowMapping

from core import cipher, codes, misses, phones, points
from core.channels import Act, Answer, Asker, Facts, Words
from core.model import Contact, ContactKind, Kind, State, Way
from core.office import Office, of
from core.schema import code as codes_table
from core.schema import contact, file, message, ticket, unit
from core.showing import kept
from core.states import events
from core.store import Store
from core.text import clean, digits

BESIDE, OTHER, SPLIT = "beside", "other_number", "split"  #: marks of messages the ticket's citizen is not shown
HIDDEN = frozenset((BESIDE, OTHER, SPLIT))
OBJECT_DAYS, TOP = 30, 2
DAY = 86_400_000  # ms
NEWEST = 10  # tickets told to whoever asks for their own
NOBODY = 0  # stands for the ticket of an unknown code, so that the same work is done


@dataclass(frozen=True, slots=True)
class _Case:
    """A ticket as far as proof goes, and its messages."""

    row: RowMapping
    blinds: frozenset[bytes]
    messages: Sequence[RowMapping]
    files: Sequence[RowMapping]


async def answer_for(store: Store, code: str, asker: Asker) -> Answer | None:
    """The state for a code; `words` and what may be done only with proof.

    Proof is the asker's own proven contact, or the PIN, or the phone or mail the ticket came from, typed. None: no
    such code. A code with a wrong check digit is a slip, not a guess. Raises Locked after too many misses (settings
    `[limits]`: miss_contact, miss_web, miss_code), but never to the ticket's own proven contact; Busy. After too many
    of a channel in all (miss_all) strangers wait up to 5 s.
    """
    if not codes.ok(code):
        return None
    office = of(store)
    case = await store.read(_case, code)
    own = _own(office, case, asker.contact)
    exempt = own or office.exempt(asker.key)
    if not exempt:
        await misses.slow(office, asker.channel)
        misses.shut(office, _keys(code, asker))
    proven = _fits(office, case, asker.proof) or own  # no await from here on: guesses at once count one by one
    if not exempt and (case is None or not (proven or asker.proof is None)):
        misses.miss(office, asker.channel, _keys(code, asker, known=case is not None))
    return _answer(office, case, proven) if case is not None else None


async def is_own(store: Store, code: str, who: Contact | None) -> bool:
    """Is `who` the proven contact of the ticket with this code? Raises Busy."""
    if who is None or not who.proven:
        return False
    return _own(of(store), await store.read(_case, code), who)


async def look_up(store: Store, what: str, key: str, asker: Asker | None = None) -> Facts | None:
    """`unit` by extension, slug or mail address: slug, name, names, extension, email. `service` by slug: slug, title,
    unit, unit_name. `mine`: the proven asker's newest tickets: ticket, code, state, kind, at, due_at, unit,
    answered_at. None: no such thing."""
    office = of(store)
    match what:
        case "unit":
            return _unit(office, key)
        case "service":
            return _service(office, key)
        case "mine":
            if asker is None or asker.contact is None or not asker.contact.proven:
                return None
            return Facts("mine", await store.read(_mine, _blind(office, asker.contact)))
        case _:
            return None


# ---------------------------------------------------------------- proof


def _blind(office: Office, who: Contact) -> bytes:
    return cipher.blind(office.keyring, who.kind, clean(who.value))


def _own(office: Office, case: _Case | None, who: Contact | None) -> bool:
    """Does the ticket's own proven contact ask?"""
    return case is not None and who is not None and who.proven and _blind(office, who) in case.blinds


def _fits(office: Office, case: _Case | None, proof: str | None) -> bool:
    """Is `proof` the PIN, or the phone or mail it came from? The same work for an unknown code."""
    typed = digits(clean(proof or "")).strip()
    key = case.row["pin_key"] if case is not None else office.keyring.newest
    pin = cipher.pin(office.keyring, key, case.row["id"] if case is not None else NOBODY)
    by_pin = cipher.same(typed.encode(), pin.encode())
    blinds = case.blinds if case is not None else frozenset()
    phone = phones.parse(typed, office.config.agency.area or None) or ""
    by_phone = cipher.blind(office.keyring, ContactKind.PHONE, phone) in blinds
    by_mail = cipher.blind(office.keyring, ContactKind.MAIL, typed.lower()) in blinds
    return case is not None and bool(typed) and (by_pin or by_phone or by_mail)


def _keys(code: str, asker: Asker, known: bool = True) -> misses.Keys:
    """Budgets of misses by rule and key: who asks, and (where a proof was tried on a ticket) the code's way by PIN."""
    who = "miss_web" if asker.channel == "web" else "miss_contact"
    keys = [(who, f"{asker.channel}:{asker.key}")]
    return [*keys, ("miss_code", f"{asker.channel}:{code}")] if known and asker.proof is not None else keys


# ---------------------------------------------------------------- what is shown


def _case(s: Connection, code: str) -> _Case | None:
    ask = sa.select(ticket, codes_table.c.value.label("code"), unit.c.names)
    ask = ask.join(codes_table, codes_table.c.ticket == ticket.c.id)
    ask = ask.join(unit, unit.c.slug == ticket.c.unit, isouter=True)
    ask = ask.where(codes_table.c.kind == "tracking", codes_table.c.value == code)
    row = s.execute(ask).mappings().first()
    number = row["id"] if row is not None else NOBODY  # an unknown code is asked for in full, so that it takes as long
    own = [point.contact for point in points.of_ticket(s, number)]
    blinds = frozenset(s.execute(sa.select(contact.c.blind).where(contact.c.id.in_(own))).scalars())
    said = sa.select(message).where(message.c.ticket == number, message.c.way != Way.NOTE)
    said = said.where(message.c.withdrawn_at.is_(None)).order_by(message.c.seq)
    files = sa.select(file).where(file.c.ticket == number, file.c.state == "kept").order_by(file.c.id)
    messages, kept = s.execute(said).mappings().all(), s.execute(files).mappings().all()
    return _Case(row, blinds, messages, kept) if row is not None else None


def _answer(office: Office, case: _Case, proven: bool) -> Answer:
    row, state = case.row, State(case.row["state"])
    names = row["names"] or {}
    words = [_words(case, one) for one in case.messages if not HIDDEN & set(one["marks"])]
    return Answer(
        ticket=row["id"], code=row["code"], state=state, kind=Kind(row["kind"]), unit=row["unit"],
        unit_name=names.get(row["lang"]) or next(iter(names.values()), row["unit"]), at=row["at"],
        due_at=row["due_at"], answered_at=row["answered_at"], lang=row["lang"], proven=proven,
        words=words if proven else (),
        reply=next((one for one in reversed(words) if one.way == Way.OUT), None) if proven else None,
        can=_can(row, state, office.clock.now()) if proven else frozenset(),
    )  # fmt: skip


def _words(case: _Case, one: RowMapping) -> Words:
    files = [kept(row) for row in case.files if row["message"] == one["id"]]
    return Words(one["way"], one["text"], one["at"], one["channel"], files)


def _can(row: RowMapping, state: State, now: int) -> frozenset[Act]:
    """What the citizen may do now; the guards of an objection included."""
    acts = {"hear": Act.ADD, "accept": Act.ACCEPT, "object": Act.OBJECT, "withdraw": Act.WITHDRAW}
    able = {act for event, act in acts.items() if event in events(state)}
    if state in (State.JUNK, State.MERGED):
        able.discard(Act.ADD)
    answered = row["answered_at"] or row["closed_at"] or row["at"]
    again = row["objected_at"] is not None and row["objected_at"] >= answered
    if row["level"] >= TOP or again or now - answered > OBJECT_DAYS * DAY:
        able.discard(Act.OBJECT)
    return frozenset(able)


# ---------------------------------------------------------------- looking up


def _unit(office: Office, key: str) -> Facts | None:
    units, key = office.config.units, key.strip()
    found = units.get(key) or units.by_extension(digits(key)) or units.by_mail(key)
    if found is None:
        return None
    row: dict[str, Any] = {
        "slug": found.slug, "name": units.name(found.slug, office.config.agency.lang), "names": dict(found.name),
        "extension": found.extension, "email": units.address(found.slug),
    }  # fmt: skip
    return Facts("unit", [row])


def _service(office: Office, key: str) -> Facts | None:
    card = office.config.services.get(key.strip())
    if card is None:
        return None
    lang = office.config.agency.lang
    row: dict[str, Any] = {
        "slug": card.slug, "title": office.config.service_name(card.slug, lang), "titles": dict(card.title),
        "unit": card.unit, "unit_name": office.config.units.name(card.unit, lang),
    }  # fmt: skip
    return Facts("service", [row])


def _mine(s: Connection, blind: bytes) -> list[dict[str, Any]]:
    ask = (
        sa.select(
            ticket.c.id.label("ticket"), codes_table.c.value.label("code"), ticket.c.state, ticket.c.kind,
            ticket.c.at, ticket.c.due_at, ticket.c.unit, ticket.c.answered_at,
        )
        .join(codes_table, sa.and_(codes_table.c.ticket == ticket.c.id, codes_table.c.kind == "tracking"))
        .join(contact, contact.c.id == ticket.c.contact)
        .where(contact.c.blind == blind)
        .order_by(ticket.c.at.desc(), ticket.c.id.desc())
        .limit(NEWEST)
    )  # fmt: skip
    return [dict(row) for row in s.execute(ask).mappings()]
