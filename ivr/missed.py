"""A missed call: somebody rings a number of ours and is not answered, which costs nothing.

The states of their open tickets come by SMS, to a landline by a call of ours. Only to an asserted number, once in ten
minutes and three times a day.
"""

from __future__ import annotations

import logging

from core import codes, phones
from core.channels import Note, State
from core.errors import Busy
from ivr.counter import House, asker
from ivr.leg import Leg

log = logging.getLogger(__name__)
MENU = "missed"  # what a dialled number leads to in lines.toml, in place of a menu
SOON, DAY = "missed_soon", "missed_day"  # rules of settings [limits]
OVER = frozenset({State.CLOSED, State.MERGED, State.JUNK})


async def call(leg: Leg, house: House) -> None:
    """Queue the text, then 486; a text that cannot be queued leaves the caller with the 486 alone."""
    try:
        told = await tell(leg, house)
        log.info("missed call", extra={"call": leg.id, "told": told})
    except Busy:
        log.warning("missed call not told: busy", extra={"call": leg.id})
    finally:
        leg.hang_up()


async def tell(leg: Leg, house: House) -> bool:
    """Text, or call with, the states of the open tickets; False where nobody may be told."""
    number = leg.number
    if not number or not leg.asserted:
        return False
    landline = house.calls_back and phones.shape(number) is phones.Shape.LANDLINE
    if not landline and not phones.mobile(number):
        return False
    door = house.door
    if not (await door.spend(SOON, number) and await door.spend(DAY, number)):
        return False
    found = await door.look_up("mine", "", asker(leg))
    rows = [row for row in (found.rows if found is not None else ()) if State(row["state"]) not in OVER]
    lang = house.lang
    if landline:  # nobody is rung to hear that there is nothing
        return bool(rows) and await door.tell(Note("phone", f"missed-{leg.id}", number, "mine", lang=lang))
    lines = [f"{codes.show(row['code'])}: {house.say('core.state.' + row['state'], lang)}" for row in rows]
    key, facts = ("mine", {"codes": "\n".join(lines)}) if lines else ("mine_none", {})
    return await door.tell(Note("sms", f"missed-{leg.id}", number, key, facts, lang=lang))
