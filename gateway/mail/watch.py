"""Watching a mailbox in a thread: each letter is handed over, and marked only after its receipt.

A crash between receipt and mark hands it over again: the door knows it by its `ref`, and it is marked then. One letter
that cannot be taken never stands in the way of the next.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from gateway.mail import headers, mime, smtp
from gateway.mail.events import Envelope
from gateway.mail.imap import Down, Session, Unfit
from gateway.mail.letter import Content, Letter
from gateway.mail.receive import Book
from gateway.mail.replies import DISK_LOW, QUEUE_FULL
from gateway.mail.settings import Mailbox

log = logging.getLogger("pasokh.mail.watch")

TRIES = 3  # times a letter is tried before it is taken as it is
AGAIN = (1.0, 5.0, 15.0, 60.0)  # seconds before the next try to connect
BUSY = 5.0  # seconds before the next look when the store could not take more
DONE = 10.0  # seconds the thread gets to end
NOT_OURS = ("content-type", "content-transfer-encoding", "content-disposition", "mime-version")
WHERE = ("delivered-to", "x-original-to", "envelope-to", "to", "cc")

Take = Callable[[Letter], Coroutine[Any, Any, smtp.Reply]]
Key = tuple[int, int]  # UIDVALIDITY and UID


@dataclass(frozen=True, slots=True)
class Desk:
    """What the channel does with a letter. `take`: as one that came by SMTP; `whole`: a ticket with nothing but the
    raw letter, for one that could not be read; both say what came of it. `short`: the sentence for one too big."""

    take: Take
    whole: Take
    short: str
    folder: str


class Watch:
    """One mailbox. `start` it on the loop that serves `desk`; `health` says `down` once it is out of reach too long."""

    def __init__(self, name: str, book: Book, desk: Desk) -> None:
        assert book.line.imap is not None
        self._name, self._book, self._desk = name, book, desk
        self._box: Mailbox = book.line.imap
        self._stop = threading.Event()
        self._session: Session | None = None
        self._unread: Counter[Key] = Counter()  #: how often a letter could not be had
        self._untaken: Counter[Key] = Counter()  #: how often it was had and not taken
        self._taken: set[Key] = set()  #: tickets whose letters could not be marked yet
        self._failures = 0
        self.trouble = ""  #: what was wrong last, while it is
        self._seen = time.monotonic()  #: when the server was last in reach
        self._alarmed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name=f"mailbox {self._name}", daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        """The letter in hand is finished first, unless the server keeps us waiting."""
        self._stop.set()
        if self._thread is None:
            return
        await asyncio.to_thread(self._thread.join, DONE / 2)
        if self._thread.is_alive() and self._session is not None:
            self._session.cut()
        await asyncio.to_thread(self._thread.join, DONE / 2)

    def health(self) -> str:
        if self._thread is not None and not self._thread.is_alive() and not self._stop.is_set():
            return "failed"
        return "down" if time.monotonic() - self._seen > self._box.down_s else "up"

    def state(self) -> str:
        """`up` while the server is in reach, `starting` before, `down` when it was lost."""
        if self._session is not None and not self.trouble:
            return "up"
        return "down" if self.trouble else "starting"

    def stuck(self) -> int:
        """Letters that could not be had, taken or marked so far."""
        return len({*self._unread, *self._untaken, *self._taken})

    # ------------------------------------------------------------ in the thread

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._visit()
            except Down as error:
                self._lost("a mailbox is out of reach", error)
            except Unfit as error:
                self._lost("a mailbox refused us", error)
            except Exception:
                log.exception("watching a mailbox failed", extra={"line": self._name})
            self._alarm()
            self._stop.wait(AGAIN[min(self._failures, len(AGAIN) - 1)])
            self._failures += 1

    def _visit(self) -> None:
        """Connected: look, wait, look again, until told to stop or thrown out."""
        self._session = session = Session(self._box)
        try:
            log.info("a mailbox is watched", extra={"line": self._name, "marks_by": session.mark_by.value})
            while not self._stop.is_set():
                self._seen, self._alarmed, self._failures, self.trouble = time.monotonic(), False, 0, ""
                if self._look(session):
                    session.wait(self._stop.is_set)
                else:
                    self._stop.wait(BUSY)
        finally:
            self._session = None
            session.close()

    def _look(self, session: Session) -> bool:
        """Take everything that waits; False when the store could not, so that all is left for later."""
        uids = session.waiting()
        sizes = session.sizes(uids)
        for uid in uids:
            if self._stop.is_set():
                return True
            if not self._one(session, uid, sizes.get(uid, 0)):
                return False
            self._seen = time.monotonic()
        return True

    def _one(self, session: Session, uid: int, size: int) -> bool:
        """One letter: marked when it is a ticket, counted when it is not. False when the store is busy."""
        key = session.validity, uid
        if key not in self._taken:
            try:
                raw = self._read(session, key, size)
            except Unfit as error:
                self._unread[key] += 1
                self._trouble("a letter cannot be had from the mailbox", error)
                return True
            verdict = self._hand_over(raw, key, session.peer) if raw is not None else None
            if verdict is None or verdict.code >= 300:
                return verdict not in (QUEUE_FULL, DISK_LOW)
            self._taken.add(key)
        self._mark(session, key)
        return True

    def _read(self, session: Session, key: Key, size: int) -> bytes | None:
        """The letter; only its fields where it is too big, or could not be had again and again."""
        if size <= self._book.line.size and self._unread[key] < TRIES:
            return session.letter(key[1])
        head = session.head(key[1])
        return None if head is None else shortened(head, self._desk.short)

    def _hand_over(self, raw: bytes, key: Key, peer: str) -> smtp.Reply:
        content = Content(self._desk.folder)
        try:
            content.add(raw)
            letter = Letter(envelope(raw, self._book), peer, content)
            del raw
            verdict = self._wait_for(self._desk.take(letter))
            if verdict.code >= 300 and verdict not in (QUEUE_FULL, DISK_LOW):
                self._untaken[key] += 1
                if verdict.code >= 500 or self._untaken[key] >= TRIES:
                    log.warning("a letter is passed over, its ticket holds it raw", extra={"line": self._name})
                    verdict = self._wait_for(self._desk.whole(letter))
            return verdict
        finally:
            content.close()

    def _wait_for(self, work: Coroutine[Any, Any, smtp.Reply]) -> smtp.Reply:
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _mark(self, session: Session, key: Key) -> None:
        """Only now. One that cannot be marked is tried again at the next look, not taken again."""
        try:
            session.mark(key[1])
        except Unfit as error:
            self._trouble("a letter that is a ticket cannot be marked in the mailbox", error)
            return
        self._taken.discard(key)
        self._unread.pop(key, None)
        self._untaken.pop(key, None)

    # ------------------------------------------------------------ trouble

    def _lost(self, sentence: str, error: BaseException) -> None:
        self.trouble = f"{type(error).__name__}: {error}"[:200]
        self._trouble(sentence, error)

    def _trouble(self, sentence: str, error: BaseException) -> None:
        log.warning(sentence, extra={"line": self._name, "kind": type(error).__name__, "why": str(error)[:200]})

    def _alarm(self) -> None:
        if self.health() == "down" and not self._alarmed:
            self._alarmed = True
            log.error("a mailbox has been out of reach for too long", extra={"line": self._name})


def envelope(raw: bytes, book: Book) -> Envelope:
    """What SMTP would have said, from the fields the mailbox's server wrote: Return-Path, and whom it is for."""
    fields, _ = mime.fields(raw)
    charset = book.line.charset
    back = next((value for name, value in fields if name == "return-path"), b"")
    senders = headers.addresses(back, charset)
    found = [
        smtp.Rcpt(local, domain.lower())
        for name, value in fields
        if name in WHERE
        for local, _, domain in (each.value.rpartition("@") for each in headers.addresses(value, charset))
    ]
    ours = [rcpt for rcpt in dict.fromkeys(found) if book.judge(rcpt).code < 300]
    sender = senders[0].value if senders else "" if back else _writer(fields, charset)
    return Envelope("", sender, tuple(ours) or (_fallback(book),), False, True)


def shortened(head: bytes, sentence: str) -> bytes:
    """A letter of these fields, with one sentence instead of what was too big."""
    fields, _ = mime.fields(head)
    kept = [name.encode() + b": " + value + b"\r\n" for name, value in fields if name not in NOT_OURS]
    return b"".join([*kept, b"Content-Type: text/plain; charset=utf-8\r\n\r\n", sentence.encode(), b"\r\n"])


def _writer(fields: tuple[tuple[str, bytes], ...], charset: str) -> str:
    """Without a Return-Path: From, since '' would say that it is a report."""
    found = [a for name, value in fields if name == "from" for a in headers.addresses(value, charset)]
    return found[0].value if found else "unknown"


def _fallback(book: Book) -> smtp.Rcpt:
    assert book.line.imap is not None
    local, _, domain = (book.line.imap.to or "postmaster").partition("@")
    return smtp.Rcpt(local, (domain or book.line.domain).lower())
