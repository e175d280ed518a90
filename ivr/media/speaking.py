"""What goes out in a tick: prompts, silence, keys, and what others say, one packet a call."""

from __future__ import annotations

from collections import Counter

import numpy as np
import numpy.typing as npt

from ivr.leg import FRAME, Run
from ivr.media import dtmf
from ivr.media.arena import Arena
from ivr.media.bridge import mixed
from ivr.media.call import Call
from ivr.media.messages import Event, Law, RunsOut
from ivr.media.packet import HEAD, MARKER, PACKET
from ivr.media.table import Table

Heard = dict[int, tuple[Law, bytes]]  # by row of the source: what a listener was given of it in this tick


class Mouth:
    """Plays runs and sends each tick's packets. `tell` takes events; `counts` the packets that could not be sent."""

    def __init__(self, table: Table, events: list[Event], counts: Counter[str]) -> None:
        self.table = table
        self.arena = Arena()
        self._events = events
        self._counts = counts

    # ---- playing

    def play(self, call: Call) -> None:
        """Begin with what waits, unless something is being said; music gives way and goes on afterwards."""
        if call.playing is None or (call.waiting and call.playing[0] in call.again):
            self.turn(call)

    def turn(self, call: Call) -> None:
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
        if call.playing is None and call.again:
            call.again.append(call.again.pop(0))
            call.playing = call.again[-1], None
            self._lay(call, call.again[-1], 0)
        self.table.state["busy"][call.slot] = call.playing is not None

    def fall_silent(self, call: Call) -> None:
        """Nothing is said any more, and nobody is told."""
        call.waiting.clear()
        call.again = []
        if call.playing:
            self.arena.leave(call.sound)
            call.playing = None
        self.table.state["busy"][call.slot] = False

    def turn_law(self, call: Call) -> None:
        """The call's law changed: go on at the same place in the other."""
        if call.playing:
            played = int(self.table.state["pos"][call.slot]) - self.arena.enter(call.sound)[0]
            self.arena.leave(call.sound)
            self.arena.leave(call.sound)
            self._lay(call, call.playing[0], played)

    def _lay(self, call: Call, run: Run, played: int) -> None:
        call.sound = run.pcma if call.media.law == "pcma" else run.pcmu
        start, end = self.arena.enter(call.sound)
        self.table.state["pos"][call.slot], self.table.state["end"][call.slot] = start + played, end

    def _tell(self, call: Call, play: int | None) -> None:
        if play is not None:
            self._events.append(RunsOut(call.media.row, play))

    # ---- sending

    def skip(self, ticks: int) -> None:
        """The clock was late: timestamps go on as if we had been silent; nothing of a prompt is lost."""
        self._counts["skipped"] += ticks
        self.table.state["ts"] += np.uint32(ticks * FRAME)
        self.table.state["mark"] = True
        for call in self.table.calls.values():
            call.late += ticks

    def send(self, bridged: set[int]) -> None:
        """One packet of every call that sends; `bridged`: rows that hear others."""
        state, packets, on = self.table.state, self.table.packets, self.table.order()
        going = state["busy"][on] & ~state["keying"][on]
        packets["payload"][on] = self.arena.frames[np.where(going, state["pos"][on], state["quiet"][on])]
        packets["type"][on] = state["type"][on] | state["mark"][on].astype(np.uint8) * MARKER
        packets["seq"][on], packets["ts"][on] = state["seq"][on], state["ts"][on]
        self._pass_on(bridged)
        went = self.table.wire.send(on, self._lengths(on))
        state["sent"][on] += np.uint32(1)
        if len(went):
            state["sent"][on[went]] -= np.uint32(1)
            self._counts["unsent"] += len(went)
        state["seq"][on] += np.uint16(1)
        state["ts"] += np.uint32(FRAME)
        state["mark"][on] = False
        state["pos"][on] += going
        for slot in on[going & (state["pos"][on] >= state["end"][on])].tolist():
            call = self.table.slots[slot]
            assert call is not None
            self.turn(call)

    def _lengths(self, on: npt.NDArray[np.intp]) -> npt.NDArray[np.uint32]:
        """Octets of each packet; where a key is being sent it takes the place of the sound."""
        lengths = np.full(len(on), PACKET.itemsize, np.uint32)
        for at in np.flatnonzero(self.table.state["keying"][on]).tolist():
            call = self.table.slots[int(on[at])]
            assert call is not None
            beat = call.beats.popleft() if call.beats else None
            self.table.state["keying"][call.slot] = bool(call.beats)
            if beat is not None:
                lengths[at] = self._event(call, beat)
        return lengths

    def _event(self, call: Call, beat: dtmf.Beat) -> int:
        """A telephone-event; all those of one key carry the timestamp of its start (RFC 4733 s 2.2.1)."""
        row = self.table.packets[call.slot : call.slot + 1]
        row["type"] = (call.media.event_type or 0) | MARKER * beat.opens
        call.key_at = int(row["ts"][0]) if beat.ticks_in == 0 else call.key_at  # a late clock moves it not
        row["ts"] = call.key_at
        row["payload"][0, : len(beat.payload)] = np.frombuffer(beat.payload, np.uint8)
        return HEAD.size + len(beat.payload)

    # ---- what others say

    def _pass_on(self, bridged: set[int]) -> None:
        calls = [call for row in bridged if (call := self.table.calls.get(row)) is not None]
        heard = {call.media.row: _popped(call) for call in calls}
        for call in calls:
            frame = mixed(call.media.law, list(heard[call.media.row].values()))
            if frame is not None and not call.waiting and call.playing is None:
                self.table.packets["payload"][call.slot] = np.frombuffer(frame, np.uint8)
            if call.duet is not None and call.mate is not None:
                right = heard.get(call.mate, {}).get(call.media.row)
                call.duet.hear(heard[call.media.row].get(call.mate), right)


def _popped(call: Call) -> Heard:
    """The next 20 ms of each source of `call` that has them."""
    heard: Heard = {}
    for row, buffer in call.sources.items():
        frame = buffer.pop()
        if frame is not None:
            heard[row] = buffer.law, frame
    return heard
