"""The RTP sockets: one a call, connected once its source is known, so that the kernel drops everybody else.

Packets of known calls go by libc's own `send` and `recv` with the interpreter's lock held: the methods of Python's
sockets give it up at each packet, and beside a busy loop a tick of 200 calls then waits 200 times to get it back
(p99 11 ms beside a loop that computes half of the time; held, 5 ms, on a loaded machine).
"""

from __future__ import annotations

import ctypes
import select
import socket
from collections.abc import Iterator

from ivr.media.latch import Address
from ivr.media.ports import datagrams

ROUNDS = 16  # packets a call may have read in one tick; the rest waits in its socket
LARGEST = 2048  # octets of a datagram read
EXPEDITED = 0xB8  # DSCP EF, RFC 3246

_libc = ctypes.PyDLL(None)
_libc.send.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int]
_libc.recv.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
_libc.send.restype = _libc.recv.restype = ctypes.c_ssize_t


class Sockets:
    """The real `ivr.media.rows.Wire`."""

    def __init__(self, host: str) -> None:
        self.host = host
        self._sockets: dict[int, socket.socket] = {}
        self._ports: dict[int, int] = {}
        self._slots: dict[int, int] = {}
        self._descriptors: dict[int, int] = {}
        self._buffer = ctypes.create_string_buffer(LARGEST)
        self._sources: dict[int, Address] = {}
        self._poll = getattr(select, "epoll", select.poll)()

    def open(self, slot: int, port: int) -> None:
        sock = datagrams(self.host)
        try:
            sock.setblocking(False)
            if sock.family == socket.AF_INET:
                sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, EXPEDITED)
            sock.bind((self.host, port))
        except OSError:
            sock.close()
            raise
        self._sockets[slot], self._ports[slot], self._slots[sock.fileno()] = sock, port, slot
        self._descriptors[slot] = sock.fileno()
        self._poll.register(sock.fileno(), select.POLLIN)

    def close(self, slot: int) -> None:
        sock = self._sockets.pop(slot, None)
        if sock is None:
            return
        self._poll.unregister(sock.fileno())
        del self._slots[sock.fileno()], self._ports[slot], self._descriptors[slot]
        self._sources.pop(slot, None)
        sock.close()

    def fix(self, slot: int, source: Address | None) -> None:
        if source is not None:
            self._connect(slot, source)
        elif slot in self._sources:  # a connected datagram socket is set free by making it anew
            port = self._ports[slot]
            self.close(slot)
            self.open(slot, port)

    def _connect(self, slot: int, source: Address) -> None:
        try:
            self._sockets[slot].connect(source)
        except OSError:  # no way there just now: the plane's own latch still keeps strangers out
            return
        self._sources[slot] = source

    def send(self, slot: int, packet: bytes, to: Address) -> bool:
        if self._sources.get(slot) == to:  # -1: buffer full, or an ICMP "nobody here" of an earlier packet
            return bool(_libc.send(self._descriptors[slot], packet, len(packet), socket.MSG_DONTWAIT) >= 0)
        try:
            return slot in self._sockets and self._sockets[slot].sendto(packet, to) >= 0
        except OSError:
            return False

    def arrived(self) -> Iterator[tuple[int, bytes, Address]]:
        """Every packet that waits, a round of one a call at a time."""
        for _ in range(ROUNDS):
            ready = self._poll.poll(0)
            if not ready:
                return
            for descriptor, _ in ready:
                slot = self._slots.get(descriptor)
                packet = None if slot is None else self._read(slot)
                if slot is not None and packet is not None:
                    yield slot, *packet

    def _read(self, slot: int) -> tuple[bytes, Address] | None:
        known = self._sources.get(slot)
        if known is not None:
            size = _libc.recv(self._descriptors[slot], self._buffer, LARGEST, socket.MSG_DONTWAIT)
            return (ctypes.string_at(self._buffer, size), known) if size >= 0 else None
        try:
            data, source = self._sockets[slot].recvfrom(LARGEST)
        except OSError:  # an ICMP error was waiting, or the checksum was wrong
            return None
        return data, (source[0], source[1])
