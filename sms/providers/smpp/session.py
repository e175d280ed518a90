"""The client's end of one SMPP connection: binds, sends within the window, takes texts and receipts. Pure."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from sms.providers.smpp import pdu as pdus
from sms.providers.smpp.events import TIMES, Bound, Ended, Event, Times
from sms.providers.smpp.pdu import Bind, Command, Pdu
from sms.providers.smpp.wire import OPEN, Phase, Wire

LONGEST_WAIT = 60.0  # seconds between two tries to connect
SLOW = 5.0  # seconds at half the rate after the peer asked for it
HALVE_AGAIN = 1.0  # seconds in which more such answers are the same news


class Mode(StrEnum):
    """How a connection is bound."""

    TRX = "trx"
    TX = "tx"
    RX = "rx"


BINDS = {Mode.TRX: Command.BIND_TRANSCEIVER, Mode.TX: Command.BIND_TRANSMITTER, Mode.RX: Command.BIND_RECEIVER}


class Session(Wire):
    """`submit receive tick take_out next_at` of Wire, from the moment the connection stands."""

    texts = Command.SUBMIT_SM
    takes = (Command.DELIVER_SM, Command.DATA_SM)

    def __init__(
        self, bind: Bind, mode: Mode, now: float, window: int = 10, times: Times = TIMES, open_most: int = OPEN
    ) -> None:
        super().__init__(now, window, times, open_most)
        self.mode = mode
        self.optional = False  #: does the peer say that it knows optional parameters? s 5.3.2.25
        self.phase = Phase.BINDING
        self._ask(BINDS[mode], now + times.bind, bind)

    @property
    def room(self) -> int:
        """Texts that may be sent now; none by a receiver."""
        return 0 if self.mode is Mode.RX else super().room

    def _bind_answered(self, pdu: Pdu, events: list[Event]) -> None:
        if pdu.status:
            events.append(self._end("bind refused", pdu.status))
            return
        if pdu.command == Command.GENERIC_NACK:
            events.append(self._end("bind refused", 0x03))
            return
        self.phase = Phase.BOUND
        version = pdu.tlv(pdus.Tag.SC_VERSION)
        self.optional = version is not None and version >= bytes((pdus.VERSION,))
        events.append(Bound(pdu.body.system_id if isinstance(pdu.body, pdus.Bound) else ""))


class Pace:
    """How fast texts go. `rate`: a second, 0 = as fast as they come; the peer's throttling halves it for 5 s."""

    def __init__(self, rate: float = 0.0) -> None:
        self.rate = rate
        self._limit = rate
        self._slow_till = self._slowed_at = float("-inf")
        self._free_at = float("-inf")
        self._second, self._count, self._last = 0, 0, 0

    def take(self, now: float) -> bool:
        """May one go now? Then it counts as gone."""
        self._restore(now)
        if now < self._free_at:
            return False
        if self._limit:
            self._free_at = max(now - 1.0 / self._limit, self._free_at) + 1.0 / self._limit
        self._seen(now)
        return True

    def slow(self, now: float) -> None:
        """The peer asked for less."""
        if now < self._slowed_at + HALVE_AGAIN:
            return
        self._restore(now)
        self._seen(now, 0)
        self._limit = max(1.0, (self._limit or float(max(self._count, self._last))) / 2)
        self._slowed_at, self._slow_till = now, now + SLOW
        self._free_at = now + 1.0 / self._limit

    @property
    def slowed(self) -> bool:
        """Is less sent than was set?"""
        return self._limit != self.rate

    def next_at(self) -> float:
        """When the next one may go."""
        return self._free_at

    def _restore(self, now: float) -> None:
        if self._limit != self.rate and now >= self._slow_till:
            self._limit, self._free_at = self.rate, min(self._free_at, now)

    def _seen(self, now: float, more: int = 1) -> None:
        if int(now) != self._second:
            self._last = self._count if int(now) == self._second + 1 else 0
            self._second, self._count = int(now), 0
        self._count += more


class Retry:
    """When to connect again: 1 to 60 s, growing with each failure, drawn from the whole span (full jitter)."""

    def __init__(self, chance: Callable[[], float]) -> None:
        self._chance = chance  #: in [0, 1)
        self._failures = 0

    def bound(self) -> None:
        """It stands: the next wait is short again."""
        self._failures = 0

    def wait(self, least: float = 0.0) -> float:
        """Seconds until the next try; at least `least` where the peer's refusal asks for that."""
        ceiling = min(LONGEST_WAIT, 2.0**self._failures)
        self._failures = min(self._failures + 1, 16)
        return max(least, self._chance() * ceiling)


__all__ = ["BINDS", "Ended", "Mode", "Pace", "Retry", "Session"]
