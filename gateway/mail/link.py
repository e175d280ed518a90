"""One SMTP or LMTP connection: Twisted carries the bytes, `smtp.Session` understands them, deadlines end it."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IHandshakeListener, IPushProducer
from twisted.internet.protocol import Protocol
from zope.interface import implementer

from gateway.mail import proxy, smtp
from gateway.mail.letter import Content, Letter

if TYPE_CHECKING:
    from gateway.mail.listen import Listener

log = logging.getLogger("pasokh.mail.link")

AHEAD = 65_536  # octets a peer may send beyond the final dot before reading pauses
LINGER = 10.0  # seconds a peer gets to read our last words
NEVER = float("inf")
LOCAL = "127.0.0.1"  # the peer of a UNIX socket


@implementer(IHandshakeListener, IPushProducer)
class Link(Protocol):
    """From the greeting, or the PROXY header before it, to the last word."""

    transport: Any

    def __init__(self, listener: Listener) -> None:
        self.listener, line = listener, listener.line
        assert line.kind != "imap"
        self.session = smtp.Session(
            line.kind, line.host or line.domain, listener.limits, listener.judge, bool(line.certificate), listener.room
        )
        self.peer = ""
        self.deadline = NEVER  #: monotonic seconds
        self._greeted = False
        self._header: bytearray | None = None  #: of the PROXY protocol, while it is not whole
        self._content: Content | None = None
        self._fault: smtp.Reply | None = None  #: why the letter that is coming cannot be kept
        self._ends: float | None = None
        self._pauses: set[str] = set()

    # ------------------------------------------------------------ Twisted's side

    def connectionMade(self) -> None:
        self.listener.links.add(self)
        self.transport.registerProducer(self, True)
        if self.listener.line.socket:
            self._greet(LOCAL)
            return
        self.transport.setTcpNoDelay(True)
        peer = self.transport.getPeer().host
        if self.listener.by_proxy(peer):
            self._header = bytearray()
            self.deadline = time.monotonic() + self.listener.line.proxy_s
        else:
            self._greet(peer)

    def dataReceived(self, data: bytes) -> None:
        if self._header is not None:
            self._introduced(data)
            return
        self.play(self.session.receive(data))
        if self.session.phase is smtp.Phase.VERDICT and len(self.session.waiting) > AHEAD:
            self._pause("ahead")

    def connectionLost(self, reason: Any = None) -> None:
        self.listener.links.discard(self)
        self.listener.starved.discard(self)
        if self._greeted:
            self.listener.peers[self.peer] -= 1
            if not self.listener.peers[self.peer]:
                del self.listener.peers[self.peer]
        if self.session.phase is not smtp.Phase.VERDICT:
            self._drop()
        self.session.gone()
        self.listener.changed.set()

    def handshakeCompleted(self) -> None:
        """TLS is up; what was said in clear is forgotten."""
        self.play(self.session.secured())

    def pauseProducing(self) -> None:
        """The peer does not read what we say: then we do not read what it says."""
        self._pause("write")

    def resumeProducing(self) -> None:
        self.go_on("write")

    def stopProducing(self) -> None:
        """The connection is gone; `connectionLost` follows."""

    # ------------------------------------------------------------ who it is

    def _introduced(self, data: bytes) -> None:
        assert self._header is not None
        self._header += data
        try:
            found = proxy.read(bytes(self._header[: proxy.HEAD + proxy.MOST]))
        except proxy.BadHeader:
            log.warning("a proxy did not say whom it brings")
            self.transport.abortConnection()
            return
        if found is None:
            return
        rest, self._header = bytes(self._header[found.size :]), None
        self._greet(found.host or self.transport.getPeer().host)
        if rest:
            self.dataReceived(rest)

    def _greet(self, peer: str) -> None:
        refusal = self.listener.refusal(peer)
        if refusal is not None:
            self.session.gone()
            self._write(refusal.line())
            self._hang_up()
            self._arm()
            return
        self.peer, self._greeted = peer, True
        self.listener.peers[peer] += 1
        self.play(self.session.greet())

    # ------------------------------------------------------------ what the session wants

    def play(self, events: list[smtp.Event]) -> None:
        said: list[bytes] = []
        for event in events:
            match event:
                case smtp.Say(data):
                    said.append(data)
                case smtp.Body(data):
                    self._keep(data)
                case smtp.Over():
                    self._drop()
                case smtp.Ended():
                    self._ended(event)
                case smtp.StartTls():
                    self._write(b"".join(said))
                    said.clear()
                    self.transport.startTLS(self.listener.tls())
                case smtp.Close():
                    self._write(b"".join(said))
                    said.clear()
                    self._drop()
                    self._hang_up()
        if said:
            self._write(b"".join(said))
        self._arm()

    def stop(self) -> None:
        """The line ends: goodbye at once, or after the letter that is open."""
        if self._header is not None:
            self.transport.abortConnection()
        else:
            self.play(self.session.stop())

    @property
    def busy(self) -> bool:
        return self.session.busy

    def _hang_up(self) -> None:
        self.transport.unregisterProducer()  # one that is registered keeps the connection open
        self.transport.loseConnection()

    # ------------------------------------------------------------ the letter

    @property
    def held(self) -> int:
        """Octets in memory of a letter that is still coming."""
        return self._content.held if self._content is not None and self.session.phase is smtp.Phase.BODY else 0

    def spool(self) -> None:
        """Make room in memory, if the letter is still coming."""
        if self.held and self._content is not None:
            self._on_disk(self._content.spool)

    def _keep(self, data: bytes) -> None:
        if self._fault is not None:
            return
        if self._content is None:
            self._content = Content(self.listener.folder)
        content = self._content
        self._on_disk(lambda: content.add(data))
        if not self.listener.make_room():
            self.listener.starved.add(self)
            self._pause("memory")

    def _on_disk(self, change: Any) -> None:
        """Count what the change does to the memory; a disk that takes no more is the letter's verdict."""
        assert self._content is not None
        before = self._content.held
        try:
            change()
            self.listener.in_memory += self._content.held - before
        except OSError:
            log.exception("a letter cannot be spooled")
            self.listener.in_memory += self._content.held - before
            self._drop()
            self._fault = smtp.DISK_LOW

    def _drop(self) -> None:
        if self._content is not None:
            self.listener.in_memory -= self._content.held
            self._content.close()
            self._content = None
            self.listener.freed()

    def _ended(self, event: smtp.Ended) -> None:
        fault, self._fault = self._fault, None
        if not event.taken:
            self._drop()
            return
        content = self._content or Content(self.listener.folder)
        task = asyncio.ensure_future(self._deliver(Letter(event.envelope, self.peer, content), fault))
        self.listener.tasks.add(task)
        task.add_done_callback(self._told)

    async def _deliver(self, letter: Letter, fault: smtp.Reply | None) -> smtp.Reply:
        if fault is not None:
            return fault
        try:
            return await self.listener.deliver(letter)
        except Exception:
            log.exception("a letter could not be taken")
            return smtp.FAULT

    def _told(self, task: asyncio.Task[smtp.Reply]) -> None:
        self.listener.tasks.discard(task)
        reply = smtp.FAULT if task.cancelled() else task.result()
        self._drop()
        self.listener.changed.set()
        count = len(self.session.recipients) if self.session.dialect == "lmtp" else 1
        self.play(self.session.verdict([reply] * count))
        if self.session.phase is not smtp.Phase.VERDICT:
            self.go_on("ahead")

    # ------------------------------------------------------------ reading pauses

    def _pause(self, why: str) -> None:
        if not self._pauses:
            self.transport.pauseProducing()
        self._pauses.add(why)
        self._arm()

    def go_on(self, why: str) -> None:
        """`why` is no reason any more; read again when there is no other."""
        if why in self._pauses:
            self._pauses.discard(why)
            if not self._pauses and self.session.phase is not smtp.Phase.CLOSED:
                self.transport.resumeProducing()
            self._arm()

    # ------------------------------------------------------------ time

    def _arm(self) -> None:
        """Idle, silence in DATA, and DATA in all; nothing runs while we owe the verdict (RFC 5321 s 4.5.3.2)
        or do not read for want of memory."""
        phase, line, now = self.session.phase, self.listener.line, time.monotonic()
        if phase is not smtp.Phase.BODY:
            self._ends = None
        if phase is smtp.Phase.BODY:
            self._ends = self._ends or now + line.data_s
            self.deadline = self._ends if "memory" in self._pauses else min(now + line.silence_s, self._ends)
        elif phase is smtp.Phase.VERDICT:
            self.deadline = NEVER
        elif phase is smtp.Phase.CLOSED:
            self.deadline = now + LINGER
        else:
            self.deadline = now + (line.tls_s if phase is smtp.Phase.TLS else line.idle_s)

    def time_out(self) -> None:
        """Too long silent: a word, then the end; without a word where none can be heard."""
        if self._header is not None or self.session.phase in (smtp.Phase.TLS, smtp.Phase.CLOSED):
            self.transport.abortConnection()
        else:
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
