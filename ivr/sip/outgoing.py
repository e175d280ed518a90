"""Our own INVITE from the first packet to a leg or a refusal: forks, challenges, CANCEL. No socket of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from core.channels import Refused, TryLater
from ivr.media import messages as media
from ivr.sip import message as sip
from ivr.sip import sdp
from ivr.sip import session as timers
from ivr.sip.dialog import Dialog, branch, calling, tag
from ivr.sip.digest import Credentials, Login
from ivr.sip.leg import SipLeg
from ivr.sip.message import Request, Response
from ivr.sip.sdp import Sdp, Unusable
from ivr.sip.transaction import Key, Peer
from ivr.sip.wire import Heard, MediaPlane, Seat

Early = Callable[[int], None]  # told the row of the plane where the far end is heard before it answers
NO_ANSWER = 408  # what silence counts as
SILENCE = "no answer at all"
LONGER = 2  # times a 422 is obeyed
LATER: Mapping[int, str] = {408: "no answer", 480: "unavailable", 486: "busy", 600: "busy everywhere"}
NEVER: Mapping[int, str] = {
    403: "forbidden", 404: "no such number", 410: "gone", 484: "number incomplete", 488: "no codec in common",
    603: "declined", 604: "no such number",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class NotReached:
    """No call came of it. `outcome` is what a call-back may tell the outbox."""

    status: int
    reason: str
    outcome: TryLater | Refused


@dataclass(frozen=True, slots=True)
class Wanted:
    """A call to be made."""

    uri: str
    peer: tuple[str, int] | Peer  #: where the INVITE goes
    caller: str = "pasokh"  #: user part of From
    user: str | None = None  #: for a challenge
    password: str | None = None
    ring: float = 30.0  #: seconds till CANCEL
    most: float = 600.0  #: seconds the call may last
    home: str | None = None  #: domain of From; None = our own address


def is_the_next_ones(result: NotReached) -> bool:
    """Whether another peer may reach whom this one did not: it is in trouble, or says nothing at all."""
    return 500 <= result.status < 600 or result.reason == SILENCE


def outcome(status: int) -> TryLater | Refused:
    """3xx is never followed; busy and silence may be tried later, as may a server in trouble; the rest never."""
    if status in LATER:
        return TryLater(LATER[status])
    if status in NEVER:
        return Refused(NEVER[status])
    if 500 <= status < 600:
        return TryLater(f"sip {status}")
    return Refused("redirected" if status < 400 else f"sip {status}")


class Caller(Protocol):
    """What a call attempt needs of its line."""

    plane: MediaPlane

    @property
    def allow(self) -> str: ...

    def now(self) -> float: ...

    def invite(self, attempt: Attempt, request: Request, peer: Peer) -> Key: ...

    def give_up(self, key: Key) -> None: ...

    def errand(self, request: Request, peer: Peer, heard: Heard) -> None: ...

    def plain(self, request: Request, peer: Peer) -> None: ...

    def via(self, peer: Peer, made: str) -> str: ...

    def contact(self, peer: Peer, user: str = "") -> str: ...

    def adopt(self, leg: SipLeg) -> None: ...

    def leg_for(self, dialog: Dialog, wanted: Wanted, seat: Seat) -> SipLeg: ...


class Attempt:
    """One INVITE of ours under way. `done` gets the leg or what came instead.

    `early` gets our row once the far end is heard before its answer (183 with SDP): an announcement, its own ringing.
    """

    def __init__(
        self, line: Caller, wanted: Wanted, seat: Seat, told: Callable[[int], None], early: Early | None = None
    ) -> None:
        self.done: asyncio.Future[SipLeg | NotReached] = asyncio.get_running_loop().create_future()
        self.seat = seat
        self.used = False  #: the RTP port went over to a leg
        self.due: float | None = line.now() + wanted.ring  #: when it has rung long enough
        self._line = line
        self._wanted = wanted
        self._told = told
        self._early = early
        self._sounds = False  # the plane knows our row: early sound
        self._call_id = tag() + tag()
        self._tag = tag()
        self._seq = 0
        self._ringing = False
        self._cancelling = False
        self._login = Login(wanted.user, wanted.password)
        self._session = timers.WORDS
        self._longer = 0
        self._legs: dict[str, tuple[Request, Peer]] = {}  # ACK by remote tag, for repeated 200s
        self._request: Request | None = None
        self._key: Key = ()
        self._ended = False

    @property
    def owing(self) -> bool:
        """Given up after it rang, and the refusal still to be acknowledged."""
        return self._cancelling and self._ringing and not self._ended

    def invite(self, more: Credentials = ()) -> None:
        """Send the INVITE, the first time, with credentials or for a longer session."""
        wanted, peer = self._wanted, Peer(*self._wanted.peer)
        self._seq += 1
        contact = self._line.contact(peer)
        host = wanted.home or contact.rpartition("@")[2].rstrip(">").partition(";")[0]
        headers = [
            ("via", self._line.via(peer, branch())),
            ("max-forwards", "70"),
            ("from", f"<sip:{wanted.caller}@{host}>;tag={self._tag}"),
            ("to", f"<{wanted.uri}>"),
            ("call-id", self._call_id),
            ("cseq", f"{self._seq} INVITE"),
            ("contact", contact),
            ("allow", self._line.allow),
            *self._session,
            *more,
            ("content-type", "application/sdp"),
        ]
        self._request = sip.request("INVITE", wanted.uri, headers, sdp.offer(self.seat.ours))
        self._key = self._line.invite(self, self._request, peer)

    def cancel(self) -> None:
        """Give it up; CANCEL leaves only after a 1xx (RFC 3261 s 9.1), a 200 crossing it meets ACK and BYE."""
        if self._cancelling:
            return
        self._cancelling = True
        if self._ringing:
            self._send_cancel()
        self._settle(NotReached(NO_ANSWER, "cancelled", outcome(NO_ANSWER)))

    def give_back(self) -> None:
        """Nothing came of it: the port, or the row that already sounded."""
        if self._sounds:
            self._line.plane.post(media.Drop(self.seat.row, "us"))
        else:
            self._line.plane.ports.give(self.seat.row)

    def tick(self, now: float) -> None:
        """It has rung long enough."""
        self.due = None
        self.cancel()

    def heard(self, message: Response | None, peer: Peer) -> None:
        """A response to the INVITE, or None: 32 s of silence."""
        self._ended |= message is None or message.status >= 200
        if message is None:
            self._settle(NotReached(NO_ANSWER, SILENCE, TryLater("silence")))
        elif message.seq != self._seq:
            return
        elif message.status < 200:
            self._progress(message)
        elif message.status < 300:
            self._accepted(message, peer)
        elif not self._cancelling and self._once_more(message):
            return
        else:
            self._settle(NotReached(message.status, message.reason, outcome(message.status)))

    # ---- inside

    def _progress(self, message: Response) -> None:
        first, self._ringing = not self._ringing, True
        if self._cancelling and first:
            self._send_cancel()
        elif message.status > 100 and not self._cancelling:
            self._told(message.status)
            self._listen(message)

    def _listen(self, message: Response) -> None:
        """Early sound is heard, nothing of ours is sent there yet. The first fork that sounds is the one."""
        agreed = sdp.accept(message.body) if self._early is not None and message.body.strip() else None
        if self._early is None or not isinstance(agreed, Sdp) or self._sounds or self.done.done():
            return
        self._sounds, row = True, self.seat.row
        sought = self._line.plane.ports.is_sought(row)
        heard = media.Media(
            row, agreed.law, agreed.peer, agreed.event_type, self.seat.ours.port, False, True, sought=sought,
            mux=agreed.mux,
        )  # fmt: skip
        self._line.plane.post(media.Add(heard))
        self._early(row)

    def _accepted(self, message: Response, peer: Peer) -> None:
        assert self._request is not None
        remote = message.to_tag or ""
        if remote in self._legs:  # the same 200 again: the same ACK again
            return self._line.plain(*self._legs[remote])
        dialog = calling(self._request, message, peer)
        ack = dialog.ack(self._request.seq, self._line.via(peer, branch()))
        self._legs[remote] = (ack, peer)
        self._line.plain(ack, peer)
        agreed = sdp.accept(message.body)
        leg = self._line.leg_for(dialog, self._wanted, self.seat)
        if self.done.done() or isinstance(agreed, Unusable):  # another fork won, we gave up, or no common codec
            leg.decline()
            return self._settle(NotReached(488, "no codec in common", outcome(488)))
        self.used = True
        self._line.adopt(leg)
        leg.connected(agreed, message, self._sounds)
        return self.done.set_result(leg)

    def _once_more(self, refusal: Response) -> bool:
        """Answer a challenge; wait longer where a 422 asks for it (RFC 4028 s 7.4)."""
        more = self._login.respond(refusal, "INVITE", self._wanted.uri)
        if more is not None:
            self.invite(more)
            return True
        longer = timers.longer(refusal)
        if longer is None or self._longer >= LONGER:
            return False
        self._longer += 1
        self._session = (("supported", "timer"), ("session-expires", str(longer)), ("min-se", str(longer)))
        self.invite()
        return True

    def _send_cancel(self) -> None:
        assert self._request is not None
        kept = [
            (key, value) for key, value in self._request.headers if key in ("via", "from", "to", "call-id", "route")
        ]
        headers = [*kept, ("max-forwards", "70"), ("cseq", f"{self._request.seq} CANCEL")]
        request = sip.request("CANCEL", self._request.uri, headers)
        self._line.errand(request, Peer(*self._wanted.peer), lambda answer: None)
        self._line.give_up(self._key)

    def _settle(self, result: NotReached) -> None:
        if not self.done.done():
            self.done.set_result(result)
