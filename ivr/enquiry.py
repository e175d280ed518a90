"""What a call looks up for its caller: an answer, a unit and its card, the own tickets, a permit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from core import phones
from core.channels import Answer, State
from core.errors import Busy, Locked, NotFound
from ivr import steps
from ivr.counter import House, asker, named
from ivr.leg import Leg
from ivr.steps import Item

NEWEST = 3  # own tickets told; more are not remembered
UNANSWERED = frozenset({State.HELD, State.NEW, State.OPEN, State.ASKED, State.OUTSIDE, State.APPROVAL, State.DISPUTED})


async def look(house: House, deed: steps.Look, leg: Leg, lang: str) -> steps.Found:
    """Answer a Look; errors of the door are ways out of it."""
    try:
        match deed.what:
            case "unit" | "card":
                return await _unit(house, deed, lang)
            case "mine":
                return await _mine(house, leg, lang)
            case "permit":
                return _permit(house, deed.key)
            case _:
                answer = await house.door.answer_for(deed.key, asker(leg, deed.pin))
    except Locked:
        return steps.Found("locked")
    except Busy:
        return steps.Found("busy")
    except NotFound:
        return steps.Found("none")
    return read_out(answer) if answer is not None else steps.Found("none")


async def _unit(house: House, deed: steps.Look, lang: str) -> steps.Found:
    found = await house.door.look_up("unit", deed.key)
    if found is None or not found.rows:
        return steps.Found("none")
    row = found.rows[0]
    name = {"unit": named(row, lang)}
    items = _card(house, row, name, lang) if deed.what == "card" else [Item("ivr.unit_is", name)]
    return steps.Found("found", {"unit": row["slug"]}, tuple(items))


def _card(house: House, row: Mapping[str, Any], name: Mapping[str, Any], lang: str) -> Iterator[Item]:
    """Name, hours and number of a unit, as far as they are known."""
    yield Item("ivr.card", name)
    card = house.cards.get(row["slug"])
    if card is None:
        return
    if hours := card.hours.get(lang):
        yield Item("ivr.card_hours", {"hours": hours})
    if card.phone:
        yield Item("ivr.card_phone", {"phone": phones.show(card.phone, lang)})


async def _mine(house: House, leg: Leg, lang: str) -> steps.Found:
    """The newest tickets of an asserted number, each by a key."""
    found = await house.door.look_up("mine", "", asker(leg))
    rows = list(found.rows)[:NEWEST] if found is not None else []
    if not rows:
        return steps.Found("none")
    items: list[Item] = []
    for n, row in enumerate(rows, 1):
        units = await house.door.look_up("unit", row["unit"])
        unit = named(units.rows[0], lang) if units is not None and units.rows else row["unit"]
        items += [
            Item("ivr.mine", {"n": n, "kind": house.say(f"core.kind.{row['kind']}", lang)}),
            Item(f"ivr.state.{row['state']}", {"unit": unit, "at": row["at"]}),
        ]
    return steps.Found("found", {"codes": [row["code"] for row in rows]}, tuple(items))


def _permit(house: House, digits: str) -> steps.Found:
    permit = house.shelf.allows(digits) if house.shelf is not None else None
    if permit is None:
        return steps.Found("none")
    return steps.Found("found", {"text": permit.text, "lang": permit.lang})


def read_out(answer: Answer) -> steps.Found:
    """State, unit and dates; with proof the newest answer too, as words or as the voice it was given in."""
    facts = {"unit": answer.unit_name, "at": answer.at}
    items = [Item(f"ivr.state.{answer.state}", facts)]
    if answer.due_at is not None and answer.state in UNANSWERED:
        items.append(Item("ivr.due", {"due_at": answer.due_at}))
    known = {"can": sorted(answer.can), "state": answer.state.value}
    if not answer.proven:
        return steps.Found("unproven", known, (*items, Item("ivr.prove")))
    if answer.reply is None:
        return steps.Found("waiting", known, (*items, Item("ivr.no_reply_yet")))
    items.append(Item("ivr.answered_on", {"answered_at": answer.answered_at or answer.reply.at}))
    if answer.reply.text.strip():
        items += [Item("ivr.reply"), Item(words=answer.reply.text)]
    voices = [file.key for file in answer.reply.files if file.type.startswith("audio/")]
    for key in voices:
        items += [Item("ivr.reply_voice"), Item(voice=key)]
    return steps.Found("found", known, tuple(items))
