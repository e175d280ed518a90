"""The line over TCP and TLS: bare streams, another line of ours, sipp and baresip."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from pathlib import Path

import pytest

from core.channels import TryLater
from ivr.leg import HungUp
from ivr.settings import Peer
from ivr.sip import connection
from ivr.sip import message as sip
from ivr.sip.leg import SipLeg
from ivr.sip.outgoing import NotReached
from ivr.sip.stream import Stream, Whole
from tests.ivr.sip.house import OFFER, Spoken, house, until
from tests.ivr.sip.papers import bound, papers

__all__ = ["papers"]


class Wired(Spoken):
    """A bare connection that says exactly what it is told."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, transport: str) -> None:
        self.reader, self.writer, self.transport = reader, writer, transport.upper()
        self.here = writer.get_extra_info("sockname")
        self._stream = Stream()
        self._pieces: list[bytes] = []

    def say(self, data: bytes) -> None:
        self.writer.write(data)

    async def hear(self, seconds: float = 2.0) -> sip.Message:
        async with asyncio.timeout(seconds):
            while not self._pieces:
                data = await self.reader.read(65536)
                if not data:
                    raise EOFError
                self._pieces += [piece.data for piece in self._stream.feed(data, 0) if isinstance(piece, Whole)]
        message = sip.read(self._pieces.pop(0))
        assert not isinstance(message, sip.Reject), message
        return message

    async def closed(self) -> bool:
        """Whether the other end hangs up, with whatever it still says."""
        with contextlib.suppress(ConnectionError):
            await asyncio.wait_for(self.reader.read(), 5)
        return True


@contextlib.asynccontextmanager
async def wired(port: int, transport: str = "tcp", papers: Path | None = None):
    context = ssl.create_default_context(cafile=str(papers / "ca.pem")) if transport == "tls" and papers else None
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    try:
        yield Wired(reader, writer, transport)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()


@pytest.mark.parametrize("transport", ["tcp", "tls"])
async def test_a_call_by_a_connection_in_pieces(reactor, papers, transport):
    bind = bound(transport, papers)
    async with house(reactor, **bind) as home, wired(home.line.port, transport, papers) as phone:
        data = phone.make("INVITE", OFFER)
        for at in range(0, len(data), 50):
            phone.say(data[at : at + 50])
            await asyncio.sleep(0)
        answer = await phone.final()
        assert answer.status == 200 and f";transport={transport}>" in (answer.get("contact") or "")
        phone.say(phone.make("ACK", to_tag=answer.to_tag or "", branch="ack") + b"\r\n\r\n")
        await until(lambda: home.answered)
        home.legs[0].hang_up()
        bye = await phone.request("BYE")
        assert bye.via.transport == transport.upper()
        phone.say(sip.write(sip.reply(bye, 200)))
        await until(lambda: home.line.calls == 0 and home.events == [HungUp("us")])


async def test_half_a_message_and_long_silence_close_a_connection_but_not_one_with_a_call(reactor, papers):
    ahead = [0.0]
    async with house(reactor, clock=lambda: time.monotonic() + ahead[0], **bound("tcp", papers)) as home:
        port = home.line.port
        async with wired(port) as half, wired(port) as quiet, wired(port) as calling:
            half.say(half.make("OPTIONS")[:-5])
            tag = await calling.connect()
            await until(lambda: len(home.line.connections) == 3 and home.answered)
            await asyncio.sleep(0)
            ahead[0] += 11
            home.line.look()
            assert await half.closed()
            await until(lambda: len(home.line.connections) == 2)
            ahead[0] += 110
            home.line.look()
            assert await quiet.closed()
            await until(lambda: len(home.line.connections) == 1)
            calling.say(calling.make("BYE", to_tag=tag, seq=2, branch="bye"))
            assert (await calling.final()).status == 200 and home.line.counts["overdue"] == 2


async def test_strangers_and_connections_too_many_are_closed_at_once(reactor, papers, monkeypatch):
    monkeypatch.setattr(connection, "MOST", 2)
    bind = bound("tcp", papers)
    async with house(reactor, **bind) as home, wired(home.line.port), wired(home.line.port):
        await until(lambda: len(home.line.connections) == 2)
        async with wired(home.line.port) as third:
            assert await third.closed() and home.line.counts["connections"] == 1
    far = Peer("far", allow=("192.0.2.0/24",))
    async with house(reactor, peer=(far,), **bind) as home, wired(home.line.port) as stranger:
        assert await stranger.closed() and home.line.counts["outside"] == 1


