"""Twelve kinds of automatic answerers, made up from what such programs are known to send: each answers every letter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parseaddr

from tests.worlds.mail import Letter

Fields = dict[str, str]


@dataclass(frozen=True)
class Answer:
    """What a robot sends: envelope sender, recipient, the letter."""

    sender: str
    to: str
    data: bytes


@dataclass(frozen=True)
class Robot:
    """`reply(letter)` gives its fields (To, Subject, …) and text; `envelope` is its MAIL FROM, '' for the null path."""

    name: str
    reply: Callable[[Letter], tuple[Fields, str]]
    null: bool = False

    @property
    def address(self) -> str:
        return f"{self.name}@robots.example"

    def answer(self, letter: Letter, number: int) -> Answer:
        fields, text = self.reply(letter)
        to = fields.pop("To", None) or _reply_to(letter)
        top = {"From": self.address, "To": to, "Message-ID": f"<{self.name}.{number}@robots.example>"} | fields
        kind = top.pop("Content-Type", "text/plain; charset=utf-8")
        head = "".join(f"{name}: {value}\r\n" for name, value in top.items())
        data = f"{head}MIME-Version: 1.0\r\nContent-Type: {kind}\r\n\r\n{text}"
        wire = data.replace("\r\n", "\n").replace("\n", "\r\n").encode()
        return Answer("" if self.null else self.address, to, wire)


def _reply_to(letter: Letter) -> str:
    return parseaddr(letter.headers.get("Reply-To", letter.from_))[1]


def _from(letter: Letter) -> str:
    return parseaddr(letter.from_)[1]


def _thread(letter: Letter) -> Fields:
    return {"In-Reply-To": letter.id, "References": " ".join([*letter.references, letter.id])}


def holiday(letter: Letter) -> tuple[Fields, str]:
    """RFC 3834 in full."""
    return {**_thread(letter), "Subject": f"Auto: {letter.subject}", "Auto-Submitted": "auto-replied"}, "در مرخصی هستم."


def holiday_without_headers(letter: Letter) -> tuple[Fields, str]:
    return {**_thread(letter), "Subject": "پاسخ خودکار: " + "پیام شما"}, "تا شنبه در اداره نیستم."


def holiday_like_a_person(letter: Letter) -> tuple[Fields, str]:
    """Nothing shows what it is, but that it comes at once."""
    return {**_thread(letter), "Subject": letter.subject}, "سلام، پیام شما رسید، به‌زودی پاسخ می‌دهم."


def challenge(letter: Letter) -> tuple[Fields, str]:
    """Asks the sender to prove that it is a person; to From, without a thread."""
    return {"To": _from(letter), "Subject": "Please confirm your message"}, "Click here: https://robots.example/c"


def mailing_list(letter: Letter) -> tuple[Fields, str]:
    more = {"List-Id": "<users.robots.example>", "Precedence": "list", "Subject": f"[users] {letter.subject}"}
    return {"To": _from(letter), **more}, letter.text


def ticket_system(letter: Letter) -> tuple[Fields, str]:
    """Opens a ticket of its own for each letter and says so, marked as other ticket systems do."""
    more = {"X-Auto-Response-Suppress": "All", "Precedence": "bulk", "Subject": "[Ticket 4711] received"}
    return {"To": _from(letter), **more}, "Your request has been received."


def ticket_system_unmarked(letter: Letter) -> tuple[Fields, str]:
    """The same without a mark, quoting what it got: two systems that could talk for ever."""
    quoted = "\n".join(f"> {line}" for line in letter.text.splitlines())
    return {"To": _from(letter), "Subject": f"Re: {letter.subject} [T-4711]"}, f"Your request was received.\n{quoted}"


def bouncing(letter: Letter) -> tuple[Fields, str]:
    kind = 'multipart/report; report-type=delivery-status; boundary="r"'
    text = (
        "--r\n\nfull\n--r\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; x\n\n"
        "Final-Recipient: rfc822; a@robots.example\nAction: failed\nStatus: 5.2.1\n\n"
        f"--r\nContent-Type: text/rfc822-headers\n\nMessage-ID: {letter.id}\n\n--r--\n"
    )
    return {"To": letter.envelope_from or _from(letter), "Subject": "Undelivered", "Content-Type": kind}, text


def bouncing_in_words(letter: Letter) -> tuple[Fields, str]:
    """To the Reply-To instead of the envelope's sender, in words of its own."""
    return {"Subject": "عدم تحویل"}, "This is a permanent error. The mailbox is unavailable."


def read_receipt(letter: Letter) -> tuple[Fields, str]:
    kind = 'multipart/report; report-type=disposition-notification; boundary="r"'
    text = (
        "--r\n\nread\n--r\nContent-Type: message/disposition-notification\n\n"
        f"Original-Message-ID: {letter.id}\nDisposition: automatic-action/MDN-sent-automatically; displayed\n\n--r--\n"
    )
    return {**_thread(letter), "Subject": f"Read: {letter.subject}", "Content-Type": kind}, text


def echo(letter: Letter) -> tuple[Fields, str]:
    """A misconfigured forwarder: our own letter comes back with our own fields."""
    own = {name: value for name, value in letter.headers.items() if name in ("X-Loop", "Auto-Submitted")}
    return {"To": _from(letter), "Subject": letter.subject, **own}, letter.text


def no_reply(letter: Letter) -> tuple[Fields, str]:
    return {"To": _from(letter), "From": "no-reply@robots.example", "Subject": "Thank you"}, "Do not reply."


ROBOTS = [
    Robot("holiday", holiday, null=True),
    Robot("headless", holiday_without_headers),
    Robot("person", holiday_like_a_person),
    Robot("challenge", challenge),
    Robot("list", mailing_list),
    Robot("tickets", ticket_system),
    Robot("chatty", ticket_system_unmarked),
    Robot("bouncing", bouncing, null=True),
    Robot("words", bouncing_in_words, null=True),
    Robot("read", read_receipt),
    Robot("echo", echo),
    Robot("thanks", no_reply),
]
