"""Was it written by a machine? RFC 3834 and what robots do instead. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from core.channels import Auto
from gateway.mail import headers, thread
from gateway.mail.marks import plain
from gateway.mail.mime import Mail

STRONG_FIELDS = frozenset({"x-autoreply", "x-autorespond", "x-autoresponder"})
WEAK_FIELDS = frozenset({"list-id", "list-unsubscribe", "x-auto-response-suppress"})
DAEMONS = re.compile(r"(mailer-daemon|postmaster)@", re.IGNORECASE)
NO_REPLY = re.compile(r"(no|do-?not)[-_.]?reply", re.IGNORECASE)
RECEIVED = 30


def classify(mail: Mail, envelope: str, phrases: Sequence[str], loop: str, own: frozenset[str]) -> Auto:
    """`envelope` is the MAIL FROM ('' for a report), `loop` our X-Loop's value, `own` our addresses, folded."""
    names = {name for name, _ in mail.fields}
    if _strong(mail, names, envelope, loop, own):
        return Auto.STRONG
    return Auto.WEAK if _weak(mail, names, phrases) else Auto.NO


def no_reply(address: str) -> bool:
    """Does the address itself say that nobody reads it?"""
    return bool(NO_REPLY.search(address.partition("@")[0]))


def echoes(subject: str, text: str, ours: Sequence[str]) -> bool:
    """Does it carry our mark `[#code]` or our first line? Whoever wrote it has a code of ours already."""
    said = plain(text)
    return bool(thread.CODE.search(plain(subject))) or any(_plain(line) in said for line in ours if line)


_plain = cache(plain)  #: of our own lines, which are few


def _strong(mail: Mail, names: set[str], envelope: str, loop: str, own: frozenset[str]) -> bool:
    said = _word(mail, names, "auto-submitted").partition(";")[0].strip()
    return (
        envelope == ""
        or mail.report
        or said not in ("", "no")
        or ("x-loop" in names and any(headers.read(value) == loop for value in mail.all("x-loop")))
        or mail.sender.lower() in own
        or bool(DAEMONS.match(mail.sender) or DAEMONS.match(envelope))
        or any(mail.first(name) for name in STRONG_FIELDS & names)
    )


def _weak(mail: Mail, names: set[str], phrases: Sequence[str]) -> bool:
    subject = plain(mail.subject).lower()
    return (
        _word(mail, names, "precedence") in ("bulk", "junk", "list", "auto_reply")
        or any(mail.first(name) for name in WEAK_FIELDS & names)
        or no_reply(mail.sender)
        or ("received" in names and len(mail.all("received")) > RECEIVED)
        or any(phrase in subject for phrase in phrases)
    )


def _word(mail: Mail, names: set[str], name: str) -> str:
    return headers.read(mail.first(name)).strip().lower() if name in names else ""
