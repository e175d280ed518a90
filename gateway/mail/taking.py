"""What becomes of a letter, however it came in: a report on one of ours, a robot's letter, a ticket, an addition."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from core.channels import Asker, Door, Inbound, Note, Receipt, Returned, Trust
from core.errors import Guarded, Locked, NotFound, WrongInput, WrongState
from gateway.mail import acts, address, headers, mime, proof, receive, send, smtp, thread, trust
from gateway.mail.bounce import Bounce, Said
from gateway.mail.mime import Mail
from gateway.mail.pool import UNREADABLE
from gateway.mail.replies import LOOP

log = logging.getLogger("pasokh.mail")

LOOPBACK = ("127.0.0.0/8", "::1/128")
NUMBER = (1 << 36) - 1  # the part of a token's value that is the row of the outbox; above it lies the epoch
WHY = {Said.NOTED: "automatic"}


class Reader(Protocol):
    """What reads letters: the pool of parser workers."""

    async def read(self, raw: bytes, charset: str, ours: tuple[str, ...] = (), null: bool = False) -> Mail: ...


@dataclass(frozen=True, slots=True)
class Taker:
    """Takes letters of every line to the door. `exempt`: budgets do not hold for peers on loopback (trials)."""

    door: Door
    reader: Reader
    books: Mapping[str, receive.Book]
    ours: tuple[str, ...]
    exempt: bool
    objections: tuple[str, ...] = ()  #: first lines that object to an answer
    dns: proof.Dns | None = None  #: who gives TXT records; None = the system's name servers

    async def take(self, name: str, envelope: smtp.Envelope, peer: str, raw: bytes) -> smtp.Reply:
        """250 only once it is on disk, 554 for a loop. Raises Busy, and whatever the store raises."""
        book = self.books[name]
        if receive.hops(raw) > receive.RECEIVED:
            return LOOP
        mail = await self.reader.read(raw, book.line.charset, self.ours, envelope.sender == "")
        back = returned(book, envelope, mail, raw)
        if back is not None:
            return await self._note(back, raw)
        files, mail = await receive.keep_files(self.door, mail)
        raw_key = await receive.keep_raw(self.door, raw)
        exempt = self.exempt and trust.listed(peer, LOOPBACK)
        message = receive.inbound(name, book, envelope, peer, raw, mail, files, raw_key, send.loop(book.line), exempt)
        if receive.strong_without_thread(message):
            return _taken(await self.door.raw("mail", message.ref, raw, "automatic"))
        if book.line.verify_dkim and not book.line.authserv_id:
            message = await self._judged(message, mail, raw, book)
        if await self._told(message):
            return _taken(await self.door.raw("mail", message.ref, raw, "asked"))
        if mail.echo and not receive.continues(message):
            message = replace(message, quiet=True)
        return await self._store(message)

    async def unread(self, name: str, envelope: smtp.Envelope, peer: str, raw: bytes) -> smtp.Reply:
        """A ticket with nothing but the raw letter and what its fields say. Raises as `take` does."""
        book = self.books[name]
        mail = mime.headers_only(raw, book.line.charset)
        mail = replace(mail, defects=(*mail.defects, UNREADABLE))
        raw_key = await receive.keep_raw(self.door, raw)
        message = receive.inbound(name, book, envelope, peer, raw, mail, (), raw_key, send.loop(book.line))
        return await self._store(message)

    async def reread(self, name: str, raw: bytes) -> Inbound:
        """What a kept letter says now. Its envelope is gone: our addresses are looked for in its fields."""
        book = self.books[name]
        mail = await self.reader.read(raw, book.line.charset, self.ours)
        files, mail = await receive.keep_files(self.door, mail)
        raw_key = await receive.keep_raw(self.door, raw)
        envelope = smtp.Envelope("", mail.sender, _recipients(book, mail), False, False)
        return receive.inbound(name, book, envelope, "", raw, mail, files, raw_key, send.loop(book.line))

    async def _told(self, message: Inbound) -> bool:
        """Answer a letter that is but a tracking code with the state, no contents; False when it is none."""
        code = acts.asked(message)
        if code is None or message.contact is None:
            return False
        sender = message.contact.value
        try:
            answer = await self.door.answer_for(code, Asker("mail", sender, message.contact))
        except Locked:
            return False
        if answer is None:
            return False
        facts = {"code": code, "state": answer.state.value, "unit": answer.unit_name}
        note = Note("mail", message.ref, sender, "state", facts, message.line, message.lang, once="mail_state")
        await self.door.tell(note)
        return True

    async def _judged(self, message: Inbound, mail: Mail, raw: bytes, book: receive.Book) -> Inbound:
        """The same, its sender judged by the letter's own signatures."""
        judged = await proof.judge(mail, raw, self.dns)
        who = message.contact
        codes = thread.codes_of(mail, judged)
        return replace(
            message,
            trust=judged,
            contact=replace(who, proven=judged is Trust.PASS) if who is not None else None,
            hints=(*message.hints, *codes),
        )

    async def _note(self, back: Returned, raw: bytes) -> smtp.Reply:
        """On its ticket; what belongs to nothing is listed as an orphan."""
        noted = await self.door.returned(back)
        return _taken(noted or await self.door.raw("mail", back.ref, raw, "orphan"))

    async def _taken(self, message: Inbound) -> Receipt:
        """As an objection where it is one and may be; else as what it says."""
        act = acts.objection(message, self.objections)
        if act is not None:
            try:
                return await self.door.take(act)
            except (Guarded, WrongState, NotFound, Locked):
                log.info("an objection by mail was taken as a word on its ticket")
        return await self.door.take(message)

    async def _store(self, message: Inbound) -> smtp.Reply:
        try:
            receipt = await self._taken(message)
        except WrongInput as error:  # never a reason to lose a letter that was addressed to us
            log.warning("the door refused a letter's fields", extra={"field": error.field, "word": error.word})
            receipt = await self.door.take(_bare(message))
        return _taken(receipt.message)


