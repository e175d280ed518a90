"""One call in the plane besides its numbers in the matrix: who it hears, what it is to play, its keys and its tape."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from ivr.leg import Run
from ivr.media import dtmf, g711
from ivr.media.latch import Address, Latch
from ivr.media.messages import Law, Media, Record
from ivr.media.record import Reel, Spool
from ivr.media.tape import Tape

SPOOL_EACH = 1.0  # seconds of a recording between two writes


@dataclass(slots=True)
class Call:
    """`slot` is its line in the matrix."""

    media: Media
    slot: int
    latch: Latch
    ssrc: int
    hearing: dtmf.Hearing = field(default_factory=dtmf.Hearing)
    waiting: deque[tuple[Run, int | None]] = field(default_factory=deque)  #: runs, each last one with its play
    playing: tuple[Run, int | None] | None = None
    sound: bytes = b""  #: of `playing`, in the arena
    beats: deque[dtmf.Beat | None] = field(default_factory=deque)  #: keys being sent, one a tick
    tape: Tape | None = None
    reel: Reel | None = None
    spooled_at: float = 0.0
    sent: int = 0
    received: int = 0
    strangers: int = 0
    late: int = 0

    @property
    def target(self) -> Address | None:
        """Where packets go: the source once it is known, till then what the SDP says."""
        return self.latch.source or self.media.peer

    def queue(self, runs: list[Run], play: int) -> None:
        """Say these after what waits."""
        self.waiting.extend((run, None) for run in runs[:-1])
        self.waiting.append((runs[-1], play))

    # ---- recording

    def record(self, wanted: Record, spool: Spool, now: float) -> None:
        """Begin a tape; one that runs is stopped."""
        self.end_tape("stopped", spool)
        self.tape = Tape(self.media.law, wanted.most, wanted.silence, wanted.ends, now)
        self.reel = spool.open(wanted.row, wanted.path, self.media.law)
        self.spooled_at = now

    def speak(self, law: Law, timestamp: int, octets: bytes, now: float) -> None:
        """Sound of the caller: on the tape, in its law."""
        if self.tape is not None and self.media.receiving:
            same = self.tape.law == law
            heard = octets if same else g711.encode(self.tape.law, g711.decode(law, octets))
            self.tape.hear(timestamp, heard, now)

    def wind(self, spool: Spool, now: float) -> None:
        """Time passes for the tape: its limits, and once a second its octets to the spool."""
        if self.tape is None or self.reel is None:
            return
        if self.reel.broken:  # the spool has told of it
            self.tape = self.reel = None
            return
        self.tape.tick(now, paused=not self.media.receiving)
        if self.tape.why is not None:
            self.end_tape(self.tape.why, spool)
        elif now - self.spooled_at >= SPOOL_EACH:
            self.spooled_at = now
            spool.write(self.reel, self.tape.fresh())

    def end_tape(self, why: str, spool: Spool) -> None:
        """No more; the spool tells when all is on disk."""
        if self.tape is None or self.reel is None:
            return
        self.tape.end(why)
        spool.write(self.reel, self.tape.fresh())
        spool.end(self.reel, self.tape.octets, self.tape.why or why)
        self.tape = self.reel = None
