"""From what a channel parsed to what the store writes: checked, cleaned, routed, numbered, hashed. Without a store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

from core import automatic, cipher, codes, digest, events, followups, ids, phones, points, routing, shared, text
from core.book import Book
from core.channels import Act, Inbound, Trust
from core.errors import Busy, WrongInput
from core.model import Contact, ContactKind, Kind, Purpose, State
from core.prepared import Prepared, Row
from core.schema import AGENCY
from core.sending import LANES, WORTH

PLACE, NAME, SUBJECT = 300, 100, 500  #: characters
LANG = 20  #: of a language's tag
TITLE = 80  #: characters of a subject made of the first words
RAW = 256 << 10  #: octets of an original that lies in the store; a larger one is kept as a file first
OVERHEAD = 1000  #: octets a message counts for beside its text


class Preparer:
    """Makes `Prepared` of `Inbound` by one configuration, keyring and source of numbers."""

    def __init__(self, book: Book, ring: cipher.Keyring, maker: ids.Maker, chain_key: bytes) -> None:
        self.book = book
        self.ring = ring
        self._maker = maker
        self._chain_key = chain_key

    def prepare(self, heard: Inbound, now: int) -> Prepared:
        """All of a message but its transaction. Raises WrongInput(field, word) and, without numbers, Busy."""
        words = text.clean(heard.text).strip()
        subject = _line(heard.subject, SUBJECT)
        self._check(heard, words, subject)
        number, at = self._number(ids.IDS), heard.arrived_at if heard.arrived_at is not None else now
        ref, body = _hashes(heard, words, subject)
        route = routing.route(routing.facts_of(heard, self.book.config.agency.area or None), self.book.rules)
        sender = self._contact(heard.contact, number, at, heard)
        elsewhere = heard.answer_to if heard.answer_to != heard.contact else None
        reply_to = self._contact(elsewhere, self._number(ids.IDS) if elsewhere else 0, at, heard)
        units = shared.addressed(heard, self.book.rules)
        ticket = self._ticket(heard, number, at, words, subject, route)
        ticket["added"] = shared.besides(units, route.unit)
        message = self._message(heard, number, at, words)
        event = self._event(heard, number, at, route, words, ticket["added"])
        ticket["chain"] = event["hash"]
        return Prepared(
            heard, number, at, ref, body, _size(heard, words), codes.new(),
            cipher.pin(self.ring, self.ring.newest, number), self.ring, self._chain_key, self.book,
            ticket, message, event, sender, reply_to,
            raw=self._raw(heard, number, at), files=self._files(heard, number, at),
            outbox=self._outbox(heard, ticket, sender, reply_to), mail=_mail(heard, number, at),
            participant=_participant(heard, number, at), domain=_domain(elsewhere or heard.contact),
            proofs=self._proofs(heard, sender), units=units,
        )  # fmt: skip

    def _check(self, heard: Inbound, words: str, subject: str | None) -> None:
        config = self.book.config
        speaks = _shows(words) or subject or heard.files or heard.unreadable or heard.raw is not None or heard.raw_key
        if not speaks and heard.act in (Act.NEW, Act.ADD):
            raise WrongInput("text", "empty")
        if heard.kind is not None and heard.kind not in _KINDS:
            raise WrongInput("kind", "unknown")
        if heard.unit is not None and heard.unit not in config.units:
            raise WrongInput("unit", "unknown")
        if heard.service is not None and heard.service not in config.services:
            raise WrongInput("service", "unknown")
        if heard.place is not None and len(heard.place) > PLACE:
            raise WrongInput("place", "long")
        if heard.raw is not None and len(heard.raw) >= RAW:
            raise WrongInput("raw", "long")
        if heard.act is not Act.NEW:
            _check_code(heard.code)

    def _number(self, row: str) -> int:
        number = self._maker.next(row)
        if number is None:
            raise Busy(1)
        return number

    def _ticket(
        self, heard: Inbound, number: int, at: int, words: str, subject: str | None, route: routing.Route
    ) -> Row:
        kind = Kind(heard.kind or route.kind or self.book.kind)
        state = State.HELD if heard.held or route.hold else State.NEW
        budget = self.book.config.budget(kind, route.service, route.due)
        due = self.book.due(at, budget) if budget else None
        name = _line(heard.name, NAME)
        return {
            "id": number, "agency": AGENCY, "at": at, "state": state.value, "kind": kind.value, "unit": route.unit,
            "contact": None, "answer_by": heard.answer_by or heard.channel, "answer_to": None,
            "name": cipher.seal(self.ring, "ticket", "name", number, name) if name else None,
            "service": route.service, "channel": heard.channel, "line": heard.line, "lang": _lang(heard),
            "subject": subject or title(words), "place": _line(heard.place, PLACE),
            "urgent": route.urgent, "tags": list(route.tags),
            "route": {"rule": route.rule, "matched": dict(route.matched)}, "facts": cleaned(heard.facts),
            "related": None, "budget": budget, "due_from": at, "due_at": due.at if due else None,
            "due_steps": due.steps if due else [], "lapse_at": self.book.lapse_at(state, at), "last_at": at,
            "pin_key": self.ring.newest,
        }  # fmt: skip

    def _message(self, heard: Inbound, number: int, at: int, words: str) -> Row:
        meta: dict[str, Any] = {}
        if heard.defects:
            meta["defects"] = cleaned(list(heard.defects))
        if heard.trust is not Trust.NONE:
            meta["trust"] = heard.trust.value
        if heard.facts and heard.act is not Act.NEW:
            meta["facts"] = cleaned(heard.facts)
        return {
            "id": number, "agency": AGENCY, "at": at, "ticket": number, "seq": 1, "way": "in",
            "channel": heard.channel, "author": heard.operator, "contact": None, "text": words,
            "quoted": text.clean(heard.quoted) if heard.quoted else None, "lang": _lang(heard), "meta": meta,
            "marks": ["unreadable"] if heard.unreadable else [], "raw_key": heard.raw_key,
        }  # fmt: skip

    def _event(
        self, heard: Inbound, number: int, at: int, route: routing.Route, words: str, added: Sequence[str]
    ) -> Row:
        actor = f"staff:{heard.operator}" if heard.operator is not None else "citizen"
        data: Row = {"message": number, "channel": heard.channel, "unit": route.unit, "rule": route.rule}
        if added:
            data["added"] = list(added)
        return events.chained(self._chain_key, events.START, number, number, 1, "taken", actor, at, data, words)

    def _contact(self, who: Contact | None, number: int, at: int, heard: Inbound) -> Row | None:
        if who is None:
            return None
        value = text.clean(who.value)
        return {
            "id": number, "agency": AGENCY, "at": at, "kind": who.kind.value,
            "value": cipher.seal(self.ring, "contact", "value", number, value),
            "blind": cipher.blind(self.ring, who.kind.value, value),
            "proven_by": heard.channel if who.proven else None, "proven_at": at if who.proven else None,
        }  # fmt: skip

    def _raw(self, heard: Inbound, number: int, at: int) -> Row | None:
        if heard.raw is None:
            return None
        return {
            "id": number, "agency": AGENCY, "at": at, "message": number, "channel": heard.channel, "ref": "",
            "why": "unreadable" if heard.unreadable else "", "bytes": heard.raw,
        }  # fmt: skip

    def _files(self, heard: Inbound, number: int, at: int) -> list[Row]:
        return [
            {
                "id": self._number(ids.IDS), "agency": AGENCY, "at": at, "key": kept.key, "size": kept.size,
                "type": kept.type, "label": text.clean(kept.name), "seconds": kept.seconds, "ticket": number,
                "scan": kept.scan,
                "message": number,
            }
            for kept in {kept.key: kept for kept in heard.files}.values()
        ]  # fmt: skip

    def _outbox(self, heard: Inbound, ticket: Row, sender: Row | None, reply_to: Row | None) -> Row | None:
        """The row "your code is …", where it can be carried to a contact point."""
        channel, to = _tells_by(heard, ticket["answer_by"]), reply_to or sender
        if to is None or points.KIND_OF.get(channel) != to["kind"] or not followups.may_tell(heard):
            return None
        if ticket["state"] == State.HELD:
            return None
        at, number = ticket["at"], self._number(ids.OUTBOX)
        return {
            "id": number, "agency": AGENCY, "at": at, "ticket": ticket["id"], "seq": 1, "message": ticket["id"],
            "channel": channel, "line": heard.line if channel == heard.channel else None, "contact": None,
            "purpose": Purpose.RECEIPT.value, "lane": LANES[Purpose.RECEIPT], "lang": _lang(heard), "key": "received",
            "due_at": at, "not_after": at + WORTH[Purpose.RECEIPT] * 1000,
        }  # fmt: skip

    def _proofs(self, heard: Inbound, sender: Row | None) -> frozenset[bytes]:
        """Blind indexes that prove: the proven sender, and a phone or address typed as proof."""
        found = {sender["blind"]} if sender is not None and sender["proven_at"] is not None else set()
        typed = proof_contact(heard.proof, self.book.config.agency.area or None)
        if typed is not None:
            found.add(cipher.blind(self.ring, typed.kind.value, typed.value))
        return frozenset(found)


def _tells_by(heard: Inbound, answer_by: str) -> str:
    """By the answer's channel; whoever rings from a mobile that is certainly theirs reads the code by SMS as well."""
    who = heard.contact
    certain = who is not None and who.kind is ContactKind.PHONE and who.proven and phones.mobile(who.value)
    return "sms" if answer_by == "phone" and certain and heard.answer_to is None else answer_by


