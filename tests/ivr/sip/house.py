"""A line of ours on loopback for tests: with a plane that only notes what it is told, or with the real one."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from ivr.media import messages as media
from ivr.settings import Line, Peer
from ivr.sip import message as sip
from ivr.sip.leg import SipLeg
from ivr.sip.line import SipLine

OFFER = (
    b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    b"m=audio 40000 RTP/AVP 8 0 96\r\na=rtpmap:96 telephone-event/8000\r\na=sendrecv\r\n"
)


class NotedPorts:
    """Ports that are only numbers; how many are out is what counts."""

    def __init__(self, room: int) -> None:
        self.free = list(range(30000, 30000 + 2 * room, 2))
        self.of: dict[int, int] = {}
        self.peers: list[tuple[str, int] | None] = []

    @property
    def out(self) -> int:
        return len(self.of)

    def take(self, row: int, peer: tuple[str, int] | None = None) -> int | None:
        if not self.free:
            return None
        self.of[row] = self.free.pop(0)
        self.peers.append(peer)
        return self.of[row]

    def give(self, row: int) -> None:
        self.free.append(self.of.pop(row))

    def move(self, row: int, peer: tuple[str, int]) -> int | None:
        return self.of[row]

    def is_sought(self, row: int) -> bool:
        return False


class NotedPlane:
    """Stands for the media thread where only signalling is looked at: notes commands, answers Drop as it would."""

    def __init__(self, room: int = 1000) -> None:
        self.ports = NotedPorts(room)
        self.commands: list[media.Command] = []
        self.line: Any = None
        self._added: dict[int, int] = {}

    def post(self, command: media.Command) -> None:
        self.commands.append(command)
        if isinstance(command, media.Add):
            self._added[command.media.row] = command.media.port
        if isinstance(command, media.Drop):
            del self._added[command.row]
            self.ports.give(command.row)
            asyncio.get_running_loop().call_soon(self.tell, media.Dropped(command.row, 0, 0, 0, 0))

    def tell(self, event: media.Event) -> None:
        assert self.line is not None
        self.line.on_events([event])

    def of(self, kind: type[Any]) -> list[Any]:
        return [command for command in self.commands if isinstance(command, kind)]


@dataclass
class House:
    """A running line and what came of its calls."""

    line: SipLine
    plane: NotedPlane
    legs: list[SipLeg] = field(default_factory=list)
    events: list[Any] = field(default_factory=list)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def take(self, leg: SipLeg) -> None:
        self.legs.append(leg)
        self.tasks.append(asyncio.get_running_loop().create_task(self._run(leg)))

    async def _run(self, leg: SipLeg) -> None:
        if self.answers:
            self.answered = await leg.answer()
        async for event in leg.events():
            self.events.append(event)

    answers: bool = True
    answered: bool | None = None


@contextlib.asynccontextmanager
async def house(reactor: Any, answers: bool = True, room: int = 1000, clock: Any = time.monotonic, **settings: Any):
    """A line that answers every call at once (or leaves it ringing), on a free port of 127.0.0.1."""
    plane = NotedPlane(room)
    peers = settings.pop("peer", (Peer("all", allow=("127.0.0.0/8",), dial=True),))
    given = Line(bind=settings.pop("bind", ("udp:127.0.0.1:0",)), peer=peers, **settings)
    held: list[House] = []
    line = SipLine(reactor, "main", given, plane, lambda leg: held[0].take(leg), clock)
    plane.line = line
    held.append(House(line, plane, answers=answers))
    line.start()
    try:
        yield held[0]
    finally:
        await line.stop(0)
        for task in held[0].tasks:
            task.cancel()
        await asyncio.gather(*held[0].tasks, return_exceptions=True)


class Spoken:
    """What a telephone of tests says, and what it waits for; a socket or a line's own lists are below it."""

    here: tuple[str, int]
    transport = "UDP"

    def say(self, data: bytes) -> None:
        raise NotImplementedError

    async def hear(self, seconds: float = 2.0) -> sip.Message:
        raise NotImplementedError

    async def final(self, seconds: float = 2.0) -> sip.Response:
        while True:
            message = await self.hear(seconds)
            if isinstance(message, sip.Response) and message.status >= 200:
                return message

    async def request(self, method: str, seconds: float = 2.0) -> sip.Request:
        while True:
            message = await self.hear(seconds)
            if isinstance(message, sip.Request) and message.method == method:
                return message

    async def silence(self, seconds: float = 0.2) -> bool:
        try:
            await self.hear(seconds)
        except TimeoutError:
            return True
        return False

    def make(
        self, method: str, body: bytes = b"", to_tag: str = "", seq: int = 1, branch: str = "one", uri: str = "",
        call: str = "a", more: tuple[str, ...] = (), hops: int = 70, sender: str = "<sip:09120000000@example.ir>",
    ) -> bytes:  # fmt: skip
        host, port = self.here
        rows = [
            f"{method} {uri or 'sip:1888@127.0.0.1'} SIP/2.0",
            f"Via: SIP/2.0/{self.transport} {host}:{port};branch=z9hG4bK{call}{branch};rport",
            f"Max-Forwards: {hops}",
            f"From: {sender};tag=theirs",
            "To: <sip:1888@127.0.0.1>" + (f";tag={to_tag}" if to_tag else ""),
            f"Call-ID: {call}@{host}",
            f"CSeq: {seq} {method}",
            f"Contact: <sip:caller@{host}:{port}>",
            *(["Content-Type: application/sdp"] if body and not any("Content-Type" in row for row in more) else []),
            *more,
            f"Content-Length: {len(body)}",
        ]
        return "\r\n".join(rows).encode() + b"\r\n\r\n" + body

    async def connect(self, **changes: Any) -> str:
        """INVITE, 200, ACK; the tag of the line."""
        self.say(self.make("INVITE", OFFER, **changes))
        answer = await self.final()
        assert answer.status == 200, answer
        self.say(self.make("ACK", to_tag=answer.to_tag or "", branch="ack", **changes))
        return answer.to_tag or ""


class Phone(Spoken):
    """A bare UDP socket that says exactly what it is told, and reads what comes back."""

    def __init__(self, line_port: int, source: str = "127.0.0.1") -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind((source, 0))
        self.sock.setblocking(False)
        self.there = ("127.0.0.1", line_port)
        self.here = self.sock.getsockname()

    def __enter__(self) -> Phone:
        return self

    def __exit__(self, *why: object) -> None:
        self.sock.close()

    def say(self, data: bytes) -> None:
        self.sock.sendto(data, self.there)

    async def hear(self, seconds: float = 2.0) -> sip.Message:
        data = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(self.sock, 65536), seconds)
        message = sip.read(data)
        assert not isinstance(message, sip.Reject), message
        return message


async def until(true: Callable[[], Any] | Awaitable[Any], seconds: float = 5.0) -> None:
    """Wait for a condition with a bound."""
    end = asyncio.get_running_loop().time() + seconds
    while not true():  # type: ignore[operator]
        assert asyncio.get_running_loop().time() < end, "did not come true"
        await asyncio.sleep(0.01)
