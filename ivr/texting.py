"""What a call sends to its caller by SMS: an answer, a unit's address. Only to the asserted mobile that calls."""

from __future__ import annotations

from core import phones
from core.channels import Note, Purpose
from core.errors import Busy, Locked, NotFound
from ivr import steps
from ivr.counter import House, asker, named
from ivr.leg import Leg

RULE = "phone_texts"  # of settings [limits]: per number


async def text(house: House, deed: steps.Text, leg: Leg, lang: str) -> steps.Done | steps.Failed:
    """Queue it; Done once it is on disk. A repeat in the same call is one text."""
    if not (leg.asserted and leg.number and phones.mobile(leg.number)):
        return steps.Failed("no_mobile")
    try:
        note = await (_answer if deed.what == "answer" else _unit)(house, deed, leg, lang)
        if note is None:
            return steps.Failed("refused")
        if not await house.door.spend(RULE, leg.number):
            return steps.Failed("locked")
        await house.door.tell(note)
    except Busy:
        return steps.Failed("busy")
    except (Locked, NotFound):
        return steps.Failed("refused")
    return steps.Done()


async def _answer(house: House, deed: steps.Text, leg: Leg, lang: str) -> Note | None:
    answer = await house.door.answer_for(deed.key, asker(leg, deed.pin))
    if answer is None or not answer.proven or answer.reply is None or not answer.reply.text.strip():
        return None
    facts = {"unit": answer.unit_name, "answer": answer.reply.text, "code": answer.code}
    ref = f"{leg.id}-answer-{answer.code}"
    return Note("sms", ref, leg.number or "", "answer", facts, None, lang, Purpose.ANSWER, answer.ticket)


async def _unit(house: House, deed: steps.Text, leg: Leg, lang: str) -> Note | None:
    found = await house.door.look_up("unit", deed.key)
    if found is None or not found.rows:
        return None
    row = found.rows[0]
    card = house.cards.get(row["slug"])
    known = [phones.show(card.phone, lang)] if card is not None and card.phone else []
    known += [str(row["email"])] if row.get("email") else []
    facts = {"unit": named(row, lang), "ways": "\n".join(known)}
    return Note("sms", f"{leg.id}-unit-{row['slug']}", leg.number or "", "unit_card", facts, None, lang, Purpose.STATE)
