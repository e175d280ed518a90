"""The receiving side of SMTP and LMTP without I/O: bytes in, events out (RFC 5321, 2033, 1870, 3207, 6531).

Only CRLF.CRLF ends DATA, nothing behind the final dot is looked at before its verdict, and bytes that came in
clear behind STARTTLS are never executed. Who may receive is asked of `judge`; what became of a letter is told by
`Session.verdict`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal

from gateway.mail import paths
from gateway.mail.events import Body, Close, Ended, Envelope, Event, Over, Say, StartTls
from gateway.mail.paths import Rcpt
from gateway.mail.replies import (
    BARE_NEWLINE,
    BYE,
    DISK_LOW,
    ENOUGH,
    FAULT,
    FULL,
    NOT_ASCII,
    NOT_HERE,
    NOT_LISTED,
    OK,
    STOPPING,
    SYNTAX,
    TIME_OUT,
    TOO_BIG,
    TOO_LONG,
    TOO_MANY,
    TRY_AND_SEE,
    UNKNOWN,
    UNKNOWN_PARAMETER,
    WRONG_ORDER,
    Reply,
)  # fmt: skip

__all__ = [
    "DISK_LOW", "FAULT", "FULL", "NOT_LISTED", "OK", "STOPPING", "Body", "Close", "Ended", "Envelope", "Event",
    "Limits", "Over", "Phase", "Rcpt", "Reply", "Say", "Session", "StartTls",
]  # fmt: skip

END = b"\r\n.\r\n"
TAILS = (b"\r", b"\r\n", b"\r\n.", b"\r\n.\r")
BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n")
HELP_VERBS = frozenset({"HELP", "EXPN", "BDAT", "AUTH", "TURN", "ETRN", "SEND", "SOML", "SAML"})

Dialect = Literal["smtp", "lmtp"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one connection may do."""

    size: int = 26_214_400  #: octets of a letter, RFC 1870
    patience: int = 26_214_400  #: octets beyond it that are read and forgotten before the connection is ended
    command: int = 4096  #: octets of a command with its CRLF; RFC 5321 s 4.5.3.1.4 asks for 512
    recipients: int = 100  #: RFC 5321 s 4.5.3.1.8
    errors: int = 20  #: 5xx answers before the connection is ended
    mails: int = 1000  #: letters a connection


class Phase(Enum):
    """What the next byte is."""

    COMMAND = "command"
    SKIP = "skip"  #: the rest of a command that is too long
    BODY = "body"
    VERDICT = "verdict"  #: nothing is looked at
    TLS = "tls"  #: nothing may come in clear
    CLOSED = "closed"


