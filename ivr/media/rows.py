"""All calls' RTP advanced by a tick of 20 ms: commands obeyed, packets sent, heard, watched. No socket, no clock."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Mapping
from functools import singledispatchmethod

import numpy as np

from ivr.leg import FRAME, Run
from ivr.media import dtmf, g711, tones
from ivr.media.arena import QUIET
from ivr.media.call import Call
from ivr.media.disguise import Mask
from ivr.media.hearing import Ears
from ivr.media.latch import Latch
from ivr.media.messages import (
    Add,
    Bridge,
    Change,
    Command,
    Disguise,
    Drop,
    Dropped,
    EndRecord,
    Event,
    Hush,
    Listen,
    Lost,
    Part,
    Play,
    Record,
    RecordPair,
    SendKeys,
)
from ivr.media.ports import Seats
from ivr.media.record import Spool
from ivr.media.reports import Reports
from ivr.media.speaking import Mouth
from ivr.media.table import Table
from ivr.media.wire import Wire

TICK = 0.020  # seconds


class Rows:
    """`obey` commands, then `tick` every 20 ms; events come out of the tick, recordings' out of the spool.

    `ports` gets a call's port back when it is dropped. `counts` has packets by fate, keys and skipped ticks.
    """

    def __init__(self, wire: Wire, spool: Spool, ports: Seats) -> None:
        self.spool = spool
        self.ports = ports
        self.counts: Counter[str] = Counter()
        self.table = Table(wire)
        self._events: list[Event] = []
        self.mouth = Mouth(self.table, self._events, self.counts)
        self.ears = Ears(self.table, self._events, self.counts, ports)
        self.reports = Reports(self.table, self.counts)
        self._bridged: set[int] = set()  # rows that hear others
        self._rolling: set[int] = set()  # rows that are recorded
        self._at = 0.0

    @property
    def calls(self) -> Mapping[int, Call]:
        """By row."""
        return self.table.calls

    def tick(self, now: float, skipped: int = 0, at: float = 0.0) -> list[Event]:
        """Send one frame a call, read what came, watch limits. `skipped`: ticks missed, which are left out.

        `now` is the plane's clock, `at` the wall's (for reports), both in seconds.
        """
        self._at = at
        if skipped:
            self.mouth.skip(skipped)
        self.mouth.send(self._bridged)
        self.reports.read(self.ears.listen(now), at, muxed=True)
        self.reports.read(self.table.wire.reports(), at)
        self.reports.send(now, at)
        self._watch(now)
        events = list(self._events)
        self._events.clear()
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
        call = Call(media, Latch(media.peer, media.sought), secrets.randbits(32))
        try:
            self.table.seat(call)
        except OSError:
            return self._no_port(media.row)
        self.reports.expect(call, now)
        return self._settle(call, now)

    @obey.register
    def _(self, command: Change, now: float) -> None:
        call = self.calls.get(command.media.row)
        if call is None:
            return
        old, call.media = call.media, command.media
        if old.port != command.media.port and not self._move(call, old.port):
            return
        if command.media.peer != old.peer:
            call.latch = Latch(command.media.peer, command.media.sought)
            self.table.state["known"][call.slot] = False
        if command.media.law != old.law:
            self.mouth.turn_law(call)
        self._settle(call, now)

    @obey.register
    def _(self, command: Play, now: float) -> None:
        call = self.calls.get(command.row)
        if call is None:
            return
        runs = [run for run in command.runs if len(run.pcma) >= FRAME]
        if command.again and runs:
            self.mouth.fall_silent(call)
            call.again = runs
        else:
            call.queue(runs or [Run(b"", b"")], command.play)
        self.mouth.play(call)

    @obey.register
    def _(self, command: Hush, now: float) -> None:
        call = self.calls.get(command.row)
        if call is not None:
            self.mouth.fall_silent(call)

    @obey.register
    def _(self, command: Record, now: float) -> None:
        call = self.calls.get(command.row)
        if call is not None:
            call.record(command, self.spool, now)
            self._listen_closely(call)

    @obey.register
    def _(self, command: RecordPair, now: float) -> None:
        call = self.calls.get(command.row)
        if call is not None and call.mate == command.other:
            call.record_pair(command, self.spool, now)
            self._listen_closely(call)

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
            self.table.state["keying"][call.slot] = bool(call.beats)

    @obey.register
    def _(self, command: Disguise, now: float) -> None:
        call = self.calls.get(command.row)
        if call is not None:
            call.mask = (call.mask or Mask()) if command.on else None

    @obey.register
    def _(self, command: Bridge, now: float) -> None:
        one, two = self.calls.get(command.row), self.calls.get(command.other)
        if one is None or two is None or one is two:
            return
        self._part(one)
        self._part(two)
        one.hear(two)
        two.hear(one)
        one.mate, two.mate = command.other, command.row
        self._connect(one, two)

    @obey.register
    def _(self, command: Listen, now: float) -> None:
        lead, one = self.calls.get(command.row), self.calls.get(command.to)
        if lead is None or one is None or lead is one:
            return
        self._part(lead)
        for spoken in (one, self.calls.get(one.mate) if one.mate is not None else None):
            if spoken is not None:
                lead.hear(spoken)
        if command.whisper:
            one.hear(lead)
        self._connect(lead, *(self.calls[row] for row in lead.sources))

    @obey.register
    def _(self, command: Part, now: float) -> None:
        call = self.calls.get(command.row)
        if call is not None:
            self._part(call)

    @obey.register
    def _(self, command: Drop, now: float) -> None:
        call = self.calls.get(command.row)
        if call is None:
            self.ports.give(command.row)
            self.spool.after(Dropped(command.row, 0, 0, 0, 0))
            return
        self._part(call)
        self.mouth.fall_silent(call)
        call.end_tape("hung_up", self.spool)
        self.reports.bye(call, self._at)
        quality, sent = self.reports.quality(call), int(self.table.state["sent"][call.slot])
        self.table.leave(call)
        self._rolling.discard(command.row)
        self.ports.give(command.row)
        self.counts["lost"] += quality.lost
        self.spool.after(Dropped(command.row, sent, quality.received, call.strangers, call.late, quality))

    # ---- inside

    def _no_port(self, row: int) -> None:
        self.counts["no_port"] += 1
        self.ports.give(row)
        self._events.append(Lost(row))

    def _move(self, call: Call, port: int) -> bool:
        """From `port` to the one its media name now."""
        try:
            self.table.move(call, port)
        except OSError:
            self._no_port(call.media.row)
            return False
        return True

    def _settle(self, call: Call, now: float) -> None:
        """Bring the numbers of a row in line with its media."""
        state, slot, media = self.table.state, call.slot, call.media
        sending = media.sending and call.target is not None
        state["mark"][slot] |= sending and not state["on"][slot]
        state["on"][slot] = sending
        state["watched"][slot] = media.receiving
        state["type"][slot] = g711.PAYLOAD[media.law]
        state["quiet"][slot] = QUIET[media.law]
        state["heard"][slot], state["limit"][slot] = now, media.quiet_limit
        call.tones = (call.tones or tones.Ear()) if media.event_type is None else None
        self._listen_closely(call)
        self.table.aim(call)

    def _listen_closely(self, call: Call) -> None:
        self.table.state["closely"][call.slot] = call.watched_closely
        if call.reel is not None:
            self._rolling.add(call.media.row)

    def _connect(self, *calls: Call) -> None:
        for call in calls:
            self._listen_closely(call)
            if call.sources:
                self._bridged.add(call.media.row)

    def _part(self, call: Call) -> None:
        """Take a call out of all it hears and is heard by."""
        heard = [self.calls[row] for row in call.sources if row in self.calls]
        mate = self.calls.get(call.mate) if call.mate is not None else None
        for one in (call, mate):
            if one is not None and one.duet is not None:
                one.end_tape("hung_up", self.spool)
        concerned = [*call.part(), *heard]
        for other in heard:
            if call in other.listeners:
                other.listeners.remove(call)
        for one in (call, *concerned):
            self._listen_closely(one)
            if not one.sources:
                self._bridged.discard(one.media.row)

    # ---- watching

    def _watch(self, now: float) -> None:
        state = self.table.state
        gone = state["watched"] & (now - state["heard"] > state["limit"])
        for slot in np.flatnonzero(gone).tolist():
            call = self.table.slots[slot]
            assert call is not None
            state["watched"][slot] = False
            self._events.append(Lost(call.media.row))
        for row in list(self._rolling):
            call = self.calls.get(row)
            if call is not None:
                call.wind(self.spool, now)
            if call is None or call.reel is None:
                self._rolling.discard(row)
                if call is not None:
                    self._listen_closely(call)
