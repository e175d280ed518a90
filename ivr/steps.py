"""The walk's vocabulary: what happens to a caller (events) and what is to be done about it (deeds). Values only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Item:
    """Something to say: a text key of `ivr.*` with its facts, or an already recorded voice by file key."""

    key: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    voice: str | None = None  #: key of a kept recording to play as it is
    words: str | None = None  #: an operator's own words, read out by the speech voice


# ---- events


@dataclass(frozen=True, slots=True)
class Started:
    line: str
    number: str | None
    asserted: bool
    called: str


@dataclass(frozen=True, slots=True)
class Key:
    key: str


@dataclass(frozen=True, slots=True)
class Quiet:
    """The time of the last Wait ran out."""


@dataclass(frozen=True, slots=True)
class PlayedOut:
    """Everything said so far has been heard."""


@dataclass(frozen=True, slots=True)
class Recorded:
    why: str
    seconds: float
    path: str


@dataclass(frozen=True, slots=True)
class Found:
    """Answer to Look. `exit`: found, none, locked, busy; `facts` for the sentences that follow."""

    exit: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    items: Sequence[Item] = ()  #: the contents to be read out


@dataclass(frozen=True, slots=True)
class Taken:
    """The message is on disk; now the code may be spoken."""

    code: str
    pin: str
    unit: str
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Failed:
    """Take or Record could not be done: busy, disk, refused."""

    why: str


@dataclass(frozen=True, slots=True)
class Ended:
    why: str


Event = Started | Key | Quiet | PlayedOut | Recorded | Found | Taken | Failed | Ended

# ---- deeds


@dataclass(frozen=True, slots=True)
class Say:
    """Say in order. `barge`: a key stops it."""

    items: Sequence[Item]
    barge: bool = True
    lang: str = "fa"


@dataclass(frozen=True, slots=True)
class Hush:
    """Stop what is being said."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Quiet after this many seconds without a key, counted from PlayedOut; a new Wait replaces the last."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Record:
    most: float
    silence: float
    ends: str = "#"


@dataclass(frozen=True, slots=True)
class StopRecord:
    pass


@dataclass(frozen=True, slots=True)
class Look:
    """Ask the door: `what` = answer (code, pin), unit (key)."""

    what: str
    key: str
    pin: str | None = None


@dataclass(frozen=True, slots=True)
class Take:
    """Hand the recording at `path` (or, without one, only the act) to the door."""

    act: str
    kind: str | None
    path: str | None
    seconds: float
    unit: str | None = None
    code: str | None = None
    pin: str | None = None
    lang: str = "fa"
    step: int = 0  #: part of Inbound.ref: a retry is one ticket


@dataclass(frozen=True, slots=True)
class Hangup:
    pass


Deed = Say | Hush | Wait | Record | StopRecord | Look | Take | Hangup
