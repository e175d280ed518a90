"""The contract between core and a channel: what a channel hands in, what it is given to send, and the door.

A channel is phone, sms, mail, web, desk or letter. It imports this file and core's words (text, jalali, codes,
model, errors) and nothing else of core. Pure: values and protocols only.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

from core.model import Contact, ContactKind, KeptFile, Kind, Purpose, State

# ---------------------------------------------------------------- in


class Act(StrEnum):
    """What the citizen does with a message. Everything but NEW names a ticket by code."""

    NEW = "new"
    ADD = "add"
    ACCEPT = "accept"
    OBJECT = "object"
    WITHDRAW = "withdraw"


class HintKind(StrEnum):
    """How sure a channel is that a message belongs to a ticket; core resolves hints in the order given."""

    TICKET = "ticket"  #: `value` is a ticket id proven by a signed token: append, may reopen
    OWN_ID = "own_id"  #: a Message-ID we wrote (its MAC held): append, may reopen
    SEEN_ID = "seen_id"  #: any other stored Message-ID: append if the sender is a participant, else new and linked
    CODE = "code"  #: a tracking code in the text or subject: append if the sender is a participant, else new, linked


@dataclass(frozen=True, slots=True)
class Hint:
    """One guess which ticket a message continues."""

    kind: HintKind
    value: str
    who: int = 0  #: TICKET: the participant the token was given to; 0 = nobody knows


class Trust(StrEnum):
    """What is known of the sender's identity. Mail: see design of mail; phones: asserted = PASS."""

    PASS = "pass"
    FAIL = "fail"
    NONE = "none"
    UNJUDGED = "unjudged"  #: nobody judges here; holds like PASS


class Auto(StrEnum):
    """Was it written by a machine? STRONG and WEAK never get an automatic answer and never reopen."""

    NO = "no"
    WEAK = "weak"
    STRONG = "strong"


@dataclass(frozen=True, slots=True)
class Inbound:
    """One message of a citizen, parsed. `(channel, ref, body)` is stored once only, whatever is repeated."""

    channel: str  #: phone, sms, mail, web, desk, letter
    ref: str  #: the sender's own id for it: provider's message id, call id + step, form's ref, digest of a letter
    text: str = ""  #: the new words (quotes folded away); may be empty where files speak
    kind: Kind | None = None  #: the citizen's own choice; None = routing or the default (request)
    act: Act = Act.NEW
    code: str | None = None  #: 11 ASCII digits, for every act but NEW
    proof: str | None = None  #: PIN, phone or mail typed as second proof
    contact: Contact | None = None  #: who wrote, where it can be known
    name: str | None = None
    line: str | None = None  #: name of our line it came in by
    to: Sequence[str] = ()  #: our address(es): extension, short code, mail address; routing reads it
    subject: str | None = None
    quoted: str | None = None  #: what was folded away, kept beside the text
    lang: str = "fa"
    unit: str | None = None  #: slug of the unit the citizen chose
    service: str | None = None  #: slug of the service card
    place: str | None = None  #: ≤ 300 characters
    answer_by: str | None = None  #: channel for the answer, None = the way it came
    answer_to: Contact | None = None  #: where that answer goes, when not `contact`
    files: Sequence[KeptFile] = ()
    raw: bytes | None = None  #: the untouched original; < 256 KiB lies in the same transaction
    raw_key: str | None = None  #: or the key it was kept under
    message_id: str | None = None  #: mail only: its Message-ID, stored for threading
    hints: Sequence[Hint] = ()
    trust: Trust = Trust.NONE
    auto: Auto = Auto.NO
    quiet: bool = False  #: no automatic reply for this one (loop, budget, unreachable sender)
    unreadable: bool = False  #: could not be parsed: kept raw, a ticket all the same
    held: bool = False  #: suspect: state held, waits for a person's release
    exempt: bool = False  #: budgets of automatic letters do not hold (trials on loopback)
    defects: Sequence[str] = ()  #: words for what was odd
    operator: int | None = None  #: staff id, when an operator typed it in (walk-in, letter)
    arrived_at: int | None = None  #: ms UTC, when not now
    facts: Mapping[str, Any] = field(default_factory=dict)  #: shown on the ticket: call path, envelope, …
    answers: int | None = None  #: id of the open question this message answers: closed with it
    ack: str | None = None  #: the sentence that acknowledges it, when not the act's own
    asks: Asks | None = None  #: a question that opens with it


