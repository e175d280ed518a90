"""Header fields, read from raw bytes as sloppily as they come and written by one strict writer. Pure.

RFC 5322, 2047 (encoded words), 2231 (parameters). The stdlib's new policies drop or add spaces in Persian, so
reading is our own and writing goes through `email.header.Header`.
"""

from __future__ import annotations

import base64
import binascii
import re
import textwrap
from dataclasses import dataclass
from email.header import Header
from urllib.parse import unquote_to_bytes

from gateway.mail import charset

WORD = re.compile(rb"=\?([^?\s]{1,60})\?([bBqQ])\?([^?]*)\?=")
UNSAFE = re.compile("[\x00-\x08\x0a-\x1f\x7f\u2028\u2029\ud800-\udfff]+")
ID = re.compile(r"<[^<>\s]+>")
MAILBOX = re.compile(r"[^\s<>\"(),:;@\\]+@[^\s<>\"(),:;@\\]+")
PARAMETER = re.compile(rb';\s*([^\s=;"]{1,80})\s*=\s*("(?:\\.|[^"\\])*"?|[^;]*)', re.DOTALL)
NAME = re.compile(r"[A-Za-z0-9-]{1,70}")
FIELD = 16_384  # octets of a field that are read
MANY = 100  # `(` or `:` in an address field; beyond, it is left raw


@dataclass(frozen=True, slots=True)
class Address:
    """One mailbox of an address field."""

    name: str
    value: str  #: local@domain as written


def read(raw: bytes, default: str = "cp1256") -> str:
    """A field's text: encoded words and raw 8-bit decoded, unfolded, with no CR, LF, NUL or lone surrogate in it."""
    raw = re.sub(rb"\r?\n(?=[ \t])", b"", raw[:FIELD])
    return UNSAFE.sub(" ", "".join(_decode(piece, name, default) for piece, name in _pieces(raw))).strip()


def parameters(raw: bytes, default: str = "cp1256") -> tuple[str, dict[str, str]]:
    """`text/plain; charset=x` → ("text/plain", {"charset": "x"}); RFC 2231's star form wins."""
    value, _, _ = raw[:FIELD].partition(b";")
    plain: dict[str, bytes] = {}
    for name, said in PARAMETER.findall(b";" + raw[:FIELD].partition(b";")[2]):
        plain.setdefault(name.decode("ascii", "replace").lower(), _unquoted(said.strip()))
    names = {name.partition("*")[0] for name in plain}
    return read(value, default).lower(), {name: _parameter(name, plain, default) for name in names}


def ids(text: str) -> tuple[str, ...]:
    """All `<…>` of a Message-ID, In-Reply-To or References field, in order."""
    return tuple(ID.findall(text))


def addresses(raw: bytes, default: str = "cp1256", most: int = 1000) -> list[Address]:
    """The mailboxes of an address field; none for a field that is a bomb."""
    if raw.count(b"(") > MANY or raw.count(b":") > MANY:
        return []
    raw = re.sub(rb"\r?\n(?=[ \t])", b"", raw[:FIELD])
    found = (_address(piece, default) for piece in _split(raw)[:most])
    return [address for address in found if address is not None]


def write(name: str, value: str) -> bytes:
    """`Name: value` with CRLF, folded, non-ASCII as UTF-8 encoded words. Raises ValueError for CR, LF or NUL."""
    _check(name, value)
    if value.isascii() and "=?" not in value and not re.search(r"\S{900}", value):
        return _folded(name, value)
    text = Header(value, "utf-8", header_name=name, maxlinelen=76).encode(linesep="\r\n")
    return f"{name}: {text}\r\n".encode("ascii")


def write_address(name: str, display: str, address: str) -> bytes:
    """`Name: display <address>`; the display name is always one or more encoded words when it is not plain ASCII."""
    _check(name, display)
    _check(name, address)
    if not MAILBOX.fullmatch(address) and not re.fullmatch(r'"[^"\\\s]*"@\S+', address):
        raise ValueError(f"{name}: not an address")
    if not display:
        return _folded(name, f"<{address}>")
    if re.fullmatch(r"[A-Za-z0-9 ]+", display):
        return _folded(name, f"{display} <{address}>")
    text = Header(display, "utf-8", header_name=name, maxlinelen=76).encode(linesep="\r\n")
    return f"{name}: {text}\r\n <{address}>\r\n".encode("ascii" if address.isascii() else "utf-8")


# ---------------------------------------------------------------- reading