def returned(book: receive.Book, envelope: smtp.Envelope, mail: Mail, raw: bytes) -> Returned | None:
    """What a letter says of one of ours: by the address it came back to, else by the Message-ID it returns.

    Whatever comes to a bounce address is a report, if only a robot's answer; None for all other letters.
    """
    token = receive.is_report(book, envelope)
    said = mail.bounce
    if token is None and said is None:
        return None
    domain = book.line.domain
    if token is not None:
        sent, number = address.message_id(book.keys, token.id, domain, token.key), token.id & NUMBER
    else:
        found = [(value, address.read_message_id(book.keys, value, domain)) for value in said.ids] if said else []
        sent, number = next(((value, own.id & NUMBER) for value, own in found if own is not None), ("", 0))
    return _returned(said or Bounce(Said.NOTED), receive.reference(raw), sent, number, raw)


def _returned(said: Bounce, ref: str, sent: str, number: int, raw: bytes) -> Returned:
    why = " ".join(piece for piece in (said.status, said.why or WHY.get(said.said, "")) if piece)
    return Returned("mail", ref, number, sent, said.said.value, why, raw[: receive.RAW - 1])


def _recipients(book: receive.Book, mail: Mail) -> tuple[smtp.Rcpt, ...]:
    """Our own addresses among those the letter names."""
    found = [
        smtp.Rcpt(local, domain.lower())
        for name, value in mail.fields
        if name in ("to", "cc", "delivered-to", "x-original-to")
        for local, _, domain in (one.value.rpartition("@") for one in headers.addresses(value, book.line.charset))
    ]
    return tuple(rcpt for rcpt in dict.fromkeys(found) if book.judge(rcpt).code < 300)


def _taken(number: int) -> smtp.Reply:
    return smtp.Reply(250, "2.0.0", f"Ok, queued as {number}")


def _bare(message: Inbound) -> Inbound:
    """What is left when fields were refused: the raw letter, its sender and recipients, for a person to read."""
    return replace(message, text="", subject=None, name=None, quoted=None, hints=(), unreadable=True)
