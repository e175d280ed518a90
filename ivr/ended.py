"""What is written of a call: who called where and when while it goes on, how it went once it is over."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from core.channels import CallRecord, Contact, ContactKind
from ivr.ledger import OPEN
from ivr.leg import Leg

CLOSING = 6.0  # seconds the media plane may take to tell its counts
LOOK = 0.1


def open_record(leg: Leg, began: int, path: Sequence[str] = (), **facts: Any) -> CallRecord:
    """Of a call that goes on since `began` (ms UTC)."""
    return CallRecord(
        ref=leg.id,
        line=leg.line,
        called=leg.called,
        began_at=began,
        seconds=0,
        way=OPEN,
        contact=Contact(ContactKind.PHONE, leg.number, leg.asserted) if leg.number else None,
        facts={"path": list(path), **facts},
    )


def out_record(
    number: str, ref: str, began: int, ended: int, way: str, ticket: int | None = None, **facts: Any
) -> CallRecord:  # fmt: skip
    """Of a call of ours to somebody who asked for it, reached or not; `began` and `ended` in ms UTC."""
    who = Contact(ContactKind.PHONE, number, True)
    return CallRecord(ref, "", "", began, seconds(began, ended), way, who, ticket, {"path": [], **facts})


def seconds(began: int, ended: int) -> int:
    """Between two times in ms UTC."""
    return max(0, round((ended - began) / 1000))


def way(leg: Leg) -> str:
    """How it ended, as its line says it."""
    return str(getattr(leg, "ended", "")) or "us"


async def quality(leg: Leg) -> Mapping[str, Any]:
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
