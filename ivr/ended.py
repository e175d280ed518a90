"""The record of a call that is over, for its caller's history: when, how long, where it led, how well it was heard."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from core.channels import CallRecord, Contact, ContactKind, Door
from core.errors import Busy, PasokhError
from ivr.leg import Leg
from ivr.stand import Walk

log = logging.getLogger(__name__)
CLOSING = 6.0  # seconds the media plane may take to tell its counts
LOOK = 0.1
WAITS = (1.0, 5.0, 30.0, 120.0)  # seconds between tries while the store is busy


async def note(door: Door, leg: Leg, walk: Walk, began: int, ended: int, more: Mapping[str, Any]) -> None:
    """Keep it. `began` and `ended` in ms UTC; `more`: what the queue knows."""
    quality = await _quality(leg)
    record = CallRecord(
        ref=leg.id,
        line=leg.line,
        called=leg.called,
        began_at=began,
        seconds=max(0, round((ended - began) / 1000)),
        way=str(getattr(leg, "ended", "")) or "us",
        contact=Contact(ContactKind.PHONE, leg.number, leg.asserted) if leg.number else None,
        facts={"path": list(walk.path), **quality, **more},
    )
    for wait in (*WAITS, None):
        try:
            await door.call_over(record)
            return
        except Busy:
            if wait is None:
                log.error("call not recorded: busy", extra={"call": leg.id})
                return
            await asyncio.sleep(wait)
        except PasokhError:
            log.exception("call not recorded", extra={"call": leg.id})
            return


async def _quality(leg: Leg) -> dict[str, Any]:
    """Losses and jitter, as the plane counted them; nothing where there was no sound of ours."""
    left = CLOSING
    while (stats := getattr(leg, "stats", None)) is None:
        if left <= 0 or not hasattr(leg, "stats"):
            return {}
        left -= LOOK
        await asyncio.sleep(LOOK)
    known = stats.quality
    facts: dict[str, Any] = {"packets": known.received, "lost": known.lost, "jitter_ms": known.jitter_ms}
    if known.far_lost is not None:
        facts |= {"far_lost": known.far_lost, "far_jitter_ms": known.far_jitter_ms}
    return facts