@dataclass(slots=True)
class Session:
    """One connection. `host` is the name we greet with; `can_tls` offers STARTTLS."""

    dialect: Dialect
    host: str
    limits: Limits
    judge: Callable[[Rcpt], Reply]
    can_tls: bool = False
    room: Callable[[int], Reply | None] = lambda size: None  #: asked at MAIL with the size said: why not now?
    phase: Phase = Phase.COMMAND
    _in: bytearray = field(default_factory=bytearray)
    _out: list[Event] = field(default_factory=list)
    _helo: str | None = None
    _sender: str | None = None
    _utf8: bool = False
    _recipients: list[Rcpt] = field(default_factory=list)
    _size: int = 0
    _virtual: int = 0  #: octets of the CRLF before DATA that are still to be hidden from the body
    _errors: int = 0
    _mails: int = 0
    _tls: bool = False
    _stopping: bool = False

    # ------------------------------------------------------------ from outside

    def greet(self) -> list[Event]:
        self._say(Reply(220, "", f"{self.host} {'LMTP' if self.dialect == 'lmtp' else 'ESMTP'}"))
        return self._flush()

    def receive(self, data: bytes) -> list[Event]:
        """Take what came and say what is to be done. While a verdict is awaited it is only kept."""
        if self.phase is Phase.TLS:  # clear text where a handshake was promised
            self._close()
        elif self.phase is not Phase.CLOSED:
            self._in += data
            self._go_on()
        return self._flush()

    def verdict(self, replies: Sequence[Reply]) -> list[Event]:
        """What became of the letter: one reply, for LMTP one for each recipient in order (RFC 2033 s 4.2)."""
        if self.phase is not Phase.VERDICT:
            return []
        self._told(replies)
        self._go_on()
        return self._flush()

    def secured(self) -> list[Event]:
        """The handshake is done: all that was said in clear is forgotten (RFC 3207 s 4.2)."""
        self._in.clear()
        self._forget()
        self._helo = None
        self._tls = True
        self.phase = Phase.COMMAND
        return self._flush()

    def time_out(self) -> list[Event]:
        if self.phase is not Phase.VERDICT:
            self._end(TIME_OUT)
        return self._flush()

    def stop(self) -> list[Event]:
        """Idle: say goodbye. With a letter open: take it, then say goodbye."""
        self._stopping = True
        if self.phase in (Phase.COMMAND, Phase.SKIP):
            self._end(STOPPING)
        return self._flush()

    def gone(self) -> None:
        """The peer went away: nothing more is said or taken."""
        self.phase = Phase.CLOSED
        self._in.clear()

    @property
    def waiting(self) -> bytearray:
        """What came in and is not looked at yet."""
        return self._in

    @property
    def secure(self) -> bool:
        """Is it TLS by now?"""
        return self._tls or self.phase is Phase.TLS

    @property
    def recipients(self) -> tuple[Rcpt, ...]:
        return tuple(self._recipients)

    @property
    def busy(self) -> bool:
        """Is a letter on its way or awaiting its verdict?"""
        return self.phase in (Phase.BODY, Phase.VERDICT)

    # ------------------------------------------------------------ bytes

    def _go_on(self) -> None:
        going = True
        while going:
            match self.phase:
                case Phase.COMMAND:
                    going = self._command_line()
                case Phase.BODY:
                    going = self._body()
                case Phase.SKIP:
                    going = self._skip()
                case _:
                    going = False

    def _command_line(self) -> bool:
        end = self._in.find(b"\r\n", 0, self.limits.command)
        line = bytes(self._in[: end if end >= 0 else self.limits.command])
        bare = _bare(line if end >= 0 else line.rstrip(b"\r"))
        if bare:
            self._end(BARE_NEWLINE)
            return False
        if end >= 0:
            del self._in[: end + 2]
            self._command(line)
            return True
        if len(self._in) >= self.limits.command:
            self.phase = Phase.SKIP
            return True
        return False

    def _skip(self) -> bool:
        end = self._in.find(b"\r\n")
        if end < 0:
            del self._in[: max(0, len(self._in) - 1)]
            return False
        del self._in[: end + 2]
        self.phase = Phase.COMMAND
        self._say(TOO_LONG)
        return True

    def _body(self) -> bool:
        end = self._in.find(END)
        keep = end + 2 if end >= 0 else len(self._in) - _held(self._in)
        piece = bytes(self._in[:keep])
        del self._in[: keep + 3 if end >= 0 else keep]
        bare = _bare(piece) if self.dialect == "smtp" else None
        self._piece(piece[: bare.start()] if bare else piece)
        if self._size > self.limits.size + self.limits.patience:  # whoever sends so much has not read what EHLO said
            self._end(TOO_BIG)  # also before a bare newline further on: what came first counts, however it was split
        elif bare:
            self._end(BARE_NEWLINE)
        elif end >= 0:
            self._ended()
        return end >= 0

    def _piece(self, piece: bytes) -> None:
        plain = piece.replace(b"\r\n.", b"\r\n")
        hidden = min(self._virtual, len(plain))
        self._virtual -= hidden
        plain = plain[hidden:]
        fits, self._size = self._size <= self.limits.size, self._size + len(plain)
        if plain and self._size <= self.limits.size:
            self._out.append(Body(plain))
        elif fits and plain:
            self._out.append(Over())

    def _ended(self) -> None:
        envelope = Envelope(self._helo or "", self._sender or "", tuple(self._recipients), self._utf8, self._tls)
        taken = self._size <= self.limits.size
        self._out.append(Ended(envelope, self._size, taken))
        self.phase = Phase.VERDICT
        if not taken:
            self._told([TOO_BIG] * (len(self._recipients) if self.dialect == "lmtp" else 1))

    def _told(self, replies: Sequence[Reply]) -> None:
        """The letter is done with; a refusal may have been one error too many."""
        for reply in replies:
            self._say(reply)
        self._forget()
        if self.phase is Phase.VERDICT:
            self.phase = Phase.COMMAND
            if self._stopping:
                self._end(STOPPING)

    # ------------------------------------------------------------ commands

    def _command(self, line: bytes) -> None:
        try:
            text = line.decode()
        except UnicodeDecodeError:
            self._say(SYNTAX)
            return
        verb, _, rest = text.partition(" ")
        verb = verb.upper()
        rest = rest.strip(" \t")
        match verb:
            case "EHLO" | "LHLO" if (verb == "LHLO") == (self.dialect == "lmtp"):
                self._ehlo(rest)
            case "HELO" if self.dialect == "smtp":
                self._hello(rest)
            case "MAIL":
                self._mail(rest)
            case "RCPT":
                self._rcpt(rest)
            case "DATA":
                self._data(rest)
            case "RSET":
                self._forget()
                self._say(OK)
            case "NOOP":
                self._say(OK)
            case "VRFY":
                self._say(TRY_AND_SEE)
            case "QUIT":
                self._end(BYE)
            case "STARTTLS":
                self._start_tls(rest)
            case _:
                self._say(NOT_HERE if verb in HELP_VERBS else UNKNOWN)

    def _hello(self, name: str) -> None:
        if not name:
            self._say(SYNTAX)
            return
        self._forget()
        self._helo = name[:255]
        self._say(Reply(250, "", self.host))

    def _ehlo(self, name: str) -> None:
        if not name:
            self._say(SYNTAX)
            return
        self._forget()
        self._helo = name[:255]
        offers = ["PIPELINING", f"SIZE {self.limits.size}", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES"]
        lines = [self.host, *offers, *(["STARTTLS"] if self.can_tls and not self._tls else [])]
        marks = ["-"] * (len(lines) - 1) + [" "]
        self._out.append(Say("".join(f"250{m}{t}\r\n" for m, t in zip(marks, lines, strict=True)).encode()))

    def _mail(self, rest: str) -> None:
        if self._helo is None or self._sender is not None:
            self._say(WRONG_ORDER)
        elif self._mails >= self.limits.mails:
            self._end(ENOUGH)
        else:
            self._say(self._mail_reply(rest))

    def _mail_reply(self, rest: str) -> Reply:
        path = paths.path("FROM:", rest)
        if path is None:
            return SYNTAX
        sender, words = path
        options = dict(paths.option(word) for word in words)
        if set(options) - {"SIZE", "BODY", "SMTPUTF8"}:
            return UNKNOWN_PARAMETER
        fault = paths.fault(options, self.limits.size)
        if fault is not None:
            return fault
        if not sender.isascii() and "SMTPUTF8" not in options:
            return NOT_ASCII
        busy = self.room(int(options.get("SIZE", "0")))
        if busy is not None:
            return busy
        self._sender, self._utf8 = sender, "SMTPUTF8" in options
        self._mails += 1
        return Reply(250, "2.1.0", "Ok")

    def _rcpt(self, rest: str) -> None:
        if self._sender is None:
            self._say(WRONG_ORDER)
        else:
            self._say(self._rcpt_reply(rest))

    def _rcpt_reply(self, rest: str) -> Reply:
        path = paths.path("TO:", rest)
        if path is None or not path[0]:
            return SYNTAX
        if path[1]:
            return UNKNOWN_PARAMETER
        if not path[0].isascii() and not self._utf8:
            return NOT_ASCII
        if len(self._recipients) >= self.limits.recipients:
            return TOO_MANY
        local, _, domain = path[0].rpartition("@") if "@" in path[0] else (path[0], "", "")
        recipient = Rcpt(local, domain.lower().rstrip("."))
        reply = self.judge(recipient)
        if reply.code < 300:
            self._recipients.append(recipient)
        return reply

    def _data(self, rest: str) -> None:
        if rest:
            self._say(SYNTAX)
        elif not self._recipients:
            self._say(WRONG_ORDER)
        else:
            self._say(Reply(354, "", "End data with <CR><LF>.<CR><LF>"))
            self.phase = Phase.BODY
            self._size = 0
            self._in[:0] = b"\r\n"  # so that a dot in the first line needs no case of its own
            self._virtual = 2

    def _start_tls(self, rest: str) -> None:
        if rest:
            self._say(SYNTAX)
        elif not self.can_tls:
            self._say(NOT_HERE)
        elif self._tls:
            self._say(WRONG_ORDER)
        elif self._in:  # injected: RFC 3207 s 4.2 forbids to act on it
            self._end(WRONG_ORDER)
        else:
            self._say(Reply(220, "2.0.0", "Ready to start TLS"))
            self._out.append(StartTls())
            self.phase = Phase.TLS

    # ------------------------------------------------------------ helpers

    def _say(self, reply: Reply) -> None:
        if self.phase is Phase.CLOSED:
            return
        self._out.append(Say(reply.line()))
        if reply.code >= 500:
            self._errors += 1
            if self._errors >= self.limits.errors:
                self._end(ENOUGH)

    def _end(self, reply: Reply) -> None:
        if self.phase is not Phase.CLOSED:
            self._close()
            self._out.insert(len(self._out) - 1, Say(reply.line()))

    def _close(self) -> None:
        self.phase = Phase.CLOSED
        self._in.clear()
        self._out.append(Close())

    def _forget(self) -> None:
        self._sender, self._utf8, self._size = None, False, 0
        self._recipients = []

    def _flush(self) -> list[Event]:
        out, self._out = self._out, []
        return out


def _bare(piece: bytes) -> re.Match[bytes] | None:
    """The first CR or LF that stands alone; counting first is ten times as fast for the letters that have none."""
    pairs = piece.count(b"\r\n")
    return None if piece.count(b"\r") == pairs == piece.count(b"\n") else BARE.search(piece)


def _held(data: bytearray) -> int:
    """How many octets at the end may be the beginning of the end."""
    if not data.endswith(TAILS):
        return 0
    return next(n for n in range(4, 0, -1) if data.endswith(END[:n]))
