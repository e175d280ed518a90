"""Connections for real: who may connect, by which proxy, how long, how much is held, and how a line stops."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import ssl

import pytest
import trustme

from gateway.mail import letter as letters
from gateway.mail.link import Link
from gateway.mail.listen import Listener
from gateway.mail.settings import LineSettings
from gateway.mail.smtp import Rcpt, Reply

OK = Reply(250, "2.0.0", "Ok, queued as 1")
BEGIN = "{0} c.example.ir\r\nMAIL FROM:<a@example.ir>\r\nRCPT TO:<water@agency.example.ir>\r\nDATA\r\n"
LETTER = b"Subject: x\r\n\r\nhello\r\n.\r\n"
FIRST = b"PROXY TCP4 203.0.113.9 192.0.2.1 4711 25\r\n"


def judge(rcpt: Rcpt) -> Reply:
    return Reply(250, "2.1.5", "Ok") if rcpt.local == "water" else Reply(550, "5.1.1", "No such address here")


class Post:
    """What was delivered; `gate`, while clear, holds every verdict back."""

    def __init__(self) -> None:
        self.peers: list[str] = []
        self.letters: list[bytes] = []
        self.spooled: list[bool] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, letter) -> Reply:
        self.peers.append(letter.peer)
        self.spooled.append(letter.spooled)
        await self.gate.wait()
        self.letters.append(letter.read())
        return OK


class Peer:
    """A client that says what the test says."""

    def __init__(self, reader, writer) -> None:
        self.reader, self.writer = reader, writer

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def line(self) -> str:
        return (await asyncio.wait_for(self.reader.readline(), 10)).decode().rstrip()

    async def reply(self) -> str:
        """The last line of one reply, without its text."""
        while (said := await self.line())[3:4] == "-":
            pass
        return " ".join(said.split()[:2])

    async def replies(self, n: int) -> list[str]:
        return [await self.reply() for _ in range(n)]

    async def rest(self) -> bytes:
        return await asyncio.wait_for(self.reader.read(), 15)

    async def begin(self, hello: str = "EHLO") -> None:
        await self.say(BEGIN.format(hello).encode())
        assert (await self.replies(4))[-1].startswith("354")

    def close(self) -> None:
        self.writer.transport.abort()


@pytest.fixture
def post():
    return Post()


@pytest.fixture
async def open_line(reactor, tmp_path, post):
    """`listener, connect = open_line(…settings)`."""
    lines, peers = [], []

    def start(room=lambda size: None, memory=64 << 20, **given):
        line = LineSettings(**({"domain": "agency.example.ir", "port": 0} | given))
        listener = Listener(line, judge, post, str(tmp_path), room, memory)
        listener.start(reactor)
        lines.append(listener)
        port = listener.port

        async def connect() -> Peer:
            streams = (
                asyncio.open_unix_connection(line.socket) if line.socket else asyncio.open_connection("127.0.0.1", port)
            )
            peers.append(Peer(*await streams))
            return peers[-1]

        return listener, connect

    yield start
    for peer in peers:
        peer.close()
    for listener in lines:
        await listener.stop(1)


async def until(true, seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


# ---------------------------------------------------------------- LMTP


async def test_lmtp_by_a_unix_socket_gives_each_recipient_a_verdict_in_order(open_line, post, tmp_path):
    _, connect = open_line(kind="lmtp", socket=str(tmp_path / "lmtp.sock"), peer_allow=())
    peer = await connect()
    assert (await peer.line()).endswith("LMTP")
    await peer.say(
        b"LHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<water@agency.example.ir>\r\nRCPT TO:<nobody@agency.example.ir>\r\n"
        b"RCPT TO:<water@agency.example.ir>\r\nDATA\r\n" + LETTER + b"QUIT\r\n"
    )
    assert await peer.replies(9) == [
        "250 ENHANCEDSTATUSCODES", "250 2.1.0", "250 2.1.5", "550 5.1.1", "250 2.1.5", "354 End", "250 2.0.0",
        "250 2.0.0", "221 2.0.0",
    ]  # fmt: skip
    assert post.peers == ["127.0.0.1"] and len(post.letters) == 1
    assert oct(os.stat(tmp_path / "lmtp.sock").st_mode)[-3:] == "660"


async def test_a_socket_left_behind_by_a_killed_process_is_taken_over_and_a_file_is_not(open_line, tmp_path):
    path = tmp_path / "lmtp.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    _, connect = open_line(kind="lmtp", socket=str(path))
    assert (await (await connect()).line()).startswith("220")
    (tmp_path / "precious").write_text("x")
    with pytest.raises(OSError, match="no socket"):
        open_line(kind="lmtp", socket=str(tmp_path / "precious"))
    assert (tmp_path / "precious").read_text() == "x"


async def test_strangers_are_not_spoken_to_in_lmtp(open_line):
    _, connect = open_line(kind="lmtp", peer_allow=("192.0.2.0/24",))
    assert (await (await connect()).rest()).startswith(b"421 4.7.0")


# ---------------------------------------------------------------- PROXY


@pytest.mark.parametrize("cut", [0, 3, len(FIRST) - 1, len(FIRST)])
async def test_a_proxy_says_whom_it_brings_and_is_greeted_after_it(open_line, post, cut):
    _, connect = open_line(proxy=("127.0.0.1",))
    peer = await connect()
    await peer.say(FIRST[:cut])
    await asyncio.sleep(0.02)
    await peer.say(FIRST[cut:] + BEGIN.format("EHLO").encode())
    assert (await peer.replies(5))[0].startswith("220")
    await peer.say(LETTER)
    assert await peer.reply() == "250 2.0.0"
    assert post.peers == ["203.0.113.9"]


async def test_version_two_behind_a_proxy(open_line, post):
    _, connect = open_line(proxy=("127.0.0.1",))
    peer = await connect()
    addresses = bytes([203, 0, 113, 9, 192, 0, 2, 1]) + b"\x12\x67\0\x19"
    await peer.say(b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + addresses + BEGIN.format("EHLO").encode())
    assert (await peer.replies(5))[-1] == "354 End"
    await peer.say(LETTER)
    assert await peer.reply() == "250 2.0.0"
    assert post.peers == ["203.0.113.9"]


async def test_caps_hold_for_whom_the_proxy_brings_and_the_proxys_own_checks_are_greeted(open_line):
    _, connect = open_line(proxy=("127.0.0.1",), peer_allow=(), connections_a_peer=1)
    for host, expected in [("203.0.113.9", "220"), ("203.0.113.10", "220"), ("203.0.113.9", "421")]:
        peer = await connect()
        await peer.say(f"PROXY TCP4 {host} 192.0.2.1 1 25\r\n".encode())
        assert (await peer.line()).startswith(expected)
    check = await connect()
    await check.say(b"PROXY UNKNOWN\r\n")
    assert (await check.line()).startswith("220")


async def test_without_its_header_a_proxy_hears_nothing(open_line):
    _, connect = open_line(proxy=("127.0.0.1",), proxy_s=1.0)
    silent, wrong = await connect(), await connect()
    await wrong.say(b"EHLO c\r\n")
    for peer in (wrong, silent):
        with contextlib.suppress(ConnectionError):  # a reset is an end without a word, too
            assert await peer.rest() == b""


async def test_who_is_no_proxy_cannot_claim_to_be_somebody(open_line):
    _, connect = open_line(proxy=("192.0.2.1",))
    peer = await connect()
    assert (await peer.line()).startswith("220")
    await peer.say(FIRST)
    assert await peer.reply() == "500 5.5.1"


# ---------------------------------------------------------------- TLS


def issue(folder, ca, name="localhost") -> str:
    path = folder / "both.pem"
    ca.issue_cert(name, "127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(path))
    return str(path)


def shake(port: int, context: ssl.SSLContext) -> tuple[str, bytes]:
    """Version and the server's certificate after STARTTLS."""
    with socket.create_connection(("127.0.0.1", port), 10) as raw:
        for line in (b"", b"EHLO c\r\n", b"STARTTLS\r\n"):
            raw.sendall(line)
            raw.recv(4096)
        with context.wrap_socket(raw, server_hostname="localhost") as done:
            return str(done.version()), done.getpeercert(binary_form=True) or b""


