"""The octets of SMPP 3.4 and back: headers, bodies, optional parameters (specification v3.4, issue 1.2). Pure.

Octets of text fields are spelt as Latin-1, so that whatever a peer sends comes back as it was. Sizes hold both ways:
what is too long is not sent, and of a peer it is a fault with its status.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, fields
from enum import IntEnum

HEADER = struct.Struct(">IIII")  # length, command, status, sequence: s 3.2
SHORTEST, LONGEST = 16, 65_536  # octets of a PDU that we take
RESPONSE = 0x80000000  # the bit that makes a command's answer
LAST_SEQ = 0x7FFFFFFF  # s 3.2.1.4; then 1 again
MOST_TEXT = 254  # octets of short_message, s 5.2.22
VERSION = 0x34


class Command(IntEnum):
    """The PDUs that are spoken here (s 5.1.2.1); any other is answered generic_nack."""

    BIND_RECEIVER = 0x01
    BIND_TRANSMITTER = 0x02
    SUBMIT_SM = 0x04
    DELIVER_SM = 0x05
    UNBIND = 0x06
    BIND_TRANSCEIVER = 0x09
    ENQUIRE_LINK = 0x15
    DATA_SM = 0x103
    GENERIC_NACK = 0x80000000
    BIND_RECEIVER_RESP = 0x80000001
    BIND_TRANSMITTER_RESP = 0x80000002
    SUBMIT_SM_RESP = 0x80000004
    DELIVER_SM_RESP = 0x80000005
    UNBIND_RESP = 0x80000006
    BIND_TRANSCEIVER_RESP = 0x80000009
    ENQUIRE_LINK_RESP = 0x80000015
    DATA_SM_RESP = 0x80000103


BINDS = (Command.BIND_RECEIVER, Command.BIND_TRANSMITTER, Command.BIND_TRANSCEIVER)


class Tag(IntEnum):
    """Optional parameters that are read or written here (s 5.3.2); all others pass as they are."""

    ADDITIONAL_STATUS = 0x001D
    RECEIPTED_ID = 0x001E
    SC_VERSION = 0x0210
    USER_MESSAGE_REF = 0x0204
    SAR_REF = 0x020C
    SAR_TOTAL = 0x020E
    SAR_NUMBER = 0x020F
    NETWORK_ERROR = 0x0423
    PAYLOAD = 0x0424
    FAILURE_REASON = 0x0425
    MORE_TO_SEND = 0x0426
    STATE = 0x0427


Tlvs = tuple[tuple[int, bytes], ...]  #: in the order of the wire, repeats included


class BadPdu(Exception):
    """A PDU that cannot be read. `status` is what its sender is told; the frame's end is known unless `fatal`."""

    def __init__(self, why: str, status: int, command: int = 0, seq: int = 0, fatal: bool = False) -> None:
        super().__init__(why)
        self.why, self.status, self.command, self.seq, self.fatal = why, status, command, seq, fatal
        self.told = 0  #: the status in the bad PDU's own header


# ---------------------------------------------------------------- bodies


@dataclass(frozen=True, slots=True)
class Bind:
    """bind_receiver, bind_transmitter, bind_transceiver: s 4.1."""

    system_id: str = ""
    password: str = ""
    system_type: str = ""
    interface_version: int = VERSION
    addr_ton: int = 0
    addr_npi: int = 0
    address_range: str = ""


@dataclass(frozen=True, slots=True)
class Bound:
    """The answer to a bind; absent from a refusal."""

    system_id: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """submit_sm and deliver_sm: s 4.4.1, 4.6.1."""

    service_type: str = ""
    source_ton: int = 0
    source_npi: int = 0
    source: str = ""
    dest_ton: int = 0
    dest_npi: int = 0
    dest: str = ""
    esm_class: int = 0
    protocol_id: int = 0
    priority: int = 0
    schedule: str = ""
    validity: str = ""
    registered: int = 0
    replace: int = 0
    coding: int = 0
    canned: int = 0
    text: bytes = b""


