"""From a letter to what the door takes: recipients judged, sender and thread weighed, files kept, raw kept."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace

from core import digest
from core.channels import Auto, Contact, ContactKind, Door, HintKind, Inbound, KeptFile, Trust
from core.errors import WrongInput
from core.model import Scan
from gateway.mail import address, automail, marks, mime, smtp, thread, trust
from gateway.mail.address import Keys, Token
from gateway.mail.mime import Mail
from gateway.mail.pool import UNREADABLE
from gateway.mail.settings import LineSettings

log = logging.getLogger("pasokh.mail.receive")

RAW = 262_144  # octets of raw that lie in the ticket's own transaction
HEAD = mime.Limits().headers
RECEIVED = 100  # fields after which it is a loop
NOT_OF_THE_LETTER = re.compile(
    rb"(?:received|return-path|delivered-to|x-original-to|authentication-results|received-spf|arc-[a-z-]*|x-spam-[a-z-]*)"
    rb"[ \t]*:",
    re.IGNORECASE,
)
HOP = re.compile(rb"^received:", re.IGNORECASE | re.MULTILINE)
FOREIGN = smtp.Reply(550, "5.7.1", "Relaying denied")
NOBODY = smtp.Reply(550, "5.1.1", "No such address here")
KNOWN = smtp.Reply(250, "2.1.5", "Ok")


@dataclass(frozen=True, slots=True)
class Book:
    """Who can be written to on a line: local part → unit's slug, and whose tokens hold."""

    line: LineSettings
    keys: Keys
    units: Mapping[str, str]
    scan: Scan = Scan.OFF  #: what files begin with: WAITING where there is a scanner

    def judge(self, rcpt: smtp.Rcpt) -> smtp.Reply:
        """Decided without the store: units, postmaster, tokens whose mac holds."""
        local = rcpt.local.lower()
        if local == "postmaster" and rcpt.domain in ("", self.line.domain.lower()):
            return KNOWN
        if rcpt.domain != self.line.domain.lower():
            return FOREIGN
        return KNOWN if local in self.units or self.token(rcpt) is not None else NOBODY

    def token(self, rcpt: smtp.Rcpt) -> Token | None:
        return address.read(self.keys, rcpt.local, self.line.delimiter)

    def own(self) -> frozenset[str]:
        domain = self.line.domain.lower()
        return frozenset(f"{local}@{domain}" for local in [*self.units, "postmaster"])


def reference(raw: bytes) -> str:
    """The letter's own id: SHA-256 of it without what each hop writes. The Message-ID never decides a repeat."""
    end = _head(raw)
    kept = [line for line in mime.FOLD.split(raw[:end]) if not NOT_OF_THE_LETTER.match(line)]
    hashed = hashlib.sha256()
    digest.feed(hashed, b"\r\n".join(kept))
    digest.feed(hashed, memoryview(raw)[end:])
    return hashed.hexdigest()


def hops(raw: bytes) -> int:
    """How many `Received` fields there are."""
    return len(HOP.findall(raw, 0, _head(raw)))


def inbound(
    name: str, book: Book, envelope: smtp.Envelope, peer: str, raw: bytes, mail: Mail, files: Sequence[KeptFile],
    raw_key: str | None, loop: str, exempt: bool = False,
) -> Inbound:  # fmt: skip
    """The letter as the door takes it."""
    line = book.line
    tokens = [t for t in map(book.token, envelope.recipients) if t is not None]
    judged = trust.judge(mail, peer, line.authserv_id, line.peer_allow)
    auto = automail.classify(mail, envelope.sender, marks.read().subjects, loop, book.own())
    unreadable = UNREADABLE in mail.defects
    return Inbound(
        channel="mail",
        ref=reference(raw),
        text=mail.new or mail.text,
        contact=_contact(mail.sender, judged),
        name=mail.sender_name or None,
        line=name,
        to=_addresses(book, envelope.recipients),
        subject=mail.subject or None,
        quoted=mail.quoted or None,
        lang=line.lang,
        files=tuple(replace(file, scan=book.scan) for file in files),
        raw=raw if raw_key is None else None,
        raw_key=raw_key,
        message_id=mail.message_id or None,
        hints=thread.hints(mail, tokens, book.keys, line.domain, judged),
        trust=judged,
        auto=auto,
        quiet=not mail.sender or envelope.sender == "" or automail.no_reply(mail.sender),
        unreadable=unreadable,
        exempt=exempt,
        defects=mail.defects,
        facts={
            "envelope_from": envelope.sender,
            "peer": peer,
            "tls": envelope.tls,
            "participants": [t.participant for t in tokens if t.purpose is address.Purpose.FEEDBACK],
        },
    )


async def keep_files(door: Door, mail: Mail) -> tuple[list[KeptFile], Mail]:
    """Each file kept under its hash, with the name the letter gave it; what the door refuses is a defect."""
    kept = []
    for file in mail.files:
        try:
            found = await door.keep(file.data if len(file.data) < RAW else _pieces(file.data), file.name)
        except WrongInput as error:
            log.warning("a file was not kept", extra={"word": error.word, "size": len(file.data)})
            mail = replace(mail, defects=(*mail.defects, "file_refused"))
            continue
        kept.append(KeptFile(found.key, file.name, found.type or file.type, found.size, found.seconds))
    return kept, mail


async def keep_raw(door: Door, raw: bytes) -> str | None:
    """The key of a raw letter too big for the ticket's transaction; None for one that lies in it."""
    if len(raw) < RAW:
        return None
    return (await door.keep(_pieces(raw), "message.eml")).key


def is_report(book: Book, envelope: smtp.Envelope) -> Token | None:
    """The token of a letter that only comes back for something we sent; it never becomes a ticket."""
    tokens = [book.token(rcpt) for rcpt in envelope.recipients]
    found = [t for t in tokens if t is not None and t.purpose is address.Purpose.BOUNCE]
    return found[0] if found and len(found) == len(tokens) else None


def strong_without_thread(message: Inbound) -> bool:
    """A robot's letter that belongs to nothing: listed, no ticket by itself."""
    return message.auto is Auto.STRONG and not continues(message)


def continues(message: Inbound) -> bool:
    """Does it come back to something of ours, by a token or a Message-ID that proves itself?"""
    return any(hint.kind in (HintKind.TICKET, HintKind.OWN_ID) for hint in message.hints)


async def _pieces(raw: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(raw), 65_536):
        yield raw[at : at + 65_536]


def _head(raw: bytes) -> int:
    """Where the fields end, or as far as they are read: each hop writes at the top, so what it wrote lies before."""
    found = mime.BLANK.search(raw, 0, HEAD)
    return found.start() if found else min(len(raw), HEAD)


def _contact(sender: str, judged: Trust) -> Contact | None:
    return Contact(ContactKind.MAIL, sender.lower(), judged is Trust.PASS) if sender else None


def _addresses(book: Book, recipients: Sequence[smtp.Rcpt]) -> tuple[str, ...]:
    """Our plain addresses among the recipients, folded, each once; tokens are hints instead."""
    plain = [r for r in recipients if not address.looks_like_token(r.local, book.line.delimiter)]
    return tuple(dict.fromkeys(f"{r.local.lower()}@{r.domain or book.line.domain.lower()}" for r in plain))
