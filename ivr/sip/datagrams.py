"""SIP over UDP by Twisted: one socket, a datagram a message."""

from __future__ import annotations

import logging
from collections import Counter
from typing import Any, Protocol

from twisted.internet.protocol import DatagramProtocol

from ivr.sip.transaction import Peer

log = logging.getLogger(__name__)


class Hearing(Protocol):
    """What the socket needs of its line."""

    name: str

    @property
    def counts(self) -> Counter[str]: ...

    def feed(self, data: bytes, source: Peer) -> None: ...


class Datagrams(DatagramProtocol):
    """The socket."""

    transport: Any

    def __init__(self, line: Hearing) -> None:
        self._line = line

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        """One packet."""
        self._line.feed(datagram, Peer(addr[0], addr[1]))

    def say(self, data: bytes, to: Peer) -> None:
        """Send one; a network that has no way there just now is counted."""
        try:
            self.transport.write(data, (to.host, to.port))
        except (OSError, ValueError) as fault:
            self._line.counts["unsent"] += 1
            log.warning("sip packet not sent", extra={"line": self._line.name, "fault": type(fault).__name__})
