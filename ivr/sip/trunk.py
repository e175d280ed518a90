"""Our standing with a peer: registered there and refreshed in time, and asked every half minute whether it lives.

No I/O: an errand is handed to the exchange, its answer comes back, `due` says when to look again.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from ivr.settings import Peer as Settings
from ivr.sip import message as sip
from ivr.sip.dialog import branch, tag
from ivr.sip.digest import Credentials, Login
from ivr.sip.message import Request, Response
from ivr.sip.transaction import Peer
from ivr.sip.wire import Heard

log = logging.getLogger(__name__)
EXPIRES: Final = 600  # seconds we ask to be registered for
MOST: Final = 86_400  # seconds a Min-Expires may ask for
FIRST_WAIT, LAST_WAIT = 30.0, 600.0  # seconds after a failure, doubling
PING: Final = 30.0  # seconds between OPTIONS
MISSES: Final = 3  # unanswered ones till a peer is down
ASLEEP = (408, 503)  # answers that are none


class Post(Protocol):
    """What a trunk needs of its exchange."""

    def now(self) -> float: ...

    def via(self, peer: Peer, made: str) -> str: ...

    def contact(self, peer: Peer, user: str = "") -> str: ...

    def errand(self, request: Request, peer: Peer, heard: Heard) -> None: ...

    def wake(self, at: float) -> None: ...


class Trunk:
    """One peer that has an address."""

    def __init__(self, post: Post, settings: Settings, far: Peer, password: str | None) -> None:
        self.settings, self.far, self.password = settings, far, password
        self.registered = False
        self.up = True  #: false after MISSES pings without an answer
        self.due = post.now()
        self._post = post
        self._register_at = post.now() if settings.register else float("inf")
        self._ping_at = post.now() + random.random() if settings.ping else float("inf")
        self._call_id, self._tag, self._seq = tag() + tag(), tag(), 0
        self._expires = EXPIRES
        self._failures = 0
        self._misses = 0
        self._waiting = False  # a ping is out
        self._left: Callable[[], None] = lambda: None

    @property
    def account(self) -> tuple[str, Peer] | None:
        """What is registered where."""
        return (self.settings.user or "", self.far) if self.settings.register else None

    def tick(self, now: float) -> None:
        """Register and ping when it is time."""
        if now >= self._register_at:
            self._register_at = float("inf")
            self._register(self._expires)
        if now >= self._ping_at:
            self._ping_at = now + PING
            self._ping()
        self._plan()

    def leave(self, left: Callable[[], None]) -> None:
        """Un-register; `left` is called once the registrar has answered, whatever it said."""
        self.registered, self._register_at = False, float("inf")
        self._left = left
        self._register(0)

    # ---------------------------------------------------------------- being registered

    def _register(self, seconds: int, login: Login | None = None, more: Credentials = ()) -> None:
        login = login or Login(self.settings.user, self.password)
        home = self.settings.home
        self._seq += 1
        headers = [
            ("via", self._post.via(self.far, branch())),
            ("max-forwards", "70"),
            ("from", f"<sip:{self.settings.user}@{home}>;tag={self._tag}"),
            ("to", f"<sip:{self.settings.user}@{home}>"),
            ("call-id", self._call_id),
            ("cseq", f"{self._seq} REGISTER"),
            ("contact", self._post.contact(self.far, self.settings.user or "")),
            ("expires", str(seconds)),
            *more,
        ]
        request = sip.request("REGISTER", f"sip:{home}", headers)
        self._post.errand(request, self.far, lambda answer: self._registered(seconds, login, answer))

    def _registered(self, seconds: int, login: Login, answer: Response | None) -> None:
        more = login.respond(answer, "REGISTER", f"sip:{self.settings.home}") if answer else None
        if more is not None:
            return self._register(seconds, login, more)
        if answer is not None and answer.status == 423 and _number(answer, "min-expires") > seconds > 0:
            self._expires = min(_number(answer, "min-expires"), MOST)
            return self._register(self._expires, login=None)
        if seconds == 0:
            return self._left()
        if answer is not None and answer.status < 300:
            return self._in(answer)
        return self._failed(answer)

    def _in(self, answer: Response) -> None:
        if not self.registered:
            log.info("registered", extra={"peer": self.settings.name})
        self.registered, self._failures = True, 0
        self._register_at = self._post.now() + _granted(answer, self._expires) / 2 * random.uniform(0.9, 1.0)
        self._plan()

    def _failed(self, answer: Response | None) -> None:
        wait = min(FIRST_WAIT * 2**self._failures, LAST_WAIT)
        self.registered, self._failures = False, self._failures + 1
        self._register_at = self._post.now() + wait * random.uniform(0.8, 1.2)
        status = answer.status if answer else 0
        log.error("not registered", extra={"peer": self.settings.name, "status": status})
        self._plan()

    # ---------------------------------------------------------------- being alive

    def _ping(self) -> None:
        if self._waiting:
            self._missed()
        self._waiting = True
        home = self.settings.home
        made = tag()
        headers = [
            ("via", self._post.via(self.far, branch())),
            ("max-forwards", "70"),
            ("from", f"<sip:{self.settings.user or 'pasokh'}@{home}>;tag={made}"),
            ("to", f"<sip:{home}>"),
            ("call-id", made + tag()),
            ("cseq", "1 OPTIONS"),
            ("contact", self._post.contact(self.far)),
            ("accept", "application/sdp"),
        ]
        self._post.errand(sip.request("OPTIONS", f"sip:{home}", headers), self.far, self._ponged)

    def _ponged(self, answer: Response | None) -> None:
        if answer is None or answer.status in ASLEEP:
            return  # the next ping counts it
        self._waiting, self._misses = False, 0
        if not self.up:
            self.up = True
            log.info("peer is up again", extra={"peer": self.settings.name})

    def _missed(self) -> None:
        self._misses += 1
        if self._misses >= MISSES and self.up:
            self.up = False
            log.error("peer is down", extra={"peer": self.settings.name})

    def _plan(self) -> None:
        self.due = min(self._register_at, self._ping_at)
        self._post.wake(self.due)


def usable(trunks: Sequence[Trunk]) -> list[Trunk]:
    """Those that may be dialled, in the order of the file; the ones that are down last."""
    return sorted((trunk for trunk in trunks if trunk.settings.dial), key=lambda trunk: not trunk.up)


def _granted(answer: Response, asked: int) -> int:
    """Seconds the registrar gave our Contact: its parameter, else Expires, else what we asked (RFC 3261 s 10.2.4)."""
    for value in answer.all("contact"):
        given = sip.params(value).get("expires", "")
        if given.isascii() and given.isdigit() and len(given) < 10:
            return max(int(given), 20)
    return max(_number(answer, "expires") or asked, 20)


def _number(answer: Response, name: str) -> int:
    value = (answer.get(name) or "").strip()
    return int(value) if value.isascii() and value.isdigit() and len(value) < 10 else 0
