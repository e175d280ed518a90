"""The RTP sockets by the batch: `sendmmsg` and `recvmmsg` of Linux over tables of message headers made beforehand.

The calls go through `PyDLL`, with the interpreter's lock held: given up at each call, beside a busy loop a tick would
wait for it as many times as there are sockets. Message names are IPv4's; the rest goes by `ivr.media.wire.Plain`.
"""

from __future__ import annotations

import ctypes
import select
import socket
import sys
import time
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from ivr.media.latch import Address
from ivr.media.packet import PACKET
from ivr.media.wire import BATCH, EACH, MOST, WIDTH, Batch, Doors, Numbers, Packets

MESSAGE = np.dtype({  # struct mmsghdr on 64 bits
    "names": ["name", "namelen", "iov", "iovlen", "control", "controllen", "flags", "len"],
    "formats": ["u8", "u4", "u8", "u8", "u8", "u8", "i4", "u4"],
    "offsets": [0, 8, 16, 24, 32, 40, 48, 56],
    "itemsize": 64,
})  # fmt: skip
VECTOR = np.dtype([("base", "u8"), ("len", "u8")])  # struct iovec
NAME = np.dtype([("family", "u2"), ("port", ">u2"), ("host", ">u4"), ("zero", "u8")])  # struct sockaddr_in
STAMP = np.dtype([("len", "u8"), ("level", "i4"), ("type", "i4"), ("s", "i8"), ("ns", "i8")])  # cmsghdr and timespec
SO_TIMESTAMPNS = 35

_libc = ctypes.PyDLL(None, use_errno=False)


def available(host: str) -> bool:
    """Does this system have it, for addresses like `host`?"""
    wide = ctypes.sizeof(ctypes.c_void_p) == 8 and sys.platform == "linux"
    return wide and ":" not in host and hasattr(_libc, "sendmmsg") and hasattr(_libc, "recvmmsg")


