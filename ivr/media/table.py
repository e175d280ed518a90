"""All calls as rows of arrays: the packet each one sends next, its numbers, what came of its stream, who is who."""

from __future__ import annotations

import secrets
from typing import Any

import numpy as np
import numpy.typing as npt

from ivr.media import packet
from ivr.media.call import Call
from ivr.media.latch import Address
from ivr.media.packet import PACKET
from ivr.media.reception import TALLY
from ivr.media.wire import Numbers, Wire, key_of

FIRST_SLOTS = 64
STATE = np.dtype([
    ("on", "?"),  # packets go out
    ("busy", "?"),  # a run is being played
    ("keying", "?"),  # telephone-events go out in place of sound
    ("mark", "?"),  # the next packet follows a gap
    ("watched", "?"),  # silence of the peer counts
    ("known", "?"),  # the source is fixed
    ("closely", "?"),  # somebody looks at each frame of it: a tape, a listener, an ear for tones
    ("type", "u1"),
    ("port", "u2"),
    ("quiet", "i4"),  # arena frame of silence in its law
    ("pos", "i4"), ("end", "i4"),  # arena frames of the run
    ("seq", "u2"), ("ts", "u4"),
    ("theirs", "u4"),  # SSRC of the source
    ("sent", "u4"),
    ("heard", "f8"), ("limit", "f8"),  # seconds: last packet, longest silence
    ("report", "f8"),  # when the next RTCP report is due
])  # fmt: skip


class Table:
    """Rows by slot. Whoever changes `on` or `port` of a row says `changed`."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.calls: dict[int, Call] = {}
        self.slots: list[Call | None] = []
        self.packets: npt.NDArray[Any] = np.zeros(0, PACKET)
        self.state: npt.NDArray[Any] = np.zeros(0, STATE)
        self.tally: npt.NDArray[Any] = np.zeros(0, TALLY)
        self.on_port: dict[int, list[Call]] = {}
        self._keys: dict[int, Call] = {}
        self._order: Numbers | None = None
        self._index: tuple[Any, Any] | None = None
        self._kept_open: set[int] = set()
        self._room(FIRST_SLOTS)

    def seat(self, call: Call) -> None:
        """A row for a new call. Raises OSError when its port cannot be had."""
        self._enter(call)
        if None not in self.slots:
            self._room(2 * len(self.slots))
        slot = call.slot = self.slots.index(None)
        self.slots[slot] = self.calls[call.media.row] = call
        self.state[slot], self.tally[slot] = np.zeros((), STATE), np.zeros((), TALLY)
        self.state["seq"][slot], self.state["ts"][slot] = secrets.randbits(16), secrets.randbits(32)
        self.packets["ssrc"][slot] = call.ssrc
        self.state["mark"][slot] = True

    def leave(self, call: Call) -> None:
        """The row is free, and its port where nobody else is on it."""
        del self.calls[call.media.row]
        self.slots[call.slot] = None
        self.state[call.slot] = np.zeros((), STATE)
        self._exit(call)
        self.changed()

    def move(self, call: Call, port: int) -> None:
        """From `port`, its new one, to another. Raises OSError; it has no port then."""
        self._exit(call, port)
        self._enter(call)

    def aim(self, call: Call) -> None:
        """Send to where it is now known to be, and know its packets by their source."""
        for key in [key for key, other in self._keys.items() if other is call]:
            del self._keys[key]
        target = call.latch.source or call.latch.announced
        if target is not None:
            self._keys[key_of(call.media.port, target)] = call
            self.wire.aim(call.slot, call.media.port, target)
        self.state["port"][call.slot] = call.media.port
        self.changed()

    def changed(self) -> None:
        self._order = self._index = None

    def order(self) -> Numbers:
        """Slots that send, by port."""
        if self._order is None:
            on = np.flatnonzero(self.state["on"])
            self._order = on[np.argsort(self.state["port"][on], kind="stable")]
        return self._order

    def find(self, keys: npt.NDArray[np.uint64]) -> Numbers:
        """The slot that each key of `ivr.media.wire.key_of` belongs to, -1 for strangers."""
        if self._index is None:
            known = np.array(sorted(self._keys), np.uint64)
            self._index = known, np.array([self._keys[int(key)].slot for key in known], np.intp)
        known, slots = self._index
        if not len(known):
            return np.full(len(keys), -1, np.intp)
        at = np.minimum(np.searchsorted(known, keys), len(known) - 1)
        return np.where(known[at] == keys, slots[at], -1)

    def of(self, port: int, source: Address) -> Call | None:
        """The call whose packets come to `port` from `source`."""
        return self._keys.get(key_of(port, source))

    # ---- inside

    def _enter(self, call: Call) -> None:
        port = call.media.port
        if port not in self.on_port and port not in self._kept_open:
            self.wire.open(port)
            if not call.media.sought:
                self._kept_open.add(port)  # a shared one: the next call on it comes soon
        self.on_port.setdefault(port, []).append(call)

    def _exit(self, call: Call, port: int | None = None) -> None:
        port = call.media.port if port is None else port
        for key in [key for key, other in self._keys.items() if other is call]:
            del self._keys[key]
        here = self.on_port[port]
        here.remove(call)
        if not here:
            del self.on_port[port]
            if port not in self._kept_open:
                self.wire.close(port)

    def _room(self, slots: int) -> None:
        """Make the tables `slots` rows high."""
        old = len(self.slots)
        packets, state, tally = np.zeros(slots, PACKET), np.zeros(slots, STATE), np.zeros(slots, TALLY)
        packets[:old], state[:old], tally[:old] = self.packets, self.state, self.tally  # concatenate drops byte order
        self.packets, self.state, self.tally = packets, state, tally
        self.packets["v"] = packet.VERSION
        self.slots.extend([None] * (slots - old))
        self.wire.room(packets)
