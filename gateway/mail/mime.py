"""A letter's structure: fields, text, HTML and files, under limits; `parse` never raises. Pure.

The top fields are read from the raw bytes by our own code; only the body goes through the stdlib's parser, and what
that cannot bear is kept as a file.
"""

from __future__ import annotations

import binascii
import contextlib
import mimetypes
import re
import unicodedata
from dataclasses import dataclass, field
from email import policy
from email.message import Message
from email.parser import BytesFeedParser

from gateway.mail import bounce, charset, headers, tnef
from gateway.mail.bounce import Bounce


@dataclass(frozen=True, slots=True)
class Limits:
    """What is read of a letter; beyond it a defect is noted and the rest read."""

    headers: int = 131_072  #: octets of the top fields
    fields: int = 1000
    field: int = 16_384  #: octets of one
    depth: int = 30
    parts: int = 500
    files: int = 100
    text: int = 65_536  #: characters of text; the whole of a longer one is kept as a file
    html: int = 1_048_576  #: octets of HTML


@dataclass(frozen=True, slots=True)
class File:
    """An attachment as it came out of its transfer encoding."""

    name: str
    type: str
    data: bytes
    inline: bool = False


@dataclass(frozen=True, slots=True)
class Mail:
    """A letter as read. `fields` keeps order and repeats, names in lower case, values undecoded (latin-1 bytes)."""

    fields: tuple[tuple[str, bytes], ...] = ()
    subject: str = ""
    sender: str = ""  #: the first mailbox of From, else of Sender or Reply-To; '' when there is none
    sender_name: str = ""
    senders: int = 0  #: mailboxes in From, all such fields together
    message_id: str = ""
    in_reply_to: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    report: bool = False  #: multipart/report
    bounce: Bounce | None = None  #: what it says of a letter of ours
    text: str = ""
    html: str = ""
    new: str = ""  #: text without what is quoted
    quoted: str = ""
    files: tuple[File, ...] = ()
    defects: tuple[str, ...] = ()
    echo: bool = False  #: it carries words of ours

    def all(self, name: str) -> list[bytes]:
        return [value for key, value in self.fields if key == name]

    def first(self, name: str) -> bytes:
        return next(iter(self.all(name)), b"")


FIELD = re.compile(rb"([!-9;-~]{1,200})[ \t]*:[ \t]?(.*)", re.DOTALL)
REPORT = 131_072  # octets of a report that are searched; the heuristics take their time with more
PIECE = 65_536  # octets fed to the stdlib's parser at once
BLANK = re.compile(rb"\r?\n\r?\n")
WITHIN = re.compile(rb"(?im)^content-type[ \t]*:[ \t\r\n]*(multipart/|message/rfc822)")
FOLD = re.compile(rb"\r?\n(?![ \t])")
RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?")
BAD_IN_NAME = re.compile(r"[\x00-\x1f\x7f<>:\"|?*\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]+")
ENCRYPTED = frozenset({
    "multipart/encrypted", "application/pgp-encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime",
})  # fmt: skip
EXTENSIONS = {
    "text/calendar": ".ics", "text/html": ".html", "text/plain": ".txt", "message/rfc822": ".eml",
    "image/jpeg": ".jpg", "image/png": ".png", "application/pdf": ".pdf",
}  # fmt: skip


def fields(raw: bytes, limits: Limits = Limits()) -> tuple[tuple[tuple[str, bytes], ...], tuple[str, ...]]:
    """The top fields and the defects met: `too_many_fields`, `long_headers`, `long_field`, `broken_field`."""
    defects: dict[str, None] = {}
    raw = raw.lstrip(b"\r\n")
    end = BLANK.search(raw[: limits.headers + 4])
    if end is None and len(raw) > limits.headers:
        defects["long_headers"] = None
    head = raw[: end.start() if end else limits.headers]
    out: list[tuple[str, bytes]] = []
    for line in FOLD.split(head):
        if len(out) >= limits.fields:
            defects["too_many_fields"] = None
            break
        found = FIELD.fullmatch(line)
        if found is None:
            if line and not line.startswith(b"From "):
                defects["broken_field"] = None
            continue
        if len(found[2]) > limits.field:
            defects["long_field"] = None
        out.append((found[1].decode("ascii").lower(), found[2][: limits.field].strip()))
    return tuple(out), tuple(defects)


def parse(raw: bytes, limits: Limits = Limits(), default: str = "cp1256", null: bool = False) -> Mail:
    """Never raises. What cannot be read is a defect and a file; non-empty in is never nothing out.

    `null`: its envelope had no sender, so it may be a report in a server's own words.
    """
    top, defects = fields(raw, limits)
    bag = _Bag(limits, default, dict.fromkeys(defects), null)
    try:
        bag.structure(raw)
    except Exception:  # noqa: BLE001  the promise of this function; the letter is kept raw by the caller
        bag.note("unparsed")
        bag.whole(raw)
    return _mail(top, bag, default)


