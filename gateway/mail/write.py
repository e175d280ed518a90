"""Writing a letter: one recipient, the same bytes for the same outbox row, nothing remote in its HTML. Pure."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import formatdate

from gateway.mail import headers

CODE = re.compile(r"(?<![\d-])(\d{3}-\d{4}-\d{4}|https?://[^\s<>\"&]+)(?![\d-])")
TRACKING = re.compile(r"(?<![\d-])\d{3}-\d{4}-\d{4}(?![\d-])")
STYLE = "font-family:Vazirmatn,Tahoma,sans-serif;font-size:15px;line-height:1.9"
UTF8 = "utf-8''"  # RFC 2231: charset, no language
RIGHT_TO_LEFT = ("fa", "ar", "ckb", "ur")


@dataclass(frozen=True, slots=True)
class Draft:
    """All that decides the bytes. Addresses are plain `local@domain`; `at` is s UTC; `seed` makes the boundaries."""

    from_name: str
    from_address: str
    to: str
    subject: str
    message_id: str
    at: int
    lines: Sequence[str]  #: paragraphs and lines of the text, our own mark first
    lang: str
    seed: str
    reply_to: str = ""
    in_reply_to: str = ""
    references: Sequence[str] = ()
    automatic: str = ""  #: auto-replied, auto-generated; '' for an answer of the staff
    loop: str = ""  #: X-Loop of automatic letters
    files: Sequence[tuple[str, str, bytes]] = ()  #: name, media type, content


def letter(draft: Draft) -> bytes:
    """The whole letter with CRLF, 7-bit. Raises ValueError for CR, LF or NUL in what becomes a header."""
    top = [
        headers.write_address("From", draft.from_name, draft.from_address),
        headers.write_address("To", "", draft.to),
        headers.write("Subject", draft.subject),
        headers.write("Date", formatdate(draft.at)),
        headers.write("Message-ID", draft.message_id),
    ]
    if draft.reply_to:
        top.append(headers.write_address("Reply-To", draft.from_name, draft.reply_to))
    if draft.in_reply_to:
        top.append(headers.write("In-Reply-To", draft.in_reply_to))
    if draft.references:
        top.append(headers.write("References", " ".join(draft.references)))
    if draft.automatic:
        top.append(headers.write("Auto-Submitted", draft.automatic))
        top.append(headers.write("X-Auto-Response-Suppress", "All"))
        top.append(headers.write("X-Loop", draft.loop))
    top.append(headers.write("MIME-Version", "1.0"))
    return b"".join(top) + _body(draft)


def _body(draft: Draft) -> bytes:
    both = _multipart("alternative", f"a-{draft.seed}", [_text("plain", _plain(draft)), _text("html", _html(draft))])
    if not draft.files:
        return both
    return _multipart("mixed", f"m-{draft.seed}", [both, *(_attachment(*each) for each in draft.files)])


def _plain(draft: Draft) -> str:
    """Codes isolated from left to right: behind Persian letters a reader would see the groups turned round."""
    return TRACKING.sub("\u2066\\g<0>\u2069", "\n".join(draft.lines)) + "\n"


def _html(draft: Draft) -> str:
    way = "rtl" if draft.lang in RIGHT_TO_LEFT else "ltr"
    first, *rest = draft.lines
    paragraphs = "\n".join(rest).strip("\n").split("\n\n")
    body = "".join(f"<p>{_marked(p)}</p>\n" for p in paragraphs)
    return (
        f'<!doctype html>\n<html dir="{way}" lang="{draft.lang}">\n<head><meta charset="utf-8"></head>\n'
        f'<body dir="{way}" style="{STYLE}">\n<p style="color:#777">{_marked(first)}</p>\n{body}</body>\n</html>\n'
    )


def _marked(text: str) -> str:
    """Escaped; codes and links in their own direction, so that 3-4-4 is not turned round."""
    return CODE.sub(r'<bdi dir="ltr">\1</bdi>', html.escape(text, quote=False)).replace("\n", "<br>\n")


def _multipart(kind: str, boundary: str, parts: Sequence[bytes]) -> bytes:
    mark = f"--{boundary}".encode()
    head = f'Content-Type: multipart/{kind}; boundary="{boundary}"\r\n\r\n'.encode()
    return head + b"".join(mark + b"\r\n" + part + b"\r\n" for part in parts) + mark + b"--\r\n"


def _text(kind: str, text: str) -> bytes:
    head = f"Content-Type: text/{kind}; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    return head.encode() + _base64(text.replace("\n", "\r\n").encode("utf-8", "replace"))


def _attachment(name: str, kind: str, data: bytes) -> bytes:
    if not re.fullmatch(r"[\w.+-]+/[\w.+-]+", kind):
        kind = "application/octet-stream"
    said = "".join(f"%{b:02X}" for b in name.encode("utf-8", "replace"))
    lines = [said[i : i + 60] for i in range(0, len(said), 60)]  # whole octets: 60 is a multiple of 3
    many = "".join(f";\r\n filename*{n}*={'' if n else UTF8}{line}" for n, line in enumerate(lines))
    head = f"Content-Type: {kind}\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment{many}\r\n\r\n"
    return head.encode() + _base64(data)


def _base64(data: bytes) -> bytes:
    return base64.encodebytes(data).replace(b"\n", b"\r\n")
