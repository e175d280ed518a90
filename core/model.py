"""The words and values every layer shares: kinds, states, ways, contact points. Frozen, stored as text."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a citizen's message is. Its default budget of days is data (config/settings.toml `[due]`)."""

    COMPLAINT = "complaint"
    CRITICISM = "criticism"
    REQUEST = "request"
    SUGGESTION = "suggestion"
    THANKS = "thanks"
    COMMENT = "comment"
    DATA = "data"


class State(StrEnum):
    """Where a ticket stands; the moves between states are `core.states.MOVES`."""

    HELD = "held"
    NEW = "new"
    OPEN = "open"
    ASKED = "asked"
    OUTSIDE = "outside"
    APPROVAL = "approval"
    ANSWERED = "answered"
    DISPUTED = "disputed"
    CLOSED = "closed"
    MERGED = "merged"
    JUNK = "junk"


class Way(StrEnum):
    """Direction of a message on a ticket."""

    IN = "in"
    OUT = "out"
    NOTE = "note"


class Purpose(StrEnum):
    """Why something is sent; decides lane, hours and how long it is worth sending."""

    RECEIPT = "receipt"
    ANSWER = "answer"
    STATE = "state"
    NOTICE = "notice"
    OTP = "otp"
    SURVEY = "survey"


class Scan(StrEnum):
    """What a virus scanner said of a file."""

    OFF = "off"  #: there is no scanner
    WAITING = "waiting"
    UNSCANNED = "unscanned"  #: it did not answer; it is asked again
    CLEAN = "clean"
    INFECTED = "infected"


HELD = frozenset({Scan.WAITING, Scan.UNSCANNED, Scan.INFECTED})  #: files nobody gets


class ContactKind(StrEnum):
    """A contact point: E.164 number (`+98…`), or mail address."""

    PHONE = "phone"
    MAIL = "mail"


@dataclass(frozen=True, slots=True)
class Contact:
    """One way to reach a person. `value` is E.164 for phones, the folded address for mail."""

    kind: ContactKind
    value: str
    proven: bool = False  #: did this message prove it (asserted caller, SMS sender, aligned mail)?


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A file already kept: `key` is what `Door.keep` returned."""

    key: str
    name: str
    type: str  #: media type by content, e.g. audio/x-wav
    size: int  #: octets of the plain content
    seconds: float | None = None  #: length, where it is sound
    scan: Scan | None = None  #: None: it came by a way that is not scanned

    @property
    def held(self) -> bool:
        """Is it kept from everybody, since it is not known to be clean?"""
        return self.scan in HELD
