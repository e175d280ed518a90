"""What the channel looks after by itself: one text or one provider in trouble keeps no other waiting."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from core.channels import DeliveryState
from core.schema import outbox
from sms.providers import base
from sms.providers.base import Arrival, Caps, Report
from tests.sms.house import LINE, PAPER, House, house

HOUR = 3600
NAMES = ("first", "second")


async def test_a_text_that_cannot_be_taken_does_not_stop_those_behind_it(tmp_path: Path, monkeypatch):
    async with house(tmp_path) as made:
        made.paper().inbox = [Arrival(f"{n}", "09120000001", "30001234", f"آب قطع است {n}", at=n) for n in range(3)]
        get, watch = made.channel._watch._get, made.channel._watch

        async def broken(line: str, provider: str, arrival: Arrival) -> object:
            if arrival.id == "1":
                raise ValueError("something nobody thought of")
            return await get(line, provider, arrival)

        monkeypatch.setattr(watch, "_get", broken)
        with pytest.raises(ValueError, match="nobody thought of"):
            await made.channel.fetch("main", 0)
        assert await made.texts() == ["آب قطع است 0", "آب قطع است 2"]


async def test_a_provider_that_cannot_be_asked_keeps_no_other_from_being_asked(tmp_path: Path, monkeypatch):
    lines = {"line": {"main": {**LINE, "providers": list(NAMES)}}, "provider": dict.fromkeys(NAMES, PAPER)}
    async with house(tmp_path, lines) as made:
        for name in NAMES:
            made.paper(name).caps = Caps(max_batch=10, keyed=True, status_for=48 * HOUR, status_batch=10)
        await made.text("09120000001", "آب کوچه قطع است")
        await made.text("09350000002", "برق کوچه قطع است")
        await accepted(made)
        await made.channel._watch.look_at_states(made.desk)

        async def down(refs: Any) -> Any:
            raise base.AuthOrConfig("x")

        async def told(refs: Any) -> Any:
            return [Report(ref, DeliveryState.DELIVERED) for ref in refs]

        monkeypatch.setattr(made.paper("first"), "status", down)
        monkeypatch.setattr(made.paper("second"), "status", told)
        made.clock.advance(612)
        with pytest.raises(base.AuthOrConfig):
            await made.channel._watch.look_at_states(made.desk)
        assert await states(made) == ["accepted", "delivered"]
        made.clock.advance(48 * HOUR)
        await made.channel._watch.look_at_states(made.desk)
        assert await states(made) == ["expired", "delivered"]


async def accepted(made: House) -> None:
    """One receipt by each provider."""
    taken = sa.update(outbox).values(state="accepted", done_at=made.clock.now())

    def change(s: sa.Connection) -> None:
        for name, row in zip(
            NAMES, s.execute(sa.select(outbox.c.id).order_by(outbox.c.id)).scalars().all(), strict=True
        ):
            s.execute(taken.where(outbox.c.id == row).values(ref=f"{name}:1"))

    await made.store.write(change)


async def states(made: House) -> list[str]:
    ask = "SELECT state FROM outbox ORDER BY id"
    return list(await made.store.read(lambda s: s.exec_driver_sql(ask).scalars().all()))
