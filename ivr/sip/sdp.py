"""Session descriptions: the one audio stream of a G.711 call, offered and answered (RFC 3264, 8866). No I/O."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ivr.media.messages import Law

LAWS: Mapping[int, Law] = {0: "pcmu", 8: "pcma"}  # static payload types, RFC 3551 s 6
TYPES: Mapping[Law, int] = {law: number for number, law in LAWS.items()}
Address = tuple[str, int]
EVENTS = 101  # our payload type for telephone-event in offers
MAX_LINES = 500
DIRECTIONS = {
    "sendrecv": (True, True),
    "sendonly": (True, False),
    "recvonly": (False, True),
    "inactive": (False, False),
}


@dataclass(frozen=True, slots=True)
class Ours:
    """What we put into our side: where RTP reaches us, and the identity of the session."""

    host: str
    port: int
    session: int = 1
    version: int = 1


@dataclass(frozen=True, slots=True)
class Sdp:
    """The agreed stream from our side, and the body to send (empty after reading an answer)."""

    law: Law
    event_type: int | None
    peer: tuple[str, int] | None  #: None: on hold by 0.0.0.0, nowhere to send
    sending: bool
    receiving: bool
    body: bytes = b""
    mux: bool = False  #: RTCP goes by the RTP port, RFC 5761


@dataclass(frozen=True, slots=True)
class Unusable:
    """No G.711 stream to be had: 488 with Warning 305, RFC 3261 s 20.43."""

    why: str


@dataclass(slots=True)
class _Stream:
    kind: str
    port: int
    protocol: str
    types: list[str]
    host: str | None = None
    names: dict[str, str] = field(default_factory=dict)
    direction: str | None = None
    mux: bool = False


def offer(
    ours: Ours,
    laws: Sequence[Law] = ("pcma", "pcmu"),
    direction: str = "sendrecv",
    event: int | None = EVENTS,
) -> bytes:
    """What we would like: G.711 in this order, telephone-event, 20 ms."""
    return _body(ours, [TYPES[law] for law in laws], event, direction)


def only(law: Law, offered: bytes) -> bytes:
    """`offered` without the other law: for whoever speaks one alone."""
    others = {str(number).encode() for number, other in LAWS.items() if other != law}

    def kept(found: re.Match[bytes]) -> bytes:
        return found[1] + b"".join(b" " + each for each in found[2].split() if each not in others)

    return re.sub(rb"^(m=audio \d+ RTP/AVP)((?: \d+)+)", kept, offered, flags=re.M)


def answer(offered: bytes, ours: Ours) -> Sdp | Unusable:
    """Take the first usable audio stream in the offer's own order of codecs; every other stream gets port 0."""
    streams = _streams(offered)
    if isinstance(streams, Unusable):
        return streams
    chosen = _chosen(streams)
    agreed = _agree(chosen)
    if isinstance(agreed, Unusable) or chosen is None:
        return agreed
    refused = [
        b"m=%s 0 %s %s\r\n" % (s.kind.encode(), s.protocol.encode(), " ".join(s.types).encode()) for s in streams
    ]
    direction = next(word for word, pair in DIRECTIONS.items() if pair == (agreed.sending, agreed.receiving))
    body = _body(ours, [TYPES[agreed.law]], agreed.event_type, direction) + (b"a=rtcp-mux\r\n" if agreed.mux else b"")
    head, audio = body[: body.index(b"m=")], body[body.index(b"m=") :]
    whole = head + b"".join(audio if s is chosen else refused[i] for i, s in enumerate(streams))
    return replace(agreed, body=whole)


def accept(answered: bytes) -> Sdp | Unusable:
    """Read the answer to our offer."""
    streams = _streams(answered)
    if isinstance(streams, Unusable):
        return streams
    return _agree(_chosen(streams))


def _chosen(streams: Sequence[_Stream]) -> _Stream | None:
    return next((stream for stream in streams if _law(stream) and stream.port), None)