@dataclass(frozen=True, slots=True)
class Data:
    """data_sm: s 4.7.1; its text is always a message_payload."""

    service_type: str = ""
    source_ton: int = 0
    source_npi: int = 0
    source: str = ""
    dest_ton: int = 0
    dest_npi: int = 0
    dest: str = ""
    esm_class: int = 0
    registered: int = 0
    coding: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to submit_sm, deliver_sm and data_sm; absent from a refusal."""

    id: str = ""


Body = Bind | Bound | Message | Data | Answer | None


@dataclass(frozen=True, slots=True)
class Pdu:
    """One PDU. `body` is None where the command has none, or an answer that refuses left it out."""

    command: int
    seq: int
    status: int = 0
    body: Body = None
    tlvs: Tlvs = ()

    def tlv(self, tag: int) -> bytes | None:
        """The first value of a parameter."""
        return next((value for known, value in self.tlvs if known == tag), None)


# ---------------------------------------------------------------- layouts

INT, OCTETS = (
    0,
    -1,
)  # of one octet; counted by the octet before them (sm_length). A positive kind: C-string with its NUL

_LAYOUTS: dict[type, tuple[int, ...]] = {
    Bind: (16, 9, 13, INT, INT, INT, 41),
    Bound: (16,),
    Message: (6, INT, INT, 21, INT, INT, 21, INT, INT, INT, 17, 17, INT, INT, INT, INT, OCTETS),
    Data: (6, INT, INT, 65, INT, INT, 65, INT, INT, INT),
    Answer: (65,),
}
_NAMES = {cls: tuple(f.name for f in fields(cls)) for cls in _LAYOUTS}
_BODIES: dict[int, type] = {
    **dict.fromkeys(BINDS, Bind),
    **dict.fromkeys((each | RESPONSE for each in BINDS), Bound),
    Command.SUBMIT_SM: Message,
    Command.DELIVER_SM: Message,
    Command.DATA_SM: Data,
    Command.SUBMIT_SM_RESP: Answer,
    Command.DELIVER_SM_RESP: Answer,
    Command.DATA_SM_RESP: Answer,
}
_KNOWN = frozenset(Command)
_WRONG = {6: 0x15, 9: 0x0E, 13: 0x53, 16: 0x0F, 17: 0x61, 21: 0x0A, 41: 0x54, 65: 0x0C}  # size of a field → status


# ---------------------------------------------------------------- writing


def encode(pdu: Pdu) -> bytes:
    """The octets of `pdu`. Raises ValueError naming the field that does not fit."""
    pieces: list[bytes] = [] if pdu.body is None else _written(pdu.body)
    for tag, value in pdu.tlvs:
        pieces.append(struct.pack(">HH", tag, len(value)) + value)
    body = b"".join(pieces)
    if len(body) + SHORTEST > LONGEST:
        raise ValueError(f"a PDU of {len(body) + SHORTEST} octets is too long")
    return HEADER.pack(len(body) + SHORTEST, pdu.command, pdu.status, pdu.seq) + body


def _written(body: Bind | Bound | Message | Data | Answer) -> list[bytes]:
    cls = type(body)
    pieces = []
    for name, kind in zip(_NAMES[cls], _LAYOUTS[cls], strict=True):
        value = getattr(body, name)
        if kind == INT:
            pieces.append(value.to_bytes(1, "big"))
        elif kind == OCTETS:
            pieces.append(_counted(value))
        else:
            pieces.append(_c_string(name, value, kind))
    return pieces


def _c_string(name: str, value: str, most: int) -> bytes:
    octets = value.encode("latin-1")
    if len(octets) >= most or b"\0" in octets:
        raise ValueError(f"{name} does not fit into {most - 1} octets")
    return octets + b"\0"


def _counted(value: bytes) -> bytes:
    if len(value) > MOST_TEXT:
        raise ValueError(f"short_message of {len(value)} octets is too long")
    return bytes((len(value),)) + value


# ---------------------------------------------------------------- reading


def frame(buffer: bytearray | bytes, at: int = 0) -> int:
    """Octets of the PDU that begins at `at`, 0 while it is not whole. Raises a fatal BadPdu for a wrong length."""
    left = len(buffer) - at
    if left < SHORTEST:
        if left >= 4 and not SHORTEST <= int.from_bytes(buffer[at : at + 4], "big") <= LONGEST:
            raise BadPdu("command_length", 0x02, fatal=True)
        return 0
    length, command, _, seq = HEADER.unpack_from(buffer, at)
    if not SHORTEST <= length <= LONGEST:
        raise BadPdu("command_length", 0x02, command, seq, fatal=True)
    return length if left >= length else 0


def decode(octets: bytes) -> Pdu:
    """The PDU of one whole frame. Raises BadPdu for an unknown command or a body without sense."""
    _, command, status, seq = HEADER.unpack_from(octets)
    if command not in _KNOWN:
        raise BadPdu("command_id", 0x03, command, seq)
    try:
        body, at = _read(_BODIES.get(command), command, octets)
        return Pdu(command, seq, status, body, _tlvs(octets, at) if at < len(octets) else ())
    except BadPdu as bad:
        bad.command, bad.seq, bad.told = command, seq, status
        raise


def _read(cls: type | None, command: int, octets: bytes) -> tuple[Body, int]:
    if cls is None or (len(octets) == SHORTEST and command & RESPONSE):
        return None, SHORTEST
    values: list[int | str | bytes] = []
    at = SHORTEST
    for kind in _LAYOUTS[cls]:
        value, at = _value(kind, octets, at)
        values.append(value)
    return cls(*values), at


def _value(kind: int, octets: bytes, at: int) -> tuple[int | str | bytes, int]:
    if kind > 0:
        end = octets.find(0, at, at + kind)
        if end < 0:
            raise BadPdu("text field without end", _WRONG[kind])
        return octets[at:end].decode("latin-1"), end + 1
    if at >= len(octets):
        raise BadPdu("body too short", 0x02)
    value = octets[at]
    if kind == INT:
        return value, at + 1
    text = octets[at + 1 : at + 1 + value]
    if value > MOST_TEXT or len(text) != value:
        raise BadPdu("sm_length", 0x01)
    return text, at + 1 + value


def _tlvs(octets: bytes, at: int) -> Tlvs:
    found = []
    while at < len(octets):
        if len(octets) - at < 4:
            raise BadPdu("optional parameter cut short", 0xC0)
        tag, size = struct.unpack_from(">HH", octets, at)
        at += 4
        if len(octets) - at < size:
            raise BadPdu("optional parameter cut short", 0xC2)
        found.append((tag, octets[at : at + size]))
        at += size
    return tuple(found)
