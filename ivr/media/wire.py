"""What the plane needs of the network, and the portable way to have it: one `sendto`, one `recvfrom` a packet.

`ivr.media.mmsg` is the same by the batch, where Linux and IPv4 allow it.
"""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ivr.media.latch import Address
from ivr.media.packet import HEAD, HEADS
from ivr.media.ports import datagrams

log = logging.getLogger(__name__)

WIDTH = 1536  # octets of a datagram kept; a longer one is no call's
BATCH = 2048  # packets handed on at once
MOST = 8192  # packets read in one tick; the rest waits in the sockets
EACH = 1024  # of these from one port
REPORTS = 256  # RTCP packets read in one tick
EXPEDITED = 0xB8  # DSCP EF, RFC 3246
ROOM = 1 << 20  # octets asked for a socket's packets; the kernel gives less where rmem_max says so
LEAST = 64 * 5 * 830  # octets for five packets of each of 64 calls, as the kernel counts them

Octets = npt.NDArray[np.uint8]
Keys = npt.NDArray[np.uint64]
Numbers = npt.NDArray[np.intp]
Packets = npt.NDArray[Any]


@dataclass(slots=True)
class Batch:
    """Packets that came, a row each. Valid until the next batch is asked for."""

    data: Octets  #: [n, WIDTH]
    size: npt.NDArray[np.uint32]  #: octets of each
    key: Keys  #: who sent it to which port, by `key_of`
    port: npt.NDArray[np.uint16]  #: ours
    at: npt.NDArray[np.float64]  #: seconds since 1970, by the kernel where it tells
    sources: Any  #: index → Address

    @property
    def heads(self) -> Packets:
        """The fixed header of each (`HEADS`)."""
        return np.ndarray((len(self.size),), HEADS, self.data, strides=(self.data.strides[0],))

    def octets(self, at: int, start: int = 0) -> bytes:
        """A packet, or its part from `start` on."""
        return self.data[at, start : self.size[at]].tobytes()


class Wire(Protocol):
    """The sockets of the plane. `slot`s are rows of the matrix of packets."""

    def open(self, port: int) -> None:
        """Listen on `port`, and on the one above it for RTCP where it is free. Raises OSError."""
        ...

    def close(self, port: int) -> None: ...

    def shut(self) -> None:
        """Close all of it."""
        ...

    def room(self, packets: Packets) -> None:
        """The matrix to send from; told again when it is replaced by a larger one."""
        ...

    def aim(self, slot: int, port: int, to: Address) -> None:
        """From now on the packets of `slot` go from `port` to `to`."""
        ...

    def send(self, slots: Numbers, lengths: npt.NDArray[np.uint32]) -> Numbers:
        """Send these rows, `slots` sorted by port; returns the places in it that the network would not take."""
        ...

    def arrived(self) -> Iterator[Batch]: ...

    def report(self, port: int, data: bytes, to: Address, muxed: bool) -> bool:
        """Send RTCP from the port above `port`, or from `port` itself."""
        ...

    def reports(self) -> Iterator[tuple[int, bytes, Address]]:
        """RTCP that came to the ports above, with the RTP port it belongs to."""
        ...


def key_of(port: int, source: Address) -> int:
    """64 bits that name the pair: in IPv4 the whole of it, in IPv6 a keyed hash."""
    host, theirs = source
    if ":" in host:
        packed = socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
        return hash((packed, theirs, port)) & 0xFFFFFFFFFFFFFFFF
    return port << 48 | int.from_bytes(socket.inet_aton(host), "big") << 16 | theirs


