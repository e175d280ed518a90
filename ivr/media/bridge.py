"""Sound from one call to another: a short buffer a pair, the law turned by table, several sources mixed. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ivr.leg import FRAME
from ivr.media import g711
from ivr.media.messages import Law

MOST = 3 * FRAME  # octets (60 ms) that wait at most
KEPT = 2 * FRAME  # and what is kept of more
WRAP, HALF = 1 << 32, 1 << 31
_LAWS: tuple[Law, Law] = ("pcma", "pcmu")
_TURN: Mapping[tuple[Law, Law], bytes] = {
    (law, other): g711.encode(other, g711.decode(law, bytes(range(256)))) for law in _LAWS for other in _LAWS
}


class Buffer:
    """What one call says, on its way to one who hears it: at most 60 ms, in order.

    It starts with the first frame. A frame too late is waited for no longer (the listener hears silence), so that the
    buffer grows by as much as the network is uneven; what grows beyond 60 ms is cut off its old end.
    """

    def __init__(self) -> None:
        self.law: Law = "pcma"
        self.dropped = 0  #: octets cut off
        self._waiting = bytearray()
        self._next: int | None = None  # timestamp of the next octet

    def push(self, law: Law, timestamp: int, octets: bytes) -> None:
        """A packet of the source, in whatever order."""
        if law != self.law:
            self._waiting = bytearray(turned(self.law, law, bytes(self._waiting)))
            self.law = law
        ahead = 0 if self._next is None else (timestamp - self._next + HALF) % WRAP - HALF
        if -MOST <= ahead < 0:
            self._fill_in(len(self._waiting) + ahead, octets)
            return
        if 0 < ahead <= MOST:
            self._waiting += bytes([g711.SILENCE[law]]) * ahead
        self._waiting += octets
        self._next = (timestamp + len(octets)) % WRAP
        if len(self._waiting) > MOST:
            self.dropped += len(self._waiting) - KEPT
            del self._waiting[:-KEPT]

    def pop(self) -> bytes | None:
        """The next 20 ms in `law`; None when they are not there."""
        if len(self._waiting) < FRAME:
            return None
        frame = bytes(self._waiting[:FRAME])
        del self._waiting[:FRAME]
        return frame

    def _fill_in(self, at: int, octets: bytes) -> None:
        """One that was overtaken takes its place, if that was not heard yet."""
        if at >= 0:
            self._waiting[at : at + len(octets)] = octets


def turned(law: Law, to: Law, octets: bytes) -> bytes:
    """The same sound in the other law."""
    return octets if law == to else octets.translate(_TURN[law, to])


def mixed(law: Law, sounds: Sequence[tuple[Law, bytes]]) -> bytes | None:
    """One frame of all that is said, in `law`; None: nobody says anything."""
    if not sounds:
        return None
    if len(sounds) == 1:
        return turned(sounds[0][0], law, sounds[0][1])
    total = np.sum([g711.decode(one, octets).astype(np.int32) for one, octets in sounds], axis=0)
    return g711.encode(law, np.clip(total, -32768, 32767).astype(np.int16))


class Duet:
    """Two calls that speak with each other as stereo: the caller left, the operator right, A-law, a tick at a time."""

    def __init__(self, most: float) -> None:
        self.octets = 0  #: of both channels
        self._most = int(most * g711.RATE) * 2
        self._fresh = bytearray()

    def hear(self, left: tuple[Law, bytes] | None, right: tuple[Law, bytes] | None) -> None:
        """20 ms of each as the other heard it; None is silence."""
        both = bytearray(2 * FRAME)
        both[0::2], both[1::2] = _channel(left), _channel(right)
        self._fresh += both
        self.octets += len(both)

    @property
    def full(self) -> bool:
        return self.octets >= self._most

    def fresh(self) -> bytes:
        """Octets since the last call."""
        out, self._fresh = bytes(self._fresh), bytearray()
        return out


def _channel(sound: tuple[Law, bytes] | None) -> bytes:
    return bytes([g711.SILENCE["pcma"]]) * FRAME if sound is None else turned(sound[0], "pcma", sound[1])
