"""SIP transactions as tables, RFC 3261 s 17 with RFC 6026: messages and ticks in, sends and news out. No I/O."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple

from ivr.sip import message as sip
from ivr.sip.message import Request, Response

T1: Final = 0.5  # seconds, RFC 3261 s 17.1.1.1
T2: Final = 4.0
T4: Final = 5.0
LONG: Final = 64 * T1  # timers B, D, F, H, J, L, M
MAGIC = "z9hG4bK"

Key = tuple[str, ...]


class Peer(NamedTuple):
    """An address that messages go to or come from; over TCP and TLS it names the connection as well."""

    host: str
    port: int
    transport: str = "udp"

    @property
    def reliable(self) -> bool:
        """Whether what is sent arrives in order or not at all: then nothing is sent twice."""
        return self.transport != "udp"


class Kind(StrEnum):
    """Which of the four tables a transaction walks."""

    INVITE_SERVER = "invite_server"
    SERVER = "server"
    INVITE_CLIENT = "invite_client"
    CLIENT = "client"


class State(StrEnum):
    TRYING = "trying"  #: Calling for an INVITE of ours
    PROCEEDING = "proceeding"
    COMPLETED = "completed"
    ACCEPTED = "accepted"
    CONFIRMED = "confirmed"
    TERMINATED = "terminated"


class Act(StrEnum):
    """What a move asks for, done in order."""

    SEND = "send"  #: send the message at hand and remember it
    AGAIN = "again"  #: send the remembered one again
    ACK = "ack"  #: acknowledge a refusal of our INVITE
    UP = "up"  #: tell the user
    TIMEOUT = "timeout"  #: tell the user that nobody answered


Move = tuple[State, tuple[Act, ...], tuple[str, ...]]  # next state, acts, timers to start
_T, _P, _C, _A, _F, _X = (
    State.TRYING, State.PROCEEDING, State.COMPLETED, State.ACCEPTED, State.CONFIRMED, State.TERMINATED,
)  # fmt: skip

# Events: request (again), 1xx, 2xx, error (3xx-6xx), ack, and the timers by letter.
# An event without a row changes nothing: a late timer, a stray provisional.
MOVES: Mapping[Kind, Mapping[tuple[State, str], Move]] = {
    Kind.INVITE_SERVER: {
        (_P, "request"): (_P, (Act.AGAIN,), ()),
        (_P, "1xx"): (_P, (Act.SEND,), ()),
        (_P, "2xx"): (_A, (Act.SEND,), ("L",)),
        (_P, "error"): (_C, (Act.SEND,), ("G", "H")),
        (_A, "request"): (_A, (Act.AGAIN,), ()),  # the same 200 bytes
        (_A, "2xx"): (_A, (Act.AGAIN,), ()),
        (_A, "L"): (_X, (), ()),
        (_C, "request"): (_C, (Act.AGAIN,), ()),
        (_C, "G"): (_C, (Act.AGAIN,), ("G",)),
        (_C, "ack"): (_F, (), ("I",)),
        (_C, "H"): (_X, (), ()),
        (_F, "I"): (_X, (), ()),
    },
    Kind.SERVER: {
        (_T, "1xx"): (_P, (Act.SEND,), ()),
        (_T, "2xx"): (_C, (Act.SEND,), ("J",)),
        (_T, "error"): (_C, (Act.SEND,), ("J",)),
        (_P, "request"): (_P, (Act.AGAIN,), ()),
        (_P, "1xx"): (_P, (Act.SEND,), ()),
        (_P, "2xx"): (_C, (Act.SEND,), ("J",)),
        (_P, "error"): (_C, (Act.SEND,), ("J",)),
        (_C, "request"): (_C, (Act.AGAIN,), ()),
        (_C, "J"): (_X, (), ()),
    },
    Kind.INVITE_CLIENT: {
        (_T, "A"): (_T, (Act.AGAIN,), ("A",)),
        (_T, "B"): (_X, (Act.TIMEOUT,), ()),
        (_T, "1xx"): (_P, (Act.UP,), ()),
        (_T, "2xx"): (_A, (Act.UP,), ("M",)),
        (_T, "error"): (_C, (Act.ACK, Act.UP), ("D",)),
        (_P, "C"): (_X, (Act.TIMEOUT,), ()),  # it rings and rings
        (_P, "W"): (_X, (Act.TIMEOUT,), ()),  # cancelled, and no final answer came of it
        (_P, "1xx"): (_P, (Act.UP,), ()),
        (_P, "2xx"): (_A, (Act.UP,), ("M",)),
        (_P, "error"): (_C, (Act.ACK, Act.UP), ("D",)),
        (_A, "2xx"): (_A, (Act.UP,), ()),  # the user acknowledges each, RFC 6026 s 7.2
        (_A, "M"): (_X, (), ()),
        (_C, "error"): (_C, (Act.ACK,), ()),
        (_C, "D"): (_X, (), ()),
    },
    Kind.CLIENT: {
        (_T, "E"): (_T, (Act.AGAIN,), ("E",)),
        (_T, "F"): (_X, (Act.TIMEOUT,), ()),
        (_T, "1xx"): (_P, (Act.UP,), ()),
        (_T, "2xx"): (_C, (Act.UP,), ("K",)),
        (_T, "error"): (_C, (Act.UP,), ("K",)),
        (_P, "E"): (_P, (Act.AGAIN,), ("E",)),
        (_P, "F"): (_X, (Act.TIMEOUT,), ()),
        (_P, "1xx"): (_P, (Act.UP,), ()),
        (_P, "2xx"): (_C, (Act.UP,), ("K",)),
        (_P, "error"): (_C, (Act.UP,), ("K",)),
        (_C, "K"): (_X, (), ()),
    },
}
WAITS: Mapping[str, float] = {"C": 300.0, "I": T4, "K": T4}  # every other once-only timer is LONG
NOT_RELIABLE = frozenset("AEG")  # over TCP nothing is repeated
INSTANT = frozenset("DIJK")  # and nothing is waited for, RFC 3261 s 17
REPEATING: Mapping[str, float] = {"A": float("inf"), "E": T2, "G": T2}  # doubling from T1 up to this
START: Mapping[Kind, tuple[State, tuple[str, ...]]] = {
    Kind.INVITE_SERVER: (State.PROCEEDING, ()),
    Kind.SERVER: (State.TRYING, ()),
    Kind.INVITE_CLIENT: (State.TRYING, ("A", "B", "C")),
    Kind.CLIENT: (State.TRYING, ("E", "F")),
}


@dataclass(frozen=True, slots=True)
class Tick:
    """Time went on."""


@dataclass(frozen=True, slots=True)
class Send:
    data: bytes
    peer: Peer


@dataclass(frozen=True, slots=True)
class Up:
    """News for the user. `message` None: the request `key` got no answer in 32 s."""

    key: Key
    message: Request | Response | None
    peer: Peer


@dataclass(frozen=True, slots=True)
class Timer:
    """Feed a Tick at `at` (seconds of the caller's monotonic clock) or soon after."""

    at: float


Out = Send | Up | Timer


@dataclass(slots=True)
class _Transaction:
    key: Key
    kind: Kind
    state: State
    peer: Peer
    request: Request
    last: bytes = b""  # what AGAIN sends
    waits: dict[str, float] = field(default_factory=dict)


class Transactions:
    """All transactions of one socket."""

    def __init__(self) -> None:
        self._all: dict[Key, _Transaction] = {}
        self._merged: dict[Key, Key] = {}
        self._due: list[tuple[float, Key, str]] = []

    def __len__(self) -> int:
        return len(self._all)

    def feed(self, news: Request | Response | Tick, peer: Peer, now: float) -> list[Out]:
        """Take in one message or the passing of time; `now` in seconds, monotonic."""
        if isinstance(news, Tick):
            return self._tick(now)
        if isinstance(news, Response):
            return self._response(news, peer, now)
        return self._request(news, peer, now)

    def reply(self, key: Key, response: Response, now: float) -> list[Out]:
        """Answer the request `key`. Nothing happens when its transaction is over or already answered."""
        one = self._all.get(key)
        return self._step(one, _class(response.status), response, now) if one else []

    def start(self, request: Request, peer: Peer, now: float) -> tuple[Key, list[Out]]:
        """Send a request of ours and keep sending it until an answer or its timer comes."""
        key = client_key(request.via.branch or "", request.method)
        kind = Kind.INVITE_CLIENT if request.method == "INVITE" else Kind.CLIENT
        one = self._open(key, kind, request, peer)
        one.last = sip.write(request)
        return key, [Send(one.last, peer), *self._arm(one, START[kind][1], now)]

    def broken(self, peer: Peer) -> list[Out]:
        """The connection to `peer` is gone: what we asked there gets no answer, RFC 3261 s 8.1.3.1."""
        out: list[Out] = []
        for one in [one for one in self._all.values() if one.peer == peer]:
            asking = one.kind in (Kind.INVITE_CLIENT, Kind.CLIENT) and one.state in (State.TRYING, State.PROCEEDING)
            if asking:
                out.append(Up(one.key, None, peer))
                self._close(one)
        return out

    def give_up(self, key: Key, now: float) -> list[Out]:
        """Our INVITE is cancelled: it is over in 32 s whatever they say, RFC 3261 s 9.1."""
        one = self._all.get(key)
        return self._arm(one, ("W",), now) if one else []

    def invite_of(self, cancel: Request) -> Key | None:
        """The INVITE that `cancel` is about, RFC 3261 s 9.2."""
        key = server_key(cancel, "INVITE")
        return key if key in self._all else None

    def merged(self, request: Request, key: Key) -> bool:
        """Whether the same request came by another way already: 482, RFC 3261 s 8.2.2.2."""
        first = self._merged.get(_merge_key(request))
        return first is not None and first != key and first in self._all

    def knows(self, request: Request) -> bool:
        """Whether `request` belongs to a running transaction (a repeat, or the ACK of a refusal)."""
        return server_key(request) in self._all

    def running(self, key: Key) -> bool:
        return key in self._all

    # ---- inside

    def _request(self, request: Request, peer: Peer, now: float) -> list[Out]:
        key = server_key(request)
        one = self._all.get(key)
        if request.method == "ACK":
            refused = one is not None and one.state in (State.COMPLETED, State.CONFIRMED)
            return self._step(one, "ack", request, now) if refused and one else [Up(key, request, peer)]
        if one is not None:
            return self._step(one, "request", request, now)
        kind = Kind.INVITE_SERVER if request.method == "INVITE" else Kind.SERVER
        self._open(key, kind, request, back(request, peer))
        if request.to_tag is None:
            self._merged.setdefault(_merge_key(request), key)
        return [Up(key, request, peer)]

    def _response(self, response: Response, peer: Peer, now: float) -> list[Out]:
        one = self._all.get(client_key(response.via.branch or "", response.method))
        if one is None:
            return []
        return self._step(one, _class(response.status), response, now)

    def _tick(self, now: float) -> list[Out]:
        out: list[Out] = []
        while self._due and self._due[0][0] <= now:
            at, key, letter = heapq.heappop(self._due)
            one = self._all.get(key)
            if one is not None and (one.state, letter) in MOVES[one.kind]:
                out += self._step(one, letter, None, at if now - at < 1 else now)
        if self._due:
            out.append(Timer(self._due[0][0]))
        return out

    def _step(self, one: _Transaction, event: str, message: Request | Response | None, now: float) -> list[Out]:
        move = MOVES[one.kind].get((one.state, event))
        if move is None:
            return []
        if one.state is State.TRYING and move[0] is State.PROCEEDING and "E" in one.waits:
            one.waits["E"] = T2  # RFC 3261 s 17.1.2.2
        one.state, acts, timers = move
        out = [made for act in acts for made in self._act(one, act, message)]
        if one.state is State.TERMINATED:
            self._close(one)
        return out + self._arm(one, timers, now)

    def _act(self, one: _Transaction, act: Act, message: Request | Response | None) -> list[Out]:
        if act is Act.SEND and message is not None:
            one.last = sip.write(message)
        if act in (Act.SEND, Act.AGAIN):
            return [Send(one.last, one.peer)] if one.last else []
        if act is Act.ACK and isinstance(message, Response):
            return [Send(sip.write(ack_refusal(one.request, message)), one.peer)]
        return [Up(one.key, None if act is Act.TIMEOUT else message, one.peer)]

    def _arm(self, one: _Transaction, letters: tuple[str, ...], now: float) -> list[Out]:
        waits = [(self._wait(one, letter), letter) for letter in letters]
        if one.peer.reliable:
            waits = [
                (0.0 if letter in INSTANT else wait, letter) for wait, letter in waits if letter not in NOT_RELIABLE
            ]
        for wait, letter in waits:
            heapq.heappush(self._due, (now + wait, one.key, letter))
        return [Timer(now + wait) for wait, _ in waits]

    def _wait(self, one: _Transaction, letter: str) -> float:
        wait = WAITS.get(letter, LONG)
        if letter in REPEATING:
            wait = one.waits.get(letter, T1)
            one.waits[letter] = min(2 * wait, REPEATING[letter])
        return wait

    def _open(self, key: Key, kind: Kind, request: Request, peer: Peer) -> _Transaction:
        one = self._all[key] = _Transaction(key, kind, START[kind][0], peer, request)
        return one

    def _close(self, one: _Transaction) -> None:
        self._all.pop(one.key, None)
        merged = _merge_key(one.request)
        if self._merged.get(merged) == one.key:
            del self._merged[merged]


def server_key(request: Request, method: str | None = None) -> Key:
    """RFC 3261 s 17.2.3; an ACK counts as its INVITE, a branch without the cookie is matched as in RFC 2543."""
    method = method or ("INVITE" if request.method == "ACK" else request.method)
    branch = request.via.branch or ""
    if branch.startswith(MAGIC) and branch != MAGIC:
        return ("s", branch, request.via.sent_by, method)
    return ("s", request.uri, request.from_tag or "", request.call_id, str(request.seq), request.via.sent_by, method)


def client_key(branch: str, method: str) -> Key:
    return ("c", branch, method)


def back(request: Request, peer: Peer) -> Peer:
    """Where responses go: the source with rport or of a connection, else its address at Via's port (s 18.2.2)."""
    return peer if request.via.rport or peer.reliable else peer._replace(port=request.via.port or 5060)


def ack_refusal(invite: Request, refusal: Response) -> Request:
    """The ACK of a 3xx-6xx: same branch, same Request-URI, the To of the response, RFC 3261 s 17.1.1.3."""
    kept = [(key, value) for key, value in invite.headers if key in ("from", "call-id", "route", "max-forwards")]
    via = next(value for key, value in invite.headers if key == "via")
    headers = [("via", via), *kept, ("to", refusal.get("to") or ""), ("cseq", f"{invite.seq} ACK")]
    return sip.request("ACK", invite.uri, headers)


def _class(status: int) -> str:
    return "1xx" if status < 200 else "2xx" if status < 300 else "error"


def _merge_key(request: Request) -> Key:
    return (request.from_tag or "", request.call_id, str(request.seq), request.method)
