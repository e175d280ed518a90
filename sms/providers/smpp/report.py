"""Delivery receipts: by optional parameters or by their text (SMPP v3.4 s 5.3.2.26, 5.3.2.35, appendix B). Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum

from core.channels import DeliveryState
from sms.providers.smpp.pdu import Data, Message, Pdu, Tag

TYPE = 0x3C  # bits of esm_class that tell what a deliver_sm is, s 5.2.12
RECEIPT, INTERMEDIATE = 0x04, 0x20
WANTED = 1  # registered_delivery: a receipt for success and failure
_HEX = re.compile("[0-9a-f]{1,32}")
FIELD = re.compile(r"\b(id|stat|err):\s?([^\s:]+)(?=\s|$)", re.I)


class State(IntEnum):
    """message_state, s 5.2.28."""

    ENROUTE = 1
    DELIVERED = 2
    EXPIRED = 3
    DELETED = 4
    UNDELIVERABLE = 5
    ACCEPTED = 6
    UNKNOWN = 7
    REJECTED = 8


WORDS = {
    State.ENROUTE: "ENROUTE",
    State.DELIVERED: "DELIVRD",
    State.EXPIRED: "EXPIRED",
    State.DELETED: "DELETED",
    State.UNDELIVERABLE: "UNDELIV",
    State.ACCEPTED: "ACCEPTD",
    State.UNKNOWN: "UNKNOWN",
    State.REJECTED: "REJECTD",
}
STATES = {
    State.ENROUTE: DeliveryState.SENT,
    State.ACCEPTED: DeliveryState.SENT,
    State.DELIVERED: DeliveryState.DELIVERED,
    State.UNDELIVERABLE: DeliveryState.UNDELIVERED,
    State.DELETED: DeliveryState.FAILED,
    State.REJECTED: DeliveryState.FAILED,
    State.EXPIRED: DeliveryState.EXPIRED,
}


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of one part. `id` is '' when it names none; `state` None when it tells nothing."""

    id: str
    number: str  #: whom the part was for, as the peer writes it
    state: DeliveryState | None
    why: str = ""
    reference: int | None = None  #: our own for its text, where the peer repeats it, s 5.3.2.17


def read(pdu: Pdu) -> Receipt | None:
    """The receipt a deliver_sm or data_sm is; None when it is a text."""
    body = pdu.body
    if not isinstance(body, Message | Data) or not _is_receipt(pdu, body.esm_class):
        return None
    told = {name.lower(): value for name, value in reversed(FIELD.findall(_text(pdu, body)))}
    id_ = (pdu.tlv(Tag.RECEIPTED_ID) or b"").rstrip(b"\0").decode("latin-1") or told.get("id", "")
    error = told.get("err", "")
    why = "" if error.strip("0") == "" else error
    return Receipt(id_, body.source, _state(pdu, told.get("stat", "")), why, _reference(pdu))


def _reference(pdu: Pdu) -> int | None:
    value = pdu.tlv(Tag.USER_MESSAGE_REF)
    return int.from_bytes(value, "big") if value is not None and len(value) == 2 else None


def _is_receipt(pdu: Pdu, esm_class: int) -> bool:
    what = esm_class & TYPE
    if what in (RECEIPT, INTERMEDIATE):
        return True
    return what == 0 and pdu.tlv(Tag.RECEIPTED_ID) is not None and pdu.tlv(Tag.STATE) is not None


def _text(pdu: Pdu, body: Message | Data) -> str:
    short = body.text if isinstance(body, Message) else b""
    return (short or pdu.tlv(Tag.PAYLOAD) or b"").decode("latin-1")


def _state(pdu: Pdu, word: str) -> DeliveryState | None:
    value = pdu.tlv(Tag.STATE)
    if value is not None and len(value) == 1:
        return STATES.get(value[0])  # type: ignore[call-overload, no-any-return]
    found = next((state for state, known in WORDS.items() if known[:5] == word.upper()[:5]), None)
    return None if found is None else STATES.get(found)


def write(id_: str, state: State, stamp: str, error: str = "000") -> bytes:
    """The text of a receipt, as appendix B has it; `stamp`: YYMMDDhhmm."""
    done = int(state is State.DELIVERED)
    dates = f"submit date:{stamp} done date:{stamp}"
    text = f"id:{id_} sub:001 dlvrd:{done:03} {dates} stat:{WORDS[state]} err:{error} text:"
    return text.encode("latin-1")


def spellings(id_: str) -> list[str]:
    """Ways a peer may write the same id elsewhere: without zeros, the other of hexadecimal and decimal."""
    bare = id_.lstrip("0").lower() or id_
    found = [bare]
    if bare.isdecimal() and bare.isascii():
        found.append(f"{int(bare):x}")
    if _HEX.fullmatch(bare):
        found.append(str(int(bare, 16)))
    return found