async def test_a_new_certificate_is_used_without_a_restart_and_a_broken_one_is_not(open_line, tmp_path):
    ca = trustme.CA()
    path = issue(tmp_path, ca)
    listener, _ = open_line(certificate=path)
    context = ssl.create_default_context()
    ca.configure_trust(context)
    version, first = await asyncio.to_thread(shake, listener.port, context)
    assert version in ("TLSv1.2", "TLSv1.3")
    issue(tmp_path, ca)
    os.utime(path, (1, 1))
    _, second = await asyncio.to_thread(shake, listener.port, context)
    assert second != first
    (tmp_path / "both.pem").write_text("half a certificate")
    _, third = await asyncio.to_thread(shake, listener.port, context)
    assert third == second


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_tls_older_than_1_2_is_refused(open_line, tmp_path):
    listener, _ = open_line(certificate=issue(tmp_path, trustme.CA()))
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await asyncio.to_thread(shake, listener.port, old)


async def test_a_handshake_that_does_not_come_ends_the_connection(open_line, tmp_path):
    _, connect = open_line(certificate=issue(tmp_path, trustme.CA()), tls_s=1.0)
    peer = await connect()
    await peer.say(b"EHLO c\r\nSTARTTLS\r\n")
    assert (await peer.replies(3))[-1] == "220 2.0.0"
    with contextlib.suppress(ConnectionError):
        await peer.rest()
    assert peer.reader.at_eof() or peer.reader.exception() is not None


