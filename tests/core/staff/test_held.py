"""A held receipt goes along with the first letter to its sender, once, on both stores."""

from __future__ import annotations

import sqlalchemy as sa

from core import cipher, outbox, outcomes, schema
from core.channels import Refused
from core.fresh import UNTOLD
from tests.core.staff.conftest import World, mail


async def test_two_letters_at_once_and_the_receipt_goes_along_with_one(world: World):
    held = await world.plant(channel="mail", contacts=[mail()])
    other = await world.plant(channel="mail", contacts=[mail()])

    def hold(s: sa.Connection) -> None:
        s.execute(sa.update(schema.message).where(schema.message.c.id == held).values(marks=[UNTOLD]))

    await world.store.write(hold)
    for ticket in (held, other):
        await world.put(ticket, channel="mail")
    claims = await world.store.write(outbox.claim, "mail", 5, world.clock.now(), "w")
    told = [claim.open(world.ring).facts.get("along") for claim in claims]
    (code,) = await world.rows(schema.code, schema.code.c.ticket == held)
    assert sorted(told, key=bool) == [None, [(code["value"], cipher.pin(world.ring, 1, held))]]
    assert (await world.row(schema.message, held))["marks"] == []
    lost = [outcomes.Result(claim.id, claim.fence, Refused("no such person")) for claim in claims]
    await world.store.write(outcomes.record, lost, world.clock.now())
    assert (await world.row(schema.message, held))["marks"] == [UNTOLD]
