"""Letters in Persian written for this project, in the shapes of common programs: client × coding × what it is.

`letters()` makes them all: the same every time. Names and words are made up; nothing is taken from anybody's mail.
"""

# ruff: noqa: E501  lines of letters are as long as programs write them
from __future__ import annotations

import base64
import quopri
from collections.abc import Iterator
from dataclasses import dataclass
from email.header import Header
from urllib.parse import quote

TEXTS = (
    "با سلام\nچراغ‌های کوچهٔ بهار یک هفته است خاموش است. لطفاً رسیدگی کنید.\nبا سپاس، مریم کریمی",
    "سلام، پل روستای گلستان پس از سیلاب ترک برداشته و رفت‌وآمد خطرناک شده است.\nکارشناس می‌فرستید؟",
    "درخواست صدور گواهی سکونت دارم. مدارک پیوست است.\n\nشماره پرونده 4712 در سال گذشته ثبت شد.",
    "برای قبض آب این دوره اعتراض دارم؛ مبلغ آن سه برابر همیشه است.\nچه کسی پاسخ می‌دهد؟",
    "ممنون از پیگیری شما. مشکل زباله‌های کنار پارک حل شد و همسایه‌ها راضی هستند.",
    "پیشنهاد می‌کنم برای سالمندان صندلی در صف بانک بگذارید.\nاین کار «کم‌هزینه» است و مردم دعا می‌کنند.",
    "آب شهر قطع است و هیچ‌کس پاسخ تلفن را نمی‌دهد",
    "نامهٔ شما رسید، ولی پاسخ روشن نبود: مهلت ثبت‌نام تا چه روزی است؟",
)
OLD = "پیام شما ثبت شد و برای «روابط عمومی» فرستاده شد.\nکد پیگیری: 123-4567-8903\nبا سپاس"
SUBJECT = "پیگیری درخواست شهروند"
UNIT, ADDRESS = "روابط عمومی", "info@example.ir"
FILES = ("نقشهٔ محل.pdf", "گزارش خرابی پل - نهایی.docx", "عکس ۱.jpg")
CODINGS = (
    "utf-8 b64",
    "utf-8 qp",
    "utf-8 8bit",
    "utf-8 undeclared",
    "cp1256 right",
    "cp1256 wrong",
    "cp1256 undeclared",
)
UTF8 = "utf-8''"
KINDS = ("new", "reply", "below", "forward", "holiday", "report", "files")


@dataclass(frozen=True)
class Case:
    """One letter and what must come of it."""

    name: str
    raw: bytes
    new: str
    subject: str
    files: tuple[str, ...] = ()
    auto: bool = False
    report: bool = False


@dataclass(frozen=True)
class Client:
    """How a program writes: its line above what it quotes, how it quotes, its HTML, its forwards, its file names."""

    name: str
    above: str  #: before the quoted text; lines
    marked: bool  #: lines quoted with >
    html: str  #: of a reply: {new} and {old}; '' = it writes plain text only
    forward: str  #: above what is forwarded
    fw: str  #: prefix of the subject
    naming: str  #: word, star, pieces, raw, both
    only_html: bool = False


