"""Session timers (RFC 4028): how long a call stands without a word, and who has to say one. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ivr.sip import message as sip
from ivr.sip.message import Request, Response
from ivr.sip.rules import Refusal

STANDS: Final = 1800  # seconds, RFC 4028 s 4
LEAST: Final = 90  # seconds below which we refuse, RFC 4028 s 5
MARGIN: Final = 32.0  # seconds before its end, or a third of it, a call nobody refreshed gets BYE (s 10)
WORDS: Final = (("supported", "timer"), ("session-expires", str(STANDS)), ("min-se", str(LEAST)))  # of our INVITE


@dataclass(frozen=True, slots=True)
class Session:
    """What both ends agreed on at the last INVITE or UPDATE."""

    seconds: int
    ours: bool  #: we refresh

    @property
    def refresh_after(self) -> float:
        """Seconds from the agreement till our refresh."""
        return self.seconds / 2

    @property
    def over_after(self) -> float:
        """Seconds from the agreement till BYE when nobody refreshed."""
        return self.seconds - min(MARGIN, self.seconds / 3)


def asked(request: Request) -> Session | Refusal:
    """What an INVITE or UPDATE of theirs leads to; 422 when its time is too short."""
    timer = "timer" in (word.lower() for word in request.all("supported"))
    seconds, refresher = _expires(request)
    if seconds is not None and seconds < LEAST:
        return Refusal(422, (("min-se", str(LEAST)),))
    ours = refresher == "uas" if refresher else not timer
    return Session(min(seconds or STANDS, max(STANDS, _least(request))), ours or not timer)


def told(session: Session) -> tuple[tuple[str, str], ...]:
    """The headers of the 200 that says so."""
    value = f"{session.seconds};refresher={'uas' if session.ours else 'uac'}"
    required = () if session.ours else (("require", "timer"),)
    return (("supported", "timer"), *required, ("session-expires", value))


def answered(response: Response) -> Session | None:
    """What a 2xx to an INVITE or UPDATE of ours says; None: no timer runs."""
    seconds, refresher = _expires(response)
    return None if seconds is None else Session(max(seconds, LEAST), refresher != "uas")


def again(seconds: int) -> tuple[tuple[str, str], ...]:
    """The headers of a refresh of ours; we stay who refreshes."""
    return (("supported", "timer"), ("session-expires", f"{seconds};refresher=uac"), ("min-se", str(LEAST)))


def longer(refusal: Response) -> int | None:
    """The time that a 422 asks for."""
    value = (refusal.get("min-se") or "").partition(";")[0].strip()
    return min(int(value), 86_400) if refusal.status == 422 and value.isascii() and value[:9].isdigit() else None


def _expires(message: Request | Response) -> tuple[int | None, str]:
    value = message.get("session-expires") or ""
    number = value.partition(";")[0].strip()
    if not (number.isascii() and number.isdigit() and len(number) < 10):
        return None, ""
    return int(number), sip.params(value).get("refresher", "").lower()


def _least(request: Request) -> int:
    value = (request.get("min-se") or "").partition(";")[0].strip()
    return int(value) if value.isascii() and value.isdigit() and len(value) < 10 else 0
