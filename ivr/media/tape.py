"""What a caller says, put in order by RTP timestamp, and when that ends. Pure: frames and the time in, octets out."""

from __future__ import annotations

import numpy as np

from ivr.media.g711 import LINEAR, RATE, SILENCE
from ivr.media.messages import Law

JUMP = 10 * RATE  # timestamp units; a longer gap is a new beginning, not silence to be filled
BACK = RATE  # a packet this much too late is a late one; further back is a new beginning
HELD = 3  # frames kept back for reordering
LOUD = 400  # of 32768; a sample above it is sound
LOUD_SHARE = 0.1  # of a frame's samples above LOUD make it loud
TAIL = 480  # octets (60 ms) cut before a key: the tone that a gateway lets through before it notices
HALF, WRAP = 1 << 31, 1 << 32

_QUIET_CODES = {law: bytes(np.flatnonzero(np.abs(LINEAR[law].astype(int)) <= LOUD).astype(np.uint8)) for law in LINEAR}


class Tape:
    """One recording. Feed it audio packets and ticks; take out octets to spool; `why` is set when it has ended.

    `octets` counts what the recording is long, spooled or not; gaps are in it as silence.
    """

    def __init__(self, law: Law, most: float, silence: float, ends: str, now: float) -> None:
        self.law = law
        self.ends = ends
        self.octets = 0
        self.why: str | None = None
        self._most = most
        self._silence = silence
        self._began = self._loud_at = self._ticked = now
        self._next: int | None = None  # timestamp of the next octet
        self._held: list[tuple[int, bytes]] = []
        self._fresh = bytearray()

    def hear(self, timestamp: int, payload: bytes, now: float) -> None:
        """One audio packet. Doubles and late ones are dropped."""
        if self.why or not payload:
            return
        if len(payload.translate(None, _QUIET_CODES[self.law])) >= LOUD_SHARE * len(payload):
            self._loud_at = now
        if not self._held and timestamp == self._next:
            self._put(payload)
            self._next = (timestamp + len(payload)) % WRAP
            return
        if any(timestamp == held for held, _ in self._held):
            return
        if self._held and not -BACK <= _ahead(timestamp, self._held[-1][0]) <= JUMP:
            self._flush()  # a new beginning: what is held belongs before it
        self._held.append((timestamp, payload))
        if len(self._held) > HELD:
            self._write(self._held.pop(self._earliest()))
            while self._held and self._held[at := self._earliest()][0] == self._next:
                self._write(self._held.pop(at))

    def tick(self, now: float, paused: bool = False) -> None:
        """Time passes, packets or not; on hold it does not count."""
        if paused:
            self._began += now - self._ticked
            self._loud_at += now - self._ticked
        self._ticked = now
        if self.why is None and max(now - self._began, self.octets / RATE) >= self._most:
            self.end("full")
        elif self.why is None and now - self._loud_at >= self._silence:
            self.end("silence")

    def key(self, key: str, timestamp: int) -> None:
        """A key of `ends` ends the recording and is cut off, from its start as the sender stamped it."""
        if self.why is None and key in self.ends:
            self.end("key")
            back = TAIL if self._next is None else TAIL + max(0, _ahead(self._next, timestamp))
            self._cut(min(self.octets, back))

    def end(self, why: str) -> None:
        """No more; what was held back for reordering is written."""
        self._flush()
        self._cut(max(0, self.octets - int(self._most * RATE)))
        self.why = self.why or why

    def fresh(self) -> bytes:
        """Octets since the last call. After a cut, `octets` may be less than all that came out: cut the file too."""
        out, self._fresh = bytes(self._fresh), bytearray()
        return out

    def _flush(self) -> None:
        while self._held:
            self._write(self._held.pop(self._earliest()))

    def _earliest(self) -> int:
        first = self._held[0][0]
        return min(range(len(self._held)), key=lambda at: _ahead(self._held[at][0], first))

    def _write(self, packet: tuple[int, bytes]) -> None:
        timestamp, payload = packet
        gap = 0 if self._next is None else _ahead(timestamp, self._next)
        if -BACK <= gap < 0:
            return
        if 0 < gap <= JUMP:
            gap = min(gap, max(0, int(self._most * RATE) - self.octets))
            self._put(bytes([SILENCE[self.law]]) * gap)
        self._put(payload)
        self._next = (timestamp + len(payload)) % WRAP

    def _put(self, octets: bytes) -> None:
        self._fresh += octets
        self.octets += len(octets)

    def _cut(self, octets: int) -> None:
        """Take `octets` off the end, and one more if need be: WAV chunks are even."""
        octets += (self.octets - octets) % 2
        self.octets -= octets
        if octets and self._fresh:
            del self._fresh[max(0, len(self._fresh) - octets) :]


def _ahead(a: int, b: int) -> int:
    """How far timestamp `a` lies after `b`, negative before it, round the 32-bit wrap."""
    return (a - b + HALF) % WRAP - HALF
