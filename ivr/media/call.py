"""One call in the plane besides its numbers in the table: who it hears, what it is to play, its keys, its recording."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from ivr.leg import Run
from ivr.media import dtmf, tones
from ivr.media.bridge import Buffer, Duet, turned
from ivr.media.disguise import Mask
from ivr.media.latch import Address, Latch
from ivr.media.messages import Law, Media, Record, RecordPair
from ivr.media.record import Reel, Spool
from ivr.media.rtcp import Far
from ivr.media.tape import Tape

SPOOL_EACH = 1.0  # seconds of a recording between two writes


@dataclass(slots=True, eq=False)
class Call:
    """`slot` is its line in the table."""

    media: Media
    latch: Latch
    ssrc: int
    slot: int = -1
    stream: int | None = None  #: SSRC that its tally counts
    hearing: dtmf.Hearing = field(default_factory=dtmf.Hearing)
    tones: tones.Ear | None = None  #: where no telephone-event was offered
    unheard: bytearray = field(default_factory=bytearray)  #: sound not yet given to `tones`
    heard_to: int = 0  #: timestamp at its end
    waiting: deque[tuple[Run, int | None]] = field(default_factory=deque)  #: runs, each last one with its play
    playing: tuple[Run, int | None] | None = None
    again: list[Run] = field(default_factory=list)  #: music: what is said when nothing waits
    sound: bytes = b""  #: of `playing`, in the arena
    beats: deque[dtmf.Beat | None] = field(default_factory=deque)  #: keys being sent, one a tick
    key_at: int = 0  #: timestamp of the one being sent
    sources: dict[int, Buffer] = field(default_factory=dict)  #: whom it hears, by row
    listeners: list[Call] = field(default_factory=list)  #: who hears it
    mate: int | None = None  #: row at the other end of a bridge
    mask: Mask | None = None
    tape: Tape | None = None
    duet: Duet | None = None
    reel: Reel | None = None
    spooled_at: float = 0.0
    strangers: int = 0
    late: int = 0
    far: Far = field(default_factory=Far)

    @property
    def target(self) -> Address | None:
        """Where packets go: the source once it is known, till then what the SDP says."""
        return self.latch.source or self.media.peer

    @property
    def watched_closely(self) -> bool:
        """Does anybody want each of its frames?"""
        return bool(self.tape or self.listeners or self.tones)

    def queue(self, runs: list[Run], play: int) -> None:
        """Say these after what waits."""
        self.waiting.extend((run, None) for run in runs[:-1])
        self.waiting.append((runs[-1], play))

    # ---- other calls

    def speak(self, law: Law, timestamp: int, octets: bytes, now: float) -> None:
        """Sound of the caller: to all who hear it, and on the tape."""
        if not self.media.receiving:
            return
        if self.mask is not None:
            octets = self.mask.wear(law, octets)
        for listener in self.listeners:
            listener.sources[self.media.row].push(law, timestamp, octets)
        if self.tape is not None:
            self.tape.hear(timestamp, turned(law, self.tape.law, octets), now)

    def hear(self, other: Call) -> None:
        """From now on it hears `other` too."""
        if other.media.row not in self.sources:
            self.sources[other.media.row] = Buffer()
            other.listeners.append(self)

    def part(self) -> list[Call]:
        """Hear nobody, be heard by nobody; returns whom that concerned."""
        for listener in self.listeners:
            listener.sources.pop(self.media.row, None)
        concerned, self.listeners, self.sources, self.mate = self.listeners, [], {}, None
        for other in concerned:
            if other.mate == self.media.row:
                other.mate = None
        return concerned

    # ---- recording

    def record(self, wanted: Record, spool: Spool, now: float) -> None:
        """Begin a tape; one that runs is stopped."""
        self.end_tape("stopped", spool)
        self.tape = Tape(self.media.law, wanted.most, wanted.silence, wanted.ends, now)
        self.reel = spool.open(wanted.row, wanted.path, self.media.law)
        self.spooled_at = now

    def record_pair(self, wanted: RecordPair, spool: Spool, now: float) -> None:
        """Begin to record a bridge."""
        self.end_tape("stopped", spool)
        self.duet = Duet(wanted.most)
        self.reel = spool.open(wanted.row, wanted.path, "pcma", channels=2)
        self.spooled_at = now

    def wind(self, spool: Spool, now: float) -> None:
        """Time passes for the recording: its limits, and once a second its octets to the spool."""
        roll = self.tape or self.duet
        if roll is None or self.reel is None:
            return
        if self.reel.broken:  # the spool has told of it
            self.tape = self.duet = self.reel = None
            return
        if self.tape is not None:
            self.tape.tick(now, paused=not self.media.receiving)
        why = self.tape.why if self.tape is not None else "full" if self.duet is not None and self.duet.full else None
        if why is not None:
            self.end_tape(why, spool)
        elif now - self.spooled_at >= SPOOL_EACH:
            self.spooled_at = now
            spool.write(self.reel, roll.fresh())

    def end_tape(self, why: str, spool: Spool) -> None:
        """No more; the spool tells when all is on disk."""
        roll = self.tape or self.duet
        if roll is None or self.reel is None:
            return
        if self.tape is not None:
            self.tape.end(why)
            why = self.tape.why or why
        spool.write(self.reel, roll.fresh())
        spool.end(self.reel, roll.octets, why)
        self.tape = self.duet = self.reel = None
