"""The RTP ports of a line: even ones, each resting after use so that a late packet never reaches the next call."""

from __future__ import annotations

import socket
import time
from collections import deque
from collections.abc import Callable

REST = 2.5  # seconds a used port stays empty
ANY_TRIES = 50  # draws of a port from the kernel till an even one comes


class Ports:
    """Even ports from `first` to `last`; `first` 0 means any that the kernel has free.

    `take` belongs to one thread; `give` may be called from another.
    """

    def __init__(self, host: str, first: int, last: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.host = host
        self._clock = clock
        self._any = first == 0
        self._free = deque(range(first + first % 2, last + 1, 2) if first else ())
        self._resting: deque[tuple[float, int]] = deque()
        self._drawn: set[int] = set()  # of the kernel's, in use or resting
        self.out = 0  #: taken and not given back

    def take(self) -> int | None:
        """A free even port, the one longest unused; None when all are taken or resting."""
        self._wake()
        port = self._from_kernel() if self._any else self._from_range()
        self.out += port is not None
        return port

    def give(self, port: int) -> None:
        """The call on `port` is over."""
        self.out -= 1
        self._resting.append((self._clock() + REST, port))

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
