"""What the parts of the line ask of each other: a leg of its exchange, that of the media plane and the sockets.

Contracts only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ivr.media import messages as media
from ivr.sip.dialog import Dialog
from ivr.sip.message import Request, Response
from ivr.sip.sdp import Address, Ours
from ivr.sip.transaction import Key, Peer

if TYPE_CHECKING:
    from ivr.sip.leg import SipLeg

Heard = Callable[[Response | None], None]  # an answer to a request of ours; None: there was none
Headers = Sequence[tuple[str, str]]


class Ports(Protocol):
    """RTP ports by row, as the plane hands them out; it takes them back itself when a row is dropped."""

    def take(self, row: int, peer: Address | None = None) -> int | None: ...

    def give(self, row: int) -> None: ...

    def move(self, row: int, peer: Address) -> int | None: ...

    def is_sought(self, row: int) -> bool: ...


class MediaPlane(Protocol):
    """What signalling needs of the media plane."""

    @property
    def ports(self) -> Ports: ...

    def post(self, command: media.Command) -> None: ...


class Sockets(Protocol):
    """What an exchange needs of whoever holds the sockets."""

    def send(self, data: bytes, to: Peer) -> None:
        """Have it sent, opening a connection where there is none."""
        ...

    def open_port(self, transport: str) -> int:
        """The port we listen on by that transport; 0: we do not."""
        ...

    def host(self, peer: str) -> str:
        """The address of ours that packets to `peer` leave from."""
        ...

    def wake(self, at: float) -> None:
        """Have the exchange ticked at `at` or before."""
        ...


class Wire(Protocol):
    """What a leg needs of its exchange."""

    plane: MediaPlane

    @property
    def allow(self) -> str: ...

    def now(self) -> float: ...

    def refers(self, to: str) -> bool: ...

    def reply(self, key: Key, response: Response) -> None: ...

    def ask(self, dialog: Dialog, method: str, heard: Heard, more: Headers = (), body: bytes = b"") -> Request: ...

    def plain(self, request: Request, peer: Peer) -> None: ...

    def via(self, peer: Peer, made: str) -> str: ...

    def contact(self, peer: Peer, user: str = "") -> str: ...

    def wake(self, at: float) -> None: ...

    def over(self, leg: SipLeg) -> None: ...


@dataclass(frozen=True, slots=True)
class Seat:
    """Where a call sits in the plane: its row, our RTP port in our side of the session description."""

    row: int
    ours: Ours
    nat: bool = False  #: the peer's sound comes from elsewhere than it says
