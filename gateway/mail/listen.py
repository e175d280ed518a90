"""The SMTP and LMTP listener of one line: who may connect, how many, TLS, how much is held in memory, stopping.

A 250 is written only after `deliver` has returned it. When the peer goes away, what was begun goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import stat
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from twisted.internet.protocol import Factory

from gateway.mail import smtp, trust
from gateway.mail.letter import Letter
from gateway.mail.link import Link
from gateway.mail.settings import LineSettings

log = logging.getLogger("pasokh.mail.listen")

ALL_IN_MEMORY = 67_108_864  # octets of all letters; beyond, those on their way are spooled, and reading pauses
SWEEP = 0.5  # seconds between looks at the deadlines of all connections
BACKLOG = 512
TLS_1_2 = 0x0303

Deliver = Callable[[Letter], Awaitable[smtp.Reply]]
Room = Callable[[int], smtp.Reply | None]


class Listener(Factory):
    """`judge` says who may receive, `deliver` what became of a letter, `room` why none can be taken now."""

    noisy = False

    def __init__(
        self, line: LineSettings, judge: Callable[[smtp.Rcpt], smtp.Reply], deliver: Deliver, folder: str,
        room: Room = lambda size: None, memory: int = ALL_IN_MEMORY,
    ) -> None:  # fmt: skip
        self.line, self.judge, self.deliver, self.folder, self.room = line, judge, deliver, folder, room
        self.limits = smtp.Limits(line.size, line.size, 4096, line.recipients, line.errors, line.mails)
        self.links: set[Link] = set()
        self.peers: Counter[str] = Counter()
        self.tasks: set[asyncio.Task[smtp.Reply]] = set()
        self.changed = asyncio.Event()  #: set when a link or a task has ended
        self.stopping = False
        self.reactor: Any = None
        self.starved: set[Link] = set()  #: those that are not read from for want of memory
        self.in_memory = 0  #: octets of letters in memory, their verdicts not yet told
        self._memory = memory
        self._port: Any = None
        self._timer: asyncio.TimerHandle | None = None
        self._tls: tuple[tuple[float, ...], Any] | None = None

    # ------------------------------------------------------------ life

    def start(self, reactor: Any) -> None:
        """Raises CannotListenError when the place is taken, OSError or ValueError for the certificate."""
        self.reactor = reactor
        if self.line.certificate:
            self._tls = self._read_tls()
        if self.line.socket:
            _away(Path(self.line.socket))
            self._port = reactor.listenUNIX(self.line.socket, self, backlog=BACKLOG, mode=self.line.socket_mode)
        else:
            self._port = reactor.listenTCP(self.line.port, self, backlog=BACKLOG, interface=self.line.bind)
        self._sweep()

    def _sweep(self) -> None:
        """One timer for all connections: a timer each would be moved with every line."""
        now = time.monotonic()
        for link in [link for link in self.links if link.deadline <= now]:
            link.time_out()
        self._timer = asyncio.get_running_loop().call_later(SWEEP, self._sweep)

    @property
    def port(self) -> int:
        return 0 if self.line.socket else int(self._port.getHost().port)

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
            link.stop()
        await self._until(lambda: not self.tasks and not any(link.busy for link in self.links), drain)
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

    # ------------------------------------------------------------ who

    def buildProtocol(self, addr: Any) -> Link:
        return Link(self)

    def refusal(self, peer: str) -> smtp.Reply | None:
        """Why `peer` is not greeted; None when it is."""
        if self.stopping:
            return smtp.STOPPING
        if self.line.socket or trust.listed(peer, self.line.peer_allow):
            return None
        if self.line.kind == "lmtp":  # RFC 2033 s 5: never for strangers
            return smtp.NOT_LISTED
        full = len(self.links) > self.line.connections or self.peers[peer] >= self.line.connections_a_peer
        return smtp.FULL if full else None

    def by_proxy(self, peer: str) -> bool:
        """Is `peer` a proxy, which says first whom it brings?"""
        return trust.listed(peer, self.line.proxy)

    # ------------------------------------------------------------ TLS

    def tls(self) -> Any:
        """The TLS context, made again when a file has changed; one that cannot be read leaves the old in use."""
        assert self._tls is not None
        try:
            if self._tls[0] != self._changed():
                self._tls = self._read_tls()
                log.info("the certificate was read again", extra={"domain": self.line.domain})
        except (OSError, ValueError):
            log.exception("the new certificate cannot be used, the old one stays", extra={"domain": self.line.domain})
        return self._tls[1]

    def _changed(self) -> tuple[float, ...]:
        return tuple(os.stat(path).st_mtime for path in (self.line.certificate, self.line.key) if path)

    def _read_tls(self) -> tuple[tuple[float, ...], Any]:
        """Raises OSError and ValueError, with a sentence."""
        from OpenSSL.SSL import Error
        from twisted.internet import ssl

        changed = self._changed()
        make: Any = ssl.DefaultOpenSSLContextFactory
        try:
            made = make(self.line.key or self.line.certificate, self.line.certificate)
            context = made.getContext()
            context.use_certificate_chain_file(self.line.certificate)
            context.check_privatekey()
        except Error as error:
            raise ValueError(f"certificate {self.line.certificate}: {error.args[0]}") from None
        context.set_min_proto_version(TLS_1_2)
        return changed, made

    # ------------------------------------------------------------ memory

    def make_room(self) -> bool:
        """Spool what is still coming, the biggest first, while all letters hold too much. Is there room again?

        Letters that await their verdict stay in memory: they go by themselves, and then `resume` is called.
        """
        if self.in_memory <= self._memory:
            return True
        for link in sorted(self.links, key=lambda link: link.held, reverse=True):
            if self.in_memory <= self._memory:
                break
            link.spool()
        return self.in_memory <= self._memory

    def freed(self) -> None:
        """Something has left the memory: whoever was paused for it is read from again."""
        if self.starved and self.in_memory <= self._memory:
            for link in list(self.starved):
                link.go_on("memory")
            self.starved.clear()


def _away(path: Path) -> None:
    """A socket that a killed process has left behind. Raises OSError when it is something else."""
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.stat().st_mode):
            raise OSError(f"{path} is there already and no socket")
        path.unlink()
