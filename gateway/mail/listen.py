"""The SMTP listener: Twisted carries the bytes, `smtp.Session` understands them, and a letter's verdict is awaited.

A 250 is written only after `deliver` has returned it. When the peer goes away, what was begun goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from twisted.internet.protocol import Factory, Protocol

from gateway.mail import smtp, trust
from gateway.mail.settings import LineSettings

log = logging.getLogger("pasokh.mail.listen")

IN_MEMORY = 1_048_576  # octets of a letter kept in memory; beyond, it is spooled
ALL_IN_MEMORY = 67_108_864  # octets of all open letters; beyond, each is spooled at once
AHEAD = 65_536  # octets a peer may send beyond the final dot before reading pauses
SWEEP = 0.5  # seconds between looks at the deadlines of all connections
NEVER = float("inf")
FAULT = smtp.Reply(451, "4.3.0", "Local error, try again later")


@dataclass(slots=True)
class Letter:
    """A letter that was handed over whole; read it once, then `drop` it."""

    envelope: smtp.Envelope
    peer: str
    size: int
    _pieces: list[bytes] = field(default_factory=list)
    _file: BinaryIO | None = None

    def read(self) -> bytes:
        if self._file is None:
            return b"".join(self._pieces)
        self._file.seek(0)
        return self._file.read()

    @property
    def spooled(self) -> bool:
        return self._file is not None


Deliver = Callable[[Letter], Awaitable[smtp.Reply]]


class Listener(Factory):
    """One line's port. `judge` says who may receive, `deliver` what became of a letter."""

    noisy = False

    def __init__(self, line: LineSettings, judge: Callable[[smtp.Rcpt], smtp.Reply], deliver: Deliver, folder: str):
        self.line, self.judge, self.deliver, self.folder = line, judge, deliver, folder
        self.limits = smtp.Limits(size=line.size, recipients=line.recipients, errors=line.errors, mails=line.mails)
        self.links: set[Link] = set()
        self.peers: Counter[str] = Counter()
        self.tasks: set[asyncio.Task[smtp.Reply]] = set()
        self.in_memory = 0
        self.changed = asyncio.Event()  #: set when a link or a task has ended
        self.stopping = False
        self.reactor: Any = None
        self._port: Any = None
        self._timer: asyncio.TimerHandle | None = None
        self._tls: tuple[float, Any] | None = None

    def start(self, reactor: Any) -> None:
        """Raises twisted.internet.error.CannotListenError when the port is taken."""
        self.reactor = reactor
        if self.line.certificate:
            self.tls()
        self._sweep()
        self._port = reactor.listenTCP(self.line.port, self, backlog=512, interface=self.line.bind)

    def _sweep(self) -> None:
        """One timer for all connections: a timer each would be moved with every line."""
        now = time.monotonic()
        for link in [link for link in self.links if link.deadline <= now]:
            link.time_out()
        self._timer = asyncio.get_running_loop().call_later(SWEEP, self._sweep)

    @property
    def port(self) -> int:
        return int(self._port.getHost().port)

    async def stop(self, drain: float) -> None:
        """No new connections; idle ones end at once, open letters get their verdict within `drain` seconds."""
        self.stopping = True
        if self._timer is not None:
            self._timer.cancel()
        if self._port is not None:
            stopped = self._port.stopListening()
            if stopped is not None:
                await stopped.asFuture(asyncio.get_running_loop())
            self._port = None
        for link in list(self.links):
            link.play(link.session.stop())
        await self._until(lambda: not self.tasks and not any(k.session.busy for k in self.links), drain)
        for task in list(self.tasks):
            with contextlib.suppress(TimeoutError):  # a commit is not cancelled: it may be on disk already
                await asyncio.wait_for(asyncio.shield(task), 2)
        await self._until(lambda: not self.links, 1)  # what was said is on its way
        for link in list(self.links):
            link.transport.abortConnection()
        await self._until(lambda: not self.links, 1)

    async def _until(self, done: Callable[[], bool], seconds: float) -> None:
        """Wait for `done`, which is asked again whenever a link or a task ends, at most `seconds`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not done():
                    self.changed.clear()
                    await self.changed.wait()

    def buildProtocol(self, addr: Any) -> Link:
        return Link(self)

    def tls(self) -> Any:
        """The TLS context, made again when the certificate's file has changed."""
        from twisted.internet import ssl

        changed = os.stat(self.line.certificate).st_mtime
        if self._tls is None or self._tls[0] != changed:
            make: Any = ssl.DefaultOpenSSLContextFactory
            context = make(self.line.key or self.line.certificate, self.line.certificate)
            context.getContext().use_certificate_chain_file(self.line.certificate)
            context.getContext().set_min_proto_version(0x0303)  # TLS 1.2
            self._tls = (changed, context)
        return self._tls[1]

    def full(self, peer: str) -> bool:
        if trust.listed(peer, self.line.peer_allow):
            return False
        return len(self.links) >= self.line.connections or self.peers[peer] >= self.line.connections_a_peer


