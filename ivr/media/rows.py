"""All calls' RTP advanced by one tick of 20 ms: a matrix of packets, sent, heard and watched. No socket, no clock."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from functools import singledispatchmethod
from typing import Protocol

import numpy as np

from ivr.leg import FRAME, Run
from ivr.media import dtmf, g711, packet
from ivr.media.arena import QUIET, Arena
from ivr.media.call import Call
from ivr.media.latch import Address, Latch
from ivr.media.messages import (
    Add,
    Change,
    Command,
    Drop,
    Dropped,
    EndRecord,
    Event,
    Hush,
    KeySeen,
    Lost,
    Play,
    Record,
    RunsOut,
    SendKeys,
)
from ivr.media.packet import PACKET
from ivr.media.record import Spool

TICK = 0.020  # seconds
FIRST_SLOTS = 64
STATE = np.dtype([
    ("on", "?"),  # packets go out
    ("busy", "?"),  # a run is being played
    ("keying", "?"),  # telephone-events go out in place of sound
    ("mark", "?"),  # the next packet follows a gap
    ("watched", "?"),  # silence of the peer counts
    ("type", "u1"),
    ("quiet", "i4"),  # arena frame of silence in its law
    ("pos", "i4"), ("end", "i4"),  # arena frames of the run
    ("seq", "u2"), ("ts", "u4"),
    ("heard", "f8"), ("limit", "f8"),  # seconds: last packet, longest silence
])  # fmt: skip


class Wire(Protocol):
    """What the plane needs of the network. Slots are small numbers that the plane draws."""

    def open(self, slot: int, port: int) -> None:
        """Raises OSError when the port cannot be had."""
        ...

    def close(self, slot: int) -> None: ...

    def fix(self, slot: int, source: Address | None) -> None:
        """Hear only `source` from now on; None: anybody again (OSError when the port is lost by that)."""
        ...

    def send(self, slot: int, packet: bytes, to: Address) -> bool:
        """False when the network would not take it."""
        ...

    def arrived(self) -> Iterator[tuple[int, bytes, Address]]: ...


class Rows:
    """`obey` commands, then `tick` every 20 ms; events come out of the tick, recordings' out of the spool.

    `give` gets a port back when its call is dropped. `counts` has packets by fate, keys and skipped ticks.
    """

    def __init__(self, wire: Wire, spool: Spool, give: Callable[[int], None]) -> None:
        self.wire = wire
        self.spool = spool
        self.give = give
        self.arena = Arena()
        self.counts: Counter[str] = Counter()
        self.calls: dict[int, Call] = {}
        self._now = 0.0
        self._events: list[Event] = []
        self._slots: list[Call | None] = []
        self.packets = np.zeros(0, PACKET)
        self.state = np.zeros(0, STATE)
        self._room(FIRST_SLOTS)

    def tick(self, now: float, skipped: int = 0) -> list[Event]:
        """Send one frame a call, read what came, watch limits. `skipped`: ticks missed, which are left out."""
        self._now = now
        if skipped:
            self._skip(skipped)
        self._send()
        self._listen()
        self._watch()
        events, self._events = self._events, []
        return events

    # ---- commands

    @singledispatchmethod
    def obey(self, command: Command, now: float) -> None:
        """Do what a command says. One for a row that is gone is nothing, but Drop, which is always answered."""
        raise TypeError(command)

    @obey.register
    def _(self, command: Add, now: float) -> None:
        media = command.media
        if media.row in self.calls:
            return self.obey(Change(media), now)
        if None not in self._slots:
            self._room(2 * len(self._slots))
        slot = self._slots.index(None)
        try:
            self.wire.open(slot, media.port)
        except OSError:
            self.counts["no_port"] += 1
            self.give(media.port)
            self._events.append(Lost(media.row))
            return None
        call = Call(media, slot, Latch(media.peer), secrets.randbits(32))
        self._slots[slot] = self.calls[media.row] = call
        self.state[slot] = np.zeros((), STATE)
        self.state["seq"][slot], self.state["ts"][slot] = secrets.randbits(16), secrets.randbits(32)
        self.packets["ssrc"][slot] = call.ssrc
        self.state["mark"][slot] = True
        return self._settle(call, now)

    @obey.register
    def _(self, command: Change, now: float) -> None:
        call = self.calls.get(command.media.row)
        if call is None:
            return
        if command.media.peer != call.media.peer:
            self._loosen(call, command.media.peer)
        new_law, call.media = command.media.law != call.media.law, command.media
        if new_law and call.playing:
            played = int(self.state["pos"][call.slot]) - self.arena.enter(call.sound)[0]
            self.arena.leave(call.sound)
            self._lay(call, call.playing[0], played)
        self._settle(call, now)

    @obey.register
    def _(self, command: Play, now: float) -> None:
        call = self.calls.get(command.row)
        if call is None:
            return
        runs = [run for run in command.runs if len(run.pcma) >= FRAME] or [Run(b"", b"")]
        call.queue(runs, command.play)
        if call.playing is None:
            self._turn(call)

    @obey.register
    def _(self, command: Hush, now: float) -> None:
        call = self.calls.get(command.row)
        if call is not None:
            self._fall_silent(call)

    @obey.register
    def _(self, command: Record, now: float) -> None:
        call = self.calls.get(command.row)
        if call is not None:
            call.record(command, self.spool, now)

    @obey.register
    def _(self, command: EndRecord, now: float) -> None:
        call = self.calls.get(command.row)
        if call is not None:
            call.end_tape(command.why, self.spool)

    @obey.register
    def _(self, command: SendKeys, now: float) -> None:
        call = self.calls.get(command.row)
        if call is not None and call.media.event_type is not None:
            call.beats.extend(dtmf.beats("".join(key for key in command.keys if key in dtmf.KEYS)))
            self.state["keying"][call.slot] = bool(call.beats)

    @obey.register
    def _(self, command: Drop, now: float) -> None:
        call = self.calls.pop(command.row, None)
        if call is None:
            self.spool.after(Dropped(command.row, 0, 0, 0, 0))
            return
        self._fall_silent(call)
        call.end_tape("hung_up", self.spool)
        self.wire.close(call.slot)
        self._slots[call.slot] = None
        self.state[call.slot] = np.zeros((), STATE)
        self.give(call.media.port)
        self.spool.after(Dropped(command.row, call.sent, call.received, call.strangers, call.late))

    def _room(self, slots: int) -> None:
        """Make the matrix `slots` rows high."""
        old = len(self._slots)
        packets, state = np.zeros(slots, PACKET), np.zeros(slots, STATE)  # concatenate would drop the byte order
        packets[:old], state[:old] = self.packets, self.state
        self.packets, self.state = packets, state
        self.packets["v"] = packet.VERSION
        self._slots.extend([None] * (slots - old))

    def _loosen(self, call: Call, peer: Address | None) -> None:
        """A new source may speak."""
        call.latch = Latch(peer)
        try:
            self.wire.fix(call.slot, None)
        except OSError:
            self.counts["no_port"] += 1
            self._events.append(Lost(call.media.row))

    def _settle(self, call: Call, now: float) -> None:
        """Bring the numbers of a row in line with its media."""
        state, slot, media = self.state, call.slot, call.media
        sending = media.sending and call.target is not None
        state["mark"][slot] |= sending and not state["on"][slot]
        state["on"][slot] = sending
        state["watched"][slot] = media.receiving
        state["type"][slot] = g711.PAYLOAD[media.law]
        state["quiet"][slot] = QUIET[media.law]
        state["heard"][slot], state["limit"][slot] = now, media.quiet_limit

    # ---- playing

    def _turn(self, call: Call) -> None:
        """Go on with the next run, telling of a play whose last run is sent."""
        if call.playing:
            self.arena.leave(call.sound)
            self._tell(call, call.playing[1])
            call.playing = None
        while call.waiting and call.playing is None:
            run, play = call.waiting.popleft()
            if run.pcma:
                call.playing = run, play
                self._lay(call, run, 0)
            else:
                self._tell(call, play)
        self.state["busy"][call.slot] = call.playing is not None

    def _lay(self, call: Call, run: Run, played: int) -> None:
        call.sound = run.pcma if call.media.law == "pcma" else run.pcmu
        start, end = self.arena.enter(call.sound)
        self.state["pos"][call.slot], self.state["end"][call.slot] = start + played, end

    def _tell(self, call: Call, play: int | None) -> None:
        if play is not None:
            self._events.append(RunsOut(call.media.row, play))

    def _fall_silent(self, call: Call) -> None:
        call.waiting.clear()
        if call.playing:
            self.arena.leave(call.sound)
            call.playing = None
        self.state["busy"][call.slot] = False

    # ---- sending

    def _skip(self, ticks: int) -> None:
        """The clock was late: timestamps go on as if we had been silent; nothing of a prompt is lost."""
        self.counts["skipped"] += ticks
        self.state["ts"] += np.uint32(ticks * FRAME)
        self.state["mark"] = True
        for call in self.calls.values():
            call.late += ticks

    def _send(self) -> None:
        state, packets = self.state, self.packets
        on = np.flatnonzero(state["on"])
        going = state["busy"][on] & ~state["keying"][on]
        packets["payload"][on] = self.arena.frames[np.where(going, state["pos"][on], state["quiet"][on])]
        packets["type"][on] = state["type"][on] | state["mark"][on].astype(np.uint8) << 7
        packets["seq"][on], packets["ts"][on] = state["seq"][on], state["ts"][on]
        sound = packets[on].tobytes()
        for at, slot in enumerate(on.tolist()):
            self._send_one(slot, sound[at * PACKET.itemsize : (at + 1) * PACKET.itemsize])
        state["seq"][on] += np.uint16(1)
        state["ts"] += np.uint32(FRAME)
        state["mark"][on] = False
        state["pos"][on] += going
        for slot in on[going & (state["pos"][on] >= state["end"][on])].tolist():
            call = self._slots[slot]
            assert call is not None
            self._turn(call)

    def _send_one(self, slot: int, sound: bytes) -> None:
        call = self._slots[slot]
        assert call is not None
        target = call.target
        assert target is not None
        beat = self._next_beat(call) if call.beats else None
        if self.wire.send(slot, sound if beat is None else self._event(call, beat), target):
            call.sent += 1
        else:
            self.counts["unsent"] += 1

    def _next_beat(self, call: Call) -> dtmf.Beat | None:
        beat = call.beats.popleft()
        self.state["keying"][call.slot] = bool(call.beats)
        return beat

    def _event(self, call: Call, beat: dtmf.Beat) -> bytes:
        """A telephone-event packet; all those of one key carry the timestamp of its start (RFC 4733 s 2.2.1)."""
        seq, now = int(self.state["seq"][call.slot]), int(self.state["ts"][call.slot])
        start = now - beat.ticks_in * FRAME
        return packet.write(call.media.event_type or 0, beat.opens, seq, start, call.ssrc, beat.payload)

    # ---- hearing

    def _listen(self) -> None:
        for slot, data, source in self.wire.arrived():
            call = self._slots[slot]
            if call is not None:
                self._hear(call, data, source)

    def _hear(self, call: Call, data: bytes, source: Address) -> None:
        heard = packet.read(data)
        if heard is None or heard.is_rtcp:
            self.counts["noise" if heard is None else "rtcp"] += 1
            return
        fixed = call.latch.source
        if not call.latch.admits(source, heard.ssrc, heard.seq, self._now):
            call.strangers += 1
            self.counts["strangers"] += 1
            return
        if fixed is None:
            self.wire.fix(call.slot, source)
            self.state["on"][call.slot] = call.media.sending
        call.received += 1
        self.state["heard"][call.slot] = self._now
        if heard.type == call.media.event_type:
            self._press(call, call.hearing.key(heard.timestamp, heard.body), heard.timestamp)
        elif heard.type == g711.PAYLOAD[call.media.law]:
            call.speak(call.media.law, heard.timestamp, heard.body, self._now)

    def _press(self, call: Call, key: str | None, timestamp: int) -> None:
        if key is None:
            return
        self.counts["keys"] += 1
        self._events.append(KeySeen(call.media.row, key))
        if call.tape is not None:
            call.tape.key(key, timestamp)

    # ---- watching

    def _watch(self) -> None:
        state = self.state
        gone = state["watched"] & (self._now - state["heard"] > state["limit"])
        for slot in np.flatnonzero(gone).tolist():
            call = self._slots[slot]
            assert call is not None
            state["watched"][slot] = False
            self._events.append(Lost(call.media.row))
        for call in self.calls.values():
            call.wind(self.spool, self._now)
