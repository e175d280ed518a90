"""Who may speak on a call: one source and one SSRC, fixed until a re-INVITE. Pure: header fields in, yes or no out."""

from __future__ import annotations

from dataclasses import dataclass

Address = tuple[str, int]

NEEDED = 4  # packets in sequence from one unannounced source
WITHIN = 5.0  # seconds they may take
WATCHED = 32  # unannounced sources watched at once; the oldest falls out


@dataclass(slots=True)
class _Trial:
    next_seq: int
    count: int
    since: float


class Latch:
    """Chooses the source of a call. The address in the SDP counts at once; anybody else has to send `NEEDED` packets
    in sequence within `WITHIN` seconds. A new SSRC of the chosen source has to do the same.

    Where it is not `sought` (others share the port), "anybody" is another port of the announced host only.
    """

    def __init__(self, announced: Address | None, sought: bool = True) -> None:
        self.announced = announced
        self.sought = sought
        self.source: Address | None = None
        self.ssrc: int | None = None
        self._trials: dict[tuple[Address, int], _Trial] = {}

    def admits(self, source: Address, ssrc: int, seq: int, now: float) -> bool:
        """Does this packet belong to the call? Latches as a side effect: `source` and `ssrc` then say so."""
        if source == self.source and ssrc == self.ssrc:
            return True
        if self.source is not None and source != self.source:
            return False
        if self.source is None and source == self.announced:
            return self._choose(source, ssrc)
        return self._passes((source, ssrc), seq, now) and self._choose(source, ssrc)

    def may(self, source: Address) -> bool:
        """Could this unknown source be the one?"""
        if self.source is not None:
            return False
        return self.sought or (self.announced is not None and source[0] == self.announced[0])

    def _choose(self, source: Address, ssrc: int) -> bool:
        self.source, self.ssrc = source, ssrc
        self._trials.clear()
        return True

    def _passes(self, who: tuple[Address, int], seq: int, now: float) -> bool:
        trial = self._trials.get(who)
        if trial is None or seq != trial.next_seq or now - trial.since > WITHIN:
            self._trials.pop(who, None)
            if len(self._trials) >= WATCHED:
                del self._trials[next(iter(self._trials))]
            trial = self._trials[who] = _Trial(seq, 0, now)
        trial.next_seq = (seq + 1) & 0xFFFF
        trial.count += 1
        return trial.count >= NEEDED
