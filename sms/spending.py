"""What a line may still spend today. The truth lies with the results on disk; here it is remembered for seconds."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from core.channels import Clock, Door, Purpose
from sms.hours import AUTO, BULK
from sms.settings import LineSettings

log = logging.getLogger("pasokh.sms")

FRESH = 2.0  # seconds a sum is believed
ALARM = 0.8  #: of the day's budget
SHARES = {"auto": 0.5, "bulk": 1.0, "other": 1.5}  #: of the day's budget that each may reach


class Spending:
    """One for all lines."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: dict[str, tuple[float, Mapping[str, int]]] = {}
        self._on_way: dict[str, int] = {}
        self._alarmed: set[str] = set()

    async def today(self, door: Door, name: str) -> Mapping[str, int]:
        """`parts`, `rial`, `auto_parts`, `auto_rial` of the line today."""
        known, now = self._known.get(name), self._clock.monotonic()
        if known is None or now - known[0] > FRESH:
            self._known[name] = (now, known[1] if known is not None else {})  # others of this moment need not ask too
            facts = await door.look_up("spent", f"sms:{name}")
            known = (now, facts.rows[0] if facts is not None else {})
            self._known[name], self._on_way[name] = known, 0
        return known[1]

    async def over(self, door: Door, name: str, line: LineSettings, purpose: Purpose) -> bool:
        """Is the day's budget spent, as far as this purpose may reach?"""
        if not line.daily_parts and not line.daily_rial:
            return False
        spent = await self.today(door, name)
        self._alarm(name, line, spent)
        kind = "auto" if purpose in AUTO else "bulk" if purpose in BULK else "other"
        prefix = "auto_" if kind == "auto" else ""
        parts = spent.get(f"{prefix}parts", 0) + self._on_way.get(name, 0)
        over_parts = line.daily_parts and parts >= line.daily_parts * SHARES[kind]
        over_rial = line.daily_rial and spent.get(f"{prefix}rial", 0) >= line.daily_rial * SHARES[kind]
        return bool(over_parts or over_rial)

    def sent(self, name: str, parts: int) -> None:
        """Counted until the sum is read anew."""
        self._on_way[name] = self._on_way.get(name, 0) + parts

    def _alarm(self, name: str, line: LineSettings, spent: Mapping[str, int]) -> None:
        near = line.daily_parts and spent.get("parts", 0) >= line.daily_parts * ALARM
        near = near or (line.daily_rial and spent.get("rial", 0) >= line.daily_rial * ALARM)
        if near and name not in self._alarmed:
            log.error("an SMS line has spent most of its day's budget", extra={"line": name})
        (self._alarmed.add if near else self._alarmed.discard)(name)
