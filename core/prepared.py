"""A message that needs nothing but its transaction: rows, numbers, hashes and code, all made before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from core import cipher, codes, events
from core.book import Book
from core.channels import Act, Inbound
from core.model import State

Row = dict[str, Any]
UNREADABLE = "unreadable"


@dataclass(slots=True, eq=False)
class Prepared:
    """One message on its way into the store; `size` octets count against the queue.

    `number` is the id of its ticket, message, code, raw and first event: each table takes numbers from one source,
    so one number serves in all of them.
    """

    inbound: Inbound
    number: int
    at: int
    ref: bytes  #: 16 octets over channel and ref
    body: bytes  #: 16 octets over what the citizen said
    size: int
    code: str
    pin: str
    ring: cipher.Keyring = field(repr=False)
    chain_key: bytes = field(repr=False)
    book: Book = field(repr=False)
    ticket: Row
    message: Row
    event: Row
    contact: Row | None = None  #: who wrote
    reply_to: Row | None = None  #: where the answer goes, when elsewhere
    raw: Row | None = None
    files: Sequence[Row] = ()
    outbox: Row | None = None
    mail: Row | None = None  #: mail_id
    participant: Row | None = None
    domain: bytes = b""  #: of the mail address its receipt goes to, hashed; see core.automatic
    wait_until: float = 0.0  #: by the loop's clock: how long it may wait for a ticket that somebody else holds
    units: Sequence[str] = ()  #: slugs of ours that a letter was written to
    proofs: frozenset[bytes] = frozenset()  #: blind indexes of phones and addresses typed or proven

    @property
    def follows(self) -> bool:
        """May it continue a ticket? Then it must read before it writes."""
        return self.inbound.act is not Act.NEW or bool(self.inbound.hints)

    @property
    def state(self) -> State:
        return State(self.ticket["state"])

    def draw_code(self) -> None:
        """Another code, when this one was taken."""
        self.code = codes.new()

    def key(self) -> tuple[str, bytes, bytes]:
        """What is stored once only."""
        return (self.inbound.channel, self.ref, self.body)

    def rescued(self, now: int, files: bool = False) -> Prepared:
        """The same message kept raw: a ticket at the secretariat that says it could not be read. `files`: with them."""
        number, heard = self.number, self.inbound
        raw = heard.raw if heard.raw is not None else heard.text.encode(errors="replace")
        base: Row = {"id": number, "agency": 1, "at": now}
        ticket = self.ticket | base | {
            "unit": self.book.secretariat, "contact": None, "answer_to": None, "name": None, "subject": None,
            "place": None, "service": None, "line": None, "facts": {}, "route": {"rule": "(unreadable)"},
            "due_from": now, "last_at": now,
        }  # fmt: skip
        event = events.chained(
            self.chain_key, events.START, number, number, 1, "taken", "system", now, {"message": number}, ""
        )
        ticket["chain"] = event["hash"]
        message = base | {
            "ticket": number, "seq": 1, "way": "in", "channel": heard.channel, "author": None, "contact": None,
            "text": "", "quoted": None, "lang": "fa", "meta": {}, "marks": [UNREADABLE], "raw_key": heard.raw_key,
        }  # fmt: skip
        kept = base | {"message": number, "channel": heard.channel, "ref": "", "why": UNREADABLE, "bytes": raw}
        return Prepared(
            Inbound(heard.channel, heard.ref), number, now, self.ref, self.body, self.size, self.code, self.pin,
            self.ring, self.chain_key, self.book, ticket, message, event, raw=kept,
            files=[one | {"ticket": number} for one in self.files] if files else (),
        )  # fmt: skip
