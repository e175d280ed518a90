"""One session with an IMAP server (RFC 3501, 6851, 2177): what waits, its size, its bytes, and a mark when it is done.

Blocking, for a thread of its own. Nothing is read but by BODY.PEEK, nothing is ever expunged: imap-tools' own `move`,
`flag` and `delete` may expunge the folder, so all goes by `client.uid`.
"""

from __future__ import annotations

import imaplib
import re
import select
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path
from typing import Any

import imap_tools
from imap_tools.imap_utf7 import utf7_encode

from gateway.mail.settings import Mailbox

TIMEOUT = 60.0  # seconds a server may take for anything
TICK = 1.0  # seconds between looks whether to stop
HUNG_UP = 5  # polls in a row that come back at once with nothing: TLS alone makes one or two
AT_ONCE = 200  # letters whose sizes are asked for in one command
KEYWORD = "PasokhTaken"  # on letters that are tickets, where they cannot be moved
SIZE = re.compile(rb"UID (\d+)\b.*?RFC822\.SIZE (\d+)|RFC822\.SIZE (\d+).*?UID (\d+)", re.DOTALL)

Down = (OSError, imaplib.IMAP4.abort, EOFError)  #: the session is over; ssl.SSLError is an OSError


class Unfit(Exception):
    """The server refused something: a setting is wrong, or one letter cannot be had. `str()` names it."""


class Mark(Enum):
    """How a letter is told from one that waits."""

    MOVE = "move"  #: it is in another folder
    KEYWORD = "keyword"
    SEEN = "seen"  #: the least good: who reads the mailbox by hand marks so, too


