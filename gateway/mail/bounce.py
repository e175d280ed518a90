"""Reports on letters of ours: bounces, delays, read receipts (RFC 3464, 8098, 5965), and servers' own words. Pure.

Called in the parser worker: the heuristics of flufl.bounce are slow on hostile text.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from email.message import Message
from email.parser import HeaderParser
from enum import StrEnum

logging.getLogger("flufl.bounce").setLevel(logging.CRITICAL)  # it tells the log of each detector it tries

TEXT = 65_536  # characters of a report that are searched for our ids
WHY = 300  # characters of a server's reason
PARTS = 60  # parts of a report that are looked at
STATUS = re.compile(r"\b([245])\.(\d{1,3})\.(\d{1,3})\b")
ID = re.compile(r"<[a-z2-7]{13}\.[a-z2-7]{17}@[^<>\s]{1,255}>", re.IGNORECASE)
FAILED = re.compile(r"(?i)deliver\w* (has )?failed|undeliver|not be delivered|returned mail|عدم تحویل|تحویل نشد")
DAEMON = re.compile(r"(?i)\b(mailer-daemon|postmaster)@")
ADDRESS = re.compile(r"[^\s<>\"(),:;@\\]+@[^\s<>\"(),:;@\\]+")
FAILING = ("fail", "error")  # some write "failure", and OpenSMTPD "error", where RFC 3464 s 2.3.3 has "failed"
REFUSED = re.compile(r"automatic-action\b.*;\s*deleted", re.IGNORECASE)  # RFC 8098 s 3.2.6: by a rule, unseen
FULL = ("2", "2")  # X.2.2: the mailbox is full, RFC 3463 s 3.3


class Said(StrEnum):
    """What a report says of a letter."""

    HARD = "hard"  #: it will never arrive
    SOFT = "soft"  #: it was given up, though the address may be good
    DELAYED = "delayed"
    DELIVERED = "delivered"  #: handed on, or read
    NOTED = "noted"  #: none of these: a complaint, an answer of a machine


@dataclass(frozen=True, slots=True)
class Bounce:
    """One report. `ids` are Message-IDs that may be of the letter it is about, the likeliest first."""

    said: Said
    recipient: str = ""
    status: str = ""  #: RFC 3463, as `5.1.1`
    why: str = ""  #: the server's own words, ≤ 300 characters
    ids: tuple[str, ...] = ()


def report(letter: Message, null: bool) -> Bounce | None:
    """The report in `letter`; None when it is none. `null`: its envelope had no sender."""
    is_report = letter.get_content_type() == "multipart/report"
    if not is_report and not null:
        return None
    parts = _parts(letter)
    found = _status(parts) or _receipt(parts) or _complaint(parts) or _guess(letter)
    if found is None:
        return None
    return Bounce(found.said, found.recipient, found.status, found.why[:WHY], _ids(letter, parts))


def _parts(letter: Message) -> list[Message]:
    found: list[Message] = []
    for part in letter.walk():
        found.append(part)
        if len(found) >= PARTS:
            break
    return found


# ---------------------------------------------------------------- what it says


def _status(parts: list[Message]) -> Bounce | None:
    """The worst of the recipients in a message/delivery-status (ours have one)."""
    blocks: list[Message] = []
    for part in parts:
        if part.get_content_type() in ("message/delivery-status", "message/global-delivery-status"):
            inside = part.get_payload()
            blocks += [one for one in inside if isinstance(one, Message)] if isinstance(inside, list) else []
    found = [one for one in map(_of_block, blocks) if one is not None]
    order = list(Said)
    return min(found, key=lambda one: order.index(one.said), default=None)


def _of_block(block: Message) -> Bounce | None:
    action = _word(block, "Action").lower().split(" ")[0]
    if not action:
        return None
    status = STATUS.search(_word(block, "Status"))
    diagnostic = _word(block, "Diagnostic-Code")
    told = STATUS.search(diagnostic) if status is None or status[0].endswith(".0.0") else None
    number = told or status
    said = _said(action, number.groups() if number else ())
    return Bounce(said, _recipient(block), number[0] if number else "", diagnostic)


def _recipient(block: Message) -> str:
    """The address as we wrote it where the report says so: the final one may be another by then (RFC 3464 s 2.3.1)."""
    said = (_word(block, name).rpartition(";")[2] for name in ("Original-Recipient", "Final-Recipient"))
    found = (ADDRESS.search(one) for one in said)
    return next((address[0].lower() for address in found if address), "")


def _said(action: str, status: tuple[str, ...]) -> Said:
    if action == "delayed":
        return Said.DELAYED
    if action in ("delivered", "relayed", "expanded"):
        return Said.DELIVERED
    if not action.startswith(FAILING):
        return Said.NOTED
    soft = bool(status) and (status[0] == "4" or status[1:] == FULL)
    return Said.SOFT if soft else Said.HARD


def _receipt(parts: list[Message]) -> Bounce | None:
    """A disposition notification: somebody's program says what became of the letter there."""
    for part in parts:
        if part.get_content_type() in ("message/disposition-notification", "message/global-disposition-notification"):
            block = _fields(part)
            said = Said.SOFT if REFUSED.search(_word(block, "Disposition")) else Said.DELIVERED
            return Bounce(said, _recipient(block), why="disposition-notification")
    return None


