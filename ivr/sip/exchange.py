"""One SIP line without its sockets: who may speak, how much, which call a message belongs to; calls of our own.

Bytes in by `feed`, time by `tick`; what is to be sent goes to `Sockets`. Everything happens on one thread.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import math
import random
from collections import Counter
from collections.abc import Callable, Sequence

from ivr.media import messages as media
from ivr.settings import Line
from ivr.settings import Peer as Settings
from ivr.sip import message as sip
from ivr.sip import rules, sdp
from ivr.sip import session as timers
from ivr.sip.dialog import Dialog, branch, called, tag
from ivr.sip.gate import Gate, bracketed
from ivr.sip.leg import SipLeg
from ivr.sip.message import Reject, Request, Response
from ivr.sip.outgoing import Attempt, Early, NotReached, Wanted, is_the_next_ones, outcome
from ivr.sip.rules import ALLOW, Refusal
from ivr.sip.sdp import Ours, Unusable
from ivr.sip.transaction import Key, Out, Peer, Send, Tick, Timer, Transactions, Up
from ivr.sip.trunk import Trunk, usable
from ivr.sip.wire import Headers, Heard, MediaPlane, Seat, Sockets

log = logging.getLogger(__name__)

_rows = itertools.count(1)  # rows of the plane, over all lines of the process
Told = Callable[[int], None]


def next_row() -> int:
    """A row of the plane that no call has had."""
    return next(_rows)


class Exchange:
    """All calls of one line. `on_call(leg)` gets each new call at its INVITE: it answers it or hangs it up.

    `is_busy` says that nothing new can be stored just now: then new calls get 503.
    """

    def __init__(
        self,
        name: str,
        settings: Line,
        plane: MediaPlane,
        sockets: Sockets,
        on_call: Callable[[SipLeg], None],
        clock: Callable[[], float],
        is_busy: Callable[[], bool] = lambda: False,
    ) -> None:
        self.name = name
        self.plane = plane
        self.counts: Counter[str] = Counter()  #: packets and calls by fate
        self.draining = False
        self.trunks: list[Trunk] = []
        self._settings = settings
        self._sockets = sockets
        self._on_call = on_call
        self._clock = clock
        self._is_busy = is_busy
        self._gate = Gate(settings, clock())
        self._transactions = Transactions()
        self._legs: dict[tuple[str, str, str], SipLeg] = {}
        self._by_row: dict[int, SipLeg] = {}
        self._invites: dict[Key, SipLeg] = {}
        self._attempts: dict[Key, Attempt] = {}
        self._asked: dict[Key, Heard] = {}
        self._due = math.inf  # when the first leg, trunk or attempt wants to be ticked
        self._empty_now = asyncio.Event()

    # ---------------------------------------------------------------- for the line

    @property
    def allow(self) -> str:
        """Methods we take."""
        return f"{ALLOW}, REFER" if self._settings.refer_to else ALLOW

    @property
    def calls(self) -> int:
        """Calls that are up or being set up."""
        return len(self._legs)

    def begin(self) -> None:
        """Register and ping where the settings say so. Raises OSError when a password cannot be read."""
        self.trunks = self._trunks(self._settings)
        for trunk in self.trunks:
            trunk.tick(self.now())

    def renew(self, settings: Line) -> None:
        """Other peers, numbers and limits, for new calls. Raises OSError (nothing has changed then)."""
        fresh, old = self._trunks(settings), self.trunks
        same = {(trunk.settings, trunk.password): trunk for trunk in old}
        self.trunks = [same.get((trunk.settings, trunk.password), trunk) for trunk in fresh]
        self._settings, self._gate = settings, Gate(settings, self.now())
        there = {trunk.account for trunk in self.trunks}
        for trunk in old:
            if trunk.registered and trunk.account not in there:
                trunk.leave(lambda: None)
        for trunk in self.trunks:
            if trunk not in old:
                trunk.tick(self.now())

    def _trunks(self, settings: Line) -> list[Trunk]:
        known = [(peer, peer.far(), peer.password()) for peer in settings.peer]
        return [Trunk(self, peer, Peer(*far), password) for peer, far, password in known if far is not None]

    async def leave(self, seconds: float) -> None:
        """Un-register everywhere, wait so long for the answers, and ping no more."""
        trunks, self.trunks = self.trunks, []
        left = [asyncio.Event() for trunk in trunks if trunk.registered]
        for trunk, event in zip([trunk for trunk in trunks if trunk.registered], left, strict=True):
            trunk.leave(event.set)
        if left:
            await asyncio.wait([asyncio.ensure_future(event.wait()) for event in left], timeout=seconds)

    async def drain(self, seconds: float) -> None:
        """New calls get 503; running ones have `seconds`, then BYE."""
        self.draining = True
        await self._empty(seconds)
        for leg in list(self._legs.values()):
            leg.hang_up("drain")
        await self._empty(2.0)

    def peer(self, source: Peer) -> Settings | None:
        """The peer of the settings that speaks from there."""
        return self._gate.peer(source)

    def uses(self, peer: Peer) -> bool:
        """Whether a call runs by this connection."""
        return any(leg.dialog.peer == peer for leg in self._legs.values())

    def broken(self, peer: Peer) -> None:
        """The connection to `peer` is gone: whoever waits for an answer there is told."""
        self._do(self._transactions.broken(peer))
        self._forget()

    def on_events(self, events: Sequence[media.Event]) -> None:
        """News of the plane, once a tick; those of other lines' rows are passed over."""
        for event in events:
            leg = self._by_row.get(event.row)
            if leg is not None:
                leg.on_event(event)

    def feed(self, data: bytes, source: Peer) -> None:
        """One datagram or framed message. Nothing it says raises; strangers meet silence."""
        if self._gate.peer(source) is None:
            self.counts["outside"] += 1
            return
        if not self._gate.hears(source.host, data[:6] == b"INVITE", self.now()):
            self.counts["flood"] += 1
            return
        message = sip.read(data)
        if isinstance(message, Reject):
            self._rejected(message, source)
        elif isinstance(message, Response):
            self._do(self._transactions.feed(message, source, self.now()))
        elif not self._overloaded(message, source):
            self._do(self._transactions.feed(sip.received(message, source[:2]), source, self.now()))

    def tick(self) -> None:
        """Fire what is due."""
        now = self.now()
        self._do(self._transactions.feed(Tick(), Peer("", 0), now))
        if self._due <= now:
            self._tick_all(now)
        self._forget()

    def _tick_all(self, now: float) -> None:
        """Legs, trunks and attempts whose time has come; a thousand calls are looked through only then."""
        self._due = math.inf
        ticked: list[SipLeg | Trunk | Attempt] = [*self._legs.values(), *self.trunks, *self._attempts.values()]
        for one in ticked:
            if one.due is not None and one.due <= now:
                one.tick(now)
        left = min((one.due for one in ticked if one.due is not None), default=math.inf)
        if left < self._due:
            self.wake(left)

    # ---------------------------------------------------------------- calls of our own

    async def call(
        self, wanted: Wanted, told: Told = lambda status: None, early: Early | None = None
    ) -> SipLeg | NotReached:
        """Call somebody; `told` hears 180 and 183, `early` the row of early sound.

        Cancelling the task, or `wanted.ring` seconds, sends CANCEL. Only where a peer of the settings says `dial` does
        any call go, whatever was asked for.
        """
        far = Peer(*wanted.peer)
        if not self._gate.dials(far):
            self.counts["not_listed"] += 1
            return NotReached(403, "no peer that may be dialled", outcome(403))
        row = next_row()
        port = self.plane.ports.take(row)
        if port is None:
            return NotReached(503, "no port of our own is free", outcome(503))
        attempt = Attempt(self, wanted, self._seat(row, port, far), told, early)
        try:
            attempt.invite()
            self.wake(self.now() + wanted.ring)
            return await asyncio.shield(attempt.done)
        except asyncio.CancelledError:
            attempt.cancel()
            raise
        finally:
            if not attempt.used:
                attempt.give_back()

    async def dial(
        self, number: str, ring: float = 30.0, told: Told = lambda status: None, by: str | None = None,
        early: Early | None = None,
    ) -> SipLeg | NotReached:  # fmt: skip
        """Call `number` by the first peer that may be dialled; by the next where that one is in trouble.

        `by`: the name of the only peer to try.
        """
        result: SipLeg | NotReached = NotReached(403, "no peer that may be dialled", outcome(403))
        for trunk in usable([trunk for trunk in self.trunks if by in (None, trunk.settings.name)]):
            peer = trunk.settings
            uri, caller = f"sip:{number}@{peer.home}", peer.user or "pasokh"
            wanted = Wanted(uri, trunk.far, caller, peer.user, trunk.password, ring, self._settings.max_call, peer.home)
            result = await self.call(wanted, told, early)
            if isinstance(result, SipLeg) or not is_the_next_ones(result):
                return result
        return result

    # ---------------------------------------------------------------- too much

    def _rejected(self, reject: Reject, source: Peer) -> None:
        self.counts["noise" if reject.answer is None else "broken"] += 1
        if reject.answer is not None and self._gate.asks(source.host, self.now()):
            self._sockets.send(sip.write(reject.answer), source)

    def _overloaded(self, request: Request, source: Peer) -> bool:
        """A new call too many gets 503 without a transaction, its body unread; a scanner gets nothing."""
        if request.method in ("ACK", "CANCEL") or self._transactions.knows(request) or self._leg_of(request):
            return False
        if request.method != "INVITE" or request.to_tag is not None:
            scans = not self._gate.asks(source.host, self.now())
            self.counts["scan"] += scans
            return scans
        if not self._full() and self._gate.admits(source.host, self.now()):
            return False
        self.counts["503"] += 1
        refusal = sip.reply(sip.received(request, source[:2]), 503, self._later(), tag=tag())
        self._sockets.send(sip.write(refusal), source)
        return True

    def _full(self) -> bool:
        return self.draining or len(self._legs) >= self._settings.max_calls or self._is_busy()

    def _later(self) -> list[tuple[str, str]]:
        return [("retry-after", str(random.randint(5, 15)))]

    # ---------------------------------------------------------------- what the transactions say

    def _do(self, outs: Sequence[Out]) -> None:
        for out in outs:
            if isinstance(out, Send):
                self._sockets.send(out.data, out.peer)
            elif isinstance(out, Timer):
                self._sockets.wake(out.at)
            else:
                self._up(out)

    def _up(self, up: Up) -> None:
        if isinstance(up.message, Request):
            self._request(up.key, up.message, up.peer)
            return
        heard = self._asked.get(up.key)
        if heard is not None:
            heard(up.message)
        attempt = self._attempts.get(up.key)
        if attempt is not None:
            attempt.heard(up.message, up.peer)
        self._look_empty()

    def _request(self, key: Key, request: Request, source: Peer) -> None:
        broken = rules.refusal(request, bool(self._settings.refer_to))
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
        more = (("allow", self.allow), ("accept", "application/sdp"), ("supported", "timer"))
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

    def _leg_of(self, request: Request) -> SipLeg | None:
        return self._legs.get((request.call_id, request.to_tag or "", request.from_tag or ""))

    def _inside(self, key: Key, request: Request) -> None:
        """A request of a running dialog; wrong tags or none running 481, a low CSeq 500 (RFC 3261 s 12.2.2)."""
        leg = self._leg_of(request)
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

    def _invite(self, key: Key, request: Request, source: Peer) -> None:
        self.reply(key, sip.reply(request, 100))
        menu = self._settings.menu(rules.dialled(request))
        session = timers.asked(request)
        offered = rules.described(request)
        why = next((each for each in (session, offered) if isinstance(each, Refusal)), None)
        if menu is None:
            why = Refusal(404)
        elif not rules.reachable(request):
            why = Refusal(400)
        elif not rules.hears_sdp(request):
            why = Refusal(406)
        if why is not None or isinstance(session, Refusal) or isinstance(offered, Refusal) or menu is None:
            self._refuse(key, request, why or Refusal(500))
            return
        leg = self._seated(request, source, offered)
        if isinstance(leg, Refusal):
            self._refuse(key, request, leg)
            return
        found, agreed = leg
        found.menu = menu
        found.invited(key, request, agreed, session)
        self._invites[key] = found
        self.adopt(found)
        self.counts["calls"] += 1
        self._on_call(found)

    def _seated(self, request: Request, source: Peer, offered: bytes | None) -> tuple[SipLeg, sdp.Sdp | None] | Refusal:
        """The leg of a new call with a port of its own, and what was agreed on its media."""
        peer = self._gate.peer(source)
        nat = peer is not None and peer.nat
        row = next_row()
        port = self.plane.ports.take(row, sdp.speaks_from(offered, source.host, nat) if offered else None)
        if port is None:
            return Refusal(503, self._later())
        seat = self._seat(row, port, source, nat)
        agreed = sdp.answer(offered, seat.ours) if offered else None
        if isinstance(agreed, Unusable):
            self.plane.ports.give(row)
            return rules.NO_CODEC
        who = rules.caller(request, peer is not None and peer.asserts_identity, self._settings.country)
        dialog = called(request, tag(), source)
        return SipLeg(self, self.name, dialog, who, rules.dialled(request), seat, self._settings.max_call), agreed

    # ---------------------------------------------------------------- what legs, attempts and trunks ask

    def now(self) -> float:
        return self._clock()

    def refers(self, to: str) -> bool:
        """Whether a REFER may name this number at all."""
        return to in self._settings.refer_to

    def reply(self, key: Key, response: Response) -> None:
        self._do(self._transactions.reply(key, response, self.now()))

    def ask(self, dialog: Dialog, method: str, heard: Heard, more: Headers = (), body: bytes = b"") -> Request:
        """Send a request inside a dialog."""
        request = dialog.request(method, self.via(dialog.peer, branch()), more, body)
        self.errand(request, dialog.peer, heard)
        return request

    def errand(self, request: Request, peer: Peer, heard: Heard) -> None:
        """Send a request; `heard` gets its answers, None when there was none."""
        key, outs = self._transactions.start(request, peer, self.now())
        self._asked[key] = heard
        self._do(outs)

    def invite(self, attempt: Attempt, request: Request, peer: Peer) -> Key:
        """Send the INVITE of an attempt; its answers go to it."""
        key, outs = self._transactions.start(request, peer, self.now())
        self._attempts[key] = attempt
        self._do(outs)
        return key

    def give_up(self, key: Key) -> None:
        """The INVITE is cancelled."""
        self._do(self._transactions.give_up(key, self.now()))

    def plain(self, request: Request, peer: Peer) -> None:
        """Send without a transaction: the ACK of a 200."""
        self._sockets.send(sip.write(request), peer)

    def adopt(self, leg: SipLeg) -> None:
        self._legs[leg.dialog.key] = leg
        self._by_row[leg.row] = leg

    def over(self, leg: SipLeg) -> None:
        self._legs.pop(leg.dialog.key, None)
        self._by_row.pop(leg.row, None)
        if leg.invite is not None:
            self._invites.pop(leg.invite, None)
        self._look_empty()

    def leg_for(self, dialog: Dialog, wanted: Wanted, seat: Seat) -> SipLeg:
        return SipLeg(self, self.name, dialog, rules.Caller(None, False), wanted.uri, seat, wanted.most)

    def _seat(self, row: int, port: int, peer: Peer, nat: bool = False) -> Seat:
        return Seat(row, Ours(self._host(peer), port, random.getrandbits(31)), nat)

    def contact(self, peer: Peer, user: str = "") -> str:
        how = "" if peer.transport == "udp" else f";transport={peer.transport}"
        return f"<sip:{user or self.name}@{self._place(peer)}{how}>"

    def via(self, peer: Peer, made: str) -> str:
        return f"SIP/2.0/{peer.transport.upper()} {self._place(peer)};branch={made};rport"

    def wake(self, at: float) -> None:
        """A leg, a trunk or an attempt wants to be ticked at `at`."""
        self._due = min(self._due, at)
        self._sockets.wake(at)

    def _place(self, peer: Peer) -> str:
        return f"{bracketed(self._host(peer))}:{self._sockets.open_port(peer.transport)}"

    def _host(self, peer: Peer) -> str:
        return self._settings.public_address or self._sockets.host(peer.host)

    # ---------------------------------------------------------------- inside

    def _forget(self) -> None:
        """Drop what nobody answers any more."""
        for waiting in (self._attempts, self._asked):
            for key in [key for key in waiting if not self._transactions.running(key)]:
                del waiting[key]

    def _look_empty(self) -> None:
        if not self._legs and not any(attempt.owing for attempt in self._attempts.values()):
            self._empty_now.set()

    async def _empty(self, seconds: float) -> None:
        self._empty_now.clear()
        self._look_empty()
        try:
            await asyncio.wait_for(self._empty_now.wait(), seconds)
        except TimeoutError:
            log.info("calls still up at the end of the wait", extra={"line": self.name})
