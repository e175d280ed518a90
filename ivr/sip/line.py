"""Our SIP line on UDP by Twisted: who may speak, how much, which call a message belongs to; and calls of our own."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import random
import socket
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.error import CannotListenError
from twisted.internet.protocol import DatagramProtocol

from ivr.media import messages as media
from ivr.settings import Line
from ivr.sip import message as sip
from ivr.sip import rules, sdp
from ivr.sip.dialog import Dialog, branch, called, contact, tag
from ivr.sip.gate import Gate, bracketed, facing
from ivr.sip.leg import SipLeg
from ivr.sip.message import Reject, Request, Response
from ivr.sip.outgoing import Attempt, NotReached, Wanted, outcome
from ivr.sip.rules import ALLOW, Refusal
from ivr.sip.sdp import Ours, Unusable
from ivr.sip.transaction import Key, Out, Send, Tick, Timer, Transactions, Up
from ivr.sip.transaction import Peer as Address
from ivr.sip.wire import MediaPlane, Seat

log = logging.getLogger(__name__)

_rows = itertools.count(1)  # rows of the plane, over all lines of the process


class SipLine(DatagramProtocol):
    """One UDP socket with all its calls. Everything happens on the loop's thread.

    `on_call(leg)` gets each new call at its INVITE; whoever gets it calls `leg.answer()` or `leg.hang_up()`.
    Hand the plane's events to `on_events`; those of other lines' rows are passed over.
    """

    transport: Any

    def __init__(
        self,
        reactor: Any,
        name: str,
        settings: Line,
        plane: MediaPlane,
        on_call: Callable[[SipLeg], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.plane = plane
        self.counts: Counter[str] = Counter()  #: packets and calls by fate
        self.draining = False
        self._reactor = reactor
        self._settings = settings
        self._on_call = on_call
        self._clock = clock
        self._gate = Gate(settings, clock())
        self._transactions = Transactions()
        self._legs: dict[tuple[str, str, str], SipLeg] = {}
        self._by_row: dict[int, SipLeg] = {}
        self._invites: dict[Key, SipLeg] = {}
        self._attempts: dict[Key, Attempt] = {}
        self._hosts: dict[str, str] = {}
        self._empty_now = asyncio.Event()
        self._port: Any = None
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = 0.0

    # ---------------------------------------------------------------- for the channel

    def start(self) -> None:
        """Open the socket. Raises OSError or ValueError with a sentence naming the setting."""
        host, port = self._settings.address()
        try:
            self._port = self._reactor.listenUDP(port, self, interface=host, maxPacketSize=sip.MAX_BYTES + 1)
        except CannotListenError as fault:
            raise OSError(f"phone.line.{self.name}.bind: cannot listen on UDP {host}:{port}: {fault}") from fault
        self._port.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)

    @property
    def port(self) -> int:
        """The UDP port that is open."""
        return int(self._port.getHost().port)

    @property
    def calls(self) -> int:
        """Calls that are up or being set up."""
        return len(self._legs)

    async def stop(self, drain: float) -> None:
        """New calls get 503; running ones have `drain` seconds, then BYE; then the socket closes."""
        self.draining = True
        await self._empty(drain)
        for leg in list(self._legs.values()):
            leg.hang_up("drain")
        await self._empty(2.0)
        if self._alarm is not None:
            self._alarm.cancel()
        if self._port is not None:
            await asyncio.wait_for(self._port.stopListening().asFuture(asyncio.get_running_loop()), 2.0)
            self._port = None

    def on_events(self, events: Sequence[media.Event]) -> None:
        """News of the plane, once a tick."""
        for event in events:
            leg = self._by_row.get(event.row)
            if leg is not None:
                leg.on_event(event)

    async def call(self, wanted: Wanted, told: Callable[[int], None] = lambda status: None) -> SipLeg | NotReached:
        """Call somebody; `told` hears 180 and 183. Cancelling the task, or `wanted.ring` seconds, sends CANCEL."""
        port = self.plane.ports.take()
        if port is None:
            return NotReached(503, "no port of our own is free", outcome(503))
        attempt = Attempt(self, wanted, self.seat(next(_rows), port, wanted.peer), told)
        try:
            attempt.invite()
            return await asyncio.wait_for(asyncio.shield(attempt.done), wanted.ring)
        except TimeoutError:
            attempt.cancel()
            return await attempt.done
        except asyncio.CancelledError:
            attempt.cancel()
            raise
        finally:
            if not attempt.used:
                self.plane.ports.give(port)

    # ---------------------------------------------------------------- from the socket

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        """One packet. Nothing it says raises; strangers meet silence."""
        source: Address = (addr[0], addr[1])
        peer = self._gate.peer(source[0])
        if peer is None:
            self.counts["outside"] += 1
            return
        message = sip.read(datagram)
        if isinstance(message, Reject):
            self._rejected(message, source)
        elif isinstance(message, Response):
            self._do(self._transactions.feed(message, source, self.now()))
        elif not self._overloaded(message, source):
            self._do(self._transactions.feed(sip.received(message, source), source, self.now()))

    def _rejected(self, reject: Reject, source: Address) -> None:
        self.counts["noise" if reject.answer is None else "broken"] += 1
        if reject.answer is not None:
            self._write(sip.write(reject.answer), source)

    def _overloaded(self, request: Request, source: Address) -> bool:
        """A new call too many gets 503 without a transaction, its body unread."""
        if request.method != "INVITE" or request.to_tag is not None or self._transactions.knows(request):
            return False
        if not self._full() and self._gate.admits(source[0], self.now()):
            return False
        self.counts["503"] += 1
        self._write(sip.write(sip.reply(sip.received(request, source), 503, self._later(), tag=tag())), source)
        return True

    def _full(self) -> bool:
        return self.draining or len(self._legs) >= self._settings.max_calls

    def _later(self) -> list[tuple[str, str]]:
        return [("retry-after", str(random.randint(5, 15)))]

    # ---------------------------------------------------------------- what the transactions say

    def _do(self, outs: Sequence[Out]) -> None:
        for out in outs:
            if isinstance(out, Send):
                self._write(out.data, out.peer)
            elif isinstance(out, Timer):
                self.wake(out.at)
            else:
                self._up(out)

    def _up(self, up: Up) -> None:
        if isinstance(up.message, Request):
            self._request(up.key, up.message, up.peer)
            return
        attempt = self._attempts.get(up.key)
        if attempt is not None:
            attempt.heard(up.message, up.peer)
            self._forget_attempts()
            self._look_empty()

    def _request(self, key: Key, request: Request, source: Address) -> None:
        broken = rules.refusal(request)
        if broken is not None:
            self._refuse(key, request, broken)
        elif request.method == "CANCEL":
            self._cancel(key, request)
        elif request.to_tag is not None:
            self._inside(key, request)
        elif request.method == "ACK":
            self.counts["stray"] += 1
        elif self._transactions.merged(request, key):
            self._refuse(key, request, Refusal(482))
        elif request.method == "INVITE":
            self._invite(key, request, source)
        elif request.method == "OPTIONS":
            self._options(key, request)
        else:
            self._refuse(key, request, Refusal(481))

    def _refuse(self, key: Key, request: Request, why: Refusal) -> None:
        self.counts[str(why.status)] += 1
        self.reply(key, sip.reply(request, why.status, why.more, tag=tag()))

    def _options(self, key: Key, request: Request) -> None:
        if self._full():
            self._refuse(key, request, Refusal(503, self._later()))
            return
        more = (("allow", ALLOW), ("accept", "application/sdp"))
        self.reply(key, sip.reply(request, 200, more, tag=tag()))

    def _cancel(self, key: Key, request: Request) -> None:
        invite = self._transactions.invite_of(request)
        if invite is None:
            self._refuse(key, request, Refusal(481))
            return
        leg = self._invites.get(invite)
        self.reply(key, sip.reply(request, 200, tag=leg.dialog.local_tag if leg else tag()))
        if leg is not None:
            leg.cancelled()

    def _inside(self, key: Key, request: Request) -> None:
        """A request of a running dialog; wrong tags or none running 481, a low CSeq 500 (RFC 3261 s 12.2.2)."""
        leg = self._legs.get((request.call_id, request.to_tag or "", request.from_tag or ""))
        if request.method == "ACK":
            leg = leg or self._invites.get(key)  # pyVoIP makes up a To tag, but repeats the branch of its INVITE
            if leg is not None:
                leg.acked(request)
        elif leg is None:
            self._refuse(key, request, Refusal(481))
        elif not leg.dialog.fresh(request):
            self._refuse(key, request, Refusal(500))
        else:
            leg.inside(key, request)

    # ---------------------------------------------------------------- a call comes in

    def _invite(self, key: Key, request: Request, source: Address) -> None:
        self.reply(key, sip.reply(request, 100))
        number = rules.dialled(request)
        menu = self._settings.menu(number)
        if menu is None:
            self._refuse(key, request, Refusal(404))
            return
        if contact(request) is None:
            self._refuse(key, request, Refusal(400))
            return
        offered = rules.described(request)
        if isinstance(offered, Refusal):
            self._refuse(key, request, offered)
            return
        port = self.plane.ports.take()
        if port is None:
            self._refuse(key, request, Refusal(503, self._later()))
            return
        seat = self.seat(next(_rows), port, source)
        agreed = sdp.answer(offered, seat.ours) if offered else None
        if isinstance(agreed, Unusable):
            self.plane.ports.give(port)
            self._refuse(key, request, rules.NO_CODEC)
            return
        leg = self._leg(request, source, seat)
        leg.menu = menu
        leg.invited(key, request, agreed)
        self._invites[key] = leg
        self.adopt(leg)
        self.counts["calls"] += 1
        self._on_call(leg)

    def _leg(self, request: Request, source: Address, seat: Seat) -> SipLeg:
        peer = self._gate.peer(source[0])
        who = rules.caller(request, peer is not None and peer.asserts_identity, self._settings.country)
        dialog = called(request, tag(), source)
        return SipLeg(self, self.name, dialog, who, rules.dialled(request), seat, self._settings.max_call)

    # ---------------------------------------------------------------- what legs and attempts ask of their line

    def now(self) -> float:
        return self._clock()

    def reply(self, key: Key, response: Response) -> None:
        self._do(self._transactions.reply(key, response, self.now()))

    def ask(self, dialog: Dialog, method: str) -> None:
        """Send a request inside a dialog; whatever comes back changes nothing (BYE)."""
        request = dialog.request(method, self.via(dialog.peer, branch()))
        self._do(self._transactions.start(request, dialog.peer, self.now())[1])

    def begin(self, attempt: Attempt, request: Request, peer: Address) -> Key:
        """Send the INVITE or CANCEL of an attempt; the INVITE's answers go to it."""
        key, outs = self._transactions.start(request, peer, self.now())
        if request.method == "INVITE":
            self._attempts[key] = attempt
        self._do(outs)
        return key

    def plain(self, request: Request, peer: Address) -> None:
        """Send without a transaction: the ACK of a 200."""
        self._write(sip.write(request), peer)

    def adopt(self, leg: SipLeg) -> None:
        self._legs[leg.dialog.key] = leg
        self._by_row[leg.row] = leg

    def over(self, leg: SipLeg) -> None:
        self._legs.pop(leg.dialog.key, None)
        self._by_row.pop(leg.row, None)
        for key in [key for key, other in self._invites.items() if other is leg]:
            del self._invites[key]
        self._look_empty()

    def leg_for(self, dialog: Dialog, wanted: Wanted, seat: Seat) -> SipLeg:
        who = rules.Caller(None, False)
        return SipLeg(self, self.name, dialog, who, wanted.uri, seat, wanted.most)

    def seat(self, row: int, port: int, peer: Address) -> Seat:
        return Seat(row, Ours(self._host(peer[0]), port, random.getrandbits(31)))

    def contact(self, peer: Address) -> str:
        return f"<sip:{self.name}@{bracketed(self._host(peer[0]))}:{self.port}>"

    def via(self, peer: Address, made: str) -> str:
        return f"SIP/2.0/UDP {bracketed(self._host(peer[0]))}:{self.port};branch={made};rport"

    def wake(self, at: float) -> None:
        """Have everything ticked at `at` or before."""
        if self._alarm is not None and not self._alarm.cancelled() and self._alarm_at <= at:
            return
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_at = at
        self._alarm = asyncio.get_running_loop().call_later(max(0.0, at - self.now()), self.tick)

    # ---------------------------------------------------------------- inside

    def tick(self) -> None:
        """Fire what is due; the line calls it itself at the times it was asked to."""
        self._alarm = None
        now = self.now()
        self._do(self._transactions.feed(Tick(), ("", 0), now))
        for leg in list(self._legs.values()):
            if leg.due is not None and leg.due <= now:
                leg.tick(now)
            elif leg.due is not None:
                self.wake(leg.due)
        self._forget_attempts()

    def _forget_attempts(self) -> None:
        for key in [key for key in self._attempts if not self._transactions.running(key)]:
            del self._attempts[key]

    async def _empty(self, seconds: float) -> None:
        self._empty_now.clear()
        if not self._look_empty():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._empty_now.wait(), seconds)

    def _look_empty(self) -> bool:
        empty = not self._legs and not any(attempt.owing for attempt in self._attempts.values())
        if empty:
            self._empty_now.set()
        return empty

    def _host(self, peer: str) -> str:
        """Our address as `peer` reaches it: the setting, else what the kernel would send from."""
        if self._settings.public_address:
            return self._settings.public_address
        if peer not in self._hosts:
            self._hosts[peer] = facing(peer)
        return self._hosts[peer]

    def _write(self, data: bytes, peer: Address) -> None:
        if self._port is None:
            return
        try:
            self.transport.write(data, peer)
        except (OSError, ValueError) as fault:
            self.counts["unsent"] += 1
            log.warning("sip packet not sent", extra={"line": self.name, "fault": type(fault).__name__})
