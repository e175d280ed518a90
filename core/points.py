"""Where an answer can go: the contact points of a ticket's citizen, in the order they are tried. SQL only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Connection

from core.model import ContactKind
from core.schema import contact, participant, ticket

CHANNEL_OF = {ContactKind.PHONE: "sms", ContactKind.MAIL: "mail"}  #: what reaches a contact point
KIND_OF = {"sms": ContactKind.PHONE, "mail": ContactKind.MAIL}


@dataclass(frozen=True, slots=True)
class Point:
    """A contact point and the channel that reaches it."""

    contact: int
    kind: ContactKind
    proven: bool

    @property
    def channel(self) -> str:
        return CHANNEL_OF[self.kind]


def of_ticket(s: Connection, about: int) -> list[Point]:
    """The citizen's points, each once: where they wanted the answer, where they wrote from, who takes part."""
    own = s.execute(sa.select(ticket.c.answer_to, ticket.c.contact).where(ticket.c.id == about)).first()
    others = sa.select(participant.c.contact).where(participant.c.ticket == about).order_by(participant.c.n)
    found = [number for number in (*(own or ()), *s.execute(others).scalars()) if number is not None]
    ask = sa.select(contact.c.id, contact.c.kind, contact.c.proven_at).where(contact.c.id.in_(found))
    known = {row.id: Point(row.id, ContactKind(row.kind), row.proven_at is not None) for row in s.execute(ask)}
    return [known[number] for number in dict.fromkeys(found)]


def next_proven(s: Connection, about: int, tried: set[int | None]) -> Point | None:
    """The first proven point that is not among `tried`."""
    return next((point for point in of_ticket(s, about) if point.proven and point.contact not in tried), None)


def to_call(s: Connection, about: int) -> Point | None:
    """The number that is called with an answer: proven, never one that was only keyed."""
    return next((point for point in of_ticket(s, about) if point.proven and point.kind == ContactKind.PHONE), None)


def sealed(s: Connection, numbers: Iterable[int]) -> dict[int, bytes]:
    """Sealed values by contact id."""
    ask = sa.select(contact.c.id, contact.c.value).where(contact.c.id.in_(list(numbers)))
    return {row.id: row.value for row in s.execute(ask)}


def participant_of(s: Connection, about: int, number: int | None) -> int | None:
    """A contact's number among those who take part in the ticket, None when it does not."""
    ask = sa.select(participant.c.n).where(participant.c.ticket == about, participant.c.contact == number)
    return s.execute(ask).scalar_one_or_none()
