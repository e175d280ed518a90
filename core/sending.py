"""The life of an outbox row as one table, and its waits. Pure: no sockets, no clock, no database."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from core.errors import WrongState
from core.model import Purpose


class Stage(StrEnum):
    """Where an outbox row stands. Stored."""

    WAITING = "waiting"
    SENDING = "sending"
    UNKNOWN = "unknown"  #: it may have been sent: looked up, never blindly repeated
    PARKED = "parked"  #: a person decides
    FAILED = "failed"
    ACCEPTED = "accepted"  #: the peer has it
    SENT = "sent"  #: the peer says it passed it on
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    CANCELLED = "cancelled"
    BLOCKED = "blocked"
    EXPIRED = "expired"


class Fact(StrEnum):
    """What happens to a row."""

    CLAIM = "claim"
    TOO_LATE = "too_late"
    ACCEPTED = "accepted"
    TRY_LATER = "try_later"
    REFUSED = "refused"
    DOUBT = "doubt"
    LEASE_OVER = "lease_over"
    GIVEN_BACK = "given_back"  #: a clean stop: claimed, certainly not tried
    FOUND = "found"
    NOT_FOUND = "not_found"
    HORIZON = "horizon"
    RESEND = "resend"
    BY_HAND = "by_hand"
    REPORTED_SENT = "reported.sent"
    REPORTED_DELIVERED = "reported.delivered"
    REPORTED_UNDELIVERED = "reported.undelivered"
    REPORTED_FAILED = "reported.failed"
    REPORTED_CANCELLED = "reported.cancelled"
    REPORTED_BLOCKED = "reported.blocked"
    REPORTED_EXPIRED = "reported.expired"


UNFINISHED: Final = (Stage.WAITING, Stage.SENDING, Stage.UNKNOWN)
LOST: Final = (Stage.FAILED, Stage.UNDELIVERED, Stage.CANCELLED, Stage.BLOCKED)  #: the next proven point is tried
UNHEARD: Final = "undelivered"  #: tag of a ticket whose newest answer reached nobody
DEAD: Final = (Stage.PARKED, *LOST, Stage.EXPIRED)  #: shown to operators when nothing came after it

_REPORTS = {
    Fact.REPORTED_DELIVERED: Stage.DELIVERED,
    Fact.REPORTED_UNDELIVERED: Stage.UNDELIVERED,
    Fact.REPORTED_FAILED: Stage.FAILED,
    Fact.REPORTED_CANCELLED: Stage.CANCELLED,
    Fact.REPORTED_BLOCKED: Stage.BLOCKED,
    Fact.REPORTED_EXPIRED: Stage.EXPIRED,
}

OUTBOX_MOVES: Final[Mapping[tuple[Stage, Fact], Stage]] = {
    (Stage.WAITING, Fact.CLAIM): Stage.SENDING,
    (Stage.WAITING, Fact.TOO_LATE): Stage.FAILED,
    (Stage.WAITING, Fact.ACCEPTED): Stage.ACCEPTED,  # a late result: it had been sent after all
    (Stage.SENDING, Fact.ACCEPTED): Stage.ACCEPTED,
    (Stage.SENDING, Fact.FOUND): Stage.ACCEPTED,
    (Stage.SENDING, Fact.TRY_LATER): Stage.WAITING,
    (Stage.SENDING, Fact.GIVEN_BACK): Stage.WAITING,
    (Stage.SENDING, Fact.REFUSED): Stage.FAILED,
    (Stage.SENDING, Fact.DOUBT): Stage.UNKNOWN,
    (Stage.SENDING, Fact.LEASE_OVER): Stage.UNKNOWN,
    (Stage.SENDING, Fact.HORIZON): Stage.PARKED,
    (Stage.UNKNOWN, Fact.CLAIM): Stage.UNKNOWN,
    (Stage.UNKNOWN, Fact.LEASE_OVER): Stage.UNKNOWN,
    (Stage.UNKNOWN, Fact.GIVEN_BACK): Stage.UNKNOWN,
    (Stage.UNKNOWN, Fact.FOUND): Stage.ACCEPTED,
    (Stage.UNKNOWN, Fact.ACCEPTED): Stage.ACCEPTED,
    (Stage.UNKNOWN, Fact.DOUBT): Stage.UNKNOWN,
    (Stage.UNKNOWN, Fact.NOT_FOUND): Stage.WAITING,
    (Stage.UNKNOWN, Fact.REFUSED): Stage.FAILED,
    (Stage.UNKNOWN, Fact.HORIZON): Stage.PARKED,
    (Stage.PARKED, Fact.ACCEPTED): Stage.ACCEPTED,  # likewise
    **{(dead, Fact.RESEND): Stage.WAITING for dead in DEAD},
    **{(dead, Fact.BY_HAND): Stage.DELIVERED for dead in DEAD},
    (Stage.ACCEPTED, Fact.REPORTED_SENT): Stage.SENT,
    **{(Stage.ACCEPTED, fact): stage for fact, stage in _REPORTS.items()},
    **{(Stage.SENT, fact): stage for fact, stage in _REPORTS.items()},
    (Stage.UNKNOWN, Fact.REPORTED_SENT): Stage.SENT,  # what is reported of was sent
    **{(Stage.UNKNOWN, fact): stage for fact, stage in _REPORTS.items()},
}


def move(stage: Stage, fact: Fact) -> Stage:
    """The stage after `fact`. Raises WrongState where the table has no such move: nothing changes then."""
    try:
        return OUTBOX_MOVES[stage, fact]
    except KeyError:
        raise WrongState(f"outbox: {stage} has no {fact}") from None


LEASE = 300  # seconds a claim holds; then the row is unknown: looked up first, never simply sent again
CALL_LEASE = 900  # seconds, for rows of the phone
UNDO = 10  # seconds a reply waits in the outbox, so that its writer can take it back
WAITS: Final = (10, 30, 120, 600, 1800, 3600)  # seconds after the 1st, 2nd, … try; the last one repeats
LOOKS: Final = (60, 120, 300, 600, 1800, 3600)  # seconds between look-ups of an unknown row
KEPT_REPORTS = 72 * 3600  # seconds a report waits for its send to be recorded
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
WORTH: Final[Mapping[Purpose, int]] = {  # seconds after which it is not worth sending any more
    Purpose.OTP: 5 * _MINUTE,
    Purpose.RECEIPT: 24 * _HOUR,
    Purpose.ANSWER: 72 * _HOUR,
    Purpose.STATE: 24 * _HOUR,
    Purpose.NOTICE: 72 * _HOUR,
    Purpose.SURVEY: 7 * _DAY,
}
LANES: Final[Mapping[Purpose, int]] = {  # claimed in this order
    Purpose.OTP: 0,
    Purpose.RECEIPT: 1,
    Purpose.STATE: 1,
    Purpose.ANSWER: 2,
    Purpose.NOTICE: 3,
    Purpose.SURVEY: 4,
}
UNORDERED: Final = (Purpose.RECEIPT, Purpose.OTP)  # neither waits for earlier rows of its ticket nor holds later ones


def wait(attempt: int, told: float | None, chance: float, steps: tuple[int, ...] = WAITS) -> int:
    """Milliseconds till the next try after try number `attempt`; the channel's own `told` seconds win.

    `chance` in [0, 1) spreads our own waits by ±20 %, so that a crowd does not come back at once.
    """
    if told is not None:
        return max(0, round(told * 1000))
    step = steps[min(max(attempt, 1), len(steps)) - 1]
    return round(step * 1000 * (0.8 + 0.4 * chance))
