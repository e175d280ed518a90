"""What a session tells its owner; and the times it keeps."""

from __future__ import annotations

from dataclasses import dataclass

from sms.providers.smpp.pdu import Pdu


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds."""

    bind: float = 10.0  #: until a bind must be answered
    response: float = 10.0  #: until any other request must be
    idle: float = 30.0  #: without a sign of the peer until it is asked
    enquire: float = 10.0  #: until that must be answered
    unbind: float = 3.0  #: until we hang up all the same


TIMES = Times()


@dataclass(frozen=True, slots=True)
class Bound:
    """The peer takes us (client), or we took the peer (server)."""

    system_id: str


@dataclass(frozen=True, slots=True)
class BindAsked:
    """Server: somebody wants to bind; to be answered by `welcome`."""

    seq: int
    pdu: Pdu


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer to one of our texts. `id` is the peer's name for it, '' when it gave none."""

    seq: int
    status: int
    id: str = ""


@dataclass(frozen=True, slots=True)
class Doubtful:
    """One of our texts will get no answer any more; it may have been taken."""

    seq: int
    why: str


@dataclass(frozen=True, slots=True)
class Late:
    """The answer to a text that was given up as doubtful."""

    seq: int
    status: int
    id: str = ""


@dataclass(frozen=True, slots=True)
class Came:
    """A text or receipt of the peer, to be answered by `answer(seq, …)`. `pdu` is None when `raw` cannot be read."""

    seq: int
    pdu: Pdu | None
    raw: bytes
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Ended:
    """Nothing more is said on this connection: hang up. `status` is a refused bind's."""

    why: str
    status: int = 0


Event = Bound | BindAsked | Answered | Doubtful | Late | Came | Ended
