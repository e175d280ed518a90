"""Clocks: the system's, and one that tests set by hand."""

from __future__ import annotations

import time


class SystemClock:
    """Wall clock in ms UTC and the monotonic one in seconds."""

    def now(self) -> int:
        """Milliseconds since 1970, UTC."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()


class HandClock:
    """A clock that stands still until it is told."""

    def __init__(self, now: int = 1_700_000_000_000) -> None:
        self._now = now
        self._passed = 0.0

    def now(self) -> int:
        """Milliseconds since 1970, UTC."""
        return self._now

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return self._passed

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass on both clocks."""
        if seconds < 0:
            raise ValueError("time does not pass backwards; set the wall clock with jump()")
        self._passed += seconds
        self._now += round(seconds * 1000)

    def jump(self, ms: int) -> None:
        """Move the wall clock alone, forth or back, as a bad time server would."""
        self._now += ms