class Doors:
    """The sockets themselves, for both ways: RTP by port, RTCP by the RTP port below."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.rtp: dict[int, socket.socket] = {}
        self.rtcp: dict[int, socket.socket] = {}
        self._warned = False

    def open(self, port: int) -> None:
        self.rtp[port] = self._bound(port)
        try:
            self.rtcp[port] = self._bound(port + 1)
        except OSError:  # somebody else has it: calls go on without reports
            log.info("no port for reports", extra={"port": port + 1})

    def close(self, port: int) -> None:
        for sockets in (self.rtp, self.rtcp):
            if port in sockets:
                sockets.pop(port).close()

    def shut(self) -> None:
        for port in list(self.rtp):
            self.close(port)

    def _bound(self, port: int) -> socket.socket:
        sock = datagrams(self.host)
        try:
            sock.setblocking(False)
            if sock.family == socket.AF_INET:
                sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, EXPEDITED)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, ROOM)
            sock.bind((self.host, port))
        except OSError:
            sock.close()
            raise
        if not self._warned and sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) < LEAST:
            self._warned = True
            log.warning("little room for packets: raise net.core.rmem_max", extra={"octets": LEAST})
        return sock

    def report(self, port: int, data: bytes, to: Address, muxed: bool) -> bool:
        sock = (self.rtp if muxed else self.rtcp).get(port)
        return sock is not None and sent(sock, data, to)

    def reports(self) -> Iterator[tuple[int, bytes, Address]]:
        left = REPORTS
        for port, sock in list(self.rtcp.items()):
            while left and (came := read(sock)) is not None:
                left -= 1
                yield port, *came


def sent(sock: socket.socket, data: bytes, to: Address) -> bool:
    """False when the network would not take it."""
    try:
        return sock.sendto(data, to) >= 0
    except OSError:
        return False


def read(sock: socket.socket) -> tuple[bytes, Address] | None:
    """The next packet; None when there is none, or only an error of an earlier one."""
    try:
        data, source = sock.recvfrom(2048)
    except OSError:
        return None
    return data, (source[0], source[1])


class Plain(Doors):
    """The `Wire` for IPv6 and for systems without sendmmsg."""

    def __init__(self, host: str) -> None:
        super().__init__(host)
        self._packets: Packets = np.zeros(0, np.uint8)
        self._aims: dict[int, tuple[int, Address]] = {}
        self._data = np.zeros((BATCH, WIDTH), np.uint8)

    def room(self, packets: Packets) -> None:
        self._packets = packets

    def aim(self, slot: int, port: int, to: Address) -> None:
        self._aims[slot] = port, to

    def send(self, slots: Numbers, lengths: npt.NDArray[np.uint32]) -> Numbers:
        octets, wide = self._packets[slots].tobytes(), self._packets.itemsize
        failed = []
        for at, (slot, length) in enumerate(zip(slots.tolist(), lengths.tolist(), strict=True)):
            port, to = self._aims[slot]
            if not sent(self.rtp[port], octets[at * wide : at * wide + length], to):
                failed.append(at)
        return np.array(failed, np.intp)

    def arrived(self) -> Iterator[Batch]:
        left = MOST
        waiting = list(self.rtp)
        while waiting and left > 0:
            rows: list[tuple[int, bytes, Address]] = []
            while waiting and len(rows) < BATCH:
                port = waiting.pop()
                rows += self._some(port, min(EACH, BATCH - len(rows)))
            left -= len(rows)
            if rows:
                yield self._batch(rows)

    def _some(self, port: int, most: int) -> list[tuple[int, bytes, Address]]:
        rows: list[tuple[int, bytes, Address]] = []
        while len(rows) < most and (came := read(self.rtp[port])) is not None:
            if HEAD.size <= len(came[0]) <= WIDTH:
                rows.append((port, *came))
        return rows

    def _batch(self, rows: list[tuple[int, bytes, Address]]) -> Batch:
        for at, (_, data, _) in enumerate(rows):
            self._data[at, : len(data)] = np.frombuffer(data, np.uint8)
        return Batch(
            self._data[: len(rows)],
            np.array([len(data) for _, data, _ in rows], np.uint32),
            np.array([key_of(port, source) for port, _, source in rows], np.uint64),
            np.array([port for port, _, _ in rows], np.uint16),
            np.full(len(rows), time.time()),
            lambda at: rows[at][2],
        )
