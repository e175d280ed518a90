"""Why a store does not open, and what an error of its database means for those who wait."""

from __future__ import annotations

from enum import Enum, auto


class Refusal(Exception):
    """The store will not open; the message is a sentence for whoever starts the program."""


class Fault(Enum):
    """Whose trouble a database error is."""

    NONE = auto()  #: the deed's own
    RACE = auto()  #: lost against another transaction; may be tried again
    FULL = auto()  #: disk full
    AWAY = auto()  #: busy or not reachable
    BROKEN = auto()  #: an fsync failed: what is on disk is not known, stop