_QUOTE = '<blockquote type="cite">{old}</blockquote>'
CLIENTS = (
    Client(
        "gmail", f"در دوشنبه ۳ آذر ۱۴۰۴ ساعت ۱۰:۱۵ {UNIT} <{ADDRESS}>\nنوشت:", True,
        '<div dir="rtl">{new}</div><br><div class="gmail_quote gmail_quote_container"><div dir="rtl" class="gmail_attr">'
        "در دوشنبه ۳ آذر نوشت:<br></div><blockquote class=\"gmail_quote\">{old}</blockquote></div>",
        f"---------- Forwarded message ---------\nاز: {UNIT} <{ADDRESS}>\nDate: 1404/9/3\nSubject: x\nTo: <a@b.ir>", "Fwd: ", "both",
    ),
    Client(
        "gmail english", f"On Mon, Nov 24, 2025 at 10:15 AM {UNIT} <{ADDRESS}> wrote:", True,
        '<div dir="rtl">{new}</div><div class="gmail_quote"><div class="gmail_attr">On Mon wrote:</div>'
        "<blockquote>{old}</blockquote></div>",
        f"---------- Forwarded message ---------\nFrom: {UNIT} <{ADDRESS}>\nDate: Mon\nSubject: x\nTo: <a@b.ir>", "Fwd: ", "both",
    ),
    Client(
        "outlook", f"________________________________\nاز: {UNIT} <{ADDRESS}>\nارسال شده: دوشنبه\nبه: مریم\nموضوع: پیام", False,
        '<div dir="rtl" class="elementToProof">{new}</div><div id="appendonsend"></div><hr><div id="divRplyFwdMsg" dir="rtl">'
        "<b>از:</b> x<br><b>ارسال شده:</b> y<br><b>موضوع:</b> z</div><div>{old}</div>",
        f"از: {UNIT} <{ADDRESS}>\nارسال شده: دوشنبه\nبه: مریم\nموضوع: پیام", "FW: ", "word", only_html=True,
    ),
    Client(
        "outlook desktop", f"-----Original Message-----\nFrom: {UNIT} <{ADDRESS}>\nSent: Monday\nTo: x\nSubject: y", False,
        '<p class="MsoNormal" dir="RTL">{new}</p><div><b>From:</b> x<br><b>Sent:</b> y<br><b>To:</b> z<br><b>Subject:</b> w</div>'
        "<p>{old}</p>",
        f"-----Original Message-----\nFrom: {UNIT} <{ADDRESS}>\nSent: Monday\nTo: x\nSubject: y", "FW: ", "word",
    ),
    Client(
        "yahoo", f"    On Monday, November 24, 2025, 10:15:00 AM GMT+3:30, {UNIT} <{ADDRESS}> wrote:  \n ", False,
        '<div dir="rtl">{new}</div><div id="yahoo_quoted_1" class="yahoo_quoted"><div>On Monday wrote:</div><div>{old}</div></div>',
        f"----- Forwarded message -----\nFrom: {UNIT} <{ADDRESS}>\nTo: x\nSent: Monday\nSubject: y", "Fw: ", "star",
    ),
    Client(
        "thunderbird", f"در ۱۴۰۴/۹/۳ ۱۰:۱۵، {UNIT} نوشت:", True,
        '<p dir="rtl">{new}</p><div class="moz-cite-prefix">در ۱۴۰۴/۹/۳، نوشت:<br></div>' + _QUOTE,
        f"-------- پیام هدایت‌شده --------\nموضوع: x\nتاریخ: y\nاز: {UNIT} <{ADDRESS}>\nبه: z", "Fwd: ", "pieces",
    ),
    Client(
        "apple", f"> در ۳ آذر ۱۴۰۴، ساعت ۱۰:۱۵، {UNIT} <{ADDRESS}> نوشت:\n> ", True,
        '<div dir="rtl">{new}</div><br><blockquote type="cite"><div>در ۳ آذر نوشت:</div>{old}</blockquote>',
        f"Begin forwarded message:\n\nFrom: {UNIT} <{ADDRESS}>\nSubject: x\nDate: y\nTo: z", "Fwd: ", "word",
    ),
    Client(
        "roundcube", f"در 2025-11-24 10:15، {UNIT} نوشت:", True, "",
        f"-------- پیام اصلی --------\nموضوع: x\nتاریخ: y\nفرستنده: {UNIT} <{ADDRESS}>\nگیرنده: z", "Fwd: ", "star",
    ),
    Client(
        "samsung", f"-------- پیام اصلی --------\nاز: {UNIT} <{ADDRESS}>\nتاریخ: ۱۴۰۴/۹/۳\nبه: x\nموضوع: y", False, "",
        f"-------- پیام اصلی --------\nاز: {UNIT} <{ADDRESS}>\nتاریخ: y\nبه: z\nموضوع: w", "Fwd: ", "raw",
    ),
)  # fmt: skip


