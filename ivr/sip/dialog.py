"""One SIP dialog as a table and values: tags, CSeq, route set, and the 200 that repeats until its ACK. No I/O."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from ivr.sip import message as sip
from ivr.sip.message import Request, Response
from ivr.sip.transaction import LONG, MAGIC, T1, T2, Key, Peer


class State(StrEnum):
    EARLY = "early"  #: an INVITE without a final answer
    ACCEPTED = "accepted"  #: our 200 is out, no ACK yet
    CONFIRMED = "confirmed"
    ENDED = "ended"


MOVES: Mapping[tuple[State, str], State] = {
    (State.EARLY, "accept"): State.ACCEPTED,  # we said 200
    (State.EARLY, "accepted"): State.CONFIRMED,  # they said 200, our ACK is out
    (State.EARLY, "refuse"): State.ENDED,  # either said 3xx-6xx
    (State.EARLY, "cancel"): State.ENDED,
    (State.EARLY, "bye"): State.ENDED,
    (State.ACCEPTED, "ack"): State.CONFIRMED,
    (State.ACCEPTED, "bye"): State.ENDED,  # theirs, or ours after 32 s without ACK
    (State.CONFIRMED, "bye"): State.ENDED,
    (State.CONFIRMED, "ack"): State.CONFIRMED,  # of a re-INVITE
}

GIVE_UP: Final = LONG  # seconds from the first 200 till BYE, RFC 3261 s 13.3.1.4


@dataclass(slots=True)
class Unacked:
    """A 200 that is sent again at T1, doubling to T2, until its ACK or 32 s."""

    seq: int
    response: Response
    until: float
    next_at: float
    key: Key = ()  #: the INVITE's transaction
    offered: bool = False  #: the 200 carried our offer, so the ACK carries the answer
    wait: float = T1

    @classmethod
    def begin(cls, response: Response, now: float, key: Key = (), offered: bool = False) -> Unacked:
        return cls(response.seq, response, now + GIVE_UP, now + T1, key, offered)

    def due(self) -> float:
        return min(self.next_at, self.until)

    def again(self, now: float) -> bool:
        """Whether to send it now; sets the next time."""
        if now < self.next_at:
            return False
        self.wait = min(2 * self.wait, T2)
        self.next_at = now + self.wait
        return True


@dataclass(slots=True)
class Dialog:
    """What both ends agreed on. `local` and `remote` are From and To values with their tags, as on the wire."""

    call_id: str
    local: str
    remote: str
    local_tag: str
    remote_tag: str
    target: str  #: Request-URI of what we send: the remote Contact
    peer: Peer  #: where it goes
    local_seq: int = 0
    remote_seq: int = -1
    routes: tuple[str, ...] = ()
    state: State = State.EARLY
    unacked: Unacked | None = field(default=None)

    @property
    def key(self) -> tuple[str, str, str]:
        return (self.call_id, self.local_tag, self.remote_tag)

    def move(self, event: str) -> bool:
        """Follow the table; False (and nothing changes) where it has no such row."""
        state = MOVES.get((self.state, event))
        if state is None:
            return False
        self.state = state
        return True

    def fresh(self, request: Request) -> bool:
        """Note the sequence number of a request inside the dialog; False when it is too low (500, s 12.2.2)."""
        if request.seq <= self.remote_seq:
            return False
        self.remote_seq = request.seq
        return True

    def refresh(self, message: Request | Response) -> None:
        """A re-INVITE or its answer names a new Contact: the target follows, the route set does not (s 12.2)."""
        self.target = contact(message) or self.target

    def request(self, method: str, via: str, more: Sequence[tuple[str, str]] = (), body: bytes = b"") -> Request:
        """The next request inside the dialog; an ACK keeps the number of its INVITE."""
        self.local_seq += 1
        return self._make(method, self.local_seq, via, more, body)

    def ack(self, seq: int, via: str, body: bytes = b"") -> Request:
        more = [("content-type", "application/sdp")] if body else []
        return self._make("ACK", seq, via, more, body)

    def _make(self, method: str, seq: int, via: str, more: Sequence[tuple[str, str]], body: bytes) -> Request:
        uri, routes = routed(self.target, self.routes)
        headers = [
            ("via", via),
            ("max-forwards", "70"),
            *(("route", route) for route in routes),
            ("from", self.local),
            ("to", self.remote),
            ("call-id", self.call_id),
            ("cseq", f"{seq} {method}"),
            *more,
        ]
        return sip.request(method, uri, headers, body)


def called(request: Request, tag: str, peer: Peer) -> Dialog:
    """The dialog that an INVITE to us opens, RFC 3261 s 12.1.1."""
    return Dialog(
        call_id=request.call_id,
        local=f"{request.get('to')};tag={tag}",
        remote=request.get("from") or "",
        local_tag=tag,
        remote_tag=request.from_tag or "",
        target=contact(request) or uri_of(request.get("from") or "") or request.uri,
        peer=peer,
        local_seq=secrets.randbelow(10_000),
        remote_seq=request.seq,
        routes=tuple(request.all("record-route")),
    )


def calling(request: Request, response: Response, peer: Peer) -> Dialog:
    """The dialog that an answer to our INVITE opens, RFC 3261 s 12.1.2: the route set is reversed."""
    return Dialog(
        call_id=request.call_id,
        local=request.get("from") or "",
        remote=response.get("to") or "",
        local_tag=request.from_tag or "",
        remote_tag=response.to_tag or "",
        target=contact(response) or request.uri,
        peer=peer,
        local_seq=request.seq,
        routes=tuple(reversed(response.all("record-route"))),
    )


def routed(target: str, routes: Sequence[str]) -> tuple[str, Sequence[str]]:
    """Request-URI and Route values: loose when the first hop says `lr`, else strict (s 12.2.1.1)."""
    if not routes:
        return target, ()
    first = routes[0][routes[0].find("<") + 1 :].partition(">")[0]
    if "lr" in sip.params(first):
        return target, routes
    return first, [*routes[1:], f"<{target}>"]


def contact(message: Request | Response) -> str | None:
    """The URI of the first Contact."""
    values = message.all("contact")
    return uri_of(values[0]) if values else None


def uri_of(value: str) -> str | None:
    """The URI of a name-addr or addr-spec as it is written; None where it is neither."""
    if sip.address(value) is None:
        return None
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', "", value)
    return bare.partition("<")[2].partition(">")[0] if "<" in bare else bare.partition(";")[0].strip()


def branch() -> str:
    return MAGIC + secrets.token_hex(12)


def tag() -> str:
    return secrets.token_hex(8)
