"""The plane with its threads and real sockets on loopback, and the ports it gives out."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Callable

import pytest

from ivr.media import g711, rtcp
from ivr.media.apart import Apart
from ivr.media.messages import (
    Add,
    Drop,
    Dropped,
    Event,
    Hush,
    KeySeen,
    Media,
    Play,
    Record,
    Recorded,
    RunsOut,
    SendKeys,
)
from ivr.media.mmsg import Mmsg, available
from ivr.media.plane import Plane
from ivr.media.ports import POOL, Ports
from ivr.media.wire import Plain
from tests.ivr.media.made_up import fields, rtp, tone


class Phone:
    """A socket that speaks and listens RTP."""

    def __init__(self) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.sock.setblocking(False)
        self.address: tuple[str, int] = self.sock.getsockname()
        self.heard: list[bytes] = []

    def listen(self) -> list[bytes]:
        while True:
            try:
                self.heard.append(self.sock.recv(2048))
            except BlockingIOError:
                return self.heard


WIRES = [
    pytest.param(
        lambda: Plane("127.0.0.1", 0, 0, wire=Mmsg("127.0.0.1")),
        id="mmsg",
        marks=pytest.mark.skipif(not available("127.0.0.1"), reason="no sendmmsg here"),
    ),
    pytest.param(lambda: Plane("127.0.0.1", 0, 0, wire=Plain("127.0.0.1")), id="plain"),
    pytest.param(lambda: Apart("127.0.0.1", 0, 0), id="apart"),
]


@pytest.fixture(params=WIRES)
async def plane(request) -> AsyncIterator[tuple[Plane | Apart, list[Event]]]:
    """On each kind of sockets, and in a process of its own."""
    events: list[Event] = []
    plane = request.param()
    plane.start(events.extend, asyncio.get_running_loop())
    yield plane, events
    plane.stop()
    assert not plane.alive


@pytest.fixture
def phone():
    phone = Phone()
    yield phone
    phone.sock.close()


async def until(condition: Callable[[], bool], seconds: float = 15.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come"
        await asyncio.sleep(0.005)


async def test_a_call_on_real_sockets_hears_a_prompt_presses_a_key_and_is_recorded(plane, phone, tmp_path):
    plane, events = plane
    port = plane.ports.take(1)
    prompt, path = tone(0.4), tmp_path / "a.wav"
    plane.post(Add(Media(1, "pcma", phone.address, 101, port)))
    plane.post(Play(1, 7, [prompt]))
    await until(lambda: RunsOut(1, 7) in events)
    plane.post(Record(1, str(path), 60, 5, "#"))
    await until(lambda: len(phone.listen()) >= 30)
    assert prompt.pcma in b"".join(packet[12:] for packet in phone.heard)
    for number in range(50):
        phone.sock.sendto(rtp(number, 160 * number, prompt.pcma[:160]), ("127.0.0.1", port))
        await asyncio.sleep(0.002)
    phone.sock.sendto(rtp(50, 8000, b"\x0b\x0a\x00\xa0", kind=101, marker=True), ("127.0.0.1", port))
    await until(lambda: any(isinstance(event, Recorded) for event in events))
    recorded = next(event for event in events if isinstance(event, Recorded))
    assert (recorded.why, KeySeen(1, "#") in events) == ("key", True)
    assert len(g711.read_wav(path.read_bytes())) == recorded.seconds * 8000 == 50 * 160 - 480
    plane.post(Drop(1))
    await until(lambda: isinstance(events[-1], Dropped))
    assert events[-1].received == 51


@pytest.mark.slow
async def test_two_calls_talk_keys_to_each_other_over_the_wire(plane):
    plane, events = plane
    one, two = plane.ports.take(1), plane.ports.take(2)
    plane.post(Add(Media(1, "pcma", ("127.0.0.1", two), 101, one)))
    plane.post(Add(Media(2, "pcma", ("127.0.0.1", one), 101, two)))
    plane.post(SendKeys(1, "12345678901"))
    await until(lambda: sum(isinstance(event, KeySeen) for event in events) == 11)
    assert "".join(event.key for event in events if isinstance(event, KeySeen)) == "12345678901"


async def test_a_stranger_is_dropped_and_counted_once_the_caller_is_known(plane, phone):
    plane, events = plane
    port = plane.ports.take(1)
    plane.post(Add(Media(1, "pcma", phone.address, 101, port)))
    await until(lambda: len(phone.listen()) >= 1)
    phone.sock.sendto(rtp(0, 0, b"\xd5" * 160), ("127.0.0.1", port))
    await until(lambda: len(phone.listen()) >= 5)
    stranger = Phone()
    for number in range(20):
        stranger.sock.sendto(rtp(number, 0, b"\x05\x0a\x00\xa0", kind=101), ("127.0.0.1", port))
    await until(lambda: len(phone.listen()) >= 10)
    plane.post(Drop(1))
    await until(lambda: bool(events))
    assert (events[-1].received, events[-1].strangers) == (1, 20)
    assert stranger.listen() == []
    stranger.sock.close()


async def test_a_hush_silences_a_prompt_on_the_wire(plane, phone):
    plane, _ = plane
    port = plane.ports.take(1)
    plane.post(Add(Media(1, "pcma", phone.address, 101, port)))
    plane.post(Play(1, 1, [tone(5, loud=20_000)]))
    await until(lambda: len(phone.listen()) >= 10)
    before = len(phone.listen())
    plane.post(Hush(1))
    await until(lambda: len(phone.listen()) >= before + 30)  # 0.6 s; the prompt would go on for 4 s more
    assert {packet[12:] for packet in phone.heard[-10:]} == {b"\xd5" * 160}


async def test_packets_leave_every_20_ms(plane, phone):
    plane, _ = plane
    port = plane.ports.take(1)
    plane.post(Add(Media(1, "pcmu", phone.address, None, port)))
    await until(lambda: len(phone.listen()) >= 5)
    start = time.monotonic()
    await until(lambda: len(phone.listen()) >= 55)
    assert 0.9 < time.monotonic() - start < 5.0  # late ticks are left out, not sent in a burst
    seqs = [fields(packet)[2] for packet in phone.heard]
    assert [(seq - seqs[0]) & 0xFFFF for seq in seqs] == list(range(len(seqs)))


@pytest.mark.parametrize("peer", [("2001:db8::1", 4000), ("127.0.0.1", 65_535), ("0.0.0.1", 1)])
async def test_an_address_that_cannot_be_reached_hurts_nobody(plane, phone, peer):
    plane, _ = plane
    for row, there in ((1, peer), (2, phone.address)):
        plane.post(Add(Media(row, "pcma", there, 101, plane.ports.take(row, there), sought=False)))
    await until(lambda: len(phone.listen()) >= 20)
    plane.post(Drop(1))
    plane.post(Drop(2))
    await until(lambda: plane.counts()["calls"] == 0)
    assert plane.alive


async def test_a_caller_whose_port_is_shut_does_not_hurt_the_others(plane, phone):
    plane, events = plane
    gone = Phone()
    gone.sock.close()
    one, two = plane.ports.take(1), plane.ports.take(2)
    plane.post(Add(Media(1, "pcma", gone.address, 101, one)))
    plane.post(Add(Media(2, "pcma", phone.address, 101, two)))
    await until(lambda: len(phone.listen()) >= 20)
    assert events == []


async def test_stopping_finishes_recordings_and_tells_of_them(tmp_path, phone):
    events: list[Event] = []
    plane = Plane("127.0.0.1", 0, 0)
    plane.start(events.extend, asyncio.get_running_loop())
    port = plane.ports.take(1)
    path = tmp_path / "a.wav"
    plane.post(Add(Media(1, "pcma", phone.address, 101, port)))
    plane.post(Record(1, str(path), 60, 50, "#"))
    await until(lambda: len(phone.listen()) >= 3)
    for number in range(20):
        phone.sock.sendto(rtp(number, 160 * number, tone(0.02).pcma), ("127.0.0.1", port))
    await until(lambda: plane.counts().get("calls") == 1 and len(phone.listen()) >= 8)
    plane.stop()
    await until(lambda: len(events) == 2)
    assert events[0] == Recorded(1, "hung_up", 0.4, str(path))
    assert isinstance(events[1], Dropped)


async def test_many_calls_share_sixteen_ports_and_each_hears_its_own(plane):
    plane, events = plane
    phones = [Phone() for _ in range(40)]
    ports = [plane.ports.take(row, phone.address) for row, phone in enumerate(phones)]
    assert len(set(ports)) == POOL
    assert not any(plane.ports.is_sought(row) for row in range(40))
    for row, (phone, port) in enumerate(zip(phones, ports, strict=True)):
        plane.post(Add(Media(row, "pcma", phone.address, 101, port, sought=False)))
        plane.post(Play(row, 1, [tone(0.1, 300 + 50 * row)]))
    await until(lambda: len(events) == 40)
    for row, (phone, port) in enumerate(zip(phones, ports, strict=True)):
        phone.sock.sendto(rtp(0, 0, bytes([row % 10, 10, 0, 160]), kind=101), ("127.0.0.1", port))
        assert tone(0.1, 300 + 50 * row).pcma in b"".join(packet[12:] for packet in phone.listen())
    await until(lambda: sum(isinstance(event, KeySeen) for event in events) == 40)
    assert {event.row: event.key for event in events if isinstance(event, KeySeen)} == {
        row: str(row % 10) for row in range(40)
    }
    for phone in phones:
        phone.sock.close()


async def test_several_packets_of_a_call_that_come_at_once_are_all_counted_and_recorded(plane, phone, tmp_path):
    plane, events = plane
    port = plane.ports.take(1, phone.address)
    plane.post(Add(Media(1, "pcma", phone.address, 101, port, sought=False)))
    plane.post(Record(1, str(tmp_path / "a.wav"), 60, 50, "#"))
    await until(lambda: len(phone.listen()) >= 2)
    sound = tone(2.0).pcma
    for number in range(100):
        phone.sock.sendto(rtp(number, 160 * number, sound[160 * number :][:160]), ("127.0.0.1", port))
    await until(lambda: plane.counts()["calls"] == 1 and len(phone.listen()) >= 10)
    plane.post(Drop(1))
    await until(lambda: len(events) == 2)
    assert (events[1].received, events[1].quality.lost) == (100, 0)
    assert (tmp_path / "a.wav").read_bytes()[g711.HEADER :] == sound


async def test_reports_go_both_ways_beside_the_sound(plane, phone):
    plane, events = plane
    control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    control.setblocking(False)
    try:
        control.bind(("127.0.0.1", phone.address[1] + 1))
    except OSError:
        pytest.skip("the port above the phone's is taken")
    port = plane.ports.take(1, phone.address)
    plane.post(Add(Media(1, "pcma", phone.address, 101, port, sought=False)))
    await until(lambda: len(phone.listen()) >= 2)
    phone.sock.sendto(rtp(0, 0, b"\xd5" * 160), ("127.0.0.1", port))
    ssrc = fields(phone.heard[0])[4]
    theirs = rtcp.write(77, "phone", None, (rtcp.Block(ssrc, 0, 3, 0, 80),))
    control.sendto(theirs, ("127.0.0.1", port + 1))
    await until(lambda: plane.counts().get("rtcp") == 1)
    plane.post(Drop(1))
    await until(lambda: bool(events))
    told = [rtcp.read(packet) for packet in _all(control)]
    control.close()
    assert told[-1].bye and told[-1].ssrc == ssrc
    assert told[-1].blocks[0].ssrc == 77
    assert (events[-1].quality.far_lost, events[-1].quality.far_jitter_ms) == (3, 10.0)


def _all(sock: socket.socket) -> list[bytes]:
    heard = []
    with contextlib.suppress(BlockingIOError):
        while True:
            heard.append(sock.recv(2048))
    return heard


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
async def test_ipv6_calls_go_the_plain_way(tmp_path):
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        try:
            sock.bind(("::1", 0))
        except OSError:
            pytest.skip("no IPv6 loopback here")
        sock.setblocking(False)
        events: list[Event] = []
        plane = Plane("::1", 0, 0)
        plane.start(events.extend, asyncio.get_running_loop())
        address = ("::1", sock.getsockname()[1])
        port = plane.ports.take(1, address)
        plane.post(Add(Media(1, "pcma", address, 101, port, sought=False)))
        await until(lambda: bool(_all(sock)))
        sock.sendto(rtp(0, 0, b"\x05\x0a\x00\xa0", kind=101), ("::1", port))
        await until(lambda: KeySeen(1, "5") in events)
        plane.stop()


# ---- ports


def test_a_call_whose_address_is_taken_on_every_shared_port_gets_one_of_its_own():
    ports = Ports("127.0.0.1", 0, 0)
    taken = [ports.take(row, ("192.0.2.1", 4000)) for row in range(POOL + 1)]
    assert len(set(taken)) == POOL + 1
    assert [ports.is_sought(row) for row in (0, POOL - 1, POOL)] == [False, False, True]


def test_an_address_that_left_a_shared_port_does_not_come_back_to_it_at_once():
    now = [0.0]
    base = _four_free_ports()
    ports = Ports("127.0.0.1", base, base + 3, clock=lambda: now[0])
    first = ports.take(1, ("192.0.2.1", 4000))
    ports.give(1)
    assert ports.take(2, ("192.0.2.1", 4000)) != first
    now[0] = 3.0
    assert ports.take(3, ("192.0.2.1", 4000)) == first


def test_a_sought_call_joins_the_port_of_another_once_that_is_found():
    ports = Ports("127.0.0.1", 0, 0)
    one, two = ports.take(1), ports.take(2)
    assert one != two
    ports.known(1, ("192.0.2.1", 4000))
    assert (ports.take(3), ports.take(4) in (one, two)) == (one, False)
    for row in (1, 2, 3, 4):
        ports.give(row)
    assert ports.out == 0


def test_a_call_moves_only_where_its_new_address_is_taken():
    ports = Ports("127.0.0.1", 0, 0)
    first = ports.take(1, ("192.0.2.1", 4000))
    for row in range(2, POOL + 1):
        ports.take(row, ("192.0.2.9", row))
    beside = ports.take(99, ("192.0.2.2", 5000))
    assert beside == first
    assert ports.move(1, ("192.0.2.3", 6000)) == first
    assert ports.move(1, ("192.0.2.2", 5000)) not in (None, first)


def test_ports_are_even_in_turn_and_rest_after_use():
    now = [0.0]
    base = _four_free_ports()
    ports = Ports("127.0.0.1", base + 1, base + 7, clock=lambda: now[0])
    assert [ports.take(row) for row in range(4)] == [base + 2, base + 4, base + 6, None]
    ports.give(1)
    now[0] = 2.0
    assert ports.take(5) is None
    now[0] = 2.6
    assert (ports.take(5), ports.out) == (base + 4, 3)


def test_a_port_that_another_program_has_is_passed_over():
    base = _four_free_ports()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", base))
        assert Ports("127.0.0.1", base, base + 2).take(1) == base + 2


def test_any_port_means_even_ones_that_the_kernel_has_and_none_twice():
    ports = Ports("127.0.0.1", 0, 0)
    taken = [ports.take(row) for row in range(100)]
    assert len(set(taken)) == 100
    assert all(port is not None and port % 2 == 0 for port in taken)


def _four_free_ports() -> int:
    """An even port with free ones after it."""
    for base in range(31_000, 32_000, 10):
        try:
            for port in range(base, base + 8):
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                    sock.bind(("127.0.0.1", port))
        except OSError:
            continue
        return base
    pytest.fail("no eight free ports between 31000 and 32000")
