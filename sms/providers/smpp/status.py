"""What a command_status means for a text to be sent (SMPP v3.4 s 5.1.3). Pure; a peer's own ways override it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from sms.providers import base

OK = 0x00
SYSTEM_ERROR, QUEUE_FULL, THROTTLED = 0x08, 0x14, 0x58
NO_LENGTH, NO_COMMAND, NOT_BOUND, ALREADY_BOUND, BAD_ID = 0x02, 0x03, 0x04, 0x05, 0x0C
BIND_FAILED, BAD_PASSWORD, BAD_SYSTEM_ID = 0x0D, 0x0E, 0x0F
TRY_AGAIN = 0x64  # ESME_RX_T_APPN: our receiver cannot take it now, send it again
REBIND = 30.0  # seconds until a bind is tried again that is bound already
PAUSED = 300.0  # seconds until a bind that was refused is tried again


class Kind(StrEnum):
    """Classes of statuses, and the words of the setting `codes`."""

    SLOW = "slow"  #: certainly not sent; half the rate for a moment, then again
    AGAIN = "again"  #: certainly not sent; three tries in all, then refused
    RECIPIENT = "recipient"
    REFUSED = "refused"
    PAUSE = "pause"  #: nothing will go until a person acts
    REBIND = "rebind"
    BUG = "bug"


KINDS: Mapping[int, Kind] = {
    QUEUE_FULL: Kind.SLOW,
    THROTTLED: Kind.SLOW,
    SYSTEM_ERROR: Kind.AGAIN,
    0x0B: Kind.RECIPIENT,
    0x45: Kind.REFUSED,
    0x0A: Kind.PAUSE,
    BIND_FAILED: Kind.PAUSE,
    BAD_PASSWORD: Kind.PAUSE,
    BAD_SYSTEM_ID: Kind.PAUSE,
    ALREADY_BOUND: Kind.REBIND,
    **dict.fromkeys((*range(0x01, 0x05), *range(0x33, 0x44), *range(0x48, 0x55), *range(0xC0, 0xC5)), Kind.BUG),
}


def kind(status: int, codes: Mapping[int, Kind]) -> Kind:
    """The class of a status; one that nobody knows is tried again."""
    return codes.get(status) or KINDS.get(status, Kind.AGAIN)


def error(status: int, codes: Mapping[int, Kind]) -> base.ProviderError:
    """What a status comes to once nothing more is tried here."""
    match kind(status, codes):
        case Kind.SLOW:
            return base.Throttled("too fast", status)
        case Kind.RECIPIENT:
            return base.BadRecipient("recipient", status)
        case Kind.PAUSE:
            return base.AuthOrConfig("account or line", status)
        case Kind.REBIND:
            return base.ProviderDown("bound elsewhere", status, REBIND)
        case Kind.BUG:
            return base.Bug("request", status)
    return base.BadContent("refused", status)
