"""SIP over TCP and TLS by Twisted: messages cut out of the stream, limits on what a connection may hold up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from OpenSSL import SSL
from twisted.internet import ssl
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import ClientFactory, Factory
from twisted.internet.protocol import Protocol as Bytes
from zope.interface import implementer

from ivr.sip import message as sip
from ivr.sip.stream import HALF, PONG, Broken, Pinged, Stream
from ivr.sip.transaction import Peer

IDLE: Final = 120.0  # seconds without a byte after which a connection without calls is closed
MOST: Final = 200  # connections others may hold with us at once
REACH: Final = 5.0  # seconds to connect in


class Board(Protocol):
    """What connections need of their line."""

    connections: dict[Peer, Connection]

    def now(self) -> float: ...

    def feed(self, data: bytes, source: Peer) -> None: ...

    def knows(self, source: Peer) -> bool:
        """Whether a peer of the settings may speak from there."""
        ...

    def gone(self, peer: Peer) -> None:
        """The connection is over, or never came about."""
        ...


@implementer(IPushProducer)
class Connection(Bytes):
    """One connection, opened by either side."""

    transport: Any

    def __init__(self, board: Board, peer: Peer, waiting: list[bytes] | None = None) -> None:
        self._board, self.peer = board, peer
        self._waiting = waiting or []
        self._stream = Stream()
        self._heard_at = board.now()
        self._full_since: float | None = None

    def connectionMade(self) -> None:
        """Send what waited."""
        self._board.connections[self.peer] = self
        self.transport.setTcpNoDelay(True)
        self.transport.registerProducer(self, True)
        for data in self._waiting:
            self.transport.write(data)

    def dataReceived(self, data: bytes) -> None:
        """Whole messages go to the line, a keep-alive is answered, what cannot be framed ends the connection."""
        self._heard_at = self._board.now()
        for piece in self._stream.feed(data, self._heard_at):
            if isinstance(piece, Pinged):
                self.transport.write(PONG)
            elif isinstance(piece, Broken):
                if piece.answer is not None:
                    self.transport.write(sip.write(piece.answer))
                self.close()
            else:
                self._board.feed(piece.data, self.peer)

    def connectionLost(self, reason: Any = None) -> None:
        """Whoever waits for an answer by this connection is told."""
        if self._board.connections.get(self.peer) is self:
            del self._board.connections[self.peer]
        self._board.gone(self.peer)

    def close(self) -> None:
        """Hang up once everything is said. TLS waits for ever while a producer is registered."""
        self.transport.unregisterProducer()
        self.transport.loseConnection()

    def pauseProducing(self) -> None:
        """The other end does not read what we say."""
        self._full_since = self._board.now()

    def resumeProducing(self) -> None:
        """It does again."""
        self._full_since = None

    def stopProducing(self) -> None:
        """Twisted's word at the end; nothing is produced on its own."""

    def overdue(self, now: float, is_used: bool) -> bool:
        """Whether it holds us up: half a message, our words unread, or silence though no call runs by it."""
        unread = self._full_since is not None and now - self._full_since >= HALF
        return unread or self._stream.is_stuck(now) or (now - self._heard_at >= IDLE and not is_used)


class Listening(Factory):
    """Connections from others: known peers only, MOST at once."""

    noisy = False

    def __init__(self, board: Board, transport: str, refused: Callable[[str], None]) -> None:
        self._board, self._transport, self._refused = board, transport, refused

    def buildProtocol(self, addr: Any) -> Connection | None:
        """None closes it without a word."""
        peer = Peer(addr.host, addr.port, self._transport)
        if not self._board.knows(peer):
            self._refused("outside")
        elif len(self._board.connections) >= MOST:
            self._refused("connections")
        else:
            return Connection(self._board, peer)
        return None


class Reaching(ClientFactory):
    """A connection of ours, and what is to be said as soon as it is there."""

    noisy = False

    def __init__(self, board: Board, peer: Peer, waiting: list[bytes]) -> None:
        self._board, self._peer, self.waiting = board, peer, waiting

    def buildProtocol(self, addr: Any) -> Connection:
        """There it is."""
        return Connection(self._board, self._peer, self.waiting)

    def clientConnectionFailed(self, connector: Any, reason: Any) -> None:
        """Nobody is there."""
        self._board.gone(self._peer)


def presented(cert: str, key: str) -> Any:
    """Our certificate with its chain for those who call us, TLS 1.2 or later. Raises OSError naming the setting."""
    try:
        first, *rest = x509.load_pem_x509_certificates(Path(cert).read_bytes())
        private: Any = load_pem_private_key(Path(key).read_bytes(), None)
        shown: Any = first  # pyOpenSSL wants cryptography's objects, Twisted's annotations its own old ones
        chain: Any = rest
        made = ssl.CertificateOptions(
            privateKey=private, certificate=shown, extraCertChain=chain,
            insecurelyLowerMinimumTo=ssl.TLSVersion.TLSv1_2,
        )  # fmt: skip
        made.getContext()  # now, not at the first call: do the two belong together?
    except (OSError, ValueError, TypeError, SSL.Error) as fault:
        raise OSError(f"cert {cert}, key {key}: no certificate and key to use: {fault}") from None
    return made


def trusting(host: str, ca_file: str | None) -> Any:
    """How we look at the certificate of `host`. Raises OSError naming the setting."""
    if ca_file is None:
        return ssl.optionsForClientTLS(host)
    try:
        found = x509.load_pem_x509_certificates(Path(ca_file).read_bytes())
    except (OSError, ValueError) as fault:
        raise OSError(f"ca_file {ca_file}: no certificates to use: {fault}") from None
    pems = [each.public_bytes(Encoding.PEM) for each in found]
    roots = ssl.trustRootFromCertificates([ssl.Certificate.loadPEM(pem) for pem in pems])  # type: ignore[no-untyped-call]
    return ssl.optionsForClientTLS(host, trustRoot=roots)
