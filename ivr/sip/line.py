"""Our SIP line on real sockets, by Twisted: UDP, TCP and TLS in front of one `Exchange`."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from twisted.internet.error import CannotListenError

from ivr.media import messages as media
from ivr.settings import AnyLine, Binding, Line
from ivr.sip import message as sip
from ivr.sip.connection import REACH, Connection, Listening, Reaching, presented, trusting
from ivr.sip.datagrams import Datagrams
from ivr.sip.exchange import Exchange, Told
from ivr.sip.gate import facing
from ivr.sip.leg import SipLeg
from ivr.sip.outgoing import Early, NotReached, Wanted
from ivr.sip.transaction import Peer
from ivr.sip.wire import MediaPlane

log = logging.getLogger(__name__)
LOOK = 2.0  # seconds between looks at connections that hold us up
LEAVE = 1.0  # seconds un-registering may take
HOSTS = 1000  # peers whose way is remembered


class SipLine:
    """One line with all its calls. Everything happens on the loop's thread.

    `on_call(leg)` gets each new call at its INVITE; whoever gets it calls `leg.answer()` or `leg.hang_up()`.
    Hand the plane's events to `on_events`; those of other lines' rows are passed over.
    """

    def __init__(
        self,
        reactor: Any,
        name: str,
        settings: Line,
        plane: MediaPlane,
        on_call: Callable[[SipLeg], None],
        clock: Callable[[], float] = time.monotonic,
        is_busy: Callable[[], bool] = lambda: False,
    ) -> None:
        self.name = name
        self.exchange = Exchange(name, settings, plane, self, on_call, clock, is_busy)
        self.connections: dict[Peer, Connection] = {}
        self._reaching: dict[Peer, Reaching] = {}
        self._reactor = reactor
        self.settings = settings
        self._clock = clock
        self._ports: dict[str, Any] = {}
        self._udp: Datagrams | None = None
        self._alone = asyncio.Event()
        self._hosts: dict[str, str] = {}
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = 0.0
        self._look: asyncio.TimerHandle | None = None

    # ---------------------------------------------------------------- for the channel

    @property
    def counts(self) -> Counter[str]:
        """Packets and calls by fate."""
        return self.exchange.counts

    @property
    def calls(self) -> int:
        """Calls that are up or being set up."""
        return self.exchange.calls

    @property
    def silent(self) -> list[str]:
        """Peers that do not answer, or where we are not registered though we should be."""
        return [
            trunk.settings.name
            for trunk in self.exchange.trunks
            if not trunk.up or (trunk.settings.register and not trunk.registered)
        ]

    def start(self) -> None:
        """Open the sockets, register. Raises OSError with a sentence naming the setting; then none is open."""
        try:
            for binding in self.settings.bindings():
                self._ports[binding.transport] = self._bound(binding)
            self.exchange.begin()
        except OSError:
            self._close_ports()
            raise
        self._look_after()

    def renew(self, settings: AnyLine) -> None:
        """Take over peers, numbers and limits for new calls; sockets stay as they are until the next start.

        Raises OSError naming the setting; then nothing has changed.
        """
        old = self.settings
        kept = replace(
            settings if isinstance(settings, Line) else old, bind=old.bind, cert=old.cert, key=old.key, rtp=old.rtp,
            public_address=old.public_address,
        )  # fmt: skip
        if kept != settings:
            log.warning("a line's sockets change at the next start", extra={"line": self.name})
        self.exchange.renew(kept)
        self.settings = kept

    @property
    def port(self) -> int:
        """The open port of the first binding."""
        return self.open_port(self.settings.bindings()[0].transport)

    async def stop(self, drain: float) -> None:
        """New calls get 503; running ones have `drain` seconds, then BYE; we un-register; then the sockets close."""
        await self.exchange.drain(drain)
        await self.exchange.leave(LEAVE)
        for handle in (self._alarm, self._look):
            if handle is not None:
                handle.cancel()
        self._alone.clear()
        closing = self._close_ports()
        for connection in list(self.connections.values()):
            connection.close()
        loop = asyncio.get_running_loop()
        await asyncio.wait_for(asyncio.gather(*(done.asFuture(loop) for done in closing if done is not None)), 2.0)
        await self._closed()

    def on_events(self, events: Sequence[media.Event]) -> None:
        """News of the plane, once a tick."""
        self.exchange.on_events(events)

    async def call(self, wanted: Wanted, told: Told = lambda status: None) -> SipLeg | NotReached:
        """Call somebody at a peer that may be dialled, see `Exchange.call`."""
        return await self.exchange.call(wanted, told)

    async def dial(
        self, number: str, ring: float = 30.0, told: Told = lambda status: None, by: str | None = None,
        early: Early | None = None,
    ) -> SipLeg | NotReached:  # fmt: skip
        """Call a number by whichever peer reaches it, see `Exchange.dial`."""
        return await self.exchange.dial(number, ring, told, by, early)

    def tick(self) -> None:
        """Fire what is due; the line calls it itself at the times it was asked to."""
        self._alarm = None
        self.exchange.tick()

    # ---------------------------------------------------------------- for the exchange

    def send(self, data: bytes, to: Peer) -> None:
        """Have it sent; a connection that is not there yet is opened."""
        if not self._ports:
            return
        if to.transport != "udp":
            self._say(data, to)
        elif self._udp is not None:
            self._udp.say(data, to)

    def open_port(self, transport: str) -> int:
        """The port that is open for that transport, else any that is, 0 for none."""
        listening = self._ports.get(transport) or next(iter(self._ports.values()), None)
        return int(listening.getHost().port) if listening is not None else 0

    def host(self, peer: str) -> str:
        """Our address as `peer` reaches it."""
        if peer not in self._hosts:
            if len(self._hosts) >= HOSTS:
                self._hosts.clear()
            self._hosts[peer] = facing(peer)
        return self._hosts[peer]

    def wake(self, at: float) -> None:
        """Have everything ticked at `at` or before."""
        if self._alarm is not None and not self._alarm.cancelled() and self._alarm_at <= at:
            return
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_at = at
        self._alarm = asyncio.get_running_loop().call_later(max(0.0, at - self.now()), self.tick)

    # ---------------------------------------------------------------- for connections

    def now(self) -> float:
        return self._clock()

    def feed(self, data: bytes, source: Peer) -> None:
        self.exchange.feed(data, source)

    def knows(self, source: Peer) -> bool:
        return self.exchange.peer(source) is not None

    def gone(self, peer: Peer) -> None:
        self._reaching.pop(peer, None)
        self.exchange.broken(peer)
        if not self.connections:
            self._alone.set()

    # ---------------------------------------------------------------- inside

    def _bound(self, binding: Binding) -> Any:
        try:
            return self._listen(binding)
        except (CannotListenError, OSError) as fault:
            where = f"{binding.transport.upper()} {binding.host}:{binding.port}"
            raise OSError(f"phone.line.{self.name}.bind: cannot listen on {where}: {fault}") from fault

    def _close_ports(self) -> list[Any]:
        """What will be done once each is closed."""
        closing = [port.stopListening() for port in self._ports.values()]
        self._ports.clear()
        return closing

    def _listen(self, binding: Binding) -> Any:
        transport, host, port = binding
        if transport == "udp":
            self._udp = Datagrams(self)
            return self._datagrams(host, port, self._udp)
        factory = Listening(self, transport, self._refused)
        if transport == "tcp":
            return self._reactor.listenTCP(port, factory, interface=host)
        shown = presented(self.settings.cert or "", self.settings.key or "")
        return self._reactor.listenSSL(port, factory, shown, interface=host)

    def _datagrams(self, host: str, port: int, protocol: Datagrams) -> Any:
        """A socket of ours, since Twisted's own is left open when its port is taken."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as own:
            own.setblocking(False)
            own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            own.bind((host, port))
            return self._reactor.adoptDatagramPort(own.fileno(), family, protocol, sip.MAX_BYTES + 1)

    def _refused(self, why: str) -> None:
        self.counts[why] += 1

    def _say(self, data: bytes, to: Peer) -> None:
        connection, reaching = self.connections.get(to), self._reaching.get(to)
        if connection is not None:
            connection.transport.write(data)
        elif reaching is not None:
            reaching.waiting.append(data)
        else:
            self._reach(data, to)

    def _reach(self, data: bytes, to: Peer) -> None:
        made = self._reaching[to] = Reaching(self, to, [data])
        if to.transport == "tcp":
            self._reactor.connectTCP(to.host, to.port, made, timeout=REACH)
            return
        peer = self.exchange.peer(to)
        try:
            options = trusting((peer and peer.domain) or to.host, peer.ca_file if peer else None)
        except OSError:
            log.exception("no TLS to a peer", extra={"line": self.name})
            asyncio.get_running_loop().call_soon(self.gone, to)
            return
        self._reactor.connectSSL(to.host, to.port, made, options, timeout=REACH)

    def _look_after(self) -> None:
        self.look()
        self._look = asyncio.get_running_loop().call_later(LOOK, self._look_after)

    def look(self) -> None:
        """Close what holds us up; the line does it itself every LOOK seconds."""
        now = self.now()
        for peer, connection in list(self.connections.items()):
            if connection.overdue(now, self.exchange.uses(peer)):
                self.counts["overdue"] += 1
                connection.transport.abortConnection()

    async def _closed(self) -> None:
        """Wait until every connection is really gone."""
        if self.connections:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._alone.wait(), 2.0)
        for connection in list(self.connections.values()):
            connection.transport.abortConnection()
