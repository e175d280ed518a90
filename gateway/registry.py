"""Which channels there are: entry points of `pasokh.channels`, loaded late so that nobody imports a reactor early."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points

from core.channels import Channel, Gear

Maker = Callable[[Gear], Channel]


def makers() -> dict[str, Callable[[], Maker]]:
    """Channel name → loader of its maker. A new channel is one folder and one entry-point line."""
    return {point.name: point.load for point in entry_points(group="pasokh.channels")}