def proof_contact(proof: str | None, area: str | None = None) -> Contact | None:
    """The phone or mail address somebody typed as second proof; None for a PIN or anything else."""
    bare = text.digits(text.clean(proof or "")).strip()
    if "@" in bare:
        return Contact(ContactKind.MAIL, bare.lower())
    number = phones.parse(bare, area) if len(bare) > 4 else None
    return Contact(ContactKind.PHONE, number) if number else None


def _check_code(code: str | None) -> None:
    if not code:
        raise WrongInput("code", "empty")
    if not codes.ok(code):
        raise WrongInput("code", "digit")


def _hashes(heard: Inbound, words: str, subject: str | None) -> tuple[bytes, bytes]:
    """16 octets over (channel, ref), and over what the citizen said and sent."""
    said = (
        heard.act.value, heard.code, words, subject, heard.kind and str(heard.kind), heard.unit, heard.service,
        heard.place, heard.name, _who(heard.contact), _who(heard.answer_to),
        [(kept.name, kept.size) for kept in heard.files],
        len(heard.raw) if heard.raw is not None and not words else None,
    )  # fmt: skip
    name = f"{heard.channel}\0{heard.ref}".encode(errors="replace")
    spoken = repr(said).encode(errors="backslashreplace")
    body = blake2b(digest_size=16)
    digest.feed(body, spoken)
    return blake2b(name, digest_size=16).digest(), body.digest()


