"""When a line may send what: quiet hours by the line's kind. Pure, given the time.

The window of advertising lines is that of the operators (07–22, bulk 09–21); a service line carries answers at any
hour, but surveys and notices only by day.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from core import jalali
from core.model import Purpose

BULK = frozenset((Purpose.NOTICE, Purpose.SURVEY))  #: what nobody waits for
AUTO = frozenset((Purpose.RECEIPT, Purpose.STATE))  #: what nobody wrote
CARRIES = {
    "service": frozenset(Purpose),
    "advertising": frozenset(Purpose) - {Purpose.OTP},
    "otp": frozenset((Purpose.OTP, Purpose.RECEIPT)),
}
DAY, BULK_DAY = (7, 22), (9, 21)  # hours of the zone, from and to


def carries(kind: str, purpose: Purpose) -> bool:
    """May a line of this kind send this at all?"""
    return purpose in CARRIES[kind]


def wait(kind: str, purpose: Purpose, now: int, exempt: bool = False) -> int:
    """Seconds until the line may send it, 0 = now. `now`: ms UTC."""
    window = _window(kind, purpose, exempt)
    return 0 if window is None else _until(jalali.local(now), *window)


def _window(kind: str, purpose: Purpose, exempt: bool) -> tuple[int, int] | None:
    if exempt or kind == "otp" or (kind == "service" and purpose not in BULK):
        return None
    return BULK_DAY if purpose in BULK else DAY


def _until(here: datetime, opens: int, closes: int) -> int:
    if opens <= here.hour < closes:
        return 0
    opening = here.replace(hour=opens, minute=0, second=0, microsecond=0)
    if here >= opening:
        opening += timedelta(days=1)
    return max(1, round((opening - here).total_seconds()))


def midnight(now: int) -> int:
    """Seconds until the next day begins in the zone: when the budgets of the day are new."""
    here = jalali.local(now)
    return round((here.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1) - here).total_seconds())