async def test_a_wrong_certificate_is_said_at_the_start(open_line, tmp_path):
    path = tmp_path / "broken.pem"
    path.write_text("none")
    with pytest.raises(ValueError, match=r"broken\.pem"):
        open_line(certificate=str(path))
    with pytest.raises(FileNotFoundError):
        open_line(certificate=str(tmp_path / "missing.pem"))


# ---------------------------------------------------------------- time


@pytest.mark.slow
async def test_silence_in_a_letter_ends_it_and_so_does_its_whole_time(open_line, post):
    _, connect = open_line(silence_s=1.0, data_s=2.0)
    silent, dripping = await connect(), await connect()
    for peer in (silent, dripping):
        await peer.line()
        await peer.begin()

    async def drip() -> None:
        while True:
            await dripping.say(b"x")
            await asyncio.sleep(0.2)

    task = asyncio.create_task(drip())
    try:
        assert await silent.reply() == "421 4.4.2"
        assert await dripping.reply() == "421 4.4.2"
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert post.letters == []


@pytest.mark.slow
async def test_who_never_reads_is_not_read_from_and_is_ended(open_line, monkeypatch):
    monkeypatch.setattr("gateway.mail.link.LINGER", 0.5)
    listener, connect = open_line(idle_s=1.0)
    peer = await connect()
    peer.writer.transport.pause_reading()
    flood = asyncio.create_task(peer.say(b"NOOP\r\n" * 2_000_000))
    try:
        await until(lambda: any(link._pauses for link in listener.links))
        await until(lambda: not listener.links)
    finally:
        flood.cancel()
        await asyncio.gather(flood, return_exceptions=True)


# ---------------------------------------------------------------- room


async def test_past_one_mebibyte_a_letter_is_spooled_in_a_file_without_a_name(open_line, post, tmp_path):
    listener, connect = open_line()
    peer = await connect()
    await peer.line()
    await peer.begin()
    data = b"y" * 998 + b"\r\n"
    await peer.say(data * 1500)
    await until(lambda: [link for link in listener.links if link._content and link._content.spooled])
    assert listener.in_memory == 0
    await peer.say(b".\r\n")
    assert await peer.reply() == "250 2.0.0"
    assert post.letters == [data * 1500] and post.spooled == [True]
    assert not list(tmp_path.glob("letter-*"))


async def test_beyond_the_memory_of_all_the_coming_ones_are_spooled_and_reading_pauses(open_line, post):
    listener, connect = open_line(memory=300_000)
    big = b"y" * 998 + b"\r\n"
    post.gate.clear()
    waiting = await connect()
    await waiting.line()
    await waiting.begin()
    await waiting.say(big * 290 + b".\r\n")
    await until(lambda: listener.tasks)
    coming = await connect()
    await coming.line()
    await coming.begin()
    await coming.say(big * 5)
    await until(lambda: listener.in_memory > 294_000)
    await coming.say(big * 100)
    await until(lambda: any(link._content.spooled for link in listener.links if link._content))
    assert listener.in_memory == 290_000, "what awaits its verdict stays in memory"
    second = await connect()
    await second.line()
    await second.begin()
    third = await connect()
    await third.line()
    await third.begin()
    listener.in_memory += 20_000  # as if another letter awaited its verdict
    await second.say(big * 10)
    await until(lambda: any("memory" in link._pauses for link in listener.links))
    listener.in_memory -= 20_000
    post.gate.set()
    assert await waiting.reply() == "250 2.0.0"
    await until(lambda: not any(link._pauses for link in listener.links))
    await second.say(b".\r\n")
    await coming.say(b".\r\n")
    assert [await second.reply(), await coming.reply()] == ["250 2.0.0"] * 2
    assert sorted(map(len, post.letters)) == [10_000, 105_000, 290_000]
    assert listener.in_memory == 0