def letters() -> Iterator[Case]:
    """All of them: every client in every coding, each kind where the client has it."""
    number = 0
    for client in CLIENTS:
        for coding in CODINGS:
            for kind in KINDS:
                if kind == "below" and not client.marked:
                    continue
                number += 1
                yield _case(client, coding, kind, TEXTS[number % len(TEXTS)], number)


def _case(client: Client, coding: str, kind: str, new: str, number: int) -> Case:
    name = f"{client.name}, {coding}, {kind}"
    makers = {"holiday": _holiday, "report": _report}
    if kind in makers:
        return makers[kind](name, client, coding, new)
    subject = {"reply": f"Re: {SUBJECT}", "below": f"Re: {SUBJECT}", "forward": client.fw + SUBJECT}.get(kind, SUBJECT)
    text, rich, expected = _words(client, kind, new)
    body = _body(client, coding, text, rich)
    files: tuple[str, ...] = ()
    if kind == "files":
        files = tuple(_sayable(one, coding) if client.naming == "raw" else one for one in FILES)
        body = _multipart("mixed", [body, *(_file(one, client.naming, coding) for one in files)], "files")
    return Case(
        name, _head(client, subject, coding) + body, _expected(expected, coding), _expected(subject, coding), files
    )


def _words(client: Client, kind: str, new: str) -> tuple[str, str, str]:
    """(plain text, HTML, what is new)."""
    old = "\n".join(f"> {line}" for line in OLD.split("\n")) if client.marked else OLD
    if kind == "reply":
        return f"{new}\n\n{client.above}\n{old}", client.html.format(new=_br(new), old=_br(OLD)), new
    if kind == "below":
        return f"{client.above}\n{old}\n\n{new}", "", new
    if kind == "forward":
        text = f"{new}\n\n{client.forward}\n\n{OLD}"
        return text, f'<div dir="rtl">{_br(text)}</div>', text
    return new, f'<div dir="rtl">{_br(new)}</div>' if client.html else "", new


def _holiday(name: str, client: Client, coding: str, new: str) -> Case:
    subject = f"پاسخ خودکار: {SUBJECT}"
    text = "تا پایان هفته در مرخصی هستم و پس از آن پاسخ می‌دهم."
    more = {"outlook": "X-Auto-Response-Suppress: All\r\n", "gmail": "Auto-Submitted: auto-replied\r\n"}.get(
        client.name, ""
    )
    raw = _head(client, subject, coding, more) + _body(client, coding, text, "")
    return Case(name, raw, _expected(text, coding), _expected(subject, coding), auto=True)


def _report(name: str, client: Client, coding: str, new: str) -> Case:
    """A bounce whose words are Persian."""
    said = f"متأسفانه نامهٔ شما به {client.name.split()[0]}@mailbox.example نرسید."
    plain = _part(said, coding, "plain")
    status = (
        "Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example\r\n\r\n"
        f"Final-Recipient: rfc822; {client.name.split()[0]}@mailbox.example\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n"
    ).encode()
    body = _multipart("report; report-type=delivery-status", [plain, status], "report")
    raw = _head(client, "عدم تحویل", coding) + body
    return Case(name, raw, _expected(said, coding), _expected("عدم تحویل", coding), auto=True, report=True)


# ---------------------------------------------------------------- codings


def _old_letters(text: str) -> str:
    """What cp1256 has no letter for, as old programs wrote it."""
    table = str.maketrans("ی۰۱۲۳۴۵۶۷۸۹ٔ", "ي0123456789ء")
    return text.replace("ۀ", "ه").translate(table).replace("\u0654", "")


def _sayable(text: str, coding: str) -> str:
    return _old_letters(text) if coding.startswith("cp1256") else text


def _expected(text: str, coding: str) -> str:
    return _old_letters(text) if coding.startswith("cp1256") else text


def _encoded(text: str, coding: str) -> bytes:
    return _old_letters(text).encode("cp1256") if coding.startswith("cp1256") else text.encode()