def _who(contact: Contact | None) -> str | None:
    return f"{contact.kind}:{contact.value}" if contact else None


def _mail(heard: Inbound, number: int, at: int) -> Row | None:
    if not heard.message_id:
        return None
    value = text.clean(heard.message_id).strip()
    return {
        "id": number, "agency": AGENCY, "at": at, "hash": followups.id_hash(heard.message_id), "value": value,
        "ticket": number, "message": number,
    }  # fmt: skip


def _domain(to: Contact | None) -> bytes:
    return automatic.domain_of(to.value) if to is not None and to.kind is ContactKind.MAIL else b""


def _participant(heard: Inbound, number: int, at: int) -> Row | None:
    if heard.channel != "mail" or heard.contact is None:
        return None
    return {"id": number, "agency": AGENCY, "at": at, "ticket": number, "n": 1, "contact": None}


def _size(heard: Inbound, words: str) -> int:
    """Octets it counts for in the queue, about."""
    return OVERHEAD + 2 * (len(words) + len(heard.quoted or "")) + len(heard.raw or b"")


def _lang(heard: Inbound) -> str:
    return _line(heard.lang, LANG) or "fa"


def title(words: str) -> str | None:
    """The first words on one line, cut at a word: a subject of ≤ 80 characters for what has none."""
    if not _shows(words):
        return None
    line = " ".join(words[: 4 * TITLE].split())
    if len(line) <= TITLE:
        return line
    return line[:TITLE].rsplit(" ", 1)[0][: TITLE - 1] + "…"


def _shows(words: str) -> bool:
    """Is there anything to see? Marks of direction and joiners are not."""
    return words[:1].isalnum() or any(c.isprintable() and not c.isspace() for c in words)


def _line(value: str | None, most: int) -> str | None:
    return (text.clean(value).strip()[:most] or None) if value else None


def cleaned(value: Any) -> Any:
    """A JSON value whose texts hold nothing a store cannot keep."""
    if isinstance(value, str):
        return text.clean(value)
    if isinstance(value, Mapping):
        return {text.clean(str(key)): cleaned(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [cleaned(one) for one in value]
    return value


_KINDS = frozenset(Kind)
