"""One call as the walk's runner sees it, whoever carries it: SIP line, PBX extension, simulator, test. Values only."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

FRAME = 160  # octets of G.711 in 20 ms at 8 kHz


@dataclass(frozen=True, slots=True)
class Run:
    """A prompt framed once in both laws: whole 20 ms frames, `FRAME` octets each."""

    pcma: bytes
    pcmu: bytes

    @property
    def seconds(self) -> float:
        return len(self.pcma) / 8000


@dataclass(frozen=True, slots=True)
class Pressed:
    """A key, once, however often its packets came. 0-9 * # A-D."""

    key: str


@dataclass(frozen=True, slots=True)
class PlayedOut:
    """The runs of `play` number `play` are all sent (not when stopped)."""

    play: int


@dataclass(frozen=True, slots=True)
class RecordEnded:
    """A recording stopped. `why`: key, silence, full, stopped, hung_up, disk. Everything is in the spool by now."""

    why: str
    seconds: float
    path: str


@dataclass(frozen=True, slots=True)
class HungUp:
    """The call is over; nothing follows. `why`: caller, us, no_ack, no_media, too_long, expired, drain."""

    why: str


LegEvent = Pressed | PlayedOut | RecordEnded | HungUp


class Leg(Protocol):
    """A call that can be heard and spoken to."""

    id: str  #: random, 32 hex; part of Inbound.ref
    number: str | None  #: caller's number in E.164, None when withheld or too short
    asserted: bool  #: the peer vouches for it; else it is a claim and proves nothing
    called: str  #: what was dialled
    line: str

    def events(self) -> AsyncIterator[LegEvent]:
        """Everything that happens, ending after HungUp."""
        ...

    async def answer(self) -> bool:
        """Send the 200 and wait for the ACK; False when the caller is gone."""
        ...

    def play(self, runs: Sequence[Run]) -> int:
        """Say these after what is being said; returns the number PlayedOut will carry."""
        ...

    def stop(self) -> None:
        """Fall silent within two ticks."""
        ...

    def record(self, path: str, most: float, silence: float, ends: str = "#") -> None:
        """Spool what the caller says to `path` (G.711 WAV) until `most` seconds, `silence` seconds of quiet, a key
        of `ends` (its tail is cut) or hang-up; then RecordEnded."""
        ...

    def stop_record(self) -> None: ...

    def hang_up(self) -> None: ...
