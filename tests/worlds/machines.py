"""What machines at the other end write by themselves: holiday answers (RFC 3834), delivery reports (RFC 3464). Pure."""

from __future__ import annotations

import email
import time
from email import policy
from email.header import Header
from email.message import EmailMessage, Message
from email.mime.base import MIMEBase
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.utils import formatdate, make_msgid

HERE = "mailbox.example"
BOUNCES = {  # mode → status, what the server says
    "hard": ("5.1.1", "550 5.1.1 No such person here"),
    "soft": ("4.4.7", "421 4.4.7 Given up after five days"),
    "full": ("5.2.2", "552 5.2.2 Mailbox full"),
}
HOLIDAY = "سلام\nتا پایان هفته در مرخصی هستم و پس از آن پاسخ می‌دهم."


def bounce(content: bytes, address: str, sender: str, mode: str) -> bytes | None:
    """The report on a letter that `address` did not get; None when nobody is to be told (no envelope sender)."""
    if not sender:
        return None
    status, said = BOUNCES[mode]
    report = MIMEMultipart("report", **{"report-type": "delivery-status"})
    report["From"] = f"Mail Delivery System <MAILER-DAEMON@{HERE}>"
    report["To"] = sender
    report["Subject"] = "Undelivered Mail Returned to Sender"
    report["Date"] = formatdate()
    report["Message-ID"] = make_msgid(domain=HERE)
    report["Auto-Submitted"] = "auto-replied"
    report.attach(MIMEText(f"Your letter to {address} was not delivered:\n\n    {said}\n", "plain", "utf-8"))
    report.attach(_part("message", "delivery-status", _status(address, status, said)))
    report.attach(_part("text", "rfc822-headers", content.replace(b"\r\n", b"\n").partition(b"\n\n")[0] + b"\n"))
    return _wire(report)


def _status(address: str, status: str, said: str) -> bytes:
    lines = (
        f"Reporting-MTA: dns; {HERE}", f"Arrival-Date: {formatdate(time.time())}", "",
        f"Final-Recipient: rfc822; {address}", "Action: failed", f"Status: {status}",
        f"Diagnostic-Code: smtp; {said}", "",
    )  # fmt: skip
    return "\n".join(lines).encode()


def _part(main: str, sub: str, payload: bytes) -> MIMEBase:
    part = MIMEBase(main, sub)
    if main == "message":
        part.set_payload([email.message_from_bytes(one) for one in payload.split(b"\n\n") if one.strip()])
    else:
        part.set_payload(payload.decode("ascii", "replace"))
    return part


def holiday(content: bytes, address: str, sender: str) -> bytes | None:
    """The answer of somebody on holiday, to the envelope sender; None where RFC 3834 section 2 wants none."""
    letter = email.message_from_bytes(content, policy=policy.default)
    assert isinstance(letter, EmailMessage)
    if not sender or _by_machine(letter):
        return None
    answer = MIMEText(HOLIDAY, "plain", "utf-8")
    answer["From"] = address
    answer["To"] = sender
    answer["Subject"] = Header(f"Auto: {letter['Subject'] or ''}"[:200], "utf-8", header_name="Subject")
    answer["Date"] = formatdate()
    answer["Message-ID"] = make_msgid(domain=HERE)
    answer["Auto-Submitted"] = "auto-replied"
    if letter["Message-ID"]:
        answer["In-Reply-To"] = str(letter["Message-ID"]).strip()
        answer["References"] = f"{letter['References'] or ''} {letter['Message-ID']}".strip()
    return _wire(answer)


def _by_machine(letter: Message) -> bool:
    submitted = str(letter["Auto-Submitted"] or "no").split(";")[0].strip().lower()
    bulk = str(letter["Precedence"] or "").strip().lower() in ("bulk", "junk", "list")
    return submitted != "no" or bulk or letter["List-Id"] is not None


def _wire(letter: Message) -> bytes:
    return b"\r\n".join(letter.as_bytes(policy=policy.compat32).splitlines()) + b"\r\n"
