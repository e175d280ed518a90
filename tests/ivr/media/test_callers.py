"""The call benchmark measures what it says: gaps by the kernel's times, losses, whose stream it is, SIP answers."""

from __future__ import annotations

import argparse
import socket
import struct
import threading
from collections.abc import Iterator

import pytest

from tests.bench.callers import IP_PKTINFO, SO_TIMESTAMPNS, Callers, bare, share

OPTIONS = {
    "calls": 2,
    "seconds": 1.0,
    "rate": 40.0,
    "settle": 0.2,
    "number": "1888",
    "keys": "",
    "pause": 1.0,
    "seed": 1,
    "every": 1,
    "hold": 0.0,
}


@pytest.fixture
def crowd() -> Iterator[Callers]:
    crowd = Callers(("127.0.0.1", 9), argparse.Namespace(**OPTIONS))
    yield crowd
    crowd.close()


def came(crowd: Callers, seq: int, ms: float, caller: int = 0, ssrc: int = 5) -> None:
    at = int(ms * 1e6)
    extra = [
        (socket.SOL_SOCKET, SO_TIMESTAMPNS, struct.pack("@qq", at // 10**9, at % 10**9)),
        (socket.IPPROTO_IP, IP_PKTINFO, struct.pack("@I4s4s", 1, bytes(4), bytes([127, 1, 0, caller + 1]))),
    ]
    crowd._arrived(struct.pack("!BBHII", 0x80, 8, seq & 0xFFFF, 0, ssrc), extra, True)


def test_gaps_are_measured_per_stream_and_losses_counted(crowd):
    for seq, ms in ((65534, 0), (65535, 20), (0, 43), (1, 60), (4, 120), (5, 170)):
        came(crowd, seq, ms)
        came(crowd, seq, ms + 7, caller=1)
    figures = crowd._figures()
    assert figures["jitter_ms"] == {"p50": 3.0, "p99": 30.0, "p999": 30.0, "max": 30.0}
    assert (figures["lost"], figures["packets"], figures["gaps_over_40_ms"]) == (4, 10, 2)


def test_a_new_stream_begins_anew(crowd):
    came(crowd, 1, 0)
    came(crowd, 900, 500, ssrc=6)
    came(crowd, 901, 520, ssrc=6)
    assert (crowd._figures()["lost"], crowd._figures()["packets"]) == (0, 1)


def test_percentiles_are_those_of_the_sorted_values():
    assert [share([1.0, 2.0, 3.0, 4.0], part) for part in (0.5, 0.75, 0.99, 1.0)] == [2.0, 3.0, 4.0, 4.0]
    assert share([], 0.5) is None


def test_alone_it_hears_every_packet_it_sent():
    figures = bare(argparse.Namespace(**OPTIONS), 0.5)
    assert figures["lost"] == 0
    assert figures["packets"] >= 20


def test_a_line_that_is_busy_is_a_failed_call_with_its_status():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.bind(("127.0.0.1", 0))
        line.settimeout(5)
        heard: list[bytes] = []
        thread = threading.Thread(target=_refuse, args=(line, heard))
        thread.start()
        crowd = Callers(line.getsockname(), argparse.Namespace(**{**OPTIONS, "calls": 1, "seconds": 0.1}))
        figures = crowd.run()
        crowd.close()
        thread.join()
    assert (figures["failed"], figures["why"], figures["answered"]) == (1, ["486"], 0)
    assert [words.split()[0] for words in heard] == [b"INVITE", b"ACK"]


def _refuse(line: socket.socket, heard: list[bytes]) -> None:
    """Answer an INVITE with 486 and wait for its ACK."""
    invite, peer = line.recvfrom(4096)
    heard.append(invite)
    head = invite.split(b"\r\n\r\n")[0].split(b"\r\n")[1:]
    kept = [row for row in head if row.split(b":")[0] in (b"Via", b"From", b"To", b"Call-ID", b"CSeq")]
    line.sendto(b"\r\n".join([b"SIP/2.0 486 Busy Here", *kept, b"Content-Length: 0", b"", b""]), peer)
    heard.append(line.recv(4096))
