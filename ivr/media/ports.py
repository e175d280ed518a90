"""The RTP ports of a line: even ones, shared by calls that packets can be told apart for, each resting after use.

A call whose address is known beforehand goes to one of `POOL` shared ports. One whose packets may come from anywhere
(we offered first, or its address is behind a translator) is *sought*: it needs a port where nobody else is sought and
everybody's source is known. Once its own source is known, that port takes the next one who is sought.
"""

from __future__ import annotations

import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from ivr.media.latch import Address

POOL = 16  # shared ports
ROOM = 64  # calls on one port that was a sought call's; the socket holds about five packets of each
REST = 2.5  # seconds a used port, or an address on a shared one, stays empty
ANY_TRIES = 50  # draws of a port from the kernel till an even one comes


@dataclass(slots=True)
class _Port:
    """Who is on it: row → source, None while it is sought. `pool`: stays open when empty."""

    rows: dict[int, Address | None] = field(default_factory=dict)
    pool: bool = False
    resting: dict[Address, float] = field(default_factory=dict)  #: addresses that left, and when they may come back


class Seats(Protocol):
    """What the plane itself asks of the ports."""

    @property
    def out(self) -> int:
        """Calls that have a port."""
        ...

    def give(self, row: int) -> None:
        """The call `row` is over."""
        ...

    def known(self, row: int, source: Address) -> None:
        """The source of `row` is found."""
        ...


class Ports:
    """Even ports from `first` to `last`; `first` 0 means any that the kernel has free. Safe from any thread."""

    def __init__(self, host: str, first: int, last: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.host = host
        self._clock = clock
        self._any = first == 0
        self._free = deque(range(first + first % 2, last + 1, 2) if first else ())
        self._resting: deque[tuple[float, int]] = deque()
        self._drawn: set[int] = set()  # of the kernel's, in use or resting
        self._ports: dict[int, _Port] = {}
        self._of: dict[int, int] = {}  # row → port
        self._lock = threading.Lock()
        self.shut = False  #: none is given out: there is nobody to open it

    @property
    def out(self) -> int:
        """Calls that have a port."""
        return len(self._of)

    def take(self, row: int, peer: Address | None = None) -> int | None:
        """A port for the call `row` whose packets come from `peer` (None: not known yet); None when there is none."""
        with self._lock:
            self._wake()
            if self.shut:
                return None
            port = self._sought() if peer is None else self._shared(peer)
            if port is not None:
                self._sit(row, port, peer)
            return port

    def give(self, row: int) -> None:
        """The call `row` is over; nothing when it has no port."""
        with self._lock:
            port = self._of.pop(row, None)
            if port is not None:
                self._leave(port, row)

    def known(self, row: int, source: Address) -> None:
        """The source of `row` is found: its port may take others."""
        with self._lock:
            port = self._of.get(row)
            if port is not None:
                self._ports[port].rows[row] = source

    def move(self, row: int, peer: Address) -> int | None:
        """The port for `row` now that it will speak from `peer`: the same where nobody else does, else another.

        None: none is free, and it stays where it is.
        """
        with self._lock:
            self._wake()
            port = self._of[row]
            others = [source for other, source in self._ports[port].rows.items() if other != row]
            if peer in others or None in others:
                fresh = self._lone()
                if fresh is None:
                    return None
                self._leave(port, row)
                port = fresh
            self._sit(row, port, peer)
            return port

    def is_sought(self, row: int) -> bool:
        """May anybody who sends in sequence be the source of `row`?"""
        port = self._of.get(row)
        return port is not None and not self._ports[port].pool

    # ---- inside

    def _sit(self, row: int, number: int, peer: Address | None) -> None:
        port = self._ports[number]
        port.rows[row] = peer if port.pool else None
        self._of[row] = number

    def _shared(self, peer: Address) -> int | None:
        """The shared port with the fewest calls where `peer` is not, and was not a moment ago."""
        now = self._clock()
        pool = [number for number, port in self._ports.items() if port.pool]
        fit = [number for number in pool if self._fits(self._ports[number], peer, now)]
        best = min(fit, key=lambda number: len(self._ports[number].rows), default=None)
        if len(pool) < POOL and (best is None or self._ports[best].rows):
            fresh = self._lone()
            if fresh is not None:
                self._ports[fresh].pool = True
                return fresh
        return best if best is not None else self._lone()

    def _fits(self, port: _Port, peer: Address, now: float) -> bool:
        for address in [address for address, until in port.resting.items() if until <= now]:
            del port.resting[address]
        return peer not in port.resting and peer not in port.rows.values()

    def _sought(self) -> int | None:
        for number, port in self._ports.items():
            if not port.pool and 0 < len(port.rows) < ROOM and None not in port.rows.values():
                return number
        return self._lone()

    def _lone(self) -> int | None:
        number = self._from_kernel() if self._any else self._from_range()
        if number is not None:
            self._ports[number] = _Port()
        return number

    def _leave(self, number: int, row: int) -> None:
        port = self._ports[number]
        source = port.rows.pop(row, None)
        if source is not None and port.pool:
            port.resting[source] = self._clock() + REST
        if not port.rows and not port.pool:
            del self._ports[number]
            self._resting.append((self._clock() + REST, number))

    def _wake(self) -> None:
        while self._resting and self._resting[0][0] <= self._clock():
            port = self._resting.popleft()[1]
            self._drawn.discard(port)
            if not self._any:
                self._free.append(port)

    def _from_range(self) -> int | None:
        for _ in range(len(self._free)):
            port = self._free.popleft()
            if self._is_free(port):
                return port
            self._free.append(port)  # another program has it just now
        return None

    def _from_kernel(self) -> int | None:
        for _ in range(ANY_TRIES):
            with datagrams(self.host) as sock:
                sock.bind((self.host, 0))
                port = int(sock.getsockname()[1])
            if port % 2 == 0 and port not in self._drawn:
                self._drawn.add(port)
                return port
        return None

    def _is_free(self, port: int) -> bool:
        with datagrams(self.host) as sock:
            try:
                sock.bind((self.host, port))
            except OSError:
                return False
        return True


def datagrams(host: str) -> socket.socket:
    """A UDP socket of the family that `host` is written in."""
    return socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
