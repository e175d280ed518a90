"""How often one-time codes go to a number: the budgets lie on disk, and an alarm is raised when many are asked for.

Whoever asks for one may be a machine that tries numbers; so the channel counts, whatever asks.
"""

from __future__ import annotations

import logging

from core.channels import Clock, Door, Outbound, Purpose

log = logging.getLogger("pasokh.sms")

RULES = ("sms_otp_apart", "sms_otp_hour", "sms_otp_day")
HOUR = 3600.0  # seconds
MANY = 20  # refused in an hour: somebody asks who should not


class OneTime:
    """One for all lines."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began, self._refused = 0.0, 0

    async def over(self, door: Door, message: Outbound) -> bool:
        """Has the number had its one-time codes? A code's first try spends; its next ones are the same code."""
        if message.purpose != Purpose.OTP or message.attempt > 1 or message.in_doubt:
            return False
        for rule in RULES:
            if not await door.spend(rule, message.to):
                self._count()
                return True
        return False

    def _count(self) -> None:
        now = self._clock.monotonic()
        if now - self._began > HOUR:
            self._began, self._refused = now, 0
        self._refused += 1
        if self._refused == MANY:
            log.error("one-time codes are asked for too often")