def headers_only(raw: bytes, default: str = "cp1256") -> Mail:
    """The least that can be known of a letter whose reading failed. Never raises."""
    top, defects = fields(raw)
    return _mail(top, _Bag(Limits(), default, dict.fromkeys([*defects, "unread"])), default)


def file_name(name: str, kind: str, number: int) -> str:
    """A name without path, controls, bidi overrides or reserved words, NFC, ≤ 150 octets; Persian is kept."""
    name = unicodedata.normalize("NFC", BAD_IN_NAME.sub("", re.split(r"[/\\]", name)[-1])).strip(" .")
    if not name or RESERVED.fullmatch(name):
        name = f"file-{number}{name and '-' + name}"
    if "." not in name:
        name += EXTENSIONS.get(kind, "")
    stem, dot, end = name.rpartition(".")
    tail = dot + end if dot and len(end.encode()) <= 20 else ""
    body = stem if tail else name
    return body.encode()[: 150 - len(tail.encode())].decode("utf-8", "ignore") + tail


# ---------------------------------------------------------------- structure


@dataclass(slots=True)
class _Bag:
    limits: Limits
    default: str
    defects: dict[str, None]
    null: bool = False
    texts: list[str] = field(default_factory=list)
    htmls: list[str] = field(default_factory=list)
    files: list[File] = field(default_factory=list)
    report: bool = False
    bounce: Bounce | None = None

    def note(self, word: str) -> None:
        self.defects[word] = None

    def structure(self, raw: bytes) -> None:
        if not self._bearable(raw):
            return
        try:
            top = _parsed(raw)
        except (RecursionError, ValueError, LookupError, AssertionError, AttributeError, TypeError, IndexError):
            self.note("broken_structure")
            self.whole(raw)
            return
        self.report = _type(top, self.default)[0] == "multipart/report"
        self._walk(top)
        if not (self.texts or self.htmls or self.files):
            self.whole(raw)
        if self.report or self.null:
            self._report(top if len(raw) <= REPORT else _parsed(raw[:REPORT]))

    def _report(self, top: Message) -> None:
        try:
            self.bounce = bounce.report(top, self.null)
        except Exception:  # noqa: BLE001  flufl.bounce raises what it likes; the letter itself is read by now
            self.note("unread_report")

    def _bearable(self, raw: bytes) -> bool:
        """Scanned before the parser sees it: it recurses by depth and is slow by parts."""
        if sum(1 for _ in WITHIN.finditer(raw)) > self.limits.depth * 4:
            self.note("too_deep")
            self.whole(raw)
            return False
        return True

    def whole(self, raw: bytes) -> None:
        body = BLANK.split(raw, maxsplit=1)[-1]
        if not self.texts and body.strip():
            self.texts.append(charset.decode(body[: self.limits.text], None, self.default).text)

    def _walk(self, top: Message) -> None:
        waiting: list[tuple[Message, int]] = [(top, 0)]
        parts = 0
        while waiting:
            part, depth = waiting.pop()
            parts += 1
            if parts > self.limits.parts:
                self.note("too_many_parts")
                return
            if depth > self.limits.depth:
                self.note("too_deep")
                continue
            kind, _ = _type(part, self.default)
            if kind in ENCRYPTED:
                self.note("encrypted")
            children = part.get_payload() if part.is_multipart() else None  # the text of a leaf may raise here
            if kind == "message/rfc822" and isinstance(children, list):
                self._letter(part)
            elif isinstance(children, list):
                waiting += [(child, depth + 1) for child in reversed(children) if isinstance(child, Message)]
            else:
                self._leaf(part, kind)

    def _letter(self, part: Message) -> None:
        inside = part.get_payload()
        for inner in inside if isinstance(inside, list) else []:
            if isinstance(inner, Message):
                name, _ = _name(part, self.default)
                subject = headers.read(_raw(inner, "subject"), self.default)
                name = name or (f"{subject[:60]}.eml" if subject else "")
                self._file(name, "message/rfc822", _bytes(inner), False)

    def _leaf(self, part: Message, kind: str) -> None:
        data = _content(part)
        name, attached = _name(part, self.default)
        shown = kind in ("text/plain", "text/html", "text/enriched") or kind.startswith("multipart/")  # no boundary
        if shown and not attached and not name:
            _, said = _type(part, self.default)
            decoded = charset.decode(data, said.get("charset"), self.default)
            if not decoded.sure:
                self.note("charset_guessed")
            text = decoded.text.replace("\r\n", "\n").replace("\r", "\n")
            if kind == "text/html":
                self.htmls.append(text)
            else:
                flowed = said.get("format", "").lower() == "flowed"
                self.texts.append(_unflowed(text, said.get("delsp", "").lower() == "yes") if flowed else text)
        elif not (tnef.is_one(kind, name, data) and self._opened(data)) and (data or name):
            inline = bool(part.get("Content-ID")) and not attached
            self._file(name, kind, data, inline)

    def _opened(self, data: bytes) -> bool:
        """What is packed in a winmail.dat, in its place; False when it cannot be opened and is a file as it is."""
        inside = tnef.opened(data)
        if inside is None:
            self.note("winmail")
        for name, content in inside or ():
            self._file(name, mimetypes.guess_type(name)[0] or "application/octet-stream", content, False)
        return inside is not None

    def _file(self, name: str, kind: str, data: bytes, inline: bool) -> None:
        if len(self.files) >= self.limits.files:
            self.note("too_many_files")
            return
        self.files.append(File(file_name(name, kind, len(self.files) + 1), kind, data, inline))


