"""Whatever text comes from citizens, staff or peers, nothing fails on it: NUL, controls, lone surrogates."""

from __future__ import annotations

import pytest

from core import desk, lapses, outbox, outcomes, people, replies, schema
from core.channels import DeliveryState, Inbound, Note, Sent, TryLater
from core.errors import NotFound, WrongInput
from core.files import Files
from core.intake import Desk
from core.model import Contact, ContactKind, Purpose
from tests.core.staff.conftest import World, world  # noqa: F401 the fixture

DIRTY = "الف\x00ب\ud800\u202e\x07پ"


@pytest.fixture
def door(world: World, tmp_path):  # noqa: F811
    files = Files(tmp_path / "files", world.ring, world.store)
    yield Desk(world.store, world.office.config, world.ring, files, world.clock, world.office.throttle)
    files.close()


async def test_what_staff_write_is_cleaned_like_what_citizens_write(world: World):  # noqa: F811
    ticket, boss = await world.plant(), await world.who("services")
    await desk.note(world.store, boss, ticket, None, DIRTY)
    await replies.reply(world.store, boss, ticket, None, DIRTY, ref=DIRTY)
    await desk.reopen(world.store, boss, ticket, None)
    await desk.junk(world.store, boss, ticket, None, DIRTY)
    said = await world.rows(schema.message, schema.message.c.ticket == ticket, schema.message.c.seq > 1)
    assert [one["text"] for one in said] == ["الفبپ"] * 2
    with pytest.raises(WrongInput):
        await desk.note(world.store, boss, ticket, None, "\x00 \u202e")


async def test_words_of_a_peer_never_keep_a_result_from_being_recorded(world: World):  # noqa: F811
    row = await world.put(await world.plant())
    (claim,) = await world.store.write(outbox.claim, "sms", 1, world.clock.now(), "w")
    result = outcomes.Result(row, claim.fence, TryLater(DIRTY * 1000, 0))
    await world.store.write(outcomes.record, [result], world.clock.now())
    (claim,) = await world.store.write(outbox.claim, "sms", 1, world.clock.now(), "w")
    await world.store.write(
        outcomes.record, [outcomes.Result(row, claim.fence, Sent("r\x00\ud800-1"))], world.clock.now()
    )
    await world.store.write(outbox.reported, "sms", "r\x00-1", DeliveryState.DELIVERED, DIRTY, world.clock.now())
    kept = await world.row(schema.outbox, row)
    assert (kept["state"], kept["ref"], kept["why"]) == ("delivered", "r-1", "الفبپ")


async def test_a_note_and_raw_bytes_and_scratch_under_any_name(world: World, door: Desk):  # noqa: F811
    assert await door.tell(Note("sms", DIRTY, "+989120000000", "help", {"a": DIRTY}, purpose=Purpose.STATE))
    assert not await door.tell(Note("sms", DIRTY, "+989120000000", "help", {"a": DIRTY}))
    await door.raw("sms", DIRTY, b"x", DIRTY)
    await door.drawer.put(DIRTY, DIRTY, b"1")
    assert list((await door.drawer.get(DIRTY)).values()) == [b"1"]


async def test_nobody_signs_in_with_dirt_and_nothing_is_found_by_it(world: World):  # noqa: F811
    assert isinstance(await people.sign_in(world.store, DIRTY, DIRTY, "192.0.2.1"), people.Denied)
    assert isinstance(await people.sign_in(world.store, "services", DIRTY, "192.0.2.1"), people.Denied)
    assert await people.session_of(world.store, DIRTY) is None and await people.token_actor(world.store, DIRTY) is None
    boss = await world.who("services")
    assert (await desk.queue(world.store, boss, "open", DIRTY)).rows == []
    assert (await desk.queue(world.store, boss, "open", f"\x00{DIRTY}@\ud800")).rows == []


async def test_a_far_number_is_no_ticket(world: World):  # noqa: F811
    boss = await world.who("services")
    for number in (2**53, 2**63, 2**70, -1):
        with pytest.raises(NotFound):
            await desk.ticket(world.store, boss, number)
        with pytest.raises(NotFound):
            await desk.note(world.store, boss, number, None, "یادداشت")


async def test_a_message_with_dirt_everywhere_is_taken_readable(world: World, door: Desk):  # noqa: F811
    who = Contact(ContactKind.MAIL, "zahra\x00\ud800@example.ir")
    kept = await door.keep(b"x", "a.txt")
    heard = Inbound(
        "mail", DIRTY, DIRTY, contact=who, name=DIRTY, subject=DIRTY, quoted=DIRTY, lang="fa\x00", defects=[DIRTY],
        place=DIRTY, files=[kept, kept], line="main",
    )  # fmt: skip
    receipt = await door.take(heard)
    said = await world.row(schema.message, receipt.message)
    assert (said["text"], said["marks"], said["lang"]) == ("الفبپ", [], "fa")
    assert (await world.row(schema.contact, said["contact"]))["kind"] == "mail"


@pytest.mark.parametrize(
    ("text", "subject"),
    [
        ("آب محلهٔ ما\nاز دیروز قطع است", "آب محلهٔ ما از دیروز قطع است"),
        ("آب " * 100, ("آب " * 26).strip() + "…"),
        ("ا" * 500, "ا" * 79 + "…"),
    ],
)
async def test_a_message_without_a_subject_is_called_by_its_first_words(world: World, door: Desk, text, subject):  # noqa: F811
    receipt = await door.take(Inbound("sms", "k", text))
    row = await world.row(schema.ticket, receipt.ticket)
    assert row["subject"] == subject and len(row["subject"]) <= 80
    given = await door.take(Inbound("web", "w", text, subject="قطع آب"))
    assert (await world.row(schema.ticket, given.ticket))["subject"] == "قطع آب"


async def test_a_clock_that_jumps_back_stops_neither_an_answer_nor_a_lapse(world: World):  # noqa: F811
    ticket, boss = await world.plant(), await world.who("services")
    await desk.ask(world.store, boss, ticket, None, "نشانی؟")
    world.clock.jump(-3_600_000)
    await desk.resume(world.store, boss, ticket, None)
    row = await world.row(schema.ticket, ticket)
    assert row["state"] == "open" and row["due_at"] is not None
    await replies.reply(world.store, boss, ticket, None, "رسیدگی شد")
    assert await lapses.fire(world.store) == 0
    world.clock.jump(60 * 86_400_000)
    assert await lapses.fire(world.store) == 1
    assert await lapses.fire(world.store) == 0


async def test_a_text_too_long_to_read_is_cut_at_a_word_and_kept_whole_beside_it(world: World, door: Desk):  # noqa: F811
    long = "آب محله قطع است " * 2000
    first = await door.take(Inbound("mail", "m-1", long))
    again = await door.take(Inbound("mail", "m-1", long))
    assert again.code == first.code and not again.first
    (said,) = await world.rows(schema.message, schema.message.c.id == first.message)
    assert len(said["text"]) <= 10_001 and said["text"].endswith(" است…") and long.startswith(said["text"][:-1])
    assert said["meta"]["defects"] == ["long_text"]
    (kept,) = await world.rows(schema.file, schema.file.c.message == first.message)
    assert kept["label"] == "متن کامل.txt"
    assert (await door._files.read(kept["key"])).decode() == long