def _part(text: str, coding: str, kind: str) -> bytes:
    said = {
        "utf-8 undeclared": "", "cp1256 right": "; charset=windows-1256", "cp1256 wrong": "; charset=iso-8859-1",
        "cp1256 undeclared": "",
    }.get(coding, '; charset="UTF-8"')  # fmt: skip
    data = _encoded(text.replace("\n", "\r\n"), coding)
    way = {"utf-8 b64": "base64", "utf-8 qp": "quoted-printable", "cp1256 right": "base64"}.get(coding, "8bit")
    if way == "base64":
        data = base64.encodebytes(data).replace(b"\n", b"\r\n")
    elif way == "quoted-printable":
        data = quopri.encodestring(data.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")
    return f"Content-Type: text/{kind}{said}\r\nContent-Transfer-Encoding: {way}\r\n\r\n".encode() + data


def _body(client: Client, coding: str, text: str, rich: str) -> bytes:
    if not rich:
        return _part(text, coding, "plain")
    if client.only_html:
        return _part(f"<html><head><title>x</title></head><body>{rich}</body></html>", coding, "html")
    return _multipart("alternative", [_part(text, coding, "plain"), _part(rich, coding, "html")], "both")


def _multipart(kind: str, parts: list[bytes], mark: str) -> bytes:
    top = f'Content-Type: multipart/{kind}; boundary="={mark}="\r\n\r\n'.encode()
    return top + b"".join(f"--={mark}=\r\n".encode() + part + b"\r\n" for part in parts) + f"--={mark}=--\r\n".encode()


def _head(client: Client, subject: str, coding: str, more: str = "") -> bytes:
    if coding in ("utf-8 8bit", "utf-8 undeclared", "cp1256 wrong", "cp1256 undeclared"):
        said = _encoded(subject, coding)  # raw in the field, as many web mailers do
    elif coding == "cp1256 right":
        said = b"=?windows-1256?B?" + base64.b64encode(_encoded(subject, coding)) + b"?="
    else:
        said = Header(subject, "utf-8", header_name="Subject").encode(linesep="\r\n").encode()
    top = b"From: =?utf-8?b?2YXYsduM2YU=?= <maryam@mailbox.example>\r\nTo: <info@example.ir>\r\nSubject: " + said
    return (
        top
        + f"\r\nMessage-ID: <{len(subject)}@mailbox.example>\r\n{more}X-Mailer: {client.name}\r\nMIME-Version: 1.0\r\n".encode()
    )


def _file(name: str, naming: str, coding: str) -> bytes:
    word = Header(name, "utf-8").encode(linesep="\r\n")
    star = "utf-8''" + quote(name)
    said = {
        "word": f'Content-Type: application/octet-stream; name="{word}"\r\nContent-Disposition: attachment; filename="{word}"',
        "both": f'Content-Type: application/octet-stream; name="{word}"\r\nContent-Disposition: attachment; filename="{word}";\r\n filename*={star}',
        "star": f"Content-Type: application/octet-stream\r\nContent-Disposition: attachment; filename*={star}",
        "pieces": f'Content-Type: application/octet-stream; name="{word}"\r\nContent-Disposition: attachment;\r\n ' + _pieces(name),
        "raw": f'Content-Type: application/octet-stream; name="{name}"\r\nContent-Disposition: attachment; filename="{name}"',
    }[naming]  # fmt: skip
    head = _encoded(said, coding) if naming == "raw" else said.encode()
    data = base64.encodebytes(name.encode() * 3).replace(b"\n", b"\r\n")
    return head + b"\r\nContent-Transfer-Encoding: base64\r\n\r\n" + data


def _pieces(name: str) -> str:
    said = quote(name)
    cuts = [said[at : at + 30] for at in range(0, len(said), 30)]
    return ";\r\n ".join(f"filename*{n}*={'' if n else UTF8}{cut}" for n, cut in enumerate(cuts))


def _br(text: str) -> str:
    return text.replace("<", "&lt;").replace("\n", "<br>\n")