def speaks_from(offered: bytes, source: str, nat: bool = False) -> Address | None:
    """Where the packets of this offer will come from; None when that is not sure.

    It is not where there is no stream, on hold, with `nat`, or when the address is of another kind than the one that
    names it (private from public, loopback or not): then an address translator stands between us.
    """
    agreed = accept(offered)
    if nat or isinstance(agreed, Unusable) or agreed.peer is None or agreed.peer[1] == 0:
        return None
    named, seen = ipaddress.ip_address(agreed.peer[0]), ipaddress.ip_address(source.partition("%")[0])
    same = (named.is_private, named.is_loopback) == (seen.is_private, seen.is_loopback)
    return agreed.peer if same else None


def _agree(stream: _Stream | None) -> Sdp | Unusable:
    law = _law(stream) if stream else None
    if stream is None or law is None:
        return Unusable("no G.711 audio")
    if stream.host is None:
        return Unusable("no address")
    sends, receives = DIRECTIONS[stream.direction or "sendrecv"]
    held = ipaddress.ip_address(stream.host).is_unspecified
    event = next((int(t) for t in stream.types if stream.names.get(t) == "telephone-event/8000"), None)
    peer = None if held else (stream.host, stream.port)
    return Sdp(law, event, peer, receives and not held, sends, mux=stream.mux)


def _law(stream: _Stream | None) -> Law | None:
    if stream is None or stream.kind != "audio" or stream.protocol != "RTP/AVP":
        return None
    return next((LAWS[int(t)] for t in stream.types if t in ("0", "8")), None)


def _streams(body: bytes) -> list[_Stream] | Unusable:
    rows = body.decode("utf-8", "replace").replace("\r\n", "\n").split("\n")
    if len(rows) > MAX_LINES or rows[0] != "v=0":
        return Unusable("not a session description")
    streams: list[_Stream] = []
    common = _Stream("", 0, "", [])
    for row in rows[1:]:
        if row.startswith("m="):
            stream = _media(row[2:])
            if stream is None:
                return Unusable("media line")
            stream.host, stream.direction = common.host, common.direction
            streams.append(stream)
        elif not _attribute(streams[-1] if streams else common, row):
            return Unusable("address")
    return streams


def _media(row: str) -> _Stream | None:
    parts = row.split()
    if len(parts) < 4:
        return None
    port, _, _ = parts[1].partition("/")
    if not (port.isascii() and port.isdigit() and int(port[:9]) <= 65535 and len(port) <= 5):
        return None
    audio = parts[2] == "RTP/AVP"
    if audio and not all(t.isascii() and t.isdigit() and len(t) <= 3 and int(t) < 128 for t in parts[3:]):
        return None
    return _Stream(parts[0], int(port), parts[2], parts[3:])


def _attribute(stream: _Stream, row: str) -> bool:
    """Note what a line says; False when its address is not a number (names are not looked up)."""
    if row.startswith("c="):
        parts = row[2:].split()
        try:
            stream.host = str(ipaddress.ip_address(parts[2].partition("/")[0]))
        except (IndexError, ValueError):
            return False
    elif row.startswith("a=rtpmap:"):
        number, _, name = row[9:].partition(" ")
        stream.names[number] = name.strip().lower()
    elif row[2:] in DIRECTIONS and row.startswith("a="):
        stream.direction = row[2:]
    elif row == "a=rtcp-mux":
        stream.mux = True
    return True


def _body(ours: Ours, laws: Sequence[int], event: int | None, direction: str) -> bytes:
    family = "IP6" if ":" in ours.host else "IP4"
    numbers = [*laws, *([event] if event is not None else [])]
    rows = [
        "v=0",
        f"o=- {ours.session} {ours.version} IN {family} {ours.host}",
        "s=-",
        f"c=IN {family} {ours.host}",
        "t=0 0",
        f"m=audio {ours.port} RTP/AVP {' '.join(map(str, numbers))}",
        *(f"a=rtpmap:{number} {LAWS[number].upper()}/8000" for number in laws),
    ]
    if event is not None:
        rows += [f"a=rtpmap:{event} telephone-event/8000", f"a=fmtp:{event} 0-15"]
    return "".join(row + "\r\n" for row in [*rows, "a=ptime:20", f"a={direction}"]).encode()
