"""What providers report of texts we sent. A text of several parts is delivered once every part is."""

from __future__ import annotations

from collections.abc import Mapping

from core.channels import DeliveryState, Door
from sms.providers.base import Report

FINAL_BAD = (
    DeliveryState.UNDELIVERED, DeliveryState.FAILED, DeliveryState.CANCELLED, DeliveryState.BLOCKED,
    DeliveryState.EXPIRED,
)  # fmt: skip


async def tell(door: Door, provider: str, report: Report) -> None:
    """Hand a report on under the ref the whole text was sent as. On disk when it returns. Raises Busy."""
    if report.state is None:
        return
    for ref in (report.ref, *report.also):
        whole = (await door.drawer.get(f"sms:of:{provider}:{ref}")).get("whole")
        if whole is not None:
            await _of_part(door, provider, ref, whole.decode(), report.state, report.why)
            return
    also = tuple(f"{provider}:{ref}" for ref in report.also)
    await door.delivered("sms", f"{provider}:{report.ref}", report.state, report.why, also)


async def _of_part(door: Door, provider: str, ref: str, whole: str, state: DeliveryState, why: str) -> None:
    kept = await door.drawer.put(f"sms:states:{provider}:{whole}", ref, state.value.encode())
    verdict = together(whole.split(","), {slot: DeliveryState(data.decode()) for slot, data in kept.items()})
    if verdict is not None:
        await door.delivered("sms", f"{provider}:{whole}", verdict, why)


def together(refs: list[str], states: Mapping[str, DeliveryState]) -> DeliveryState | None:
    """The state of the whole: the first bad one, else delivered when all are, else sent; None before any is known."""
    known = [states[ref] for ref in refs if ref in states]
    bad = next((state for state in known if state in FINAL_BAD), None)
    if bad is not None or not known:
        return bad
    done = len(known) == len(refs) and all(state is DeliveryState.DELIVERED for state in known)
    return DeliveryState.DELIVERED if done else DeliveryState.SENT