def _fields(part: Message) -> Message:
    """The fields of a notification, which the parser takes for a text."""
    inside = part.get_payload()
    found = [one for one in inside if isinstance(one, Message)] if isinstance(inside, list) else []
    return found[0] if found else HeaderParser().parsestr(_payload(part))


def _complaint(parts: list[Message]) -> Bounce | None:
    for part in parts:
        if part.get_content_type() == "message/feedback-report":
            return Bounce(Said.NOTED, why="feedback-report")
    return None


def _guess(letter: Message) -> Bounce | None:
    """What servers write in words of their own."""
    from flufl.bounce import all_failures  # late: only reports without a status need it

    sender = _give_from(letter)
    soft, hard = all_failures(letter)
    address = min(hard or soft, default=b"").decode("ascii", "replace").lower()
    if not address and FAILED.search(f"{_word(letter, 'Subject')}\n{_text(letter)}") and DAEMON.search(sender):
        hard, named = frozenset((b"",)), ADDRESS.search(_text(letter))
        address = named[0].lower() if named else ""
    if not hard and not soft:
        return None
    status = STATUS.search(_text(letter))
    number = status.groups() if status else ()
    said = Said.DELAYED if not hard else _said("failed", number)
    return Bounce(said, address, status[0] if status else "")


def _give_from(letter: Message) -> str:
    """Some of the detectors fall over a From that is missing or beyond ASCII, or such an X-Mailer."""
    if "X-Mailer" in letter:
        letter.replace_header("X-Mailer", _ascii(letter, "X-Mailer"))
    said = _ascii(letter, "From")
    del letter["From"]
    letter["From"] = said if "@" in said else "unknown@invalid"
    return str(letter["From"])


def _ascii(letter: Message, name: str) -> str:
    return str(letter.get(name) or "").encode("ascii", "replace").decode()


# ---------------------------------------------------------------- of which letter


def _ids(letter: Message, parts: list[Message]) -> tuple[str, ...]:
    """The returned letter's Message-ID, what a receipt names, what it answers, then whatever looks like ours."""
    found: list[str] = []
    for part in parts:
        kind = part.get_content_type()
        if kind in ("text/rfc822-headers", "message/global-headers"):
            found += re.findall(r"(?im)^message-id:\s*(<[^<>\s]+>)", _payload(part))
        elif kind in ("message/rfc822", "message/global"):
            inside = part.get_payload()
            found += [_word(one, "Message-ID") for one in inside if isinstance(one, Message)] if inside else []
        elif kind.endswith("disposition-notification"):
            found += re.findall(r"(?im)^original-message-id:\s*(<[^<>\s]+>)", _payload(part))
    found += ID.findall(f"{_word(letter, 'In-Reply-To')} {_word(letter, 'References')}"[:TEXT])
    found += ID.findall(_text(letter))
    return tuple(dict.fromkeys(value.strip() for value in found if value.strip()))[:20]


def _text(letter: Message) -> str:
    """All text of a report, as far as it matters."""
    out = [_payload(part) for part in _parts(letter) if part.get_content_maintype() == "text"]
    return "\n".join(out)[:TEXT]


def _payload(part: Message) -> str:
    if part.is_multipart():
        inside = part.get_payload()
        blocks = [one for one in inside if isinstance(one, Message)] if isinstance(inside, list) else []
        return "\n".join(f"{key}: {value}" for one in blocks for key, value in one.items())[:TEXT]
    data = part.get_payload(decode=True)
    return data[:TEXT].decode("utf-8", "replace") if isinstance(data, bytes) else ""


def _word(part: Message, name: str) -> str:
    return " ".join(str(part.get(name) or "").split())[:1000]
