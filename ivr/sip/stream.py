"""Messages out of a stream of bytes, by Content-Length (RFC 3261 s 18.3), and its keep-alives (RFC 5626). No I/O."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from ivr.sip import message as sip
from ivr.sip.message import MAX_BYTES, Reject, Request, Response

HALF: Final = 10.0  # seconds that half a message may wait for the rest
PING, PONG = b"\r\n\r\n", b"\r\n"
LENGTH = re.compile(rb"^(?:content-length|l)[ \t]*:[ \t]*([0-9]{1,9})[ \t]*\r?$", re.I | re.M)
END = re.compile(rb"\r?\n\r?\n")


@dataclass(frozen=True, slots=True)
class Whole:
    """One message, headers and body."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Pinged:
    """The other end asks whether we are there: answer PONG."""


@dataclass(frozen=True, slots=True)
class Broken:
    """Nobody can say where the next message begins: answer this, then close."""

    answer: Response | None = None


Piece = Whole | Pinged | Broken


class Stream:
    """What one connection has said so far."""

    def __init__(self) -> None:
        self._data = b""
        self.since: float | None = None  #: when the half message that waits began

    def feed(self, data: bytes, now: float) -> list[Piece]:
        """Take in bytes; whole messages and keep-alives come out. After Broken nothing more does."""
        self._data += data
        found: list[Piece] = []
        while (piece := self._next()) is not None:
            found.append(piece)
            if isinstance(piece, Broken):
                self._data = b""
                break
        waits = bool(self._data.strip(b"\r\n"))
        self.since = (now if found or self.since is None else self.since) if waits else None
        return found

    def is_stuck(self, now: float) -> bool:
        """Whether half a message has waited too long."""
        return self.since is not None and now - self.since >= HALF

    def _next(self) -> Piece | None:
        if self._data.startswith(PING):
            self._data = self._data[len(PING) :]
            return Pinged()
        if self._data.startswith(b"\r\n") and len(self._data) > 3:  # a stray line break between messages
            self._data = self._data.lstrip(b"\r\n")
        end = END.search(self._data, 1)
        if end is None:
            return Broken() if len(self._data) > MAX_BYTES else None
        head = self._data[: end.end()]
        length = LENGTH.search(head)
        if length is None:
            return Broken(_answer(head, 400))
        size = end.end() + int(length[1])
        if size > MAX_BYTES:
            return Broken(_answer(head, 513))
        if len(self._data) < size:
            return None
        whole, self._data = self._data[:size], self._data[size:]
        return Whole(whole)


def _answer(head: bytes, status: int) -> Response | None:
    found = sip.read(LENGTH.sub(b"l: 0", head))
    if isinstance(found, Reject):
        return found.answer
    return sip.reply(found, status) if isinstance(found, Request) and found.method != "ACK" else None
