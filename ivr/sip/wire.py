"""What the parts of the line ask of each other: a leg of its line, the line of the media plane. Contracts only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ivr.media import messages as media
from ivr.sip.dialog import Dialog
from ivr.sip.message import Response
from ivr.sip.sdp import Ours
from ivr.sip.transaction import Key, Peer

if TYPE_CHECKING:
    from ivr.sip.leg import SipLeg


class Ports(Protocol):
    """RTP ports, as the plane hands them out; it takes them back itself when a row is dropped."""

    def take(self) -> int | None: ...

    def give(self, port: int) -> None: ...


class MediaPlane(Protocol):
    """What signalling needs of the media plane."""

    @property
    def ports(self) -> Ports: ...

    def post(self, command: media.Command) -> None: ...


class Wire(Protocol):
    """What a leg needs of its line."""

    plane: MediaPlane

    def now(self) -> float: ...

    def reply(self, key: Key, response: Response) -> None: ...

    def ask(self, dialog: Dialog, method: str) -> None: ...

    def contact(self, peer: Peer) -> str: ...

    def wake(self, at: float) -> None: ...

    def over(self, leg: SipLeg) -> None: ...


@dataclass(frozen=True, slots=True)
class Seat:
    """Where a call sits in the plane: its row, our RTP port, and our side of the session description."""

    row: int
    ours: Ours
