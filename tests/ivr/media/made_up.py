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

CALLER = ("192.0.2.7", 4000)


class Network:
    """Holds what the plane sent, by slot, and what it is to hear next."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, bytes, tuple[str, int]]] = []
        self.coming: list[tuple[int, bytes, tuple[str, int]]] = []
        self.fixed: dict[int, tuple[str, int] | None] = {}
        self.taken: set[int] = set()
        self.open_slots: dict[int, int] = {}

    def open(self, slot: int, port: int) -> None:
        if port in self.taken:
            raise OSError(98, "in use")
        self.open_slots[slot] = port

    def close(self, slot: int) -> None:
        del self.open_slots[slot]

    def fix(self, slot: int, source: tuple[str, int] | None) -> None:
        self.fixed[slot] = source

    def send(self, slot: int, packet: bytes, to: tuple[str, int]) -> bool:
        self.sent.append((slot, bytes(packet), to))
        return True

    def arrived(self) -> Iterator[tuple[int, bytes, tuple[str, int]]]:
        coming, self.coming = self.coming, []
        yield from coming


class World:
    """Rows with their spool worked off in this thread; time goes on by ticks."""

    def __init__(self) -> None:
        self.network = Network()
        self.events: list[Event] = []
        self.spool = Spool(self.events.append)
        self.given: list[int] = []
        self.rows = Rows(self.network, self.spool, self.given.append)
        self.now = 100.0

    def tick(self, ticks: int = 1, skipped: int = 0) -> list[Event]:
        """Go on; returns the events of these ticks."""
        before = len(self.events)
        for _ in range(ticks):
            self.events.extend(self.rows.tick(self.now, skipped))
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

    def hear(self, *packets: bytes, source: tuple[str, int] = CALLER, slot: int = 0) -> None:
        self.network.coming.extend((slot, packet, source) for packet in packets)

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
