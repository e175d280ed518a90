"""Taking messages in: once each, in one transaction, with the first receipt for whoever says it again."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
import sqlalchemy as sa

from core import cipher, claims, codes
from core.channels import Act, Asker, Auto, Hint, HintKind, Inbound, Note, Receipt, Trust
from core.cipher import Keyring
from core.clock import HandClock
from core.errors import Guarded, Locked, NotFound, WrongInput, WrongState
from core.intake import Desk
from core.model import Contact, ContactKind, KeptFile, Kind, State
from core.schema import contact, event, file, message, metadata, outbox, raw, seen, ticket
from core.store import Store

PHONE = Contact(ContactKind.PHONE, "+989120000000", proven=True)
OTHER = Contact(ContactKind.PHONE, "+989120000001", proven=True)
MAIL = Contact(ContactKind.MAIL, "zahra@example.ir", proven=True)
TEXT = "آب محلهٔ ما از دیروز قطع است و کسی پاسخ نمی‌دهد"
DAY = 86_400


def sms(ref: str = "k-1", text: str = TEXT, **more) -> Inbound:
    return Inbound("sms", ref, text, **({"contact": PHONE, "line": "main"} | more))


def letter(ref: str, text: str = TEXT, **more) -> Inbound:
    fields = {"contact": MAIL, "line": "main", "subject": "قطع آب", "trust": Trust.PASS} | more
    return Inbound("mail", ref, text, **fields)


async def rows(store: Store, table, *where):
    return await store.read(lambda s: s.execute(sa.select(table).where(*where)).mappings().all())


async def count(store: Store, table) -> int:
    return await store.read(lambda s: s.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())


async def one(store: Store, table, number: int):
    return (await rows(store, table, table.c.id == number))[0]


async def answer(store: Store, receipt: Receipt, now: int) -> None:
    values = {"state": "answered", "answered_at": now, "clock": "stopped"}
    await store.write(
        lambda s: s.execute(sa.update(ticket).where(ticket.c.id == receipt.ticket).values(values)) and None
    )


async def test_a_message_is_a_ticket_with_a_code_a_unit_and_a_due_date(desk: Desk, store: Store, ring: Keyring):
    receipt = await desk.take(sms(kind=Kind.COMPLAINT))
    assert codes.ok(receipt.code) and receipt.first and not receipt.same_id
    assert receipt.pin == cipher.pin(ring, 1, receipt.ticket)
    row = await one(store, ticket, receipt.ticket)
    assert (row["state"], row["kind"], row["unit"]) == ("new", "complaint", receipt.unit)
    assert row["due_at"] == receipt.due_at and row["due_from"] == row["at"] < row["due_at"]
    said = await one(store, message, receipt.message)
    assert (said["text"], said["seq"], said["way"]) == (TEXT, 1, "in")
    who = await one(store, contact, row["contact"])
    assert cipher.unseal(ring, "contact", "value", who["id"], who["value"]).decode() == PHONE.value
    assert PHONE.value.encode() not in who["value"] and who["proven_at"] == row["at"]


async def test_the_code_waits_in_the_outbox_for_whoever_texted(desk: Desk, store: Store):
    receipt = await desk.take(sms())
    (row,) = await rows(store, outbox)
    assert (row["ticket"], row["channel"], row["purpose"], row["key"]) == (receipt.ticket, "sms", "receipt", "received")
    assert row["line"] == "main" and row["not_after"] == row["at"] + DAY * 1000


@pytest.mark.parametrize(
    "quiet",
    [
        sms(quiet=True),
        sms(auto=Auto.WEAK),
        sms(contact=None),
        sms(held=True),
        letter("m", trust=Trust.FAIL),
        Inbound("web", "w", TEXT, contact=PHONE),
        Inbound("phone", "p", TEXT, contact=replace(PHONE, proven=False)),
        Inbound("phone", "p", TEXT, contact=replace(PHONE, value="+982188880000")),
        Inbound("phone", "p", TEXT, contact=PHONE, quiet=True),
    ],
)
async def test_nothing_is_sent_to_whom_nothing_should_be(desk: Desk, store: Store, quiet: Inbound):
    await desk.take(quiet)
    assert await count(store, outbox) == 0


async def test_who_rings_from_a_proven_mobile_reads_the_code_by_sms(desk: Desk, store: Store):
    receipt = await desk.take(Inbound("phone", "p", TEXT, contact=PHONE, line="main"))
    (row,) = await rows(store, outbox)
    assert (row["ticket"], row["channel"], row["line"], row["purpose"]) == (receipt.ticket, "sms", None, "receipt")
    assert (await one(store, ticket, receipt.ticket))["answer_by"] == "phone"


async def test_a_form_that_asks_for_a_text_gets_one(desk: Desk, store: Store):
    await desk.take(Inbound("web", "w", TEXT, contact=MAIL, answer_by="sms", answer_to=PHONE))
    (row,) = await rows(store, outbox)
    (there,) = await rows(store, contact, contact.c.kind == "phone")
    assert (row["channel"], row["contact"]) == ("sms", there["id"])


async def test_the_same_sms_twice_is_one_ticket(desk: Desk, store: Store):
    first = await desk.take(sms())
    again = await desk.take(sms())
    assert again == replace(first, first=False)
    assert await count(store, ticket) == 1


async def test_fifty_at_once_are_one_ticket_and_fifty_equal_receipts(desk: Desk, store: Store):
    found = await asyncio.gather(*(desk.take(Inbound("web", "form-1", TEXT)) for _ in range(50)))
    assert len({receipt.code for receipt in found}) == 1
    assert sum(receipt.first for receipt in found) == 1
    assert await count(store, ticket) == 1 == await count(store, seen)


async def test_the_same_id_with_another_text_is_a_new_ticket_marked(desk: Desk, store: Store):
    first = await desk.take(sms())
    second, third = await asyncio.gather(desk.take(sms(text="برق هم قطع است")), desk.take(sms(text="گاز هم قطع است")))
    assert second.same_id and third.same_id and len({first.code, second.code, third.code}) == 3
    assert (await one(store, message, second.message))["marks"] == ["same_id"]
    assert (await desk.take(sms(text="برق هم قطع است"))) == replace(second, first=False)


async def test_two_texts_under_one_id_in_one_batch_are_told_apart(desk: Desk):
    first, second = await asyncio.gather(desk.take(sms()), desk.take(sms(text="برق هم قطع است")))
    assert not first.same_id and second.same_id and first.code != second.code


async def test_a_form_sent_again_with_a_changed_text_shows_the_first_receipt(desk: Desk, store: Store):
    first = await desk.take(Inbound("web", "form-1", TEXT))
    changed = [desk.take(Inbound("web", "form-1", "متن دیگری که عوض شد")) for _ in range(3)]
    assert await asyncio.gather(*changed) == [replace(first, first=False, same_id=True)] * 3
    assert await count(store, ticket) == 1 == await count(store, seen)


async def test_one_person_is_one_contact_however_often_they_write(desk: Desk, store: Store):
    unproven = replace(PHONE, proven=False)
    await asyncio.gather(*(desk.take(sms(f"k-{n}", contact=unproven)) for n in range(5)))
    (who,) = await rows(store, contact)
    assert who["proven_at"] is None
    await asyncio.gather(*(desk.take(sms(f"p-{n}")) for n in range(5)))
    (who,) = await rows(store, contact)
    assert who["proven_at"] is not None and who["proven_by"] == "sms"


@pytest.mark.parametrize(
    ("wrong", "field", "word"),
    [
        (sms(text=" \u200f\x00 "), "text", "empty"),
        (sms(kind="گلایه"), "kind", "unknown"),
        (sms(unit="nowhere"), "unit", "unknown"),
        (sms(service="nothing"), "service", "unknown"),
        (sms(place="ا" * 301), "place", "long"),
        (sms(act=Act.ADD), "code", "empty"),
        (sms(act=Act.ADD, code="12345678901"), "code", "digit"),
    ],
)
async def test_what_cannot_be_taken_is_refused_and_names_the_field(desk: Desk, store: Store, wrong, field, word):
    with pytest.raises(WrongInput) as refused:
        await desk.take(wrong)
    assert (refused.value.field, refused.value.word) == (field, word)
    assert await count(store, seen) == 0


async def test_control_characters_and_html_are_text(desk: Desk, store: Store):
    dirty = "<b>سلام</b>\x00\u202e علي\ud800"
    receipt = await desk.take(sms(text=dirty, facts={"path\x00": ["\ud800ا", {"b": "\x00"}]}, subject="\x00م"))
    assert (await one(store, message, receipt.message))["text"] == "<b>سلام</b> علی"
    row = await one(store, ticket, receipt.ticket)
    assert row["facts"] == {"path": ["ا", {"b": ""}]} and row["subject"] == "م"


async def test_files_and_the_original_lie_beside_the_message(desk: Desk, store: Store):
    kept = await desk.keep(b"%PDF-1.7 \xe2\xe3", "نامه.pdf")
    receipt = await desk.take(letter("m", "", files=[kept], raw=b"From: zahra@example.ir\r\n\r\n", message_id="<a@b>"))
    (row,) = await rows(store, file)
    assert (row["key"], row["message"], row["type"]) == (kept.key, receipt.message, "application/pdf")
    (original,) = await rows(store, raw)
    assert original["bytes"].startswith(b"From:") and original["message"] == receipt.message


async def test_a_message_that_cannot_be_written_fails_alone_and_is_kept_raw(desk: Desk, store: Store):
    broken = sms("bad", "این یکی نوشته نمی‌شود", files=[KeptFile("0" * 64, "a.bin", "x/y", 2**70)])
    found = await asyncio.gather(*(desk.take(m) for m in (sms("k-1"), broken, sms("k-2"), sms("k-3"))))
    assert len({receipt.code for receipt in found}) == 4
    marks = {row["id"]: row["marks"] for row in await rows(store, message)}
    assert marks.pop(found[1].message) == ["unreadable"] and set(map(tuple, marks.values())) == {()}
    (kept,) = await rows(store, raw)
    assert kept["bytes"].decode() == "این یکی نوشته نمی‌شود" and kept["message"] == found[1].message
    assert (await desk.take(broken)).code == found[1].code


async def test_a_code_that_was_drawn_before_is_drawn_anew(desk: Desk, store: Store, monkeypatch):
    first = await desk.take(sms("k-1"))
    drawn = iter([first.code])
    real = codes.new
    monkeypatch.setattr(codes, "new", lambda: next(drawn, None) or real())
    found = await asyncio.gather(desk.take(sms("k-2")), desk.take(sms("k-3")))
    assert len({first.code, *(receipt.code for receipt in found)}) == 3
    assert await count(store, ticket) == 3


# ---------------------------------------------------------------- what continues a ticket


async def test_additions_to_one_ticket_in_one_batch_see_each_other(desk: Desk, store: Store):
    first = await desk.take(sms())
    adds = [sms(f"a-{n}", f"یادداشت {n}", act=Act.ADD, code=first.code) for n in range(5)]
    found = await asyncio.gather(*(desk.take(add) for add in adds))
    said = await rows(store, message, message.c.ticket == first.ticket)
    assert sorted(row["seq"] for row in said) == [1, 2, 3, 4, 5, 6]
    assert [row["text"] for row in sorted(said, key=lambda r: r["seq"])][1:] == [add.text for add in adds]
    assert {receipt.code for receipt in found} == {first.code}
    row = await one(store, ticket, first.ticket)
    assert (row["version"], row["seq"], row["events"]) == (6, 6, 6)
    assert (await desk.take(adds[2])) == replace(found[2], first=False)


async def test_an_addition_needs_the_pin_the_contact_or_a_typed_number(desk: Desk, store: Store):
    first = await desk.take(sms())
    web = Inbound("web", "a", "اضافه", act=Act.ADD, code=first.code)
    for number, proof in enumerate((first.pin, "۰۹۱۲۰۰۰۰۰۰۰", "۰۹۱۲ ۰۰۰ ۰۰۰۰")):
        assert (await desk.take(replace(web, ref=f"a{number}", proof=proof))).ticket == first.ticket
    wrong = "0000" if first.pin != "0000" else "1111"
    for proof in (None, wrong, "09120000001", "zahra@example.ir"):
        with pytest.raises(NotFound):
            await desk.take(replace(web, proof=proof))
    with pytest.raises(NotFound):
        await desk.take(replace(web, code=codes.new(), proof=first.pin))
    assert len(await rows(store, seen)) == 4


async def test_guessing_pins_shuts_that_way_but_not_the_owners(desk: Desk):
    first = await desk.take(sms())
    wrong = "0000" if first.pin != "0000" else "1111"
    for number in range(10):
        with pytest.raises(NotFound):
            await desk.take(Inbound("web", f"g{number}", "x", act=Act.ADD, code=first.code, proof=wrong))
    with pytest.raises(Locked):
        await desk.take(Inbound("web", "g", "x", act=Act.ADD, code=first.code, proof=first.pin))
    assert (await desk.take(sms("o", act=Act.ADD, code=first.code))).ticket == first.ticket


async def test_another_number_adds_only_aside(desk: Desk, store: Store):
    first = await desk.take(sms())
    await answer(store, first, 1_723_620_600_000)
    added = await desk.take(sms("b", "من هم همین مشکل را دارم", act=Act.ADD, code=first.code, contact=OTHER))
    assert added.state is State.ANSWERED
    assert (await one(store, message, added.message))["marks"] == ["other_number"]
    assert len(await rows(store, outbox)) == 1


async def test_an_addition_to_an_answered_ticket_opens_it_with_a_fresh_clock(
    desk: Desk, store: Store, clock: HandClock
):
    first = await desk.take(sms())
    clock.advance(3 * DAY)
    await answer(store, first, clock.now())
    assert (await desk.take(sms("a", act=Act.ADD, code=first.code))).state is State.OPEN
    row = await one(store, ticket, first.ticket)
    assert row["clock"] == "runs" and row["due_at"] > first.due_at and row["due_from"] == clock.now()
    acks = await rows(store, outbox, outbox.c.key == "added")
    assert [(ack["channel"], ack["purpose"], ack["seq"]) for ack in acks] == [("sms", "state", 2)]


async def test_a_word_to_a_ticket_closed_long_ago_opens_a_linked_one(desk: Desk, store: Store, clock: HandClock):
    first = await desk.take(sms())
    await desk.take(sms("w", act=Act.WITHDRAW, code=first.code, text=""))
    clock.advance(10 * DAY)
    assert (await desk.take(sms("b", act=Act.ADD, code=first.code))).state is State.OPEN
    await desk.take(sms("w2", act=Act.WITHDRAW, code=first.code, text=""))
    clock.advance(31 * DAY)
    late = await desk.take(sms("c", act=Act.ADD, code=first.code))
    assert late.ticket != first.ticket and (await one(store, ticket, late.ticket))["related"] == first.ticket


async def test_an_objection_goes_one_level_up_to_somebody_else_once_an_answer(desk: Desk, store: Store, config, clock):
    unit = next(u for u in config.units if u.parent and u.kind == "unit")
    first = await desk.take(sms(unit=unit.slug))
    objects = sms("o1", "پاسخ درست نیست", act=Act.OBJECT, code=first.code)
    with pytest.raises(WrongState):
        await desk.take(objects)
    await answer(store, first, clock.now())
    up = await desk.take(objects)
    assert (up.state, up.unit) == (State.DISPUTED, config.units.superior(unit.slug).slug)
    assert up.due_at and (await desk.take(objects)) == replace(up, first=False)
    close = {"state": "closed", "closed_at": clock.now()}
    await store.write(lambda s: s.execute(sa.update(ticket).values(close)) and None)
    with pytest.raises(Guarded, match="objected_once"):
        await desk.take(replace(objects, ref="o2"))
    clock.advance(DAY)
    await answer(store, first, clock.now())
    clock.advance(31 * DAY)
    with pytest.raises(Guarded, match="too_late"):
        await desk.take(replace(objects, ref="o3"))
    await answer(store, first, clock.now())
    assert (await desk.take(replace(objects, ref="o4"))).unit == config.units.superior(up.unit, 2).slug
    await answer(store, first, clock.now() + 1)
    with pytest.raises(Guarded, match="last_level"):
        await desk.take(replace(objects, ref="o5"))


async def test_a_refused_act_leaves_the_others_of_its_batch_in_place(desk: Desk, store: Store):
    first = await desk.take(sms())
    batch = [
        desk.take(sms("n-1")),
        desk.take(sms("x", act=Act.ACCEPT, code=first.code)),
        desk.take(sms("a", act=Act.ADD, code=first.code)),
    ]
    found = await asyncio.gather(*batch, return_exceptions=True)
    assert isinstance(found[1], WrongState)
    assert found[0].first and found[2].ticket == first.ticket
    assert len(await rows(store, message)) == 3 == len(await rows(store, seen))


async def test_a_letter_joins_its_thread_only_from_who_takes_part(desk: Desk, store: Store):
    first = await desk.take(letter("m1", message_id="<one@example.ir>"))
    seen_id = [Hint(HintKind.SEEN_ID, "<one@example.ir>")]
    joined = await desk.take(letter("m2", "ادامه", hints=seen_id, message_id="<two@example.ir>"))
    assert joined.ticket == first.ticket
    stranger = Contact(ContactKind.MAIL, "ali@example.ir")
    linked = await desk.take(letter("m3", "من هم", contact=stranger, hints=seen_id))
    forged = await desk.take(letter("m4", "جعلی", trust=Trust.FAIL, hints=seen_id))
    for receipt in (linked, forged):
        assert receipt.ticket != first.ticket
        assert (await one(store, ticket, receipt.ticket))["related"] == first.ticket


async def test_a_token_from_a_stranger_is_kept_beside_and_moves_nothing(desk: Desk, store: Store, clock: HandClock):
    first = await desk.take(letter("m1"))
    await answer(store, first, clock.now())
    token = [Hint(HintKind.TICKET, str(first.ticket))]
    aside = await desk.take(letter("m2", contact=Contact(ContactKind.MAIL, "ali@example.ir"), hints=token))
    assert (aside.ticket, aside.state) == (first.ticket, State.ANSWERED)
    assert (await one(store, message, aside.message))["marks"] == ["beside"]
    robot = await desk.take(letter("m3", "در مرخصی هستم", hints=token, auto=Auto.WEAK))
    assert (robot.ticket, robot.state) == (first.ticket, State.ANSWERED)
    own = await desk.take(letter("m4", "ممنون ولی حل نشد", hints=token))
    assert (own.ticket, own.state) == (first.ticket, State.OPEN)


async def test_a_code_in_a_subject_joins_only_a_passed_participant(desk: Desk, store: Store):
    first = await desk.take(letter("m1"))
    hint = [Hint(HintKind.CODE, first.code)]
    assert (await desk.take(letter("m2", hints=hint))).ticket == first.ticket
    other = await desk.take(letter("m3", hints=hint, trust=Trust.UNJUDGED))
    assert other.ticket != first.ticket
    nothing = await desk.take(letter("m4", hints=[Hint(HintKind.CODE, codes.new()), Hint(HintKind.TICKET, "9")]))
    assert (await one(store, ticket, nothing.ticket))["related"] is None


async def test_a_letter_and_its_answer_in_one_batch_find_each_other(desk: Desk):
    hints = [Hint(HintKind.SEEN_ID, "one@example.ir")]
    first, second = await asyncio.gather(
        desk.take(letter("m1", message_id="<one@example.ir>")), desk.take(letter("m2", "ادامه", hints=hints))
    )
    assert second.ticket == first.ticket


async def test_what_waits_in_the_outbox_can_be_handed_out(desk: Desk, store: Store, ring: Keyring, clock: HandClock):
    receipt = await desk.take(sms())
    assert await desk.tell(Note("sms", "r", OTHER.value, "help"))
    assert await desk.tell(Note("sms", "s", PHONE.value, "state", ticket=receipt.ticket))
    claimed = await store.write(claims.claim, "sms", 10, clock.now(), "w")
    told = {one.message.key: one.open(ring) for one in claimed}
    assert told["received"].to == PHONE.value and told["help"].to == OTHER.value
    assert (told["received"].facts["code"], told["received"].facts["pin"]) == (receipt.code, receipt.pin)
    assert told["state"].facts["code"] == receipt.code


async def test_the_owner_learns_state_and_words_by_code(desk: Desk):
    receipt = await desk.take(sms())
    answer = await desk.answer_for(receipt.code, Asker("web", "127.0.0.1", proof=receipt.pin))
    assert answer is not None and answer.proven and [said.text for said in answer.words] == [TEXT]
    bare = await desk.answer_for(receipt.code, Asker("web", "127.0.0.1"))
    assert bare is not None and not bare.proven and not bare.words


async def test_raw_bytes_are_kept_without_a_ticket(desk: Desk, store: Store):
    number = await desk.raw("sms", "p-9", b"\x00\xff", "empty")
    row = await one(store, raw, number)
    assert (row["bytes"], row["message"], row["why"]) == (b"\x00\xff", None, "empty")


async def test_every_ticket_has_its_code_message_and_event(desk: Desk, store: Store):
    found = await asyncio.gather(*(desk.take(sms(f"k-{n}")) for n in range(700)))
    assert len({receipt.code for receipt in found}) == 700
    counts = {
        name: await count(store, metadata.tables[name]) for name in ("ticket", "code", "message", "event", "seen")
    }
    assert set(counts.values()) == {700}
    assert {row["pos"] > 0 for row in await rows(store, event)} == {True}
