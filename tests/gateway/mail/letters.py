"""Made-up Persian letters as citizens' programs write them: (name, bytes, new text, subject, file names)."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from email.header import Header
from urllib.parse import quote

NEW = "با سلام\nپل ارتباطی روستای گلستان پس از سیلاب خراب شده است. لطفاً رسیدگی کنید.\nبا سپاس، مریم کریمی"
SHORT = "سلام\nچراغ‌های پارک شهر یک هفته است خاموش است.\nممنون"
OLD = "پیام شما ثبت شد.\nکد پیگیری: 123-4567-8903"
MARKED = OLD.replace("\n", "\n> ")
SUBJECT = "خرابی پل روستای گلستان"


@dataclass(frozen=True)
class Sample:
    name: str
    raw: bytes
    new: str = NEW
    subject: str = SUBJECT
    files: tuple[str, ...] = field(default=())


def old_letters(text: str) -> bytes:
    """Persian in cp1256, which has no ی: as old programs wrote it."""
    return text.replace("ی", "ي").encode("cp1256")


def head(subject: str | bytes | None = None, more: str = "", kind: str = "text/plain; charset=utf-8") -> bytes:
    said = Header(SUBJECT, "utf-8").encode() if subject is None else subject
    said = said if isinstance(said, bytes) else said.encode()
    top = b"From: =?utf-8?q?=D9=85=D8=B1=DB=8C=D9=85?= <maryam@mailbox.example>\r\nSubject: " + said + b"\r\n"
    return top + more.encode() + f"MIME-Version: 1.0\r\nContent-Type: {kind}\r\n".encode()


def plain(text: str, **given) -> bytes:
    return head(**given) + b"\r\n" + text.replace("\n", "\r\n").encode()


def b64(text: bytes) -> bytes:
    return b"Content-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(text).replace(b"\n", b"\r\n")


def words(text: str, name: str, kind: str = "b") -> str:
    raw = old_letters(text) if name == "windows-1256" else text.encode(name)
    return f"=?{name}?{kind}?{base64.b64encode(raw).decode()}?="


def parts(*pieces: bytes, kind: str = "mixed", **given) -> bytes:
    body = b"".join(b"--mark\r\n" + piece + b"\r\n" for piece in pieces) + b"--mark--\r\n"
    return head(kind=f'multipart/{kind}; boundary="mark"', **given) + b"\r\n" + body


TEXT_PART = b"Content-Type: text/plain; charset=utf-8\r\n" + b64(NEW.encode())
LINES = NEW.replace("\n", "<br>")
HTML = "text/html; charset=utf-8"
GMAIL_OLD = '<div class="gmail_quote"><div class="gmail_attr">در دوشنبه نوشت:</div><blockquote>کهنه</blockquote></div>'
OUTLOOK_OLD = '<div id="divRplyFwdMsg"><b>از:</b> آب<br><b>موضوع:</b> پیام</div><div>متن کهنه</div>'
ATTACHED = "attachment; filename*=utf-8''" + quote("نقشهٔ پل.pdf")
PDF = f"Content-Type: application/pdf\r\nContent-Disposition: {ATTACHED}\r\n"
PIECES = "attachment;\r\n filename*0*=utf-8''" + quote("گزارش ") + ";\r\n filename*1*=" + quote("سیل.jpg")

SAMPLES = [
    Sample("utf-8", plain(NEW)),
    Sample("utf-8 undeclared", plain(NEW, kind="text/plain")),
    Sample("utf-8 declared as us-ascii", plain(NEW, kind="text/plain; charset=us-ascii")),
    Sample("utf-8 declared as windows-1256", plain(NEW, kind="text/plain; charset=windows-1256")),
    Sample("base64", head() + b64(NEW.encode())),
    Sample("cp1256 right", head(kind="text/plain; charset=windows-1256") + b64(old_letters(NEW))),
    Sample("cp1256 by an alias", head(kind="text/plain; charset=x-cp1256") + b64(old_letters(NEW))),
    Sample("cp1256 undeclared", head(kind="text/plain") + b"\r\n" + old_letters(NEW)),
    Sample("cp1256 declared as latin-1", head(kind="text/plain; charset=iso-8859-1") + b"\r\n" + old_letters(NEW)),
    Sample("cp1256 declared as utf-8", head(kind="text/plain; charset=utf-8") + b"\r\n" + old_letters(NEW)),
    Sample("subject raw utf-8", plain(NEW, subject=SUBJECT.encode())),
    Sample("subject raw cp1256", plain(NEW, subject=old_letters(SUBJECT))),
    Sample("subject in cp1256 words", plain(NEW, subject=words(SUBJECT, "windows-1256"))),
    Sample(
        "subject cut inside a letter",
        plain(
            NEW,
            subject="\r\n ".join(
                f"=?utf-8?b?{base64.b64encode(SUBJECT.encode()[i : i + 15]).decode()}?="
                for i in range(0, len(SUBJECT.encode()), 15)
            ),
        ),
    ),
    Sample("gmail reply", plain(f"{NEW}\n\nدر دوشنبه ۳ آذر ۱۴۰۴ آب <water@agency.example.ir>\nنوشت:\n\n> {MARKED}")),
    Sample(
        "english gmail reply",
        plain(f"{NEW}\n\nOn Mon, Nov 24, 2025 Water <w@agency.example.ir> wrote:\n> x"),
    ),
    Sample("outlook reply", plain(f"{NEW}\n\nاز: آب\nارسال شده: دوشنبه\nبه: مریم\nموضوع: پیام\n\n{OLD}")),
    Sample("english outlook reply", plain(f"{NEW}\n\n-----Original Message-----\nFrom: x\nSent: y\nTo: z\n\n{OLD}")),
    Sample("below our line", plain(f"{NEW}\n\nلطفاً پاسخ خود را بالای این خط بنویسید\n\n{OLD}")),
    Sample("arabic reply", plain(f"{NEW}\n\nتمت كتابة الاثنين بواسطة Water:\n> {MARKED}")),
    Sample("answer below the quote", plain(f"> {MARKED}\n\n{NEW}")),
    Sample(
        "flowed",
        plain("سلام \nچراغ‌های \nشهر", kind="text/plain; charset=utf-8; format=flowed"),
        "سلام چراغ‌های شهر",
    ),
    Sample("html only", head(kind=HTML) + b64(f"<p>{LINES}</p>".encode())),
    Sample(
        "html gmail reply",
        head(kind=HTML) + b64(f"<div dir=rtl>{LINES}</div>{GMAIL_OLD}".encode()),
    ),
    Sample(
        "html outlook reply",
        head(kind=HTML) + b64(f"<div>{LINES}</div>{OUTLOOK_OLD}".encode()),
    ),
    Sample("alternative", parts(TEXT_PART, b"Content-Type: text/html\r\n\r\n<b>x</b>", kind="alternative")),
    Sample(
        "file",
        parts(TEXT_PART, PDF.encode() + b64(b"%PDF-")),
        files=("نقشهٔ پل.pdf",),
    ),
    Sample(
        "file name in pieces",
        parts(TEXT_PART, f"Content-Type: image/jpeg\r\nContent-Disposition: {PIECES}\r\n".encode() + b64(b"\xff\xd8")),
        files=("گزارش سیل.jpg",),
    ),
    Sample(
        "file name raw and with a path",
        parts(TEXT_PART, 'Content-Type: image/png; name="../../etc/عکس.png"\r\n'.encode() + b64(b"\x89PNG")),
        files=("عکس.png",),
    ),
    Sample(
        "calendar without a name",
        parts(TEXT_PART, b"Content-Type: text/calendar; charset=utf-8\r\n\r\nBEGIN:VCALENDAR"),
        files=("file-1.ics",),
    ),
]
