"""The answers of our SMTP side as data: code, enhanced code (RFC 3463), and words that tell nothing of the inside."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer: code, enhanced code (RFC 3463) and a text that tells nothing of the inside."""

    code: int
    status: str
    text: str

    def line(self) -> bytes:
        return f"{self.code} {self.status + ' ' if self.status else ''}{self.text}\r\n".encode("ascii", "replace")


OK = Reply(250, "2.0.0", "Ok")
WRONG_ORDER = Reply(503, "5.5.1", "Bad sequence of commands")
SYNTAX = Reply(501, "5.5.4", "Syntax error in parameters")
UNKNOWN = Reply(500, "5.5.1", "Command not recognised")
TOO_LONG = Reply(500, "5.5.2", "Command too long")
NOT_HERE = Reply(502, "5.5.1", "Command not implemented")
TOO_BIG = Reply(552, "5.3.4", "Message too big")
NOT_ASCII = Reply(553, "5.6.7", "Address needs SMTPUTF8")
UNKNOWN_PARAMETER = Reply(555, "5.5.4", "Parameter not recognised")
TOO_MANY = Reply(452, "4.5.3", "Too many recipients")
ENOUGH = Reply(421, "4.7.0", "Too many errors or messages, closing")
BARE_NEWLINE = Reply(521, "5.5.2", "Bare CR or LF is not accepted")
TIME_OUT = Reply(421, "4.4.2", "Timed out, closing")
TRY_AND_SEE = Reply(252, "2.0.0", "Send some mail and see")
BYE = Reply(221, "2.0.0", "Bye")
STOPPING = Reply(421, "4.3.2", "Shutting down, closing")
QUEUE_FULL = Reply(451, "4.3.2", "Busy, try again later")
FAULT = Reply(451, "4.3.0", "Local error, try again later")
DISK_LOW = Reply(452, "4.3.1", "Not enough room, try again later")
LOOP = Reply(554, "5.4.6", "Too many hops")
NOT_LISTED = Reply(421, "4.7.0", "Not for you")
FULL = Reply(421, "4.7.0", "Too many connections, try again later")