async def test_a_disk_that_takes_no_more_is_452_and_the_connection_goes_on(open_line, post, monkeypatch):
    def full(self):
        raise OSError(28, "No space left on device")

    _, connect = open_line()
    peer = await connect()
    await peer.line()
    await peer.begin()
    with monkeypatch.context() as patched:
        patched.setattr(letters.Content, "spool", full)
        await peer.say((b"y" * 998 + b"\r\n") * 1500 + b".\r\n")
        assert await peer.reply() == "452 4.3.1"
    await peer.say(BEGIN.format("EHLO").encode() + LETTER)
    assert (await peer.replies(5))[-1] == "250 2.0.0"
    assert len(post.letters) == 1


async def test_two_gigabytes_are_refused_without_disk_or_memory(open_line, post, tmp_path):
    listener, connect = open_line(size=1_000_000)
    peer = await connect()
    await peer.line()
    await peer.say(b"EHLO c\r\nMAIL FROM:<a@example.ir> SIZE=2147483648\r\n")
    assert (await peer.replies(2))[-1] == "552 5.3.4"
    await peer.begin()
    free = shutil.disk_usage(tmp_path).free
    piece, sent = b"z" * 65_534 + b"\r\n", 0

    async def pour() -> None:
        nonlocal sent
        while sent < 2 << 30:
            await peer.say(piece)
            sent += len(piece)
            assert listener.in_memory <= letters.IN_MEMORY

    with pytest.raises(ConnectionError):
        await pour()
    assert sent < 64_000_000
    assert shutil.disk_usage(tmp_path).free > free - 500_000_000
    assert post.letters == [] and not list(tmp_path.glob("letter-*"))


async def test_when_it_cannot_be_taken_a_letter_is_put_off_before_it_is_sent(open_line):
    _, connect = open_line(room=lambda size: Reply(452, "4.3.1", "Not enough room"))
    peer = await connect()
    await peer.line()
    await peer.say(b"EHLO c\r\nMAIL FROM:<a@example.ir>\r\n")
    assert (await peer.replies(2))[-1] == "452 4.3.1"


async def test_all_connections_have_a_cap_and_listed_peers_none(open_line):
    _, connect = open_line(connections=2, peer_allow=())
    greetings = [(await (await connect()).line())[:9] for _ in range(3)]
    assert [g[:3] for g in greetings] == ["220", "220", "421"]
    _, listed = open_line(connections=1, connections_a_peer=1)
    assert [(await (await listed()).line())[:3] for _ in range(3)] == ["220"] * 3


@pytest.mark.slow
async def test_a_pipelined_flood_behind_the_dot_waits_unread(open_line, post):
    listener, connect = open_line()
    post.gate.clear()
    peer = await connect()
    await peer.line()
    await peer.begin()
    await peer.say(LETTER)
    flood = asyncio.create_task(peer.say(b"NOOP\r\n" * 500_000 + b"QUIT\r\n"))
    await until(lambda: any("ahead" in link._pauses for link in listener.links))
    (link,) = listener.links
    assert isinstance(link, Link) and len(link.session.waiting) < 1_000_000
    post.gate.set()
    assert await peer.reply() == "250 2.0.0"
    assert (await peer.rest()).endswith(b"221 2.0.0 Bye\r\n")
    await flood


# ---------------------------------------------------------------- stopping


async def test_stopping_ends_the_idle_and_waits_for_a_letter_in_the_middle(open_line, post):
    listener, connect = open_line(proxy=("192.0.2.1",))
    idle, open_one = await connect(), await connect()
    for peer in (idle, open_one):
        await peer.line()
    await open_one.begin()
    await open_one.say(b"half ")
    stopping = asyncio.create_task(listener.stop(10))
    assert await idle.reply() == "421 4.3.2"
    await open_one.say(b"and half\r\n.\r\n")
    assert await open_one.replies(2) == ["250 2.0.0", "421 4.3.2"]
    await asyncio.wait_for(stopping, 5)
    assert post.letters == [b"half and half\r\n"]
    with pytest.raises(OSError):
        await connect()
