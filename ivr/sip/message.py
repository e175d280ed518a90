"""SIP messages: bytes in, values out, and back. Never raises: what cannot be read is a `Reject`. No I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from sipmessage import URI, Address

MAX_BYTES = 65_535
MAX_HEADERS = 100
MAX_SEQ = 2**31 - 1  # RFC 3261 s 8.1.1.5
MAX_FORWARDS = 255
TOKEN = re.compile(r"[A-Za-z0-9.!%*_+`'~-]+\Z")
STATUS_LINE = re.compile(r"SIP/(\d+\.\d+) (\d{3})(?: (.*))?\Z", re.I)
VIA = re.compile(
    r"SIP\s*/\s*\d+\.\d+\s*/\s*(?P<transport>[A-Za-z0-9.!%*_+`'~-]+)\s+"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+)\s*(?::\s*(?P<port>\d{1,5}))?\s*(?P<rest>;.*)?\Z",
    re.I | re.S,
)
COMPACT = {
    "v": "via", "f": "from", "t": "to", "i": "call-id", "m": "contact", "l": "content-length", "c": "content-type",
    "k": "supported", "s": "subject", "e": "content-encoding", "r": "refer-to", "b": "referred-by",
    "x": "session-expires", "u": "allow-events", "o": "event", "a": "accept-contact", "j": "reject-contact",
    "d": "request-disposition", "y": "identity",
}  # fmt: skip
CASED = {"call-id": "Call-ID", "cseq": "CSeq", "www-authenticate": "WWW-Authenticate", "min-se": "Min-SE"}
ONCE = ("from", "to", "call-id", "cseq", "max-forwards", "content-type")  # more than one of these: 400
LISTS = frozenset({"via", "route", "record-route", "contact", "require", "proxy-require", "supported", "allow"})
REASONS = {
    100: "Trying", 180: "Ringing", 183: "Session Progress", 200: "OK", 400: "Bad Request", 401: "Unauthorized",
    404: "Not Found", 405: "Method Not Allowed", 406: "Not Acceptable", 408: "Request Timeout",
    415: "Unsupported Media Type", 416: "Unsupported URI Scheme", 420: "Bad Extension",
    422: "Session Interval Too Small", 480: "Temporarily Unavailable", 481: "Call/Transaction Does Not Exist",
    482: "Loop Detected", 483: "Too Many Hops", 486: "Busy Here", 487: "Request Terminated",
    488: "Not Acceptable Here", 491: "Request Pending", 500: "Server Internal Error", 501: "Not Implemented",
    503: "Service Unavailable", 505: "Version Not Supported", 513: "Message Too Large", 603: "Decline",
}  # fmt: skip

Headers = tuple[tuple[str, str], ...]  # (long lower-case name, value), in order


@dataclass(frozen=True, slots=True)
class Via:
    """The topmost Via, RFC 3261 s 20.42. `text` is the value as it came."""

    transport: str
    host: str
    port: int | None
    branch: str | None
    rport: bool  #: the sender asks for the answer at its source port, RFC 3581
    text: str

    @property
    def sent_by(self) -> str:
        return f"{self.host.lower()}:{self.port or 5060}"


@dataclass(frozen=True, slots=True)
class _Headed:
    headers: Headers
    body: bytes

    def get(self, name: str) -> str | None:
        """The first value of the header `name` (long, lower case)."""
        return next((value for key, value in self.headers if key == name), None)

    def all(self, name: str) -> list[str]:
        """Every value of `name` in order; values of list headers one by one."""
        values = [value for key, value in self.headers if key == name]
        return [part for value in values for part in split(value)] if name in LISTS else values


@dataclass(frozen=True, slots=True)
class Request(_Headed):
    """A request whose core headers were read. Tags are None where there is none."""

    method: str
    uri: str
    via: Via
    from_tag: str | None
    to_tag: str | None
    call_id: str
    seq: int


@dataclass(frozen=True, slots=True)
class Response(_Headed):
    """A response whose core headers were read; `method` is that of its CSeq."""

    status: int
    reason: str
    method: str
    via: Via
    from_tag: str | None
    to_tag: str | None
    call_id: str
    seq: int


@dataclass(frozen=True, slots=True)
class Reject:
    """Not a message to act on. `answer` is what may be sent back (400, 505, …), None = drop silently."""

    why: str
    answer: Response | None = None


Message = Request | Response


def read(data: bytes) -> Request | Response | Reject:
    """Read one datagram (or one framed message). Header bytes that are not UTF-8 are mirrored as they came."""
    if not data.strip(b"\r\n\0 \t"):
        return Reject("empty")
    head, body = _cut(data.lstrip(b"\r\n"))
    start, *rows = _unfold(head.decode("utf-8", "surrogateescape"))
    headers, fault = _headers(rows)
    if STATUS_LINE.match(start):
        return _response(start, headers, body, fault)
    if len(data) > MAX_BYTES:
        return _refuse(headers, 513, "too large")
    return _request(start, headers, body, fault)


def write(message: Message) -> bytes:
    """The wire form; Content-Length is always ours, line breaks inside values become spaces."""
    if isinstance(message, Request):
        start = f"{message.method} {message.uri} SIP/2.0"
    else:
        start = f"SIP/2.0 {message.status} {message.reason}"
    rows = [start, *(f"{_cased(key)}: {value}" for key, value in message.headers if key != "content-length")]
    rows.append(f"Content-Length: {len(message.body)}")
    head = "\r\n".join(row.replace("\r", " ").replace("\n", " ") for row in rows)
    return head.encode("utf-8", "surrogateescape") + b"\r\n\r\n" + message.body


def request(method: str, uri: str, headers: Iterable[tuple[str, str]], body: bytes = b"") -> Request:
    """A request of our own. Raises ValueError where the core headers do not read (a fault of the program)."""
    kept = tuple(headers)
    core = _core(kept)
    if isinstance(core, str):
        raise ValueError(core)
    return Request(kept, body, method, uri, core.via, core.from_tag, core.to_tag, core.call_id, core.seq)


def reply(
    asked: Request, status: int, more: Iterable[tuple[str, str]] = (), body: bytes = b"", tag: str | None = None
) -> Response:
    """The response to `asked`, RFC 3261 s 8.2.6: Via, From, To, Call-ID, CSeq mirrored, our tag added to To."""
    mirrored = [(key, value) for key, value in asked.headers if key in ("via", "from", "to", "call-id", "cseq")]
    to_tag = asked.to_tag
    if tag is not None and to_tag is None:
        to_tag = tag
        mirrored = [(key, f"{value};tag={tag}" if key == "to" else value) for key, value in mirrored]
    headers = (*mirrored, *more)
    reason = REASONS.get(status, "Unknown")
    return Response(
        headers, body, status, reason, asked.method, asked.via, asked.from_tag, to_tag, asked.call_id, asked.seq
    )


def received(asked: Request, peer: tuple[str, int]) -> Request:
    """`asked` with `received` and `rport` written into its top Via, RFC 3261 s 18.2.1 and RFC 3581 s 4."""
    host, port = peer
    text = asked.via.text
    if asked.via.rport:
        text = re.sub(r";\s*rport\s*(?=;|\Z)", f";rport={port}", text, count=1, flags=re.I)
    if asked.via.rport or asked.via.host.strip("[]").lower() != host.lower():
        text += f";received={host}"
    if text == asked.via.text:
        return asked
    first = next(i for i, (key, _) in enumerate(asked.headers) if key == "via")
    value = ", ".join([text, *split(asked.headers[first][1])[1:]])
    headers = (*asked.headers[:first], ("via", value), *asked.headers[first + 1 :])
    return replace(asked, headers=headers)


def split(value: str) -> list[str]:
    """The parts of a comma list; commas in quotes and angle brackets do not count."""
    return _split(value, ",")


def params(value: str) -> dict[str, str]:
    """`;a=1;b` behind a value (and behind `>` if there is one), keys in lower case, quotes taken off."""
    found: dict[str, str] = {}
    for part in _split(value[value.rfind(">") + 1 :], ";")[1:]:
        key, _, text = part.partition("=")
        found.setdefault(key.strip().lower(), text.strip().strip('"'))
    return found


def address(value: str) -> Address | None:
    """A name-addr or addr-spec, None where it is not one."""
    try:
        return Address.parse(value)
    except (ValueError, TypeError):  # TypeError: a parameter named "self" inside sipmessage
        return None


def uri(value: str) -> URI | None:
    """A sip, sips or tel URI, None where it is not one."""
    try:
        return URI.parse(value)
    except (ValueError, TypeError):
        return None


# ---------------------------------------------------------------- reading, step by step


@dataclass(frozen=True, slots=True)
class _Core:
    via: Via
    from_tag: str | None
    to_tag: str | None
    call_id: str
    seq: int
    method: str


def _cut(data: bytes) -> tuple[bytes, bytes]:
    found = re.search(rb"\r?\n\r?\n", data)
    return (data[: found.start()], data[found.end() :]) if found else (data, b"")


def _unfold(head: str) -> list[str]:
    rows: list[str] = []
    for row in head.split("\n"):
        clean = row.rstrip("\r").replace("\r", " ")
        if clean[:1] in (" ", "\t") and rows:
            rows[-1] += " " + clean.strip()
        else:
            rows.append(clean)
    return rows


def _headers(rows: Sequence[str]) -> tuple[Headers, str | None]:
    headers: list[tuple[str, str]] = []
    fault = None
    for row in rows[:MAX_HEADERS]:
        name, colon, value = row.partition(":")
        name = name.strip().lower()
        if not colon or not TOKEN.match(name):
            fault = fault or "header"
            continue
        headers.append((COMPACT.get(name, name), value.strip()))
    return tuple(headers), "too many headers" if len(rows) > MAX_HEADERS else fault


def _core(headers: Headers) -> _Core | str:
    seen: dict[str, str] = {}
    for key, value in headers:
        seen.setdefault(key, value)
    missing = next((name for name in ("via", "from", "to", "call-id", "cseq") if not seen.get(name)), None)
    if missing:
        return f"no {missing}"
    via = _via(split(seen["via"])[0])
    number, _, method = seen["cseq"].replace("\t", " ").partition(" ")
    if via is None or not TOKEN.match(method.strip()) or not re.fullmatch(r"[0-9]{1,20}", number):
        return "via or cseq"
    tags = [params(seen[name]).get("tag") or None for name in ("from", "to")]
    return _Core(via, tags[0], tags[1], seen["call-id"], int(number), method.strip())


def _via(text: str) -> Via | None:
    found = VIA.match(text.strip())
    if not found:
        return None
    more = params(found["rest"] or "")
    port = int(found["port"]) if found["port"] else None
    if port is not None and not 0 < port < 65536:
        return None
    rport = "rport" in more and not more["rport"]
    return Via(found["transport"].upper(), found["host"], port, more.get("branch") or None, rport, text.strip())


def _response(start: str, headers: Headers, body: bytes, fault: str | None) -> Response | Reject:
    found = STATUS_LINE.match(start)
    core = _core(headers)
    if not found or isinstance(core, str) or fault or _repeated(headers):
        return Reject("broken response")
    status, cut = int(found[2]), _body(headers, body)
    if found[1] != "2.0" or not 100 <= status <= 699 or core.seq > MAX_SEQ or cut is None:
        return Reject("broken response")
    reason = found[3] or ""
    return Response(
        headers, cut, status, reason, core.method, core.via, core.from_tag, core.to_tag, core.call_id, core.seq
    )


def _request(start: str, headers: Headers, body: bytes, fault: str | None) -> Request | Reject:
    parts = start.split(" ")
    if not re.search(r"\bSIP/\d+\.\d+\s*\Z", start, re.I):
        return Reject("not sip")
    if parts[-1].upper() != "SIP/2.0" and len(parts) == 3:
        return _refuse(headers, 505, "version")
    core, cut = _core(headers), _body(headers, body)
    if isinstance(core, str):
        return Reject(core)
    wrong = fault or _wrong(parts, headers, core) or ("length" if cut is None else None)
    if wrong:
        return _refuse(headers, 400, wrong)
    return Request(
        headers, cut or b"", parts[0], parts[1], core.via, core.from_tag, core.to_tag, core.call_id, core.seq
    )


def _wrong(parts: Sequence[str], headers: Headers, core: _Core) -> str | None:
    if len(parts) != 3 or not TOKEN.match(parts[0]) or not parts[1] or parts[1][0] in '<"':
        return "start line"
    if parts[1].lower().startswith(("sip:", "sips:")) and uri(_lower_scheme(parts[1])) is None:
        return "request-uri"
    if core.seq > MAX_SEQ or core.method != parts[0]:
        return "cseq"
    hops = next((value for key, value in headers if key == "max-forwards"), "70")
    if not re.fullmatch(r"[0-9]{1,9}", hops) or int(hops) > MAX_FORWARDS:
        return "max-forwards"
    if any(not _legible(value) for key, value in headers if key in ("from", "to")):
        return "from or to"
    return _repeated(headers)


def _legible(value: str) -> bool:
    """From and To of any scheme: quotes and brackets pair, something stands where the URI belongs."""
    rest = re.sub(r'"(?:[^"\\]|\\.)*"', "", value)
    found = re.fullmatch(r"[^<>\"]*<([^<>\"\s]+)>[^<>\"]*|([^<>\"\s;]+)\s*(;[^<>\"]*)?", rest)
    return found is not None and ":" in (found[1] or found[2])


def _lower_scheme(text: str) -> str:
    scheme, colon, rest = text.partition(":")
    return scheme.lower() + colon + rest


def _repeated(headers: Headers) -> str | None:
    names = [key for key, _ in headers]
    return next((f"repeated {name}" for name in ONCE if names.count(name) > 1), None)


def _body(headers: Headers, body: bytes) -> bytes | None:
    """The body cut to its length (RFC 3261 s 18.3); None when the length is unreadable, contradictory or too long."""
    lengths = {value for key, value in headers if key == "content-length"}
    if not lengths:
        return body
    length = lengths.pop()
    if lengths or not re.fullmatch(r"[0-9]{1,9}", length) or int(length) > len(body):
        return None
    return body[: int(length)]


def _refuse(headers: Headers, status: int, why: str) -> Reject:
    core = _core(headers)
    if isinstance(core, str) or core.method == "ACK":
        return Reject(why)
    firsts = tuple((name, next(v for k, v in headers if k == name)) for name in ("from", "to", "call-id", "cseq"))
    vias = tuple((key, value) for key, value in headers if key == "via")
    asked = Request(
        (*vias, *firsts), b"", core.method, "", core.via, core.from_tag, core.to_tag, core.call_id, core.seq
    )
    return Reject(why, reply(asked, status))


def _split(value: str, at: str) -> list[str]:
    parts, depth, quoted, begin, skip = [], 0, False, 0, False
    for i, c in enumerate(value):
        if skip:
            skip = False
        elif c == "\\" and quoted:
            skip = True
        elif c == '"':
            quoted = not quoted
        elif quoted:
            continue
        elif c in "<>":
            depth = 1 if c == "<" else 0
        elif c == at and not depth:
            parts.append(value[begin:i].strip())
            begin = i + 1
    return [*parts, value[begin:].strip()]


def _cased(name: str) -> str:
    return CASED.get(name) or "-".join(part.capitalize() for part in name.split("-"))
