"""Every error core raises, as one tree. Each has a stable `word` for clients; its sentence lives in the texts."""

from __future__ import annotations


class PasokhError(Exception):
    """The root. `word` is the stable name clients see; never a sentence."""

    word = "error"


class WrongInput(PasokhError):
    """What was sent cannot be taken as it is; never retried. `field` names the field, `word` the fault."""

    def __init__(self, field: str, word: str) -> None:
        super().__init__(f"{field}: {word}")
        self.field = field
        self.word = word


class Busy(PasokhError):
    """The store or the door is full; come back in `after` seconds (503, 451, SIP 503)."""

    word = "busy"

    def __init__(self, after: float) -> None:
        super().__init__(f"busy, again in {after:g} s")
        self.after = after


class Locked(PasokhError):
    """Too many misses: the way by PIN is shut for `after` seconds."""

    word = "locked"

    def __init__(self, after: float) -> None:
        super().__init__(f"locked for {after:g} s")
        self.after = after


class WrongState(PasokhError):
    """The ticket's state has no such move; nothing was written."""

    word = "wrong_state"


class NotFound(PasokhError):
    """No such thing, or not one this actor may know of."""

    word = "not_found"


class NotAllowed(PasokhError):
    """The actor may know of it but not do this."""

    word = "not_allowed"


class Guarded(PasokhError):
    """A guard of the table of moves said no; `word` names it (too_late, objected_once, last_level, …)."""

    def __init__(self, word: str) -> None:
        super().__init__(word)
        self.word = word


class Stale(PasokhError):
    """Somebody changed the ticket since `mine`; `theirs` is the version now."""

    word = "stale"

    def __init__(self, mine: int, theirs: int) -> None:
        super().__init__(f"version {mine} is stale, now {theirs}")
        self.mine = mine
        self.theirs = theirs
