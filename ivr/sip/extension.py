"""One call of an extension by pyVoIP: its state, our dialog, the plane's sound."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Protocol

from ivr import leg as words
from ivr.media import messages as media
from ivr.sip import message as sip
from ivr.sip import rules, sdp
from ivr.sip.dialog import Dialog, Unacked, branch, called, tag
from ivr.sip.guarded import Call, CallState
from ivr.sip.message import Request, Response
from ivr.sip.rules import ALLOW, Refusal
from ivr.sip.sdp import Ours, Sdp, Unusable
from ivr.sip.transaction import Key, Peer
from ivr.sip.voice import Voice
from ivr.sip.wire import Heard, MediaPlane

LAW: media.Law = "pcmu"  # the only one that pyVoIP words rightly


@dataclass(frozen=True, slots=True)
class Invited:
    """The INVITE that made a call, and what was agreed on."""

    key: Key
    request: Request
    source: Peer
    ours: Ours
    agreed: Sdp


class Around(Protocol):
    """What a call needs of its line."""

    name: str
    plane: MediaPlane

    @property
    def most(self) -> float: ...

    def now(self) -> float: ...

    def reply(self, key: Key, response: Response) -> None: ...

    def refuse(self, key: Key, request: Request, why: Refusal) -> None: ...

    def errand(self, request: Request, peer: Peer, heard: Heard) -> None: ...

    def via(self, peer: Peer, made: str) -> str: ...

    def contact(self, peer: Peer, user: str = "") -> str: ...

    def wake(self, at: float) -> None: ...

    def over(self, leg: ExtensionLeg) -> None: ...


class ExtensionLeg(Voice):
    """One call of the extension: pyVoIP's state, our dialog and the plane's sound."""

    def __init__(self, line: Around, row: int, who: rules.Caller, called: str, invited: Invited) -> None:
        super().__init__(line.plane, row)
        self.number, self.asserted, self.called, self.line = who.number, who.asserted, called, line.name
        self.menu = ""
        self.call: Call | None = None
        self.call_id = invited.request.call_id
        self.ours = invited.ours
        self._line, self._invited = line, invited
        self._dialog: Dialog | None = None
        self._unacked: Unacked | None = None
        self._acked: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._over_at: float | None = line.now() + line.most
        self._rest = line.most

    async def answer(self) -> bool:
        """Have pyVoIP answer, and wait for the ACK; False when the caller is gone."""
        if self.call is not None and self.call.state is CallState.RINGING and self._why is None:
            self.call.answer()
        return await asyncio.shield(self._acked)

    def hang_up(self, why: str = "us") -> None:
        """486 before an answer, BYE after."""
        if self._why is not None or self.call is None:
            return
        if self.call.state is CallState.RINGING:
            self.call.deny()
        elif self.call.state is CallState.ANSWERED:
            self.call.hangup()
        self._end(why)

    def untimed(self, so: bool = True) -> None:
        """Waiting for people and talking with them do not count against the longest call."""
        if so and self._over_at is not None:
            self._rest, self._over_at = self._over_at - self._line.now(), None
        elif not so and self._over_at is None:
            self._over_at = self._line.now() + self._rest
        self._plan()

    # ---------------------------------------------------------------- for the line

    @property
    def due(self) -> float | None:
        """When `tick` wants to be called."""
        times = [self._over_at, self._unacked.due() if self._unacked else None]
        return min((at for at in times if at is not None), default=None) if self._why is None else None

    def tick(self, now: float) -> None:
        """Repeat the 200, give it up, end a call that lasted too long."""
        waiting = self._unacked
        if waiting and now >= waiting.until:
            self._unacked = None
            self.hang_up("no_ack")
        elif waiting and waiting.again(now):
            self._line.reply(waiting.key, waiting.response)
        elif self._over_at is not None and now >= self._over_at:
            self.hang_up("too_long")

    def worded(self, answer: Response) -> None:
        """pyVoIP's answer to the INVITE, as it goes out."""
        invited = self._invited
        if self._dialog is None:
            self._dialog = called(invited.request, answer.to_tag or tag(), invited.source)
        more = [("record-route", value) for value in invited.request.all("record-route")]
        more.append(("contact", self._line.contact(invited.source)))
        more += [("allow", ALLOW), ("content-type", "application/sdp")] if answer.body else []
        response = sip.reply(invited.request, answer.status, more, answer.body, self._dialog.local_tag)
        if 200 <= answer.status < 300:
            self._unacked = Unacked.begin(response, self._line.now(), invited.key)
        self._line.reply(invited.key, response)
        self._plan()

    def open(self) -> None:
        """pyVoIP begins to speak: the plane does."""
        self._sound(self._invited.agreed)

    def acked(self, ack: Request) -> None:
        """The ACK of our 200."""
        if self._unacked is not None and ack.seq == self._unacked.seq:
            self._unacked = None
            if not self._acked.done():
                self._acked.set_result(True)

    def cancelled(self) -> None:
        """487 when it was not answered; else nothing."""
        if self.call is None or self.call.state is not CallState.RINGING or self._why is not None:
            return
        self.call.state = CallState.ENDED
        local = self._dialog.local_tag if self._dialog else tag()
        self._line.reply(self._invited.key, sip.reply(self._invited.request, 487, tag=local))
        self._end("caller")

    def inside(self, key: Key, request: Request) -> None:
        """A request of this call."""
        if self._dialog is None or request.to_tag != self._dialog.local_tag:
            self._line.refuse(key, request, Refusal(481))
        elif not self._dialog.fresh(request):
            self._line.refuse(key, request, Refusal(500))
        elif request.method == "BYE":
            self._line.reply(key, sip.reply(request, 200))
            self._byed()
        elif request.method == "INFO":
            self._info(key, request)
        elif request.method in ("INVITE", "UPDATE"):
            self._renew(key, request)
        else:
            self._line.reply(key, sip.reply(request, 200, (("allow", ALLOW),)))

    def send_bye(self) -> None:
        """By our dialog, with its routes."""
        if self._dialog is not None:
            peer = self._dialog.peer
            self._line.errand(self._dialog.request("BYE", self._line.via(peer, branch())), peer, lambda answer: None)

    def never_was(self) -> None:
        """pyVoIP could not take it: nobody hears of it."""
        self._why = self._why or "us"
        self._plane.ports.give(self.row)
        self._line.over(self)

    # ---------------------------------------------------------------- inside

    def _byed(self) -> None:
        if self.call is not None and self.call.state is CallState.RINGING and self._dialog is not None:
            refusal = sip.reply(self._invited.request, 487, tag=self._dialog.local_tag)
            self._line.reply(self._invited.key, refusal)
        if self.call is not None:
            self.call.bye()
        self._end("caller")

    def _info(self, key: Key, request: Request) -> None:
        pressed = rules.key_of(request)
        if isinstance(pressed, Refusal):
            self._line.refuse(key, request, pressed)
            return
        self._line.reply(key, sip.reply(request, 200))
        if pressed and not self._keys_seen and self._why is None:
            self._tell(words.Pressed(pressed))

    def _renew(self, key: Key, request: Request) -> None:
        """A re-INVITE or UPDATE; pyVoIP, which would start its threads again, hears nothing of it."""
        offered = rules.described(request)
        if isinstance(offered, Refusal) or self._unacked is not None:
            self._line.refuse(key, request, offered if isinstance(offered, Refusal) else Refusal(500))
            return
        self.ours = replace(self.ours, version=self.ours.version + 1)
        agreed = sdp.answer(sdp.only(LAW, offered), self.ours) if offered else None
        if isinstance(agreed, Unusable):
            self._line.refuse(key, request, rules.NO_CODEC)
            return
        if agreed is not None:
            self._sound(agreed)
        body = agreed.body if agreed else sdp.offer(self.ours, (LAW,)) if request.method == "INVITE" else b""
        more = [("contact", self._line.contact(self._invited.source))]
        more += [("content-type", "application/sdp")] if body else []
        response = sip.reply(request, 200, more, body)
        if request.method == "INVITE":
            self._unacked = Unacked.begin(response, self._line.now(), key)
        self._line.reply(key, response)
        self._plan()

    def _sound(self, agreed: Sdp) -> None:
        if self._why is not None:
            return
        made = media.Media(
            self.row, LAW, agreed.peer, agreed.event_type, self.ours.port, agreed.sending, agreed.receiving,
            sought=self._plane.ports.is_sought(self.row), mux=agreed.mux,
        )  # fmt: skip
        self._plane.post(media.Change(made) if self._added else media.Add(made))
        self._added = True

    def _end(self, why: str) -> None:
        """Sound stops now; HungUp follows when the plane has closed the row, so that recordings come before it."""
        if self._why is not None:
            return
        self._why, self._unacked = why, None
        if self._added:
            self._plane.post(media.Drop(self.row, why))
        else:
            self._plane.ports.give(self.row)
            self._finish()

    def _finish(self) -> None:
        super()._finish()
        if not self._acked.done():
            self._acked.set_result(False)
        self._line.over(self)

    def _plan(self) -> None:
        if self.due is not None:
            self._line.wake(self.due)
