"""A line that is one extension of an office's exchange, by pyVoIP; what it does wrong is kept from it (`guarded.py`).

Messages, registering and sound are ours: transactions, `Trunk` and the media plane. The same walk runs on it.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from twisted.internet.error import CannotListenError

from ivr.media import messages as media
from ivr.settings import AnyLine, Extension
from ivr.sip import message as sip
from ivr.sip import rules, sdp
from ivr.sip.datagrams import Datagrams
from ivr.sip.dialog import tag
from ivr.sip.exchange import next_row
from ivr.sip.extension import LAW, ExtensionLeg, Invited
from ivr.sip.gate import bracketed, facing
from ivr.sip.guarded import Call, Phone, SIPMessage
from ivr.sip.message import Reject, Request, Response
from ivr.sip.rules import ALLOW, Refusal
from ivr.sip.sdp import Ours, Sdp, Unusable
from ivr.sip.transaction import Key, Out, Peer, Send, Tick, Timer, Transactions
from ivr.sip.trunk import Trunk
from ivr.sip.wire import Heard, MediaPlane

log = logging.getLogger(__name__)
LEAVE = 1.0  # seconds un-registering may take

PLAIN = ("via", "from", "to", "call-id", "cseq", "contact", "max-forwards")  # all that pyVoIP reads


class ExtensionLine:
    """The extension with all its calls, on the loop's thread; `SipLine`'s methods for the channel."""

    def __init__(
        self,
        reactor: Any,
        name: str,
        settings: Extension,
        plane: MediaPlane,
        on_call: Callable[[ExtensionLeg], None],
        clock: Callable[[], float] = time.monotonic,
        is_busy: Callable[[], bool] = lambda: False,
    ) -> None:
        self.name, self.plane = name, plane
        self.counts: Counter[str] = Counter()  #: packets and calls by fate
        self.draining = False
        self._reactor, self.settings, self._clock = reactor, settings, clock
        self._on_call, self._is_busy = on_call, is_busy
        self._transactions = Transactions()
        self._asked: dict[Key, Heard] = {}
        self._legs: dict[str, ExtensionLeg] = {}
        self._making: ExtensionLeg | None = None
        self._udp = Datagrams(self)
        self._listening: Any = None
        self._trunk: Trunk | None = None
        self._phone: Phone | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._empty = asyncio.Event()
        self._host = ""

    # ---------------------------------------------------------------- for the channel

    def start(self) -> None:
        """Open the socket and register. Raises OSError with a sentence naming the setting."""
        peer, (host, port) = self.settings.exchange(), self.settings.address()
        password, far = peer.password(), peer.far()
        assert far is not None
        self._far = Peer(*far)
        try:
            self._listening = self._reactor.listenUDP(port, self._udp, interface=host, maxPacketSize=sip.MAX_BYTES + 1)
        except CannotListenError as fault:
            raise OSError(f"phone.line.{self.name}.bind: cannot listen on UDP {host}:{port}: {fault}") from fault
        self._host = self.settings.public_address or facing(self._far.host)
        self._phone = Phone(self, self._far[:2], self.settings.user, (self._host, self.port))
        self._trunk = Trunk(self, peer, self._far, password)
        self._trunk.tick(self.now())

    def renew(self, settings: AnyLine) -> None:
        """Take over numbers and limits for new calls; the exchange and the socket stay until the next start."""
        old = self.settings
        told = settings if isinstance(settings, Extension) else old
        kept = replace(
            old, numbers=told.numbers, max_calls=told.max_calls, max_call=told.max_call, country=told.country,
            asserts_identity=told.asserts_identity,
        )  # fmt: skip
        if kept != settings:
            log.warning("an extension's exchange changes at the next start", extra={"line": self.name})
        self.settings = kept

    @property
    def port(self) -> int:
        """The UDP port that is open."""
        return int(self._listening.getHost().port)

    @property
    def calls(self) -> int:
        """Calls that are up or being set up."""
        return len(self._legs)

    @property
    def silent(self) -> list[str]:
        """The line's name while the exchange does not answer or has not registered us."""
        trunk = self._trunk
        return [] if trunk is None or (trunk.up and trunk.registered) else [self.name]

    async def stop(self, drain: float) -> None:
        """New calls get 503; running ones have `drain` seconds, then BYE; we un-register; the socket closes."""
        self.draining = True
        await self._wait_empty(drain)
        for leg in list(self._legs.values()):
            leg.hang_up("drain")
        await self._wait_empty(2.0)
        if self._trunk is not None and self._trunk.registered:
            left = asyncio.Event()
            self._trunk.leave(left.set)
            await asyncio.wait([asyncio.ensure_future(left.wait())], timeout=LEAVE)
        self._trunk = None
        if self._alarm is not None:
            self._alarm.cancel()
        if self._listening is not None:
            listening, self._listening = self._listening, None
            await asyncio.wait_for(listening.stopListening().asFuture(asyncio.get_running_loop()), 2.0)

    def on_events(self, events: Sequence[media.Event]) -> None:
        """News of the plane, once a tick."""
        for leg in list(self._legs.values()):
            for event in events:
                if event.row == leg.row:
                    leg.on_event(event)

    # ---------------------------------------------------------------- from the socket

    def feed(self, data: bytes, source: Peer) -> None:
        """One datagram; the exchange alone is heard."""
        if source.host != self._far.host:
            self.counts["outside"] += 1
            return
        message = sip.read(data)
        if isinstance(message, Reject):
            self.counts["noise" if message.answer is None else "broken"] += 1
            if message.answer is not None:
                self._send(sip.write(message.answer), source)
        elif isinstance(message, Request):
            self._do(self._transactions.feed(sip.received(message, source[:2]), source, self.now()))
        else:
            self._do(self._transactions.feed(message, source, self.now()))

    def _do(self, outs: Sequence[Out]) -> None:
        for out in outs:
            if isinstance(out, Send):
                self._send(out.data, out.peer)
            elif isinstance(out, Timer):
                self.wake(out.at)
            elif isinstance(out.message, Request):
                self._request(out.key, out.message, out.peer)
            elif out.key in self._asked:
                self._asked[out.key](out.message)

    def _request(self, key: Key, request: Request, source: Peer) -> None:
        broken = rules.refusal(request)
        leg = self._legs.get(request.call_id)
        if request.method == "ACK":
            if leg is not None:
                leg.acked(request)
        elif broken is not None:
            self.refuse(key, request, broken)
        elif request.method == "CANCEL":
            self._cancel(key, request, leg)
        elif request.to_tag is not None and leg is None:
            self.refuse(key, request, Refusal(481))
        elif request.to_tag is not None and leg is not None:
            leg.inside(key, request)
        elif request.method == "INVITE":
            self.reply(key, sip.reply(request, 100))
            refused = self._invite(key, request, source)
            if refused is not None:
                self.refuse(key, request, refused)
        elif request.method == "OPTIONS" and not self._full():
            self.reply(key, sip.reply(request, 200, (("allow", ALLOW), ("accept", "application/sdp")), tag=tag()))
        else:
            self.refuse(key, request, Refusal(503 if request.method == "OPTIONS" else 481))

    def _full(self) -> bool:
        return self.draining or len(self._legs) >= self.settings.max_calls or self._is_busy()

    def _cancel(self, key: Key, request: Request, leg: ExtensionLeg | None) -> None:
        if self._transactions.invite_of(request) is None:
            self.refuse(key, request, Refusal(481))
            return
        self.reply(key, sip.reply(request, 200, tag=tag()))
        if leg is not None:
            leg.cancelled()

    def _invite(self, key: Key, request: Request, source: Peer) -> Refusal | None:
        """Hand a new call to pyVoIP; a refusal where it cannot be taken."""
        offered = rules.described(request)
        menu = self.settings.menu(rules.dialled(request))
        if self._full():
            self.counts["503"] += 1
            return Refusal(503, (("retry-after", str(random.randint(5, 15))),))
        if menu is None or request.call_id in self._legs:
            return Refusal(404 if menu is None else 482)
        if not isinstance(offered, bytes) or not rules.reachable(request) or request.get("contact") is None:
            return offered if isinstance(offered, Refusal) else Refusal(400 if offered else 488)
        offered = sdp.only(LAW, offered)
        row = next_row()
        port = self.plane.ports.take(row, sdp.speaks_from(offered, source.host))
        if port is None:
            return Refusal(503, (("retry-after", str(random.randint(5, 15))),))
        ours = Ours(self._host, port, random.getrandbits(31))
        agreed = sdp.answer(offered, ours)
        if isinstance(agreed, Unusable):
            self.plane.ports.give(row)
            return rules.NO_CODEC
        who = rules.caller(request, self.settings.asserts_identity, self.settings.country)
        leg = ExtensionLeg(self, row, who, rules.dialled(request), Invited(key, request, source, ours, agreed))
        leg.menu = menu
        return self._hand_over(leg, request, agreed, ours)

    def _hand_over(self, leg: ExtensionLeg, request: Request, agreed: Sdp, ours: Ours) -> Refusal | None:
        """pyVoIP gets the INVITE with a description that holds what it knows, and nothing else."""
        assert self._phone is not None
        host, port = agreed.peer or (ours.host, 9)
        body = sdp.offer(Ours(host, port), (LAW,), event=agreed.event_type)
        kept = [(name, value) for name, value in request.headers if name in PLAIN]
        clean = replace(request, headers=(*kept, ("content-type", "application/sdp")), body=body)
        self._making = self._legs[request.call_id] = leg
        try:
            self._phone.callback(SIPMessage(sip.write(clean)))
        except Exception:  # whatever it likes to raise
            log.exception("pyVoIP cannot take a call", extra={"line": self.name})
            self.counts["broken"] += 1
            leg.never_was()
            return Refusal(400)
        finally:
            self._making = None
        self.counts["calls"] += 1
        self._on_call(leg)
        return None

    # ---------------------------------------------------------------- for pyVoIP

    def said(self, data: bytes) -> None:
        """An answer it has worded: its status and description, in the dialog's own frame."""
        answer = sip.read(data)
        leg = self._legs.get(answer.call_id) if isinstance(answer, Response) else None
        if leg is not None and isinstance(answer, Response):
            leg.worded(answer)

    def taken_up(self, call: Call) -> None:
        self._legs[call.call_id].call = call

    def port_of(self, call_id: str) -> int:
        return self._legs[call_id].ours.port

    def opened(self, call_id: str) -> None:
        self._legs[call_id].open()

    def closed(self, call_id: str) -> None:
        """The leg ends its row itself."""

    def bye(self, call_id: str) -> None:
        leg = self._legs.get(call_id)
        if leg is not None:
            leg.send_bye()

    # ---------------------------------------------------------------- for legs and the trunk

    def now(self) -> float:
        return self._clock()

    def reply(self, key: Key, response: Response) -> None:
        self._do(self._transactions.reply(key, response, self.now()))

    def refuse(self, key: Key, request: Request, why: Refusal) -> None:
        self.counts[str(why.status)] += 1
        self.reply(key, sip.reply(request, why.status, why.more, tag=tag()))

    def errand(self, request: Request, peer: Peer, heard: Heard) -> None:
        key, outs = self._transactions.start(request, peer, self.now())
        self._asked[key] = heard
        self._do(outs)

    def via(self, peer: Peer, made: str) -> str:
        return f"SIP/2.0/UDP {bracketed(self._host)}:{self.port};branch={made};rport"

    def contact(self, peer: Peer, user: str = "") -> str:
        return f"<sip:{user or self.settings.user}@{bracketed(self._host)}:{self.port}>"

    def over(self, leg: ExtensionLeg) -> None:
        self._legs.pop(leg.call_id, None)
        if self._phone is not None:
            self._phone.forget(leg.call_id)
        if not self._legs:
            self._empty.set()

    @property
    def most(self) -> float:
        return float(self.settings.max_call)

    def wake(self, at: float) -> None:
        """Have everything ticked at `at` or before."""
        loop = asyncio.get_running_loop()
        when = loop.time() + max(0.0, at - self.now())
        if self._alarm is not None and not self._alarm.cancelled() and self._alarm.when() <= when:
            return
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = loop.call_at(when, self.tick)

    def tick(self) -> None:
        """Fire what is due."""
        self._alarm, now = None, self.now()
        self._do(self._transactions.feed(Tick(), Peer("", 0), now))
        ticked: list[ExtensionLeg | Trunk] = [*self._legs.values(), *([self._trunk] if self._trunk else [])]
        for one in ticked:
            if one.due is not None and one.due <= now:
                one.tick(now)
            if one.due is not None:
                self.wake(one.due)
        for key in [key for key in self._asked if not self._transactions.running(key)]:
            del self._asked[key]

    def _send(self, data: bytes, to: Peer) -> None:
        if self._listening is not None:
            self._udp.say(data, to)

    async def _wait_empty(self, seconds: float) -> None:
        self._empty.clear()
        if self._legs:
            await asyncio.wait([asyncio.ensure_future(self._empty.wait())], timeout=seconds)
