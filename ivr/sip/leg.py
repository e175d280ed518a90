"""One call of the SIP line as an `ivr.leg.Leg`: signalling on one side, the media plane on the other."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace

from ivr import leg as words
from ivr.media import messages as media
from ivr.sip import message as sip
from ivr.sip import sdp
from ivr.sip import session as timers
from ivr.sip.dialog import Dialog, State, Unacked
from ivr.sip.message import Request, Response
from ivr.sip.refresh import Refresh
from ivr.sip.rules import NO_CODEC, Caller, Refusal, described, key_of, referred
from ivr.sip.sdp import Sdp, Unusable
from ivr.sip.session import Session
from ivr.sip.transaction import Key
from ivr.sip.voice import Voice
from ivr.sip.wire import Seat, Wire

DROPPING = 5.0  # seconds the plane has to close a row before the call counts as over without it


class SipLeg(Voice):
    """A call. Made by the line; everything on the loop's thread."""

    def __init__(
        self, line: Wire, name: str, dialog: Dialog, who: Caller, called: str, seat: Seat, most: float
    ) -> None:
        super().__init__(line.plane, seat.row)
        self.number = who.number
        self.asserted = who.asserted
        self.called = called
        self.line = name
        self.menu = ""  #: menu the dialled number is for, set by the line
        self.dialog = dialog
        self.due: float | None = None  #: when `tick` wants to be called
        self._line = line
        self._seat = seat
        self._ours = seat.ours
        self._most = most
        self._over_at: float | None = None
        self._rest = most  # seconds left when the clock was stopped
        self._agreed: Sdp | None = None
        self._session = Session(timers.STANDS, True)
        self._invite: tuple[Key, Request] | None = None
        self._acked: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._drop_by: float | None = None
        self._bye_owed = False
        self._refresh = Refresh(line, dialog, self._our_offer, self._their_answer, self._gone, self._plan)

    # ---------------------------------------------------------------- for the call's runner

    async def answer(self) -> bool:
        """Send the 200 and wait for its ACK; False when the caller is gone."""
        if self._invite is not None and self.dialog.state is State.EARLY:
            key, invite = self._invite
            self.dialog.move("accept")
            self._over_at = self._line.now() + self._most
            self._start(self._agreed)
            self._refresh.begin(invite, by_us=False)
            self._accept(key, invite, self._agreed.body if self._agreed else sdp.offer(self._ours), self._session)
        return await asyncio.shield(self._acked)

    def untimed(self, so: bool = True) -> None:
        """Waiting for people and talking with them do not count against the longest call."""
        if so and self._over_at is not None:
            self._rest, self._over_at = self._over_at - self._line.now(), None
        elif not so and self._over_at is None:
            self._over_at = self._line.now() + self._rest
        self._plan()

    def hang_up(self, why: str = "us") -> None:
        """End it from our side: 486 before an answer, BYE after; after our 200 the BYE waits for its ACK."""
        if self._why is not None:
            return
        if self.dialog.state is State.EARLY:
            self.refuse(Refusal(486), why)
        elif self.dialog.state is State.ACCEPTED:
            self._bye_owed = True
            self._end(why)
        else:
            self._bye(why)

    # ---------------------------------------------------------------- for the line

    @property
    def invite(self) -> Key | None:
        """The transaction of the INVITE that made this leg."""
        return self._invite[0] if self._invite else None

    def invited(self, key: Key, invite: Request, agreed: Sdp | None, session: Session) -> None:
        """The INVITE that made this leg; `agreed` None when it came without an offer."""
        self._invite = (key, invite)
        self._agreed = agreed
        self._session = session
        self._over_at = self._line.now() + self._most
        self._plan()

    def connected(self, agreed: Sdp, answer: Response, sounds: bool = False) -> None:
        """Our own INVITE was answered and the ACK is out. `sounds`: the plane has the row already, from early sound."""
        self._added = sounds
        self.dialog.move("accepted")
        self._refresh.begin(answer, by_us=True)
        self._refresh.agreed(timers.answered(answer))
        self._over_at = self._line.now() + self._most
        self._start(agreed)
        self._plan()
        self._acked.set_result(True)

    def decline(self) -> None:
        """Our own INVITE was answered too late or in vain: BYE at once. The port stays with its attempt."""
        self.dialog.move("accepted")
        self.dialog.move("bye")
        self._line.ask(self.dialog, "BYE", lambda answer: None)

    def refuse(self, why: Refusal, ended: str = "us") -> None:
        if self._invite is not None and self.dialog.move("refuse"):
            key, invite = self._invite
            self._line.reply(key, sip.reply(invite, why.status, why.more, tag=self.dialog.local_tag))
            self._end(ended)

    def cancelled(self) -> None:
        """CANCEL matched our INVITE: 487 when it had no final answer, else nothing (RFC 3261 s 9.2)."""
        if self._invite is not None and self.dialog.move("cancel"):
            key, invite = self._invite
            self._line.reply(key, sip.reply(invite, 487, tag=self.dialog.local_tag))
            self._end("caller")

    def inside(self, key: Key, request: Request) -> None:
        """A request inside the dialog, its sequence number already found good."""
        if request.method == "BYE":
            self._answer(key, request, 200)
            self._byed()
        elif request.method == "INVITE":
            self._again(key, request)
        elif request.method == "UPDATE":
            self._update(key, request)
        elif request.method == "INFO":
            self._info(key, request)
        elif request.method == "REFER":
            self._refer(key, request)
        else:
            self._answer(key, request, 200, (("allow", self._line.allow), ("accept", "application/sdp")))

    def acked(self, ack: Request) -> None:
        """The ACK of a 200 of ours, with the answer where the 200 carried the offer."""
        waiting = self.dialog.unacked
        if waiting is None or ack.seq != waiting.seq:
            return
        self.dialog.unacked = None
        self.dialog.move("ack")
        if (waiting.offered and not self._answered(ack)) or self._bye_owed:
            self._bye("us")
        elif not self._acked.done():
            self._acked.set_result(True)
        self._plan()

    def tick(self, now: float) -> None:
        """Repeat the 200, give it up, end a call that lasted too long."""
        waiting = self.dialog.unacked
        if self._why is not None and self._drop_by is not None and now >= self._drop_by:
            self._finish()
        elif waiting and now >= waiting.until:
            self.dialog.unacked = None
            self._bye("no_ack")
        elif waiting and waiting.again(now):
            self._line.reply(waiting.key, waiting.response)
        elif self._over_at is not None and now >= self._over_at and self._why is None:
            self.hang_up("too_long")
        elif self._why is None and not self._refresh.tick(now):
            self.hang_up("expired")
        self._plan()

    # ---------------------------------------------------------------- inside

    def _accept(self, key: Key, invite: Request, body: bytes, session: Session) -> None:
        more = (
            *(("record-route", value) for value in invite.all("record-route")),
            ("contact", self._line.contact(self.dialog.peer)),
            ("allow", self._line.allow),
            *timers.told(session),
            ("content-type", "application/sdp"),
        )
        response = sip.reply(invite, 200, more, body, self.dialog.local_tag)
        offered = not invite.body.strip()
        self.dialog.unacked = Unacked.begin(response, self._line.now(), key, offered)
        self._refresh.agreed(session)
        self._line.reply(key, response)
        self._plan()

    def _again(self, key: Key, request: Request) -> None:
        """A re-INVITE. While another waits for its ACK: 500 with a time to come back; ours is out: 491 (s 14.2)."""
        renewed = self._renewed(key, request)
        if renewed is not None:
            body, session = renewed
            self._accept(key, request, body or self._our_offer(), session)

    def _update(self, key: Key, request: Request) -> None:
        renewed = self._renewed(key, request)
        if renewed is None:
            return
        body, session = renewed
        self._refresh.agreed(session)
        more = [("contact", self._line.contact(self.dialog.peer)), *timers.told(session)]
        more += [("content-type", "application/sdp")] if body else []
        self._line.reply(key, sip.reply(request, 200, more, body))
        self._plan()

    def _renewed(self, key: Key, request: Request) -> tuple[bytes, Session] | None:
        """Time and media of a re-INVITE or UPDATE, put into effect, b"" without an offer; None when it was refused."""
        session = timers.asked(request)
        body = self._clash(request) or (session if isinstance(session, Refusal) else self._changed(request))
        if isinstance(body, Refusal):
            self._answer(key, request, body.status, body.more)
            return None
        assert isinstance(session, Session) and isinstance(body, bytes)
        self.dialog.refresh(request)
        return body, session

    def _clash(self, request: Request) -> Refusal | None:
        """Two offers at once, RFC 3261 s 14.2 and RFC 3311 s 5.2."""
        offers = request.method == "INVITE" or bool(request.body.strip())
        if offers and self._refresh.pending:
            return Refusal(491)
        if self._why is not None or (offers and self.dialog.unacked is not None):
            return Refusal(500, (("retry-after", str(random.randint(0, 10))),))
        return None

    def _changed(self, request: Request) -> bytes | Refusal:
        """The answer to a new offer inside the call, already put into effect; b"" when there was no offer."""
        offered = described(request)
        if offered is None:
            return b""
        if isinstance(offered, Refusal):
            return offered
        moved = self._port_for(offered)
        self._ours = replace(self._ours, version=self._ours.version + 1, port=moved)
        agreed = sdp.answer(offered, self._ours)
        if isinstance(agreed, Unusable):
            return NO_CODEC
        self._start(agreed)
        return agreed.body

    def _port_for(self, offered: bytes) -> int:
        """Where we hear the new address: as before, unless another call on our port speaks from it already."""
        peer = sdp.speaks_from(offered, self.dialog.peer.host, self._seat.nat)
        old = self._agreed.peer if self._agreed else None
        moved = self._line.plane.ports.move(self.row, peer) if self._added and peer and peer != old else None
        return moved or self._ours.port

    def _our_offer(self) -> bytes:
        """The session as it stands, offered again."""
        self._ours = replace(self._ours, version=self._ours.version + 1)
        both = (self._agreed.sending, self._agreed.receiving) if self._agreed else (True, True)
        direction = next(word for word, pair in sdp.DIRECTIONS.items() if pair == both)
        return sdp.offer(self._ours, direction=direction)

    def _their_answer(self, body: bytes) -> None:
        agreed = sdp.accept(body)
        if isinstance(agreed, Sdp):
            self._start(agreed)

    def _gone(self) -> None:
        self.hang_up("expired")

    def _answered(self, ack: Request) -> bool:
        body = described(ack)
        agreed = sdp.accept(body) if isinstance(body, bytes) else None
        if not isinstance(agreed, Sdp):
            return False
        self._start(agreed)
        return True

    def _info(self, key: Key, request: Request) -> None:
        pressed = key_of(request)
        if isinstance(pressed, Refusal):
            return self._answer(key, request, pressed.status, pressed.more)
        self._answer(key, request, 200)
        if pressed and not self._keys_seen and self._why is None:
            self._tell(words.Pressed(pressed))
        return None

    def _refer(self, key: Key, request: Request) -> None:
        """Take over whom they talk with, where target and talk allow it: 202, and the only NOTIFY (RFC 3515 s 2.4.4).

        They leave the call with it, so that there is nobody to tell what came of it.
        """
        to = referred(request)
        if to is None or self._why is not None or not self._line.refers(to) or not self.refers(to):
            return self._answer(key, request, 603)
        contact = ("contact", self._line.contact(self.dialog.peer))
        self._answer(key, request, 202, [contact])
        more = (
            contact, ("event", f"refer;id={request.seq}"), ("subscription-state", "terminated;reason=noresource"),
            ("content-type", "message/sipfrag;version=2.0"),
        )  # fmt: skip
        self._line.ask(self.dialog, "NOTIFY", lambda answer: None, more, b"SIP/2.0 100 Trying\r\n")
        return None

    def _answer(self, key: Key, request: Request, status: int, more: Sequence[tuple[str, str]] = ()) -> None:
        self._line.reply(key, sip.reply(request, status, more, tag=self.dialog.local_tag))

    def _start(self, agreed: Sdp | None) -> None:
        """Open the row, or change it when it is open."""
        if agreed is None or self._why is not None:
            return
        self._agreed = agreed
        made = media.Media(
            self.row, agreed.law, agreed.peer, agreed.event_type, self._ours.port, agreed.sending, agreed.receiving,
            sought=self._line.plane.ports.is_sought(self.row), mux=agreed.mux,
        )  # fmt: skip
        self._line.plane.post(media.Change(made) if self._added else media.Add(made))
        self._added = True

    def _bye(self, why: str) -> None:
        """BYE, once; without an ACK after 32 s too (RFC 3261 s 13.3.1.4)."""
        if self.dialog.move("bye"):
            self.dialog.unacked = None
            self._bye_owed = False
            self._line.ask(self.dialog, "BYE", lambda answer: None)
        self._end(why)

    def _byed(self) -> None:
        if self._invite is not None and self.dialog.state is State.EARLY:
            key, invite = self._invite  # RFC 3261 s 15.1.2: the pending INVITE gets 487
            self._line.reply(key, sip.reply(invite, 487, tag=self.dialog.local_tag))
        self.dialog.unacked = None
        self.dialog.move("bye")
        self._end("caller")

    def _end(self, why: str) -> None:
        """Media stops now; HungUp follows when the plane has closed the row, so that recordings come before it."""
        if self._why is None:
            self._why = why
            self._refresh.stop()
            self._drop_by = self._line.now() + DROPPING
            if self._added:
                self._line.plane.post(media.Drop(self.row, why))
            else:
                self._line.plane.ports.give(self.row)
                self._finish()
        self._plan()

    def _finish(self) -> None:
        """Tell HungUp once; the line forgets us when the signalling is over as well."""
        self._drop_by = None
        if not self._acked.done():
            self._acked.set_result(False)
        super()._finish()
        self._plan()

    def _plan(self) -> None:
        waiting = self.dialog.unacked
        times = [waiting.due()] if waiting else []
        times += [self._drop_by] if self._drop_by is not None else []
        times += [self._over_at] if self._over_at is not None and self._why is None else []
        times += [self._refresh.due] if self._refresh.due is not None else []
        self.due = min(times, default=None)
        if self.due is not None:
            self._line.wake(self.due)
        if self._finished and self.dialog.state is State.ENDED:
            self._line.over(self)
