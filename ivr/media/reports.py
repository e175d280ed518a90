"""Sends and reads the calls' RTCP: a report each every 5 seconds, half of it more or less, and a BYE at the end."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable

import numpy as np

from ivr.leg import FRAME
from ivr.media import reception, rtcp
from ivr.media.call import Call
from ivr.media.latch import Address
from ivr.media.reception import RATE, Quality
from ivr.media.rtcp import Block, Sender
from ivr.media.table import Table


class Reports:
    """`now` is the plane's clock, `at` the wall's, both in seconds."""

    def __init__(self, table: Table, counts: Counter[str]) -> None:
        self.table = table
        self._counts = counts

    def expect(self, call: Call, now: float) -> None:
        """The call begins: its first report comes in half the time (RFC 3550 s 6.2)."""
        self.table.state["report"][call.slot] = now + _interval() / 2

    def send(self, now: float, at: float) -> None:
        """Whatever is due."""
        state = self.table.state
        for slot in np.flatnonzero((state["report"] > 0) & (state["report"] <= now)).tolist():
            call = self.table.slots[slot]
            assert call is not None
            state["report"][slot] = now + _interval()
            self._report(call, at)

    def bye(self, call: Call, at: float) -> None:
        """The call ends."""
        self._report(call, at, bye=True)

    def read(self, came: Iterable[tuple[int, bytes, Address]], at: float, muxed: bool = False) -> None:
        """Note what the other ends say. Only a call's own source is believed."""
        for port, data, source in came:
            call = self.table.of(port, source if muxed else (source[0], source[1] - 1))
            said = rtcp.read(data)
            if call is None or said is None or call.latch.source is None:
                self._counts["stray_reports"] += 1
                continue
            self._counts["rtcp"] += 1
            call.far.note(said, call.ssrc, at)

    def quality(self, call: Call) -> Quality:
        """Both directions of a call."""
        near, block = reception.quality(self.table.tally[call.slot]), call.far.block
        if block is None:
            return near
        return Quality(near.received, near.lost, near.jitter_ms, block.lost, round(block.jitter * 1000 / RATE, 2))

    def _report(self, call: Call, at: float, bye: bool = False) -> None:
        target, row = call.target, self.table.state[call.slot]
        if target is None:
            return
        sent = int(row["sent"])
        sender = Sender(at, int(row["ts"]), sent, sent * FRAME) if sent and row["on"] else None
        blocks = (self._block(call, at),) if self.table.tally["begun"][call.slot] else ()
        data = rtcp.write(call.ssrc, call.far.cname, sender, blocks, bye)
        to = target if call.media.mux else (target[0], target[1] + 1)
        if to[1] > 0xFFFF:
            return
        self._counts["reports"] += self.table.wire.report(call.media.port, data, to, call.media.mux)

    def _block(self, call: Call, at: float) -> Block:
        """How we hear them: losses since the last report and in all (RFC 3550 A.3)."""
        row = self.table.tally[call.slot : call.slot + 1]
        lost, received = int(row["lost"][0]), int(row["received"][0])
        newly = lost - int(row["told_lost"][0])
        expected = received - int(row["told"][0]) + newly
        fraction = min(255, newly * 256 // expected) if expected > 0 and newly > 0 else 0
        row["told"], row["told_lost"] = received, lost
        since = int((at - call.far.at) * 65536) & 0xFFFFFFFF if call.far.middle else 0
        ssrc = int(self.table.state["theirs"][call.slot])
        return Block(ssrc, fraction, lost, reception.extended(row[0]), int(row["jitter"][0]), call.far.middle, since)


def _interval() -> float:
    return rtcp.EVERY * random.uniform(0.5, 1.5)
