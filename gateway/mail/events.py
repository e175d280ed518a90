"""What an SMTP session asks of whoever holds its connection: frozen values, no I/O."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.mail.paths import Rcpt


@dataclass(frozen=True, slots=True)
class Envelope:
    """Who hands a letter over for whom. `sender` is '' for a report (RFC 5321 s 6.1)."""

    helo: str
    sender: str
    recipients: tuple[Rcpt, ...]
    utf8: bool
    tls: bool


@dataclass(frozen=True, slots=True)
class Say:
    """Write this to the peer."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Body:
    """A piece of the letter, dots of transparency already taken off."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Over:
    """The letter has grown past the limit: forget what was kept of it, no more will come."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The final dot was seen; `verdict` must follow. With `taken` False the session has refused it already."""

    envelope: Envelope
    size: int
    taken: bool = True


@dataclass(frozen=True, slots=True)
class StartTls:
    """Begin the handshake now; then call `secured`."""


@dataclass(frozen=True, slots=True)
class Close:
    """End the connection once what was said is written; an open letter is forgotten."""


Event = Say | Body | Over | Ended | StartTls | Close