def _mail(top: tuple[tuple[str, bytes], ...], bag: _Bag, default: str) -> Mail:
    first: dict[str, bytes] = {}
    for name, value in top:
        first.setdefault(name, value)
    sender, senders = _sender(first, default)
    others = [value for name, value in top if name == "from"][1:]
    senders += sum(max(1, len(headers.addresses(value, default))) for value in others)
    if not sender.value:
        bag.note("no_from")

    def ids(name: str) -> tuple[str, ...]:
        joined = b" ".join(value for key, value in top if key == name)
        return headers.ids(headers.read(joined, default))

    html = "\n".join(bag.htmls)
    if len(html) > bag.limits.html:
        bag.note("long_html")
        html = html[: bag.limits.html]
    text = "\n".join(piece.strip("\n") for piece in bag.texts if piece.strip())
    if len(text) > bag.limits.text:
        bag.files.append(File("text.txt", "text/plain", text.encode("utf-8", "replace")))
        bag.note("long_text")
        text = text[: bag.limits.text]
    return Mail(
        fields=top,
        subject=headers.read(first.get("subject", b""), default)[:1000],
        sender=sender.value,
        sender_name=sender.name,
        senders=senders,
        message_id=next(iter(ids("message-id")), ""),
        in_reply_to=ids("in-reply-to"),
        references=ids("references"),
        report=bag.report,
        bounce=bag.bounce,
        text=text,
        html=html,
        files=tuple(bag.files),
        defects=tuple(bag.defects),
    )


def _sender(first: dict[str, bytes], default: str) -> tuple[headers.Address, int]:
    for name in ("from", "sender", "reply-to"):
        found = headers.addresses(first.get(name, b""), default)
        if found:
            return found[0], len(found) if name == "from" else 0
    return headers.Address("", ""), 0


# ---------------------------------------------------------------- parts


def _parsed(raw: bytes) -> Message:
    """By pieces: `message_from_bytes` holds the whole in four octets a letter."""
    parser = BytesFeedParser(policy=policy.compat32)
    start = len(raw) - len(raw.lstrip(b"\r\n"))
    for at in range(start, len(raw), PIECE):
        parser.feed(raw[at : at + PIECE])
    return parser.close()


def _raw(part: Message, name: str) -> bytes:
    for key, value in part.raw_items():
        if key.lower() == name:
            return str(value).encode("utf-8", "surrogateescape")
    return b""


def _type(part: Message, default: str) -> tuple[str, dict[str, str]]:
    kind, said = headers.parameters(_raw(part, "content-type"), default)
    found = re.match(r"[a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+-]+", kind)
    return (found[0] if found else part.get_content_type()), said


def _name(part: Message, default: str) -> tuple[str, bool]:
    where, said = headers.parameters(_raw(part, "content-disposition"), default)
    _, typed = headers.parameters(_raw(part, "content-type"), default)
    return said.get("filename") or typed.get("name") or "", where == "attachment"


def _content(part: Message) -> bytes:
    """Out of its transfer encoding. Base64 first by the shortest way: the stdlib's takes five times its memory."""
    if _raw(part, "content-transfer-encoding").strip().lower() == b"base64":
        with contextlib.suppress(ValueError, LookupError, AssertionError, TypeError):
            return binascii.a2b_base64(str(part.get_payload()))
    try:
        data = part.get_payload(decode=True)
    except (ValueError, LookupError, AssertionError, UnicodeError):
        data = None
    return data if isinstance(data, bytes) else b""


def _bytes(part: Message) -> bytes:
    try:
        return part.as_bytes()
    except Exception:  # noqa: BLE001  the generator raises many things for broken parts; the letter's raw is kept anyway
        return b"".join(f"{k}: {v}\r\n".encode("utf-8", "surrogateescape") for k, v in part.raw_items()) + b"\r\n"


def _unflowed(text: str, delsp: bool) -> str:
    """RFC 3676: lines that end in a blank go on, quotes of one depth with each other, the signature's mark excepted."""
    out: list[str] = []
    going, depth_before = False, 0
    for line in text.split("\n"):
        depth = len(line) - len(line.lstrip(">"))
        body = line[depth:]
        body = body[1:] if body.startswith(" ") else body
        if going and depth == depth_before and body != "-- ":
            out[-1] += body
        else:
            out.append((">" * depth + " " if depth else "") + body)
        going = body.endswith(" ") and body != "-- "
        if going and delsp:
            out[-1] = out[-1][:-1]
        depth_before = depth
    return "\n".join(line.rstrip() if line != "-- " else line for line in out)
