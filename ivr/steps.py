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
    variant: str = ""  #: a recorded prompt KEY.VARIANT wins: a unit's own greeting


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


@dataclass(frozen=True, slots=True)
class Done:
    """Text, CallBack or Publish was done; `Failed` says that it was not."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the caller stands in the queue, from 1, and about how many minutes are left (None: nobody knows)."""

    place: int
    minutes: int | None = None


@dataclass(frozen=True, slots=True)
class Connected:
    """An operator or a unit is on the line: no key counts until `Parted`. `recorded`: the caller is told so first."""

    recorded: bool = False


@dataclass(frozen=True, slots=True)
class Parted:
    """Queue or Connect has come to its end. `way` of a queue: served, over, closed; of a connect: done, busy, away."""

    way: str


Event = (
    Started | Key | Quiet | PlayedOut | Recorded | Found | Taken | Failed | Done | Place | Connected | Parted | Ended
)

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
    prompt: bool = False  #: a sentence of the menus, spoken by staff: no message, never a ticket


@dataclass(frozen=True, slots=True)
class StopRecord:
    pass


@dataclass(frozen=True, slots=True)
class Look:
    """Ask the door: `what` = answer (code, pin), unit and card (key), mine (no key), permit (key)."""

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


@dataclass(frozen=True, slots=True)
class Text:
    """Send something by SMS to the asserted caller: `what` = answer (`key` a code), unit (`key` a slug).

    Comes back as Done, or Failed(no_mobile, busy, refused)."""

    what: str
    key: str
    pin: str | None = None


@dataclass(frozen=True, slots=True)
class Publish:
    """Make the recording at `path` the prompt `text` in `lang`, by the right of `permit`. Done or Failed."""

    text: str
    lang: str
    path: str
    permit: str


@dataclass(frozen=True, slots=True)
class Queue:
    """Wait for an operator of the queue `name`; Place on joining and change, Connected, at the end Parted.

    `unit` and `kind` are what the caller chose on the way, for the operator's pop-up."""

    name: str
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Leave:
    """Out of the queue; no Parted follows."""


@dataclass(frozen=True, slots=True)
class CallBack:
    """Out of the queue, but the place is kept: whoever's turn it would be calls the asserted number. Done or Failed."""

    name: str


@dataclass(frozen=True, slots=True)
class Connect:
    """Ring `to` (a unit's slug, or a number of the house) and bridge; Connected, then Parted(done, busy, away)."""

    to: str


Deed = (
    Say | Hush | Wait | Record | StopRecord | Look | Take | Text | Publish | Queue | Leave | CallBack | Connect | Hangup
)
