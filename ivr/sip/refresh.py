"""Keeps a running call's session alive (RFC 4028): our refreshes by UPDATE or re-INVITE, and its end without theirs."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

from ivr.sip import session as timers
from ivr.sip.dialog import Dialog, branch
from ivr.sip.message import Request, Response
from ivr.sip.session import Session
from ivr.sip.wire import Wire

AGAIN = 10.0  # seconds after a refresh that was refused for no reason of its own
CROSSED_OURS, CROSSED = (2.1, 4.0), (0.0, 2.0)  # seconds to wait after 491: ours the Call-ID or not, RFC 3261 s 14.1
GONE = (408, 481)  # answers that end the call
NOT_THAT_WAY = (405, 501)


class Refresh:
    """Of one leg. `offer` makes our SDP, `answered` takes theirs, `gone` ends it, `planned` hears of a new `due`."""

    def __init__(
        self,
        line: Wire,
        dialog: Dialog,
        offer: Callable[[], bytes],
        answered: Callable[[bytes], None],
        gone: Callable[[], None],
        planned: Callable[[], None],
    ) -> None:
        self.session: Session | None = None
        self.pending = False  #: a re-INVITE of ours is out
        self._line, self._dialog = line, dialog
        self._offer, self._answered, self._gone = offer, answered, gone
        self._planned = planned
        self._began_by_us = False
        self._by_update = False
        self._asking = False
        self._next: float | None = None
        self._until: float | None = None

    def begin(self, message: Request | Response, by_us: bool) -> None:
        """What the INVITE or its 200 said of the other end."""
        self._began_by_us = by_us
        self._by_update = "UPDATE" in (method.upper() for method in message.all("allow"))

    def agreed(self, session: Session | None) -> None:
        """An INVITE or UPDATE went through: time counts from now."""
        now = self._line.now()
        self.session = session
        self._next = now + session.refresh_after if session and session.ours else None
        self._until = now + session.over_after if session else None

    @property
    def due(self) -> float | None:
        """When `tick` wants to be called."""
        return min((at for at in (self._next, self._until) if at is not None), default=None)

    def tick(self, now: float) -> bool:
        """Refresh when it is time; False when the session is over."""
        if self._until is not None and now >= self._until:
            self._next = self._until = None
            return False
        if self._next is not None and now >= self._next:
            self._next = None
            self._ask()
        return True

    def stop(self) -> None:
        """The call ends: no more refreshes."""
        self._next = self._until = None

    # ---- inside

    def _ask(self) -> None:
        if self._asking or self.session is None:
            return
        self._asking = True
        more = (*timers.again(self.session.seconds), ("contact", self._line.contact(self._dialog.peer)))
        if self._by_update:
            self._line.ask(self._dialog, "UPDATE", self._heard, more)
            return
        self.pending = True
        self._line.ask(self._dialog, "INVITE", self._heard, (*more, ("content-type", "application/sdp")), self._offer())

    def _heard(self, answer: Response | None) -> None:
        if answer is not None and answer.status < 200:
            return None
        if answer is not None and answer.status < 300:
            return self._refreshed(answer)
        self._asking = self.pending = False
        if self._until is None:
            return None
        if answer is None or answer.status in GONE:
            return self._gone()
        return self._refused(answer)

    def _refreshed(self, answer: Response) -> None:
        if answer.method == "INVITE":  # each 200 again, too: its ACK was lost
            self._line.plain(
                self._dialog.ack(answer.seq, self._line.via(self._dialog.peer, branch())), self._dialog.peer
            )
        if not self._asking or self._until is None:
            return
        self._asking = self.pending = False
        self._dialog.refresh(answer)
        self.agreed(timers.answered(answer) or self.session)
        self._planned()
        if answer.body:
            self._answered(answer.body)

    def _refused(self, answer: Response) -> None:
        longer = timers.longer(answer)
        if longer and self.session:
            self.session = replace(self.session, seconds=longer)
            return self._ask()
        if answer.status in NOT_THAT_WAY and self._by_update:
            self._by_update = False
            return self._ask()
        wait = random.uniform(*(CROSSED_OURS if self._began_by_us else CROSSED)) if answer.status == 491 else AGAIN
        self._next = self._line.now() + wait
        return self._planned()
