"""The RTP sockets: one a call, connected once its source is known, so that the kernel drops everybody else."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from typing import Protocol

from ivr.media.latch import Address
from ivr.media.ports import datagrams

ROUNDS = 16  # packets a call may have read in one tick; the rest waits in its socket
LARGEST = 2048  # octets of a datagram read
EXPEDITED = 0xB8  # DSCP EF, RFC 3246


class Wire(Protocol):
    """What the plane needs of the network. Slots are small numbers that the plane draws."""

    def open(self, slot: int, port: int) -> None:
        """Raises OSError when the port cannot be had."""
        ...

    def close(self, slot: int) -> None: ...

    def fix(self, slot: int, source: Address | None) -> None:
        """Hear only `source` from now on; None: anybody again (OSError when the port is lost by that)."""
        ...

    def send(self, slot: int, packet: memoryview | bytes, to: Address) -> bool:
        """False when the network would not take it."""
        ...

    def arrived(self) -> Iterator[tuple[int, bytes, Address]]: ...


class Sockets:
    """The real one."""

    def __init__(self, host: str) -> None:
        self.host = host
        self._sockets: dict[int, socket.socket] = {}
        self._ports: dict[int, int] = {}
        self._slots: dict[int, int] = {}
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
        self._poll.register(sock.fileno(), select.POLLIN)

    def close(self, slot: int) -> None:
        sock = self._sockets.pop(slot, None)
        if sock is None:
            return
        self._poll.unregister(sock.fileno())
        del self._slots[sock.fileno()], self._ports[slot]
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

    def send(self, slot: int, packet: memoryview | bytes, to: Address) -> bool:
        if slot not in self._sockets:
            return False
        try:
            if self._sources.get(slot) == to:
                self._sockets[slot].send(packet)
            else:
                self._sockets[slot].sendto(packet, to)
        except OSError:  # buffer full, or an ICMP "nobody here" of an earlier packet
            return False
        return True

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
        try:
            data, source = self._sockets[slot].recvfrom(LARGEST)
        except OSError:  # an ICMP error was waiting, or the checksum was wrong
            return None
        return data, (source[0], source[1])