class Session:
    """Logged in, the folder selected. Raises `Down`, or Unfit when something is refused."""

    def __init__(self, settings: Mailbox) -> None:
        self._settings = settings
        self._quick, self._polled = 0, 0.0  #: polls in a row that came back at once, and when the last one did
        self._box = _connect(settings)
        try:
            with _refusals():
                self._enter()
        except BaseException:
            self.close()
            raise

    def _enter(self) -> None:
        settings, client = self._settings, self._box.client
        secret = Path(settings.password_file).read_text("utf-8").partition("\n")[0].strip()
        if settings.login == "xoauth2":
            self._box.xoauth2(settings.user, secret, initial_folder=None)
        else:
            self._box.login(settings.user, secret, initial_folder=None)
        _, said = client.capability()  # what it can only tells now: before the login it may hide MOVE
        can = {word.upper() for word in said[0].decode("ascii", "replace").split()}
        _ok(client.select(_quoted(settings.folder)), f"folder {settings.folder}")
        self.idles = "IDLE" in can
        self.mark_by = _mark_by(settings, can, client)
        if self.mark_by is Mark.MOVE:
            _made(client, settings.processed)
        self.validity = _validity(client)
        self.peer = str(client.sock.getpeername()[0])

    def waiting(self) -> list[int]:
        """UIDs of the letters that are no tickets yet, oldest first, none from before `since`."""
        words = ["SINCE", self._settings.since.strftime(f"%d-{_month(self._settings.since.month)}-%Y"), "UNDELETED"]
        words += {Mark.MOVE: [], Mark.KEYWORD: ["UNKEYWORD", KEYWORD], Mark.SEEN: ["UNSEEN"]}[self.mark_by]
        with _refusals():
            found = _ok(self._box.client.uid("SEARCH", *words), "SEARCH")
        return sorted(int(uid) for line in found if line for uid in line.split())

    def sizes(self, uids: Sequence[int]) -> dict[int, int]:
        """Octets of each, as the server counts them."""
        sizes: dict[int, int] = {}
        for first in range(0, len(uids), AT_ONCE):
            some = ",".join(map(str, uids[first : first + AT_ONCE]))
            with _refusals():
                found = _ok(self._box.client.uid("FETCH", some, "(RFC822.SIZE)"), "FETCH")
            for line in found:
                said = SIZE.search(line) if isinstance(line, bytes) else None
                if said is not None:
                    sizes[int(said[1] or said[4])] = int(said[2] or said[3])
        return sizes

    def letter(self, uid: int) -> bytes | None:
        """The whole of it; None when it is gone meanwhile. Raises Unfit when it cannot be had."""
        return self._body(uid, "BODY.PEEK[]")

    def head(self, uid: int) -> bytes | None:
        """Its fields."""
        return self._body(uid, "BODY.PEEK[HEADER]")

    def _body(self, uid: int, part: str) -> bytes | None:
        with _refusals():
            found = _ok(self._box.client.uid("FETCH", str(uid), f"({part})"), f"FETCH {part}")
        return next((bytes(pair[1]) for pair in found if isinstance(pair, tuple) and len(pair) > 1), None)

    def mark(self, uid: int) -> None:
        """It is a ticket now."""
        client = self._box.client
        with _refusals():
            if self.mark_by is Mark.MOVE:
                _ok(client.uid("MOVE", str(uid), _quoted(self._settings.processed)), "MOVE")
            else:
                word = KEYWORD if self.mark_by is Mark.KEYWORD else "\\Seen"
                _ok(client.uid("STORE", str(uid), "+FLAGS.SILENT", f"({word})"), "STORE")

    def wait(self, stop: Callable[[], bool]) -> None:
        """Until something came (or may have: not longer than `idle_s`, `poll_s` without IDLE), or `stop()`."""
        if not self.idles:
            left = self._settings.poll_s
            while left > 0 and not stop():
                self._tick(min(TICK, left))
                left -= TICK
            return
        idle, ends = self._box.idle, time.monotonic() + self._settings.idle_s
        with _refusals():
            idle.start()
            try:
                while time.monotonic() < ends and not stop() and not idle.poll(TICK):
                    self._still_there()
            finally:
                idle.stop()

    def _still_there(self) -> None:
        """A server that hung up is readable and says nothing, which imap-tools takes for a quiet one."""
        now = time.monotonic()
        self._quick = self._quick + 1 if now - self._polled < TICK / 2 else 0
        self._polled = now
        if self._quick > HUNG_UP:
            raise EOFError("hung up")

    def _tick(self, seconds: float) -> None:
        """Sleep, but wake when the server hangs up."""
        select.select([self._box.client.sock], [], [], seconds)

    def cut(self) -> None:
        """From another thread: whatever waits for the server waits no more."""
        with suppress(OSError):
            self._box.client.sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Without CLOSE, which would expunge."""
        with suppress(*Down, imaplib.IMAP4.error):
            self._box.client.logout()
        with suppress(OSError):
            self._box.client.shutdown()


def _connect(settings: Mailbox) -> Any:
    if settings.tls == "none":
        return imap_tools.MailBoxUnencrypted(settings.host, settings.port, TIMEOUT)
    context = ssl.create_default_context(cafile=settings.ca_file or None)
    kind = imap_tools.MailBox if settings.tls == "tls" else imap_tools.MailBoxStartTls
    return kind(settings.host, settings.port, timeout=TIMEOUT, ssl_context=context)


@contextmanager
def _refusals() -> Iterator[None]:
    """One error for all the ways imaplib and imap-tools say NO or BAD."""
    try:
        yield
    except imaplib.IMAP4.abort:
        raise
    except (imaplib.IMAP4.error, imap_tools.errors.ImapToolsError) as error:
        raise Unfit(_short(error)) from None


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:200]


def _ok(answer: Any, what: str) -> list[Any]:
    status, found = answer
    if status != "OK":
        raise Unfit(f"{what}: {status}")
    return list(found)


def _made(client: Any, folder: str) -> None:
    """The folder is there. Raises Unfit: letters that could not go there would be looked at for ever."""
    client.create(_quoted(folder))  # NO when it is there already
    if client.status(_quoted(folder), "(UIDNEXT)")[0] != "OK":
        raise Unfit(f"folder {folder} cannot be made: name it as the server does, like INBOX.{folder}")


def _mark_by(settings: Mailbox, can: set[str], client: Any) -> Mark:
    if settings.processed and "MOVE" in can:
        return Mark.MOVE
    kept = b" ".join(client.untagged_responses.get("PERMANENTFLAGS", [])).decode("ascii", "replace")
    return Mark.KEYWORD if "\\*" in kept or KEYWORD in kept else Mark.SEEN


def _validity(client: Any) -> int:
    said = client.untagged_responses.get("UIDVALIDITY", [b"0"])
    return int(said[-1])


def _quoted(folder: str) -> str:
    name = utf7_encode(folder).decode("ascii").replace("\\", "\\\\").replace('"', '\\"')
    return f'"{name}"'


def _month(number: int) -> str:
    """In English whatever the locale, RFC 3501 date-month."""
    return ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"][number - 1]
