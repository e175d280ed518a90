"""A made-up network for the pure rows: packets are handed in and looked at, no socket, no clock."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np

from ivr.leg import Run
from ivr.media import g711
from ivr.media.messages import Drop, Event, Media
from ivr.media.record import Spool
from ivr.media.rows import Rows
from ivr.media.wire import WIDTH, Batch, key_of

CALLER = ("192.0.2.7", 4000)
AGO = 1.7e9  # seconds between the plane's clock and the wall's


class Network:
    """A `Wire`: holds what the plane sent, by slot, and what it is to hear next."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, bytes, tuple[str, int]]] = []
        self.coming: list[tuple[int, bytes, tuple[str, int], float]] = []
        self.control: list[tuple[int, bytes, tuple[str, int]]] = []
        self.reported: list[tuple[int, bytes, tuple[str, int], bool]] = []
        self.taken: set[int] = set()
        self.ports: set[int] = set()
        self.aims: dict[int, tuple[int, tuple[str, int]]] = {}
        self.full: set[int] = set()  #: slots whose packets are not taken
        self._packets = np.zeros(0)

    def open(self, port: int) -> None:
        if port in self.taken:
            raise OSError(98, "in use")
        self.ports.add(port)

    def close(self, port: int) -> None:
        self.ports.remove(port)

    def shut(self) -> None:
        self.ports.clear()

    def room(self, packets) -> None:
        self._packets = packets

    def aim(self, slot: int, port: int, to: tuple[str, int]) -> None:
        self.aims[slot] = port, to

    def send(self, slots, lengths):
        for slot, length in zip(slots.tolist(), lengths.tolist(), strict=True):
            assert self.aims[slot][0] in self.ports
            self.sent.append((slot, self._packets[slot].tobytes()[:length], self.aims[slot][1]))
        return np.array([at for at, slot in enumerate(slots.tolist()) if slot in self.full], np.intp)

    def arrived(self) -> Iterator[Batch]:
        coming, self.coming = self.coming, []
        if coming:
            data = np.zeros((len(coming), WIDTH), np.uint8)
            for at, (_, packet, _, _) in enumerate(coming):
                data[at, : len(packet)] = np.frombuffer(packet, np.uint8)
            ports, packets, sources, times = zip(*coming, strict=True)
            keys = [key_of(port, source) for port, source in zip(ports, sources, strict=True)]
            yield Batch(
                data,
                np.array(list(map(len, packets)), np.uint32),
                np.array(keys, np.uint64),
                np.array(ports, np.uint16),
                np.array(times),
                lambda at: sources[at],
            )

    def report(self, port: int, data: bytes, to: tuple[str, int], muxed: bool) -> bool:
        self.reported.append((port, data, to, muxed))
        return True

    def reports(self) -> Iterator[tuple[int, bytes, tuple[str, int]]]:
        control, self.control = self.control, []
        yield from control


class Berths:
    """Ports that are only given back and told of; tests name the ports themselves."""

    def __init__(self) -> None:
        self.given: list[int] = []
        self.found: dict[int, tuple[str, int]] = {}

    def give(self, row: int) -> None:
        self.given.append(row)

    def known(self, row: int, source: tuple[str, int]) -> None:
        self.found[row] = source


class World:
    """Rows with their spool worked off in this thread; time goes on by ticks."""

    def __init__(self) -> None:
        self.network = Network()
        self.events: list[Event] = []
        self.spool = Spool(self.events.append)
        self.berths = Berths()
        self.rows = Rows(self.network, self.spool, self.berths)  # type: ignore[arg-type]
        self.now = 100.0

    def tick(self, ticks: int = 1, skipped: int = 0) -> list[Event]:
        """Go on; returns the events of these ticks."""
        before = len(self.events)
        for _ in range(ticks):
            self.events.extend(self.rows.tick(self.now, skipped, self.now + AGO))
            self.spool.work()
            self.now += 0.02
        return self.events[before:]

    def close(self) -> None:
        """Hang up all calls, so that their recordings are closed."""
        self.obey(*map(Drop, list(self.rows.calls)))
        self.spool.work()

    def obey(self, *commands: object) -> None:
        for command in commands:
            self.rows.obey(command, self.now)  # type: ignore[arg-type]

    def hear(self, *packets: bytes, source: tuple[str, int] = CALLER, slot: int = 0, at: float | None = None) -> None:
        """Packets that come to the port of the call in `slot` before the next tick."""
        call = self.rows.table.slots[slot]
        port = call.media.port if call else 20_002
        when = self.now + AGO if at is None else at
        self.network.coming.extend((port, packet, source, when) for packet in packets)

    def sounds(self, slot: int = 0) -> list[bytes]:
        """Packets sent since the last time."""
        mine = [packet for at, packet, _ in self.network.sent if at == slot]
        self.network.sent.clear()
        return mine


def media(row: int = 1, **changes: object) -> Media:
    facts: dict[str, object] = {"row": row, "law": "pcma", "peer": CALLER, "event_type": 96, "port": 20_000 + 2 * row}
    return Media(**{**facts, **changes})  # type: ignore[arg-type]


def rtp(
    seq: int, timestamp: int, payload: bytes, kind: int = 8, ssrc: int = 77, marker: bool = False, first: int = 0x80
) -> bytes:
    head = struct.pack("!BBHII", first, kind | 0x80 * marker, seq & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc)
    return head + payload


def fields(packet: bytes) -> tuple[bool, int, int, int, int]:
    """Marker, payload type, sequence number, timestamp, SSRC."""
    _, second, seq, timestamp, ssrc = struct.unpack_from("!BBHII", packet)
    return bool(second & 0x80), second & 0x7F, seq, timestamp, ssrc


def tone(seconds: float, hertz: float = 440.0, loud: float = 8000.0) -> Run:
    at = np.arange(int(seconds * 8000))
    return g711.frames((loud * np.sin(at * 2 * np.pi * hertz / 8000)).astype(np.int16))