@dataclass(frozen=True, slots=True)
class Asks:
    """A question opened to whoever wrote: `verdict` on an answer, `why` of an objection, a `choice`."""

    kind: str
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Question:
    """An open question of a (channel, line, number)."""

    id: int
    kind: str
    ticket: int | None
    code: str | None
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Heard:
    """A short text before anything is done with it, for `Door.judge`."""

    channel: str
    ref: str  #: the outside's own id for it with line and provider; '' where it gives none
    line: str
    who: Contact | None  #: None: nobody who could be answered
    body: str  #: what makes two texts the same: sender, receiver, words
    rules: Callable[[Question | None], Sequence[tuple[str, str]]]  #: budgets an answer would take
    polled: bool = False
    silent: str = ""  #: the channel's own reason not to answer
    mask: str = ""  #: the words with all digits alike; '' = never a loop
    echo: bool = False  #: it holds a sentence of ours
    exempt: bool = False  #: trials on loopback: no budgets


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was decided about a text, the same for every repeat."""

    ref: str  #: to use for all that comes of it
    quiet: str  #: why it gets no automatic text, '' when it may
    joins: int | None  #: too many came: it joins this ticket
    question: Question | None  #: the newest open one
    first: bool = True


@dataclass(frozen=True, slots=True)
class Receipt:
    """The acknowledgement, made only after commit. A repeat gets the same values with `first=False`."""

    code: str  #: 11 ASCII digits
    pin: str  #: 4 ASCII digits
    unit: str  #: slug
    due_at: int | None  #: ms UTC
    ticket: int
    message: int
    state: State
    first: bool = True
    same_id: bool = False  #: the ref had been used for another body: taken as new, marked


# ---------------------------------------------------------------- out


@dataclass(frozen=True, slots=True)
class Outbound:
    """One thing to send to one person, as claimed from the outbox. Either `text` or `key` says what."""

    id: int  #: outbox row, < 2^36
    channel: str
    to: str  #: E.164, mail address; '' for web and desk
    purpose: Purpose
    ticket: int
    message: int | None
    line: str | None = None
    lang: str = "fa"
    text: str = ""  #: an operator's words, as they are
    key: str | None = None  #: or a sentence of the channel's own texts: sms.<key>, mail.<key>, ivr.<key>
    facts: Mapping[str, Any] = field(default_factory=dict)  #: code, pin, unit (its name), due_at, subject, state …
    files: Sequence[KeptFile] = ()
    not_after: int | None = None  #: ms UTC; past it, it is not worth sending
    in_doubt: bool = False  #: an earlier try may have reached the outside: look up first
    attempt: int = 1  #: 1 for the first
    epoch: int = 0  #: 17 bits, redrawn at install, restore and copy; SMS local id = epoch << 36 | id
    thread: Mapping[str, Any] = field(default_factory=dict)  #: mail: in_reply_to, references, participant
    doubt_at: int | None = None  #: ms UTC of the first doubt, while in doubt


@dataclass(frozen=True, slots=True)
class Sent:
    """The outside has it. `ref` is its id there (provider's message id, Message-ID)."""

    ref: str | None = None
    cost: int | None = None  #: rial
    found: bool = False  #: it was looked up, not sent again
    why: str = ""  #: a word about it: maybe_twice
    parts: int | None = None  #: messages on the air, where it comes in parts
    line: str | None = None  #: `channel:line` it went by, where spending is counted by line
    auto: bool = False  #: a receipt or state, written by nobody


@dataclass(frozen=True, slots=True)
class TryLater:
    """Certainly not sent. Again in `after` seconds (None = the outbox's own waits)."""

    why: str
    after: float | None = None
    tried: bool = False  #: somebody was really rung for: told on the ticket


@dataclass(frozen=True, slots=True)
class Refused:
    """Never through this channel; the person's next contact point is tried."""

    why: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """It may have been sent. Looked up after `after` seconds; never blindly repeated. `park`: a person decides."""

    why: str
    after: float | None = None
    park: bool = False


Outcome = Sent | TryLater | Refused | Unknown


class DeliveryState(StrEnum):
    """What a peer reports of something sent, monotonic in this order."""

    SENT = "sent"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    FAILED = "failed"
    CANCELLED = "cancelled"
    BLOCKED = "blocked"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Note:
    """An automatic sentence to somebody who wrote, queued by `Door.tell`; the channel words it when it sends."""

    channel: str
    ref: str  #: (channel, ref) is queued once only
    to: str  #: E.164 or mail address
    key: str  #: a sentence of the channel's own texts
    facts: Mapping[str, Any] = field(default_factory=dict)
    line: str | None = None
    lang: str = "fa"
    purpose: Purpose = Purpose.STATE
    ticket: int | None = None
    once: str | None = None  #: a rule of `[limits]`: told only while it has one left for this person and sentence
    asks: Asks | None = None  #: a question that opens with it
    answers: int | None = None  #: an open question that closes with it


@dataclass(frozen=True, slots=True)
class Returned:
    """What a server says of a letter of ours, for `Door.returned`."""

    channel: str
    ref: str  #: the report's own id; (channel, ref) counts once
    row: int  #: of the outbox; 0 = nobody knows
    sent: str  #: the outside's id for the row, as it was or would be recorded
    said: str  #: hard (it will never arrive), soft, delayed, delivered, noted
    why: str = ""
    raw: bytes = b""  #: the report, < 256 KiB


# ---------------------------------------------------------------- asking


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks about a ticket: proof is the contact itself when proven, else `proof` (PIN, phone or mail)."""

    channel: str
    key: str  #: what misses are counted by: number, address of the peer, call id
    contact: Contact | None = None
    proof: str | None = None


@dataclass(frozen=True, slots=True)
class Words:
    """One message a citizen may see of their own ticket."""

    way: str  #: in or out
    text: str
    at: int  #: ms UTC
    channel: str
    files: Sequence[KeptFile] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """The state for a code; `words` only with proof. `reply` is the newest answer, None before there is one."""

    ticket: int
    code: str
    state: State
    kind: Kind
    unit: str  #: slug
    unit_name: str
    at: int  #: ms UTC, when it was taken
    due_at: int | None
    answered_at: int | None
    lang: str
    proven: bool
    words: Sequence[Words] = ()
    reply: Words | None = None
    can: frozenset[Act] = frozenset()  #: what the citizen may do now, given proof


@dataclass(frozen=True, slots=True)
class Facts:
    """What `Door.look_up` found: a unit, the asker's own tickets, … `rows` by name."""

    what: str
    rows: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class CallRecord:
    """A call that is over, whatever came of it; `ref` is stored once only."""

    ref: str
    line: str
    called: str
    began_at: int  #: ms UTC
    seconds: int
    way: str  #: how it ended: caller, us, no_media, too_long …
    contact: Contact | None = None
    ticket: int | None = None  #: the last one that came of it
    facts: Mapping[str, Any] = field(default_factory=dict)  #: path, queue, operator, waited, talked, lost, jitter_ms


class Drawer(Protocol):
    """Small durable scratch of a channel (SMS parts, conversation state, poll marks)."""

    async def put(self, box: str, slot: str, data: bytes) -> Mapping[str, bytes]:
        """Keep `data`; returns all slots of the box, this one included, once it is on disk."""
        ...

    async def get(self, box: str) -> Mapping[str, bytes]: ...

    async def close(self, box: str, until: int | None = None) -> None:
        """Empty the box; with `until` (ms UTC) it stays shut, and `put` finds {} till then."""
        ...

    async def boxes(self, before: int) -> Sequence[str]:
        """Boxes whose first slot was put before `before` (ms UTC)."""
        ...

    async def lease(self, box: str, holder: str, seconds: float) -> bool:
        """Take `box` for `holder`, or keep it on; False while another (process) has it. On disk when it returns."""
        ...

    async def release(self, box: str, holder: str) -> None:
        """Let go of it, if it is `holder`'s."""
        ...

    async def change(self, box: str, slots: Mapping[str, bytes | None]) -> None:
        """Put several slots at once, take out those that are None; on disk when it returns."""
        ...


class Door(Protocol):
    """All a channel may ask of core. Safe to call again after a time-out."""

    @property
    def drawer(self) -> Drawer:
        """The channel's small durable scratch."""
        ...

    async def take(self, message: Inbound) -> Receipt:
        """Store once, route, and return the receipt after commit. Raises Busy, WrongInput, NotFound (act on an
        unknown code or without proof), Guarded, WrongState, Locked."""
        ...

    async def keep(self, data: bytes | AsyncIterator[bytes], kind: str) -> KeptFile:
        """Keep bytes on disk (fsynced) under their hash before they are mentioned. `kind`: file name or type hint."""
        ...

    async def answer_for(self, code: str, asker: Asker) -> Answer | None:
        """State, and contents with proof. None: no such code (same work, same time). Raises Locked, Busy."""
        ...

    async def look_up(self, what: str, key: str, asker: Asker | None = None) -> Facts | None:
        """`unit` by extension, slug or mail address; `mine`: the proven asker's newest tickets; `service` by slug;
        `contact`: has this sender had `what` automatic sentences today (see budgets)."""
        ...

    async def spend(self, rule: str, key: str) -> bool:
        """Take one from the budget `rule` (settings `[limits]`) for `key`; False when it is empty."""
        ...

    async def delivered(
        self, channel: str, ref: str, state: DeliveryState, why: str = "", also: Sequence[str] = ()
    ) -> None:
        """A peer's word about something sent; kept 72 h when its send is not recorded yet. `also`: other spellings
        of `ref`, tried when it is not known."""
        ...

    async def judge(self, heard: Heard) -> Verdict:
        """Decide once what may be done with a short text; a repeat gets the first verdict. On disk when it returns."""
        ...

    async def opt(self, channel: str, line: str, who: Contact, out: bool, why: str = "") -> None:
        """This person wants no (`out`), or again, notices and surveys by this line."""
        ...

    async def opted_out(self, channel: str, line: str, who: Contact) -> bool:
        """Does this person want no notices and surveys by this line?"""
        ...

    async def unreported(self, channel: str, since: int, until: int) -> Sequence[tuple[str, int]]:
        """(ref, accepted at) of what a peer took between two times (ms UTC) and has told nothing final of."""
        ...

    async def sent_after_all(self, epoch: int, row: int, sent: Sent) -> None:
        """The outside says late that it has what was in doubt (`Outbound.epoch` and `id`). A row that is over stays."""
        ...

    async def returned(self, back: Returned) -> int | None:
        """Note a report on the ticket of what was sent; the note's number, None when no such row is known. A lost
        answer reopens its ticket and goes to the person's next contact point."""
        ...

    async def tell(self, note: Note) -> bool:
        """Queue an automatic sentence; False when (channel, ref) was told before. On disk when it returns."""
        ...

    async def call_over(self, call: CallRecord) -> None:
        """Keep the record of a call on its caller's history. A repeat changes nothing. Raises Busy."""
        ...

    async def transcribed(self, message: int, key: str, words: str, by: str) -> None:
        """What a machine wrote down of the sound `key` of a message; shown as such. Raises NotFound, Busy."""
        ...

    async def raw(self, channel: str, ref: str, data: bytes, why: str) -> int:
        """Keep raw bytes without a ticket (empty SMS, confidential text, orphan report), readable by no role."""
        ...


@dataclass(frozen=True, slots=True)
class Gear:
    """What wiring hands a channel when it is made."""

    name: str
    lines: Mapping[str, Any]  #: the channel's checked settings by line name
    say: Say
    folder: str  #: the channel's own folder on disk (spools, caches), made for it
    reactor: Any = None  #: Twisted's, running as guest
    clock: Clock | None = None
    agency: Mapping[str, Any] = field(default_factory=dict)  #: name, portal URL, zone
    extra: Mapping[str, Any] = field(default_factory=dict)


class Say(Protocol):
    """Words by key. `say("sms.received", "fa", code=…)`; an unknown key is a fault of the program."""

    def __call__(self, key: str, lang: str, /, **facts: Any) -> str: ...


class Clock(Protocol):
    """Wall clock in ms UTC and a monotonic one in seconds; tests set it by hand."""

    def now(self) -> int: ...

    def monotonic(self) -> float: ...


class Channel(Protocol):
    """What a channel offers."""

    name: str
    can_send: bool

    async def start(self, door: Door) -> None:
        """Open sockets, start polling. Raises with a sentence naming the setting when it cannot."""
        ...

    async def stop(self, drain: float) -> None:
        """Take nothing new, finish what runs within `drain` seconds, close."""
        ...

    async def send(self, message: Outbound) -> Outcome:
        """Try once. Never called inside a transaction. Cancelled only when the process stops."""
        ...


@runtime_checkable
class Hooked(Protocol):
    """Optional: a channel whose provider calls us over HTTP."""

    async def hook(self, line: str, secret: str, request: RawRequest) -> RawReply: ...


@dataclass(frozen=True, slots=True)
class RawRequest:
    """An HTTP call-back as it came: everything a provider may hide its fields in."""

    method: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    peer: str


@dataclass(frozen=True, slots=True)
class RawReply:
    """What the provider gets back."""

    status: int
    body: bytes = b"OK"
    headers: Mapping[str, str] = field(default_factory=dict)


@runtime_checkable
class Rereading(Protocol):
    """Optional: a channel that can read an original again that was kept."""

    async def reread(self, line: str | None, raw: bytes) -> Inbound:
        """As it is read now, its files kept; `unreadable` when it still is. Raises Busy."""
        ...


@dataclass(frozen=True, slots=True)
class Measure:
    """What sending a text would take: parts and characters left in the last, before an operator sends it."""

    coding: str
    units: int
    parts: int
    left: int
    cost: int = 0  #: rial, where the line's price is known
    cut: bool = False  #: longer than may go: the rest is on the portal only


@dataclass(frozen=True, slots=True)
class LineView:
    """How one of a channel's lines stands, for screens and commands. `ways`: a row for each provider."""

    name: str
    number: str
    kind: str
    paused: str  #: why it was paused by hand, '' when it is not
    spent: Mapping[str, int]  #: parts, rial, auto_parts, auto_rial of today
    limits: Mapping[str, int]  #: parts, rial of a day; 0 = none
    ways: Sequence[Mapping[str, Any]]  #: name, link, why, credit, paused_for, open_for (seconds), facts


@runtime_checkable
class Lined(Protocol):
    """Optional: a channel whose lines can be looked at and paused."""

    async def lines(self) -> Sequence[LineView]: ...

    async def pause(self, line: str, why: str) -> None:
        """Send nothing by it till `resume`; texts wait. Raises NotFound."""
        ...

    async def resume(self, line: str) -> None:
        """Send again, and forget what was wrong with its ways. Raises NotFound."""
        ...


@dataclass(frozen=True, slots=True)
class WayIn:
    """How one way in stands, for screens."""

    name: str
    kind: str  #: smtp, lmtp, imap
    place: str  #: address and port, path of a socket, or a mailbox
    state: str  #: up, starting, down
    why: str  #: what is wrong, '' when nothing is
    facts: Mapping[str, int]  #: connections, letters, stuck


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of trying one direction of a line, `in` or `out`; `why` is '' when it went well."""

    way: str
    why: str


@runtime_checkable
class Tried(Protocol):
    """Optional: a channel whose ways in can be looked at and tried."""

    def ways_in(self) -> Sequence[WayIn]: ...

    def hands(self) -> Mapping[str, int]:
        """Its parser workers: `alive`, letters `waiting`, `deaths` since the start."""
        ...

    async def trial(self, line: str) -> Sequence[Trial]:
        """Try a line; nothing is sent. Raises NotFound."""
        ...


@runtime_checkable
class Measuring(Protocol):
    """Optional: a channel whose texts come in parts."""

    def measure(self, text: str, facts: Mapping[str, Any] | None = None, lang: str = "fa") -> Measure:
        """Of `text` as it is; with `facts` (unit, code) framed as an answer."""
        ...


__all__ = [
    "Act", "Answer", "Asker", "Asks", "Auto", "CallRecord", "Channel", "Clock", "Contact", "ContactKind",
    "DeliveryState", "Door", "Drawer", "Facts", "Gear", "Heard", "Hint", "HintKind", "Hooked", "Inbound",
    "KeptFile", "Kind", "LineView", "Lined", "Measure", "Measuring", "Note", "Outbound", "Outcome", "Purpose",
    "Question", "RawReply", "RawRequest", "Receipt", "Refused", "Rereading", "Returned", "Say", "Sent", "State",
    "Trial", "Tried", "Trust", "TryLater", "Unknown", "Verdict", "WayIn", "Words",
]  # fmt: skip