def _pieces(raw: bytes) -> list[tuple[bytes, str | None]]:
    """Runs of bytes with their charset; adjacent words of one charset are joined, blanks between words dropped."""
    out: list[tuple[bytes, str | None]] = []
    at = 0
    for word in WORD.finditer(raw):
        between = raw[at : word.start()]
        name = word[1].partition(b"*")[0].decode("ascii", "replace").lower()
        data = _word(word[2], word[3])
        after_word = bool(out) and out[-1][1] is not None
        if between.strip(b" \t\r\n") or (between and not after_word):
            out.append((between, None))
        if out and out[-1][1] == name:
            out[-1] = (out[-1][0] + data, name)
        else:
            out.append((data, name))
        at = word.end()
    out.append((raw[at:], None))
    return [piece for piece in out if piece[0]]


def _word(kind: bytes, text: bytes) -> bytes:
    if kind in b"qQ":
        return binascii.a2b_qp(text.replace(b"_", b" ").replace(b"\n", b""), header=False)
    return _base64(text)


def _base64(text: bytes) -> bytes:
    text = re.sub(rb"[^A-Za-z0-9+/]", b"", text)
    if len(text) % 4 == 1:
        text = text[:-1]
    return base64.b64decode(text + b"=" * (-len(text) % 4))


def _decode(piece: bytes, name: str | None, default: str) -> str:
    return charset.decode(piece, name, default).text


def _unquoted(value: bytes) -> bytes:
    if not value.startswith(b'"'):
        return value
    return re.sub(rb"\\(.)", rb"\1", value.strip(b'"') if value.endswith(b'"') else value[1:])


def _parameter(name: str, plain: dict[str, bytes], default: str) -> str:
    if f"{name}*" in plain:
        return _extended([(plain[f"{name}*"], True)], default)
    if f"{name}*0" in plain or f"{name}*0*" in plain:
        pieces = []
        for n in range(100):
            star, bare = plain.get(f"{name}*{n}*"), plain.get(f"{name}*{n}")
            if star is None and bare is None:
                break
            pieces.append((star if star is not None else bare or b"", star is not None))
        return _extended(pieces, default)
    return read(plain[name], default) if name in plain else ""


def _extended(pieces: list[tuple[bytes, bool]], default: str) -> str:
    name: str | None = None
    data, data_star = b"", None
    for number, (piece, star) in enumerate(pieces):
        if star and number == 0 and piece.count(b"'") >= 2:
            said, _, piece = piece.split(b"'", 2)
            name = said.decode("ascii", "replace")
        if star and data_star is not None:
            data_star += piece
        elif star:
            data_star = piece
        else:
            data, data_star = data + unquote_to_bytes(data_star or b"") + piece, None
    data += unquote_to_bytes(data_star or b"")  # some cut inside of %D9
    if name is None:
        return read(data, default)
    return UNSAFE.sub(" ", charset.decode(data, name, default).text).strip()


def _split(raw: bytes) -> list[bytes]:
    """At commas and semicolons outside quotes, comments and angle brackets; linear."""
    out, start, depth, quoted = [], 0, 0, False
    at = 0
    while at < len(raw):
        byte = raw[at : at + 1]
        if byte == b"\\":
            at += 1
        elif byte == b'"':
            quoted = not quoted
        elif not quoted and byte in b"(<":
            depth += 1
        elif not quoted and byte in b")>":
            depth = max(0, depth - 1)
        elif byte in b",;" and not quoted and not depth:
            out.append(raw[start:at])
            start = at + 1
        at += 1
    return [*out, raw[start:]]


def _address(piece: bytes, default: str) -> Address | None:
    begin = piece.rfind(b"<")
    if begin >= 0:
        inside = read(piece[begin + 1 :].partition(b">")[0], default)
        found = MAILBOX.search(inside) or re.search(r'"[^"]*"@\S+', inside)
        name = read(_name(piece[:begin].strip()), default)
    else:
        text = read(piece, default)
        found = MAILBOX.search(text)
        comment = re.search(r"\(([^()]*)\)", text)
        name = comment[1].strip() if comment else ""
    return Address(name[:300], found[0].strip()) if found and len(found[0]) <= 320 else None


def _name(piece: bytes) -> bytes:
    _, colon, after = piece.rpartition(b":") if b'"' not in piece else (b"", b"", piece)
    return _unquoted(after.strip() if colon else piece)


# ---------------------------------------------------------------- writing


def _check(name: str, value: str) -> None:
    if not NAME.fullmatch(name):
        raise ValueError("not a field name")
    if re.search("[\r\n\x00\ud800-\udfff]", value):
        raise ValueError(f"{name}: CR, LF and NUL have no place in a header")


def _folded(name: str, value: str) -> bytes:
    lines = textwrap.wrap(
        f"{name}: {value}", 76, break_long_words=False, break_on_hyphens=False, subsequent_indent=" "
    ) or [f"{name}:"]
    if len(lines) > 1 and lines[0] == f"{name}:":  # an empty first line is not for every reader
        lines[:2] = [f"{lines[0]}{lines[1]}"]
    return ("\r\n".join(lines) + "\r\n").encode("utf-8")
