"""When not to call a provider: a breaker after failures, a bucket for its rate, a slower pace when told so. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

FAILURES, SPAN = 5, 60.0  # so many within so many seconds open it
FIRST, LONGEST = 30.0, 300.0  # seconds it stays open, doubling
SLOW_FIRST, SLOW_LONGEST = 60.0, 900.0  # seconds a line goes slower after being told so, doubling
QUIET = 600.0  # seconds without such a word after which the next one counts as the first


@dataclass(slots=True)
class Breaker:
    """Times are monotonic seconds. While open one call in each span is let through as a probe."""

    open_until: float = 0.0
    _span: float = FIRST
    _failed: deque[float] = field(default_factory=lambda: deque(maxlen=FAILURES))
    _probing: bool = False

    def lets(self, now: float) -> bool:
        """May a call be made? Once an open span is over, one only, until it is known how it went."""
        if not self.open_until:
            return True
        if now < self.open_until or self._probing:
            return False
        self._probing = True
        return True

    def untried(self) -> None:
        """The call that was let through was not made after all: the next one may be the probe."""
        self._probing = False

    def worked(self) -> None:
        """A call was answered: closed again."""
        self.open_until, self._span, self._probing = 0.0, FIRST, False
        self._failed.clear()

    def failed(self, now: float) -> None:
        """No connection, or no answer."""
        if self._probing:
            self._probing, self._span = False, min(self._span * 2, LONGEST)
            self.open_until = now + self._span
            return
        self._failed.append(now)
        if len(self._failed) == FAILURES and now - self._failed[0] <= SPAN:
            self.open_until = now + self._span


@dataclass(slots=True)
class Bucket:
    """`rate` texts a second, as many at once. Told to slow down, half of it for a while."""

    rate: float
    slow_until: float = 0.0
    _full_at: float = 0.0
    _span: float = SLOW_FIRST
    _told_at: float = -1e9

    def take(self, now: float, patience: float = float("inf")) -> float:
        """Take the next place; how many seconds to wait for it. None is taken beyond `patience`."""
        step = 1 / (self.rate / 2 if now < self.slow_until else self.rate)
        wait = max(0.0, self._full_at - now - 1 + step)
        if wait <= patience:
            self._full_at = max(self._full_at, now) + step
        return wait

    def slow(self, now: float) -> float:
        """The provider says: too fast. Seconds until it is worth trying again."""
        if now < self.slow_until:
            return self.slow_until - now
        again = now - self._told_at < QUIET + self._span
        self._span = min(self._span * 2, SLOW_LONGEST) if again else SLOW_FIRST
        self._told_at, self.slow_until = now, now + self._span
        return self._span
