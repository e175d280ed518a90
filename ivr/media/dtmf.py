"""Keys as telephone-events (RFC 4733), heard and sent. Pure: packets in, keys out."""

from __future__ import annotations

import struct
from collections import deque
from dataclasses import dataclass

KEYS = "0123456789*#ABCD"  # events 0 to 15, RFC 4733 s 3.2
LINK = 320  # timestamp units (40 ms) after the known end within which an unfinished event goes on
REMEMBERED = 32  # (timestamp, event) pairs kept, against repeats that come late
DOWN, UP = 5, 3  # ticks a sent key is held, and between two (100 ms, 60 ms)
VOLUME = 10  # -10 dBm0
WRAP = 1 << 32


class Hearing:
    """What one call's telephone-events amount to: each key once, whatever is lost, doubled or late.

    A new (timestamp, event) is a key at its first packet, marker or not. The same event, not seen to end, whose
    timestamp lies at the end known so far or less than 40 ms on, is the same key in its next segment (s 2.5.1.3).
    """

    def __init__(self) -> None:
        self._seen: deque[tuple[int, int]] = deque(maxlen=REMEMBERED)
        self._event = -1
        self._end = 0
        self._ended = True
        self._at = 0

    def key(self, timestamp: int, payload: bytes) -> str | None:
        """The key that this packet opens, else None (a repeat, an end, a segment, not a key)."""
        if len(payload) < 4 or payload[0] >= len(KEYS):
            return None
        event, ended = payload[0], bool(payload[1] & 0x80)
        duration = int.from_bytes(payload[2:4], "big")
        known = (timestamp, event) in self._seen
        more = not known and self._goes_on(timestamp, event)
        if not known:
            self._seen.append((timestamp, event))
        if more or not known or (timestamp, event) == (self._at, self._event):
            self._note(timestamp, event, duration, ended, fresh=not known)
        return None if known or more else KEYS[event]

    def _goes_on(self, timestamp: int, event: int) -> bool:
        if event != self._event or self._ended:
            return False
        ahead = (timestamp - self._at) % WRAP
        return ahead < (self._end - self._at) % WRAP + LINK

    def _note(self, timestamp: int, event: int, duration: int, ended: bool, fresh: bool) -> None:
        if fresh and self._event >= 0 and (timestamp - self._at) % WRAP >= WRAP // 2:
            return  # an older key that came late: heard, but the newest one stays the open one
        end = (timestamp + duration) % WRAP
        if fresh or (end - self._end) % WRAP < WRAP // 2:
            self._end = end
        self._ended = ended if fresh else self._ended or ended
        self._at, self._event = timestamp, event


@dataclass(frozen=True, slots=True)
class Beat:
    """One tick of a key being sent: its payload, how far past the key's start it is, and if it opens it."""

    payload: bytes
    ticks_in: int
    opens: bool


def beats(keys: str) -> list[Beat | None]:
    """A tick each: five packets of growing duration, the last with E and twice more (s 2.5.1.4), then the gap.

    None is a tick of plain sound. Raises ValueError for what is no key.
    """
    script: list[Beat | None] = []
    for key in keys:
        event = KEYS.index(key)
        for tick in range(DOWN + 2):
            ended = tick >= DOWN - 1
            payload = struct.pack("!BBH", event, VOLUME | 0x80 * ended, 160 * min(tick + 1, DOWN))
            script.append(Beat(payload, tick, tick == 0))
        script.extend([None] * (UP - 2))
    return script
