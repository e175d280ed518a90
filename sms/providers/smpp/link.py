"""One bind kept up: Twisted carries the octets of a Session over TCP or TLS and connects again after each loss."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from pathlib import Path
from typing import Any
from typing import Protocol as Contract

from OpenSSL.crypto import Error
from twisted.internet import ssl
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.error import ConnectError
from twisted.internet.protocol import Factory, Protocol

from sms.providers.smpp import status
from sms.providers.smpp.events import Answered, Bound, Came, Doubtful, Ended, Event, Late, Times
from sms.providers.smpp.pdu import Bind, Message, Tlvs
from sms.providers.smpp.session import Mode, Retry, Session
from sms.providers.smpp.settings import Settings

log = logging.getLogger("pasokh.sms.smpp")

END = b"-----END CERTIFICATE-----"
CONNECT = 10.0  # seconds
LOOK = 0.5  # seconds between ticks of a session


class Owner(Contract):
    """Who sends through a link and hears what comes."""

    def bound(self, link: Link) -> None: ...

    def ended(self, link: Link, why: str, told: int) -> None: ...

    def answered(self, link: Link, seq: int, told: int, id_: str) -> None: ...

    def doubtful(self, link: Link, seq: int, why: str) -> None: ...

    def late(self, link: Link, seq: int, told: int, id_: str) -> None: ...

    def came(self, link: Link, came: Came) -> None: ...


class Link:
    """A connection in one mode, for as long as `run` runs."""

    def __init__(self, settings: Settings, mode: Mode, password: str, reactor: Any, owner: Owner) -> None:
        self.mode = mode
        self.session: Session | None = None
        self.why = "not connected yet"
        self._settings, self._password, self._reactor, self._owner = settings, password, reactor, owner
        self._retry = Retry(random.random)
        self._wire: _Wire | None = None
        self._told = 0  # the status a bind was refused with
        self._stopping = asyncio.Event()

    @property
    def room(self) -> int:
        """Texts it can take now."""
        return self.session.room if self.session is not None else 0

    @property
    def up(self) -> bool:
        """Is it bound?"""
        return self.session is not None and self.session.phase == "bound"

    @property
    def optional(self) -> bool:
        """Does the peer know optional parameters?"""
        return self.session is not None and self.session.optional

    async def run(self) -> None:
        """Connect, bind, and again after each loss, till `stop`."""
        while not self._stopping.is_set():
            await self._once()
            least = {status.Kind.PAUSE: status.PAUSED, status.Kind.REBIND: status.REBIND}
            kind = status.kind(self._told, self._settings.kinds()) if self._told else None
            with contextlib.suppress(TimeoutError):
                wait = self._retry.wait(least.get(kind, 0.0)) if kind else self._retry.wait()
                await asyncio.wait_for(self._stopping.wait(), wait)

    async def _once(self) -> None:
        """One connection from its first octet to its last."""
        self._told = 0
        try:
            wire = await self._connect()
        except (ConnectError, OSError) as fault:
            self._gone(f"no connection: {type(fault).__name__}", 0)
            return
        await wire.closed
        self._wire = None

    async def _connect(self) -> _Wire:
        chosen = self._settings
        endpoint: Any = HostnameEndpoint(self._reactor, chosen.host.encode(), chosen.port, CONNECT)
        if chosen.tls:
            trust = None if chosen.ca_file is None else authorities(chosen.ca_file)
            endpoint = wrapClientTLS(ssl.optionsForClientTLS(chosen.host, trustRoot=trust), endpoint)
        factory = Factory.forProtocol(lambda: _Wire(self))
        found = await endpoint.connect(factory).asFuture(asyncio.get_running_loop())
        wire: _Wire = found.wrappedProtocol if hasattr(found, "wrappedProtocol") else found
        return wire

    async def stop(self, drain: float) -> None:
        """Say goodbye and hang up, within `drain` seconds."""
        self._stopping.set()
        wire = self._wire
        if wire is None:
            return
        if self.session is not None:
            self.session.unbind(time.monotonic())
            self.flush()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(wire.closed), drain)
        if not wire.closed.done():
            wire.transport.abortConnection()
            await wire.closed

    # ------------------------------------------------------------ what goes out

    def submit(self, body: Message, tlvs: Tlvs) -> int:
        """Put one text into the window; `flush` writes. Raises wire.Full, ValueError."""
        assert self.session is not None
        return self.session.submit(body, time.monotonic(), tlvs)

    def answer(self, session: Session | None, seq: int, told: int) -> None:
        """Answer a text of the peer, if the connection it came by is still there: another one has its own numbers."""
        if self.session is not None and self.session is session:
            self._play(self.session.answer(seq, told, time.monotonic()))
            self.flush()

    def flush(self) -> None:
        """Write what the session has to say; read on or not."""
        if self._wire is not None and self.session is not None:
            self._wire.play(self.session.take_out(), self.session.reading)

    # ------------------------------------------------------------ what the wire tells

    def made(self, wire: _Wire) -> None:
        chosen = self._settings
        self._wire, self.why = wire, ""
        bind = Bind(chosen.system_id, self._password, chosen.system_type, address_range=chosen.address_range)
        times = Times(response=chosen.answer_s, idle=chosen.enquire_s)
        self.session = Session(bind, self.mode, time.monotonic(), chosen.window, times)
        self.flush()

    def heard(self, data: bytes) -> None:
        if self.session is not None:
            self._play(self.session.receive(data, time.monotonic()))
            self.flush()

    def tick(self) -> None:
        if self.session is not None:
            self._play(self.session.tick(time.monotonic()))
            self.flush()

    def lost(self, why: str) -> None:
        session, self.session = self.session, None
        if session is not None:
            self._play(session.lost())
        self._gone(self.why or why, self._told)

    def _play(self, events: list[Event]) -> None:
        for event in events:
            match event:
                case Answered(seq, told, id_):
                    self._owner.answered(self, seq, told, id_)
                case Late(seq, told, id_):
                    self._owner.late(self, seq, told, id_)
                case Came():
                    self._owner.came(self, event)
                case Doubtful(seq, why):
                    self._owner.doubtful(self, seq, why)
                case Bound():
                    self._retry.bound()
                    self.why = ""
                    self._owner.bound(self)
                case Ended(why, told):
                    self.why, self._told = why, told
                    self.flush()
                    if self._wire is not None:
                        self._wire.transport.loseConnection()

    def _gone(self, why: str, told: int) -> None:
        self.why = why
        log.info("SMPP connection ended", extra={"why": why, "status": told})
        self._owner.ended(self, why, told)


class _Wire(Protocol):
    """Twisted's side of a connection."""

    transport: Any

    def __init__(self, link: Link) -> None:
        self._link = link
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._timer: asyncio.TimerHandle | None = None
        self._paused = False

    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)
        self._link.made(self)
        self._look()

    def dataReceived(self, data: bytes) -> None:
        self._link.heard(data)

    def connectionLost(self, reason: Any = None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._link.lost("connection lost")
        if not self.closed.done():
            self.closed.set_result(None)

    def play(self, data: bytes, reading: bool) -> None:
        if data:
            self.transport.write(data)
        if reading is self._paused:
            self._paused = not reading
            (self.transport.resumeProducing if reading else self.transport.pauseProducing)()

    def _look(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(LOOK, self._look)
        self._link.tick()


def authorities(path: str) -> Any:
    """Whom to trust, from a PEM file. Raises OSError naming it when there is no certificate in it."""
    certificates = Path(path).read_bytes().split(END)
    pems = [each + END + b"\n" for each in certificates if b"BEGIN CERTIFICATE" in each]
    trust: Any = ssl.trustRootFromCertificates
    try:
        made = [ssl.Certificate.loadPEM(pem) for pem in pems]
    except Error:
        made = []
    if not made:
        raise OSError(f"{path}: no certificates in it")
    return trust(made)