class Link(Protocol):
    """One connection."""

    transport: Any

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        line = listener.line
        host = line.host or line.domain
        self.session = smtp.Session(line.kind, host, listener.limits, listener.judge, bool(line.certificate))
        self.peer = ""
        self._pieces: list[bytes] = []
        self._held = 0
        self._spool: BinaryIO | None = None
        self.deadline = NEVER  #: monotonic seconds
        self._ends: float | None = None
        self._paused = False

    # ------------------------------------------------------------ Twisted's side

    def connectionMade(self) -> None:
        self.peer = self.transport.getPeer().host
        self.transport.setTcpNoDelay(True)
        if self.listener.stopping or self.listener.full(self.peer):
            self.transport.write((smtp.STOPPING if self.listener.stopping else smtp.FULL).line())
            self.transport.loseConnection()
            return
        self.listener.links.add(self)
        self.listener.peers[self.peer] += 1
        self.play(self.session.greet())

    def dataReceived(self, data: bytes) -> None:
        self.play(self.session.receive(data))
        if self.session.phase is smtp.Phase.VERDICT and len(self.session.waiting) > AHEAD and not self._paused:
            self._paused = True
            self.transport.pauseProducing()

    def connectionLost(self, reason: Any = None) -> None:
        if self in self.listener.links:
            self.listener.links.discard(self)
            self.listener.peers[self.peer] -= 1
            if not self.listener.peers[self.peer]:
                del self.listener.peers[self.peer]
        if self.session.phase is not smtp.Phase.VERDICT:
            self._drop()
        self.session.gone()
        self.listener.changed.set()

    # ------------------------------------------------------------ what the session wants

    def play(self, events: list[smtp.Event]) -> None:
        said: list[bytes] = []
        for event in events:
            match event:
                case smtp.Say(data):
                    said.append(data)
                case smtp.Body(data):
                    self._keep(data)
                case smtp.Ended():
                    self._ended(event)
                case smtp.StartTls():
                    self._write(b"".join(said))
                    said.clear()
                    self._start_tls()
                case smtp.Close():
                    self._write(b"".join(said))
                    said.clear()
                    self._drop()
                    self.transport.loseConnection()
        if said:
            self._write(b"".join(said))
        self._arm()

    def _start_tls(self) -> None:
        self.transport.startTLS(self.listener.tls())
        self.play(self.session.secured())

    def _keep(self, data: bytes) -> None:
        if self._spool is not None:
            self._spool.write(data)
            return
        self._pieces.append(data)
        self._held += len(data)
        self.listener.in_memory += len(data)
        if self._held > IN_MEMORY or self.listener.in_memory > ALL_IN_MEMORY:
            self._spool = tempfile.TemporaryFile(dir=self.listener.folder, prefix="letter-")  # noqa: SIM115
            self._spool.write(b"".join(self._pieces))
            self._release()

    def _release(self) -> None:
        self.listener.in_memory -= self._held
        self._pieces, self._held = [], 0

    def _drop(self) -> None:
        self._release()
        if self._spool is not None:
            self._spool.close()
            self._spool = None

    def _ended(self, event: smtp.Ended) -> None:
        if not event.taken:
            self._drop()
            return
        letter = Letter(event.envelope, self.peer, event.size, self._pieces, self._spool)
        task = asyncio.ensure_future(self._deliver(letter))
        self.listener.tasks.add(task)
        task.add_done_callback(self._told)

    async def _deliver(self, letter: Letter) -> smtp.Reply:
        try:
            return await self.listener.deliver(letter)
        except Exception:
            log.exception("a letter could not be taken")
            return FAULT

    def _told(self, task: asyncio.Task[smtp.Reply]) -> None:
        self.listener.tasks.discard(task)
        self.listener.changed.set()
        reply = FAULT if task.cancelled() else task.result()
        self._drop()
        if self._paused and self.session.phase is smtp.Phase.VERDICT:
            self._paused = False
            self.transport.resumeProducing()
        count = len(self.session.recipients) if self.session.dialect == "lmtp" else 1
        self.play(self.session.verdict([reply] * count))

    # ------------------------------------------------------------ time

    def _arm(self) -> None:
        """Idle, silence in DATA, and DATA in all; nothing runs while we owe the verdict (RFC 5321 s 4.5.3.2)."""
        phase, line = self.session.phase, self.listener.line
        if phase is smtp.Phase.BODY:
            now = time.monotonic()
            self._ends = self._ends or now + line.data_s
            self.deadline = min(now + line.silence_s, self._ends)
            return
        self._ends = None
        if phase in (smtp.Phase.VERDICT, smtp.Phase.CLOSED):
            self.deadline = NEVER
        else:
            self.deadline = time.monotonic() + (line.tls_s if phase is smtp.Phase.TLS else line.idle_s)

    def time_out(self) -> None:
        self.play(self.session.time_out())

    def _write(self, data: bytes) -> None:
        """At once where the socket takes it: Twisted's own way costs two rounds of the loop for each reply."""
        transport = self.transport
        if not self.session.secure and not transport.disconnecting and not _buffered(transport):
            sent = transport.writeSomeData(data)
            if isinstance(sent, int) and sent > 0:
                data = data[sent:]
        if data:
            transport.write(data)


def _buffered(transport: Any) -> bool:
    """Does anything wait to be written? Unknown counts as yes."""
    return bool(getattr(transport, "dataBuffer", b"?") or getattr(transport, "_tempDataBuffer", b"?"))
