"""How a line stands, for the console and the command line. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from core.channels import LineView
from sms.providers.base import Credit
from sms.settings import LineSettings
from sms.ways import Way


def line(
    name: str,
    settings: LineSettings,
    held: str,
    spent: Mapping[str, int],
    ways: Sequence[Way],
    credit: Mapping[str, Credit],
    now: float,
) -> LineView:
    """`held`: why it was paused by hand; `now`: monotonic seconds."""
    limits = {"parts": settings.daily_parts, "rial": settings.daily_rial, "floor": settings.credit_floor}
    shown = [_way(each, credit.get(each.provider.name), now) for each in ways]
    return LineView(name, settings.number, settings.kind, held, spent, limits, shown)


def _way(way: Way, credit: Credit | None, now: float) -> dict[str, Any]:
    health = way.provider.health()
    return {
        "name": way.provider.name, "link": health.link.value, "why": way.why or health.why,
        "credit": credit.rial if credit else None, "warnings": list(credit.warnings) if credit else [],
        "facts": dict(health.facts), "paused_for": _left(way.paused_until, now),
        "open_for": _left(way.breaker.open_until, now), "slow_for": _left(way.bucket.slow_until, now),
    }  # fmt: skip


def _left(until: float, now: float) -> int:
    return max(0, round(until - now))
