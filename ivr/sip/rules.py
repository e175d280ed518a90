"""What a request must be before anybody looks at its call: the refusals of RFC 3261 s 8.2, and who calls. No I/O."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ivr.sip import message as sip
from ivr.sip.dialog import contact, uri_of
from ivr.sip.message import Request
from ivr.sip.transaction import MAGIC

ALLOW = "INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, UPDATE"
ALLOWED = frozenset(ALLOW.split(", "))
SUPPORTED = frozenset({"timer"})
KNOWN = ALLOWED | {"REGISTER", "SUBSCRIBE", "NOTIFY", "MESSAGE", "PRACK", "PUBLISH", "REFER"}
SCHEMES = ("sip", "sips", "tel")
FEWEST_DIGITS = 7  # a caller's number with fewer is an extension, not a number
SDP_KINDS = ("application/sdp", "application/*", "*/*")
KEYS = frozenset("0123456789*#ABCD")
RELAY = ("application/dtmf-relay", "application/dtmf")

More = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A final answer and its headers."""

    status: int
    more: More = ()


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, E.164 or None; `asserted` when the peer vouches for it."""

    number: str | None
    asserted: bool


NOT_SDP = Refusal(415, (("accept", "application/sdp"),))
NO_CODEC = Refusal(488, (("warning", '305 pasokh "Incompatible media format"'),))


def refusal(request: Request, refers: bool = False) -> Refusal | None:
    """The first rule that `request` breaks: method, scheme, hops, extensions; None = go on. An ACK breaks none.

    `refers`: a REFER inside a call may be acted on.
    """
    if request.method == "ACK":
        return None
    if request.method == "REFER" and not (refers and request.to_tag):
        return Refusal(603)
    if request.method not in ALLOWED and request.method != "REFER":
        return Refusal(405 if request.method in KNOWN else 501, (("allow", ALLOW),))
    if request.uri.partition(":")[0].lower() not in SCHEMES:
        return Refusal(416)
    if int(request.get("max-forwards") or 70) == 0:
        return Refusal(483)
    asked = [] if request.method == "CANCEL" else request.all("require") + request.all("proxy-require")
    wanted = [name for name in asked if name.lower() not in SUPPORTED]
    return Refusal(420, (("unsupported", ", ".join(wanted)),)) if wanted else None


def reachable(request: Request) -> bool:
    """Whether an INVITE says where its sender is to be reached. RFC 2543 asked for no Contact: From will do."""
    if request.get("contact") is not None:
        return contact(request) is not None
    return not (request.via.branch or "").startswith(MAGIC)


def hears_sdp(request: Request) -> bool:
    """Whether the sender takes a session description in the answer, RFC 3261 s 20.1."""
    wanted = [kind.partition(";")[0].strip().lower() for row in request.all("accept") for kind in sip.split(row)]
    return not any(wanted) or any(kind in SDP_KINDS for kind in wanted)


def dialled(request: Request) -> str:
    """The number or name that was called, as written in the Request-URI; '' when there is none."""
    found = sip.uri(request.uri)
    return (found.user or "") if found else ""


def referred(request: Request) -> str | None:
    """The number or name that a REFER wants called, RFC 3515; None where it wants a call replaced, or anything else."""
    values = request.all("refer-to")
    found = sip.address(values[0]) if len(values) == 1 and "?" not in values[0] else None
    uri = found.uri if found is not None else None
    if uri is None or "method" in sip.params(uri_of(values[0]) or ""):
        return None
    return uri.user or None


def described(request: Request) -> bytes | Refusal | None:
    """The SDP of `request`: its body, or its part of a multipart; None without a body, a 415 for anything else."""
    if not request.body.strip():
        return None
    kind, _, _ = (request.get("content-type") or "").partition(";")
    kind = kind.strip().lower()
    if kind == "application/sdp":
        return request.body
    if kind.startswith("multipart/"):
        return _part(request.body, sip.params(request.get("content-type") or "").get("boundary", ""))
    return NOT_SDP


def caller(request: Request, trusted: bool, country: str) -> Caller:
    """P-Asserted-Identity or Remote-Party-ID of a `trusted` peer is proof; From is a claim; a withheld number none."""
    privacy = (request.get("privacy") or "").lower()
    if "id" in re.split(r"[;,\s]+", privacy):
        return Caller(None, False)
    for name in ("p-asserted-identity", "remote-party-id") if trusted else ():
        for value in [part for row in request.all(name) for part in sip.split(row)]:
            number = _number(value, country)
            if number and sip.params(value).get("privacy", "off").lower() != "full":
                return Caller(number, True)
    return Caller(_number(request.get("from") or "", country), False)


def e164(text: str, country: str) -> str | None:
    """`0912 000 0000`, `0098…`, `98…`, `+98…` → `+98…`; None for extensions, names and numbers without an area."""
    digits = re.sub(r"[\s().-]", "", text)
    if not re.fullmatch(rf"\+?[0-9]{{{FEWEST_DIGITS},15}}", digits):
        return None
    if digits.startswith("+"):
        return digits
    if digits.startswith("00"):
        return "+" + digits[2:]
    if digits.startswith("0"):
        return f"+{country}{digits[1:]}"
    if digits.startswith(country) and len(digits) > 10:
        return "+" + digits
    return f"+{country}{digits}" if len(digits) == 10 else None


def key_of(request: Request) -> str | Refusal | None:
    """The key that an INFO carries; 415 for any other body, None where it names no key."""
    kind = (request.get("content-type") or "").partition(";")[0].strip().lower()
    if kind not in RELAY:
        return Refusal(415, (("accept", ", ".join(RELAY)),))
    text = request.body.decode("ascii", "replace")
    found = re.search(r"^\s*Signal\s*=\s*(\S+)", text, re.I | re.M) if kind == RELAY[0] else re.match(r"\s*(\S+)", text)
    key = (found[1] if found else "").upper()
    key = {"10": "*", "11": "#"}.get(key, key)
    return key if key in KEYS else None


def _number(value: str, country: str) -> str | None:
    found = sip.address(value)
    user = found.uri.user if found else None
    return e164(user.partition(";")[0], country) if user else None


def _part(body: bytes, boundary: str) -> bytes | Refusal:
    if not boundary:
        return NOT_SDP
    for part in body.split(b"--" + boundary.encode("utf-8", "surrogateescape"))[1:]:
        head, _, content = part.replace(b"\r\n", b"\n").partition(b"\n\n")
        if re.search(rb"^content-type\s*:\s*application/sdp\b", head, re.I | re.M):
            return content.rstrip(b"\n") + b"\n"
    return NOT_SDP
