"""What came in a tick: whose packets they are, keys, and sound for tapes and other calls. Most of it by columns."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt

from ivr.leg import FRAME
from ivr.media import dtmf, g711, packet, reception, tones
from ivr.media.call import Call
from ivr.media.latch import Address
from ivr.media.messages import Event, KeySeen
from ivr.media.packet import HEAD, RTCP_FIRST, RTCP_LAST, VERSION
from ivr.media.ports import Seats
from ivr.media.table import Table
from ivr.media.wire import Batch, Numbers

ODD = 200  # packets of unknown sources looked at in a batch; a flood must not hold up the tick


class Ears:
    """Reads what arrived. `known(row, source)` is called when a call's source is found."""

    def __init__(self, table: Table, events: list[Event], counts: Counter[str], ports: Seats) -> None:
        self.table = table
        self._events = events
        self._counts = counts
        self._ports = ports
        self._now = 0.0
        self._sounding: list[Call] = []  # calls with new sound for their tones

    def listen(self, now: float) -> list[tuple[int, bytes, Address]]:
        """Take all that waits; returns RTCP that came on the RTP ports."""
        self._now = now
        control: list[tuple[int, bytes, Address]] = []
        for batch in self.table.wire.arrived():
            control += self._hear(batch)
        self._hear_tones()
        return control

    def _hear(self, batch: Batch) -> list[tuple[int, bytes, Address]]:
        """Columns first; one by one only what is not plain sound of a known stream, or is listened to closely."""
        state, heads = self.table.state, batch.heads
        kind = heads["type"] & 0x7F
        whole = (batch.size >= HEAD.size) & (heads["v"] >> 6 == 2)
        control = whole & (kind >= RTCP_FIRST) & (kind <= RTCP_LAST)
        slot = self.table.find(batch.key)
        ours = whole & ~control & (slot >= 0) & state["known"][slot] & (state["theirs"][slot] == heads["ssrc"])
        plain = ours & (heads["v"] == VERSION) & (kind == state["type"][slot]) & (batch.size > HEAD.size)
        stranger = whole & ~control & (slot < 0)
        stranger[np.flatnonzero(stranger & self._sought(batch))[:ODD]] = False
        self._counts["noise"] += int(np.count_nonzero(~whole))
        self._strange(batch.port[stranger])
        taken = self._one_by_one(batch, slot, plain, whole & ~control & ~stranger & ~(plain & ~state["closely"][slot]))
        entered = np.flatnonzero(taken >= 0)
        sound = plain[entered] | (kind[entered] == state["type"][taken[entered]])
        reception.count(self.table.tally, taken[entered], heads[entered], batch.at[entered], sound)
        state["heard"][taken[entered]] = self._now
        return [(int(batch.port[at]), batch.octets(at), batch.sources(at)) for at in np.flatnonzero(control).tolist()]

    def _one_by_one(
        self, batch: Batch, slot: Numbers, plain: npt.NDArray[np.bool_], look: npt.NDArray[np.bool_]
    ) -> Numbers:
        """The slot whose packet each one was, -1 for none."""
        taken = np.where(plain, slot, -1)
        stamps = batch.heads["ts"]
        for at in np.flatnonzero(look).tolist():
            if plain[at]:
                call = self.table.slots[int(slot[at])]
                assert call is not None
                self._sound(call, int(stamps[at]), batch.octets(at, HEAD.size))
            else:
                taken[at] = self._odd(batch, at)
        return taken

    # ---- strangers

    def _sought(self, batch: Batch) -> npt.NDArray[np.bool_]:
        """Packets on ports where somebody's source is not known yet."""
        state = self.table.state
        return np.isin(batch.port, state["port"][(state["port"] > 0) & ~state["known"]])

    def _strange(self, ports: npt.NDArray[np.uint16]) -> None:
        self._counts["strangers"] += len(ports)
        for port in set(ports.tolist()):
            calls = self.table.on_port.get(port, ())
            if len(calls) == 1:
                calls[0].strangers += int(np.count_nonzero(ports == port))

    def _odd(self, batch: Batch, at: int) -> int:
        """A packet that is not plain sound of a known stream; returns the slot it belongs to, else -1."""
        port, source = int(batch.port[at]), batch.sources(at)
        heard = packet.read(batch.octets(at))
        call = self.table.of(port, source) or self._candidate(port, source)
        if heard is None or call is None or not self._admit(call, source, heard):
            self._strange(batch.port[at : at + 1])
            return -1
        if heard.type == call.media.event_type:
            self.press(call, call.hearing.key(heard.timestamp, heard.body), heard.timestamp)
        elif heard.type == g711.PAYLOAD[call.media.law] and heard.body:
            self._sound(call, heard.timestamp, heard.body)
        return call.slot

    def _candidate(self, port: int, source: Address) -> Call | None:
        """The one call that an unknown source on `port` could be."""
        may = [call for call in self.table.on_port.get(port, ()) if call.latch.may(source)]
        return may[0] if len(may) == 1 else None

    def _admit(self, call: Call, source: Address, heard: packet.Packet) -> bool:
        latch, state = call.latch, self.table.state
        fixed = latch.source
        if not latch.admits(source, heard.ssrc, heard.seq, self._now):
            return False
        state["known"][call.slot], state["theirs"][call.slot] = True, latch.ssrc or 0
        self.table.tally["begun"][call.slot] &= latch.ssrc == call.stream
        call.stream = latch.ssrc
        if fixed is None:
            self._ports.known(call.media.row, source)
            state["on"][call.slot] = call.media.sending
            self.table.aim(call)
        return True

    # ---- what is said

    def _sound(self, call: Call, timestamp: int, octets: bytes) -> None:
        call.speak(call.media.law, timestamp, octets, self._now)
        if call.tones is not None:
            call.unheard += octets
            call.heard_to = timestamp + len(octets)
            self._sounding.append(call)

    def _hear_tones(self) -> None:
        """One product for the new frames of all calls that have no other way to send keys."""
        calls = list(dict.fromkeys(self._sounding))
        self._sounding.clear()
        whole = [(call, len(call.unheard) // FRAME) for call in calls]
        sound = [g711.decode(call.media.law, bytes(call.unheard[: count * FRAME])) for call, count in whole]
        if not sound:
            return
        found = iter(tones.keys(np.concatenate(sound).reshape(-1, FRAME)).tolist())
        for call, count in whole:
            del call.unheard[: count * FRAME]
            for _ in range(count):
                assert call.tones is not None
                key = call.tones.hear(next(found))
                self.press(call, key, call.heard_to - (tones.ON + 1) * FRAME)

    def press(self, call: Call, key: str | None, timestamp: int) -> None:
        """A key of the caller: told, passed to the other end of a bridge, and the end of a recording."""
        if key is None:
            return
        self._counts["keys"] += 1
        self._events.append(KeySeen(call.media.row, key))
        if call.tape is not None:
            call.tape.key(key, timestamp)
        mate: Any = self.table.calls.get(call.mate) if call.mate is not None else None
        if mate is not None and mate.media.event_type is not None and call.tones is None:  # tones go on in the sound
            mate.beats.extend(dtmf.beats(key))
            self.table.state["keying"][mate.slot] = True
