"""What goes into the media plane and what comes out: plain values, so that the plane may be a process of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ivr.leg import Run
from ivr.media.reception import Quality

Law = Literal["pcma", "pcmu"]


@dataclass(frozen=True, slots=True)
class Media:
    """The agreed media of a call. `row` is drawn by the caller of `Plane.add` and names it ever after."""

    row: int
    law: Law
    peer: tuple[str, int] | None  #: where the SDP says to send; None = nowhere yet
    event_type: int | None  #: payload type of telephone-event, None = not offered
    port: int  #: our RTP port, from `Ports`
    sending: bool = True
    receiving: bool = True
    quiet_limit: float = 30.0  #: seconds without a packet, not on hold, till Lost
    sought: bool = True  #: anybody who sends in sequence may be the source; False: only `peer` (a shared port)
    mux: bool = False  #: RTCP goes by the RTP port (a=rtcp-mux), else by the one above


# ---- commands


@dataclass(frozen=True, slots=True)
class Add:
    media: Media


@dataclass(frozen=True, slots=True)
class Change:
    """New address, codec or direction by re-INVITE or UPDATE; the source may latch anew."""

    media: Media


@dataclass(frozen=True, slots=True)
class Play:
    """Say `runs` after what is being said. `again`: over and over, until a Hush or the next Play (music)."""

    row: int
    play: int
    runs: Sequence[Run]
    again: bool = False


@dataclass(frozen=True, slots=True)
class Hush:
    row: int


@dataclass(frozen=True, slots=True)
class Record:
    row: int
    path: str
    most: float
    silence: float
    ends: str


@dataclass(frozen=True, slots=True)
class EndRecord:
    row: int
    why: str = "stopped"


@dataclass(frozen=True, slots=True)
class SendKeys:
    """Send digits as telephone-events, 100 ms each with 60 ms between (the phone that calls)."""

    row: int
    keys: str


@dataclass(frozen=True, slots=True)
class Bridge:
    """The two hear each other, and keys of either are passed on; what else they heard ends."""

    row: int
    other: int


@dataclass(frozen=True, slots=True)
class Listen:
    """`row` hears both of a bridge (`to` and the one it is bridged to); with `whisper`, `to` alone hears `row`."""

    row: int
    to: int
    whisper: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """`row` hears nobody any more, and nobody hears it."""

    row: int


@dataclass(frozen=True, slots=True)
class RecordPair:
    """Record a bridge in stereo, `other` left and `row` right; EndRecord or the end of either ends it.

    The Recorded is about `row`.
    """

    row: int
    other: int
    path: str
    most: float


@dataclass(frozen=True, slots=True)
class Disguise:
    """From now on (or no longer) the voice of `row` is changed, before anybody hears or records it."""

    row: int
    on: bool = True


@dataclass(frozen=True, slots=True)
class Drop:
    row: int
    why: str = "us"


Command = (
    Add | Change | Play | Hush | Record | EndRecord | SendKeys | Drop | Bridge | Listen | Part | RecordPair | Disguise
)

# ---- events


@dataclass(frozen=True, slots=True)
class KeySeen:
    row: int
    key: str


@dataclass(frozen=True, slots=True)
class RunsOut:
    row: int
    play: int


@dataclass(frozen=True, slots=True)
class Recorded:
    """Spooled, flushed and fsynced at `path`."""

    row: int
    why: str
    seconds: float
    path: str


@dataclass(frozen=True, slots=True)
class Lost:
    """No RTP for `quiet_limit` seconds."""

    row: int


@dataclass(frozen=True, slots=True)
class Dropped:
    """The row is gone, its port is free; counts of the call."""

    row: int
    sent: int
    received: int
    strangers: int
    late: int
    quality: Quality = field(default=Quality(), compare=False)


@dataclass(frozen=True, slots=True)
class Found:
    """Of a plane apart: the source of a sought row is known, so that its port may take others."""

    row: int
    source: tuple[str, int]


@dataclass(frozen=True, slots=True)
class Counted:
    """Of a plane apart: what `Plane.counts` says."""

    counts: Mapping[str, int]
    late_us: int


Event = KeySeen | RunsOut | Recorded | Lost | Dropped