@pytest.mark.parametrize("transport", ["tcp", "tls"])
async def test_a_message_without_length_is_answered_and_the_connection_closed(reactor, papers, transport):
    bind = bound(transport, papers)
    async with house(reactor, **bind) as home, wired(home.line.port, transport, papers) as phone:
        phone.say(b"\r\n\r\n" + phone.make("OPTIONS").replace(b"Content-Length: 0\r\n", b""))
        said = await asyncio.wait_for(phone.reader.read(), 5)
        assert said.startswith(b"\r\nSIP/2.0 400 ")
        assert home.line.calls == 0


async def test_a_peer_of_one_transport_is_not_heard_by_another(reactor, papers):
    peer = (Peer("trunk", allow=("127.0.0.0/8",), transport="tls"),)
    async with house(reactor, peer=peer, **bound("tcp", papers)) as home, wired(home.line.port) as phone:
        assert await phone.closed() and home.line.counts["outside"] == 1


async def test_tls_before_1_2_is_refused(reactor, papers):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with pytest.warns(DeprecationWarning):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    async with house(reactor, **bound("tls", papers)) as home:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.open_connection("127.0.0.1", home.line.port, ssl=context)


@pytest.mark.parametrize("which", ["cert", "key"])
async def test_a_certificate_that_is_not_there_is_named(reactor, papers, which):
    with pytest.raises(OSError, match=f"{which} /nowhere"):
        async with house(reactor, **{**bound("tls", papers), which: "/nowhere"}):
            pass


def trunk(home, transport: str, **more) -> Peer:
    return Peer("trunk", address=f"127.0.0.1:{home.line.port}", transport=transport, dial=True, **more)


@pytest.mark.parametrize("transport", ["tcp", "tls"])
async def test_a_call_of_ours_by_a_connection_to_another_line(reactor, papers, transport):
    async with house(reactor, **bound(transport, papers)) as far:
        peer = trunk(far, transport, domain="localhost", ca_file=str(papers / "ca.pem"))
        async with house(reactor, peer=(peer,), **bound(transport, papers)) as home:
            leg = await home.line.dial("1888")
            assert isinstance(leg, SipLeg) and far.legs[0].called == "1888"
            await until(lambda: far.answered)
            far.legs[0].hang_up()  # by the connection that we opened
            assert [event async for event in leg.events()] == [HungUp("caller")]
            await until(lambda: far.line.calls == 0 and home.line.calls == 0)


async def test_a_peer_whose_certificate_we_cannot_trust_is_not_spoken_to(reactor, papers):
    async with house(reactor, **bound("tls", papers)) as far:
        for more in (
            {"ca_file": str(papers / "stranger.pem")},
            {"ca_file": "/nowhere"},
            {"domain": "trunk.example.ir"},
        ):
            peer = trunk(far, "tls", **{"domain": "localhost", "ca_file": str(papers / "ca.pem"), **more})
            async with house(reactor, peer=(peer,), **bound("tls", papers)) as home:
                result = await asyncio.wait_for(home.line.dial("1888"), 10)
                assert isinstance(result, NotReached) and result.outcome == TryLater("silence")
        assert not far.legs


async def test_nobody_there_is_known_at_once(reactor, papers):
    peer = Peer("gone", address="127.0.0.1:9", transport="tcp", dial=True)
    async with house(reactor, peer=(peer,), **bound("tcp", papers)) as home:
        result = await asyncio.wait_for(home.line.dial("1888"), 5)
        assert isinstance(result, NotReached) and home.plane.ports.out == 0


async def test_a_call_whose_connection_broke_still_ends(reactor, papers):
    async with house(reactor, **bound("tcp", papers)) as home:
        async with wired(home.line.port) as phone:
            await phone.connect()
            await until(lambda: home.answered)
        await until(lambda: not home.line.connections)
        home.legs[0].hang_up()
        await until(lambda: home.line.calls == 0 and home.events == [HungUp("us")])
        assert home.plane.ports.out == 0


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # Twisted leaves the socket it cannot bind
async def test_a_line_that_cannot_start_leaves_no_socket_open(reactor, papers):
    async with house(reactor, bind=("tcp:127.0.0.1:0",)) as other, house(reactor) as gone:
        taken, free = other.line.port, gone.line.port
        await gone.line.stop(0)
        with pytest.raises(OSError, match=rf"phone\.line\.main\.bind: cannot listen on TCP 127\.0\.0\.1:{taken}"):
            async with house(reactor, bind=(f"udp:127.0.0.1:{free}", f"tcp:127.0.0.1:{taken}")):
                pass
        await until(lambda: is_free(free))


def is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        try:
            own.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