class Mmsg(Doors):
    """The `ivr.media.wire.Wire` that costs a call of the kernel a socket, not a packet."""

    def __init__(self, host: str) -> None:
        super().__init__(host)
        self._packets: Packets = np.zeros(0, PACKET)
        self._out = np.zeros(0, MESSAGE)
        self._out_vectors = np.zeros(0, VECTOR)
        self._out_names = np.zeros(0, NAME)
        self._from = np.zeros(0, np.uint16)
        self._in = np.zeros(BATCH, MESSAGE)
        self._in_vectors = np.zeros(BATCH, VECTOR)
        self._in_names = np.zeros(BATCH, NAME)
        self._in_stamps = np.zeros(BATCH, STAMP)
        self._data = np.zeros((BATCH, WIDTH), np.uint8)
        self._ports = np.zeros(BATCH, np.uint16)
        self._poll = select.epoll()
        self._numbers: dict[int, int] = {}  # descriptor → port
        self._lay_in()

    def _lay_in(self) -> None:
        _lay(self._in, self._in_vectors, self._in_names, self._data, WIDTH)
        self._in["control"] = _spread(self._in_stamps)

    # ---- sockets

    def open(self, port: int) -> None:
        super().open(port)
        self.rtp[port].setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._numbers[self.rtp[port].fileno()] = port
        self._poll.register(self.rtp[port].fileno(), select.EPOLLIN)

    def close(self, port: int) -> None:
        if port in self.rtp:
            descriptor = self.rtp[port].fileno()
            self._poll.unregister(descriptor)
            del self._numbers[descriptor]
        super().close(port)

    def shut(self) -> None:
        super().shut()
        self._poll.close()

    # ---- out

    def room(self, packets: Packets) -> None:
        old, self._packets = len(self._out), packets
        names, ports = np.zeros(len(packets), NAME), np.zeros(len(packets), np.uint16)
        names[:old], ports[:old] = self._out_names, self._from
        self._out_names, self._from = names, ports
        self._out, self._out_vectors = np.zeros(len(packets), MESSAGE), np.zeros(len(packets), VECTOR)
        _lay(self._out, self._out_vectors, names, packets, packets.itemsize)

    def aim(self, slot: int, port: int, to: Address) -> None:
        self._from[slot] = port
        try:
            self._out_names[slot] = socket.AF_INET, to[1], int.from_bytes(socket.inet_aton(to[0]), "big"), 0
        except OSError:  # an address of IPv6, where we have none: every packet fails and is counted
            self._out_names[slot] = 0, 0, 0, 0

    def send(self, slots: Numbers, lengths: npt.NDArray[np.uint32]) -> Numbers:
        self._out_vectors["len"][slots] = lengths
        ready, ports = self._out[slots], self._from[slots]
        edges = [0, *(np.flatnonzero(np.diff(ports)) + 1).tolist(), len(ports)]
        failed: list[int] = []
        for start, end in pairwise(edges):
            if start < end:
                self._send_from(self.rtp[int(ports[start])].fileno(), ready, start, end, failed)
        return np.array(failed, np.intp)

    def _send_from(self, descriptor: int, ready: Packets, at: int, end: int, failed: list[int]) -> None:
        """One socket's rows from `at` to `end`; a row that fails is passed over."""
        while at < end:
            took = _libc.sendmmsg(
                descriptor, ctypes.c_void_p(ready.ctypes.data + at * MESSAGE.itemsize), end - at, socket.MSG_DONTWAIT
            )
            if took <= 0:
                failed.append(at)
                took = 1
            at += took

    # ---- in

    def arrived(self) -> Iterator[Batch]:
        left, taken = MOST, dict.fromkeys(self._numbers, 0)
        while left > 0:
            ready = [descriptor for descriptor, _ in self._poll.poll(0) if taken.get(descriptor, EACH) < EACH]
            filled = 0
            for descriptor in ready:
                got = self._read(descriptor, filled, min(EACH - taken[descriptor], BATCH - filled))
                taken[descriptor] += got or EACH  # nothing, though it was said to be there: an error, or a bad checksum
                filled += got
                if filled == BATCH:
                    break
            left -= filled
            if filled:
                yield self._batch(filled)
            if filled < BATCH:
                return

    def _read(self, descriptor: int, at: int, most: int) -> int:
        here = self._in[at : at + most]
        here["namelen"], here["controllen"] = NAME.itemsize, STAMP.itemsize
        where = ctypes.c_void_p(here.ctypes.data)
        got = max(0, int(_libc.recvmmsg(descriptor, where, most, socket.MSG_DONTWAIT, ctypes.c_void_p(None))))
        self._ports[at : at + got] = self._numbers[descriptor]
        return got

    def _batch(self, filled: int) -> Batch:
        names, stamps, ports = self._in_names[:filled], self._in_stamps[:filled], self._ports[:filled]
        key = ports.astype(np.uint64) << np.uint64(48) | names["host"].astype(np.uint64) << np.uint64(16)
        told = (self._in["controllen"][:filled] >= STAMP.itemsize) & (stamps["type"] == SO_TIMESTAMPNS)
        at = np.where(told, stamps["s"] + stamps["ns"] * 1e-9, time.time())
        return Batch(self._data[:filled], self._in["len"][:filled].copy(), key | names["port"], ports, at, self._source)

    def _source(self, at: int) -> Address:
        host, port = self._in_names["host"][at], self._in_names["port"][at]
        return socket.inet_ntoa(int(host).to_bytes(4, "big")), int(port)


def _lay(messages: Packets, vectors: Packets, names: Packets, data: Packets, wide: int) -> None:
    """Point each message to its name and to its row of `data`."""
    vectors["base"], vectors["len"] = _spread(data), wide
    messages["name"], messages["namelen"] = _spread(names), NAME.itemsize
    messages["iov"], messages["iovlen"] = _spread(vectors), 1


def _spread(table: Packets) -> npt.NDArray[np.uint64]:
    """Where each row of `table` lies."""
    return np.uint64(table.ctypes.data) + np.arange(len(table), dtype=np.uint64) * np.uint64(
        table.strides[0] if len(table) else 0
    )
