"""pyVoIP held so that its faults cannot hurt: it keeps the state of calls and words the answers, nothing more.

What it does wrong by itself, and what stands in its place here:
- registering: it reads whatever comes first as the registrar's answer, knows no 423, gives up for good → `Trunk`
- messages: raises on 17 of the 49 of RFC 4475, drops OPTIONS, INFO, UPDATE, answers cancelled calls, repeats nothing
  → our reader and transactions; it is handed one clean INVITE a call
- descriptions: it labels A-law what it sends as µ-law, resets Python's warnings at an unknown codec → it is shown
  PCMU and telephone-event alone
- sound: 8 bits inside, the clock half a per cent slow, two threads a call, a jump of the timestamp costs 200 MB,
  sources unchecked, keys only with a marker → the media plane
- a second of waiting before a call begins, by a thread → none
- ports and session numbers: freed all at once, live ones too; the search for a new number never ends after 100,000
- BYE and ACK with the Via of somebody else, no route set → our dialog
"""

from __future__ import annotations

import secrets
import warnings
from typing import Any, Protocol

with warnings.catch_warnings():  # it imports audioop, which Python is going to lose
    warnings.simplefilter("ignore")
    import pyVoIP.VoIP.VoIP  # first: the others import each other
    from pyVoIP.RTP import PayloadType, RTPClient
    from pyVoIP.SIP import SIPClient, SIPMessage
    from pyVoIP.VoIP.VoIP import CallState, VoIPCall, VoIPPhone

pyVoIP.RTPCompatibleCodecs = [PayloadType.PCMU, PayloadType.EVENT]


class Around(Protocol):
    """What the guarded parts need of the line around them; `call_id` names the call."""

    def said(self, data: bytes) -> None:
        """pyVoIP has worded an answer."""
        ...

    def taken_up(self, call: Call) -> None: ...

    def port_of(self, call_id: str) -> int: ...

    def opened(self, call_id: str) -> None:
        """The sound of a call begins."""
        ...

    def closed(self, call_id: str) -> None: ...

    def bye(self, call_id: str) -> None: ...


class Out:
    """Stands for pyVoIP's socket."""

    def __init__(self, around: Around) -> None:
        self._around = around

    def sendto(self, data: bytes, to: object) -> None:
        """Whatever address it was meant for, the transaction knows better."""
        self._around.said(data)


class Client(SIPClient):
    """Words messages; neither registers nor reads a socket."""

    def __init__(self, around: Around, phone: VoIPPhone, server: str, port: int, user: str, here: tuple[str, int]):
        super().__init__(server, port, user, "", phone, *here, phone.callback)
        self._around = around
        self.out: Any = Out(around)

    def start(self) -> None:
        """There is nothing to be started."""

    def stop(self) -> None:
        """Nor to be stopped."""

    def gen_tag(self) -> str:
        """Not kept in a list that grows for ever."""
        return secrets.token_hex(8)

    def bye(self, request: SIPMessage) -> None:
        """By the call's own dialog."""
        self._around.bye(request.headers["Call-ID"])

    def forget(self, call_id: str) -> None:
        """The call is over."""
        self.tagLibrary.pop(call_id, None)


class Sound(RTPClient):
    """A call's RTP, which the media plane carries."""

    def __init__(self, around: Around, call_id: str, codecs: dict[int, PayloadType], ip: str, port: int) -> None:
        self._around, self._call_id = around, call_id
        self.NSD, self.assoc, self.inIP, self.inPort = True, codecs, ip, port

    def start(self) -> None:
        """Once, however often the description is renewed."""
        if self.NSD:
            self.NSD = False
            self._around.opened(self._call_id)

    def stop(self) -> None:
        """The plane closes it."""
        self._around.closed(self._call_id)


class Call(VoIPCall):
    """One call."""

    phone: Phone

    def create_rtp_clients(
        self, codecs: dict[int, PayloadType], ip: str, port: int, request: SIPMessage, baseport: int
    ) -> None:
        """One, carried by the plane."""
        self.RTPClients = [Sound(self.phone.around, self.call_id, codecs, ip, port)]

    def __del__(self) -> None:
        """Ports are not freed by whoever is deleted last."""


class Phone(VoIPPhone):
    """The extension."""

    def __init__(self, around: Around, server: tuple[str, int], user: str, here: tuple[str, int]) -> None:
        super().__init__(*server, user, "", here[0], None, here[1])
        self.around = around
        self._words = Client(around, self, *server, user, here)
        self.sip = self._words
        self._making = ""  # the call that asks for a port

    def request_port(self, blocking: bool = True) -> int:
        """The port that the line has taken for the call being made."""
        return self.around.port_of(self._making)

    def release_ports(self, call: VoIPCall | None = None) -> None:
        """The line gives each back itself."""

    def forget(self, call_id: str) -> None:
        """The call is over."""
        self.calls.pop(call_id, None)
        self._words.forget(call_id)

    def _callback_MSG_Invite(self, request: SIPMessage) -> None:
        call_id = request.headers["Call-ID"]
        self._making = call_id
        self.sip.out.sendto(self.sip.gen_ringing(request).encode(), (self.server, self.port))
        call = Call(self, CallState.RINGING, request, secrets.randbelow(2**31), self.myIP, sendmode=self.recvmode)
        self.calls[call_id] = call
        self.around.taken_up(call)


__all__ = ["Around", "Call", "CallState", "Phone", "SIPMessage"]
