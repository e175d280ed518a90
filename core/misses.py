"""Wrong proofs: a contact or a code that has too many is shut out; a channel in all is only made slower.

Else whoever wastes the channel's budget would shut the door to everybody.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from core.errors import Locked
from core.office import Office

log = logging.getLogger(__name__)

SLOWER = 5.0  # seconds a guess waits at most, once a channel's budget is gone
ALERT = 3600.0  # seconds between two warnings about one channel
ALL = "miss_all"  #: the budget of a channel, settings `[limits]`

Keys = Sequence[tuple[str, str]]  # (rule, key): who guesses, and what


def shut(office: Office, keys: Keys) -> None:
    """Raises Locked while one of the budgets is gone."""
    waits = [office.throttle.wait(rule, key) for rule, key in _known(office, keys)]
    longest = max((wait for wait in waits if wait is not None), default=None)
    if longest is not None:
        raise Locked(longest)


def miss(office: Office, channel: str, keys: Keys) -> None:
    """Count one wrong proof."""
    for rule, key in _known(office, [*keys, (ALL, channel)]):
        office.throttle.take(rule, key)


async def slow(office: Office, channel: str) -> None:
    """Wait up to 5 s while the channel has had too many misses in all. Never called inside a transaction."""
    wait = office.throttle.wait(ALL, channel) if ALL in office.throttle.rules else None
    if wait is None:
        return
    _alert(office, channel)
    await office.sleep(min(wait, SLOWER))


def _alert(office: Office, channel: str) -> None:
    now, told = office.clock.monotonic(), office.alerts.get(channel)
    if told is None or now - told >= ALERT:
        office.alerts[channel] = now
        log.warning("too many guesses, the channel is slower for strangers", extra={"channel": channel})


def _known(office: Office, keys: Keys) -> Keys:
    return [(rule, key) for rule, key in keys if rule in office.throttle.rules]
