"""Parts of long texts: any order, repeats, holes, equal references; nothing mixed, lost or doubled."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import sqlalchemy as sa

from config import read
from core.clock import HandClock
from core.schema import message
from core.text import fold, persian
from sms import alphabet, assembly, parts
from sms.joining import Joining, Whole
from sms.providers.base import Coding, Part
from tests.sms.house import House, house

ME = "09120000001"
FIRST = "الف" * 22 + "ی"  # a whole part
LETTERS = "آبپتثجچحخدذرزژسشصضطظعغفقکگلمنوهی "


class Shelf:
    """A drawer in memory, for many thousand orders; the real one has its own tests below."""

    def __init__(self) -> None:
        self.held: dict[str, dict[str, bytes]] = {}

    @property
    def drawer(self) -> Shelf:
        return self

    async def get(self, box: str) -> Mapping[str, bytes]:
        return dict(self.held.get(box, {}))

    async def change(self, box: str, slots: Mapping[str, bytes | None]) -> None:
        mine = self.held.setdefault(box, {})
        for slot, data in slots.items():
            if data is None:
                mine.pop(slot, None)
            else:
                mine[slot] = data

    async def close(self, box: str, until: int | None = None) -> None:
        self.held.pop(box, None)

    async def boxes(self, before: int) -> Sequence[str]:
        return list(self.held)


def cut(text: str, ref: int, sender: str = ME, width: int = 8) -> list[Part]:
    """The parts of a text, as a network would cut it."""
    pieces = parts.split(text, ref16=width == 16, coding="ucs2")
    octets = [alphabet.spell(piece, Coding.UCS2) for piece in pieces]
    return [
        Part(f"{ref}.{n}", sender, "30001234", ref, width, len(octets), n, data, Coding.UCS2)
        for n, data in enumerate(octets, 1)
    ]


def long_text(rng: random.Random, mark: str) -> str:
    body = "".join(rng.choice(LETTERS) for _ in range(rng.randint(75, 190)))
    return f"{mark} {body} {mark}"


async def orders(count: int, seed: int) -> None:
    """Three texts under few references at once, their parts shuffled, some twice: each whole text once, as it was."""
    rng = random.Random(seed)
    for n in range(count):
        shelf, clock, taken = Shelf(), HandClock(), Counter[str]()

        async def take(whole: Whole, taken: Counter[str] = taken) -> str:
            taken[whole.arrival.text] += 1
            return "1"

        joining = Joining(shelf, clock, take)  # type: ignore[arg-type]
        texts = [long_text(rng, f"{n}-{k}") for k in range(3)]
        refs = [rng.choice((7, 9)), 8, 7]
        senders = [ME, rng.choice((ME, "09120000002")), "09120000003"]
        sent = [part for k in range(3) for part in cut(texts[k], refs[k], senders[k], rng.choice((8, 16)))]
        sent += rng.sample(sent, rng.randint(0, 3))
        rng.shuffle(sent)
        for part in sent:
            clock.advance(rng.random() * 20)
            await joining.part("p", "main", part)
        assert taken == Counter(texts), (n, seed)


async def test_a_thousand_orders_of_parts(request: pytest.FixtureRequest):
    await orders(1000, 1)


@pytest.mark.slow
async def test_ten_thousand_orders_of_parts():
    await orders(10_000, 2)


async def equal_refs(count: int, seed: int) -> None:
    """Two texts of one sender under one reference, the second after the first is whole: two texts, unmixed."""
    rng = random.Random(seed)
    for n in range(count):
        shelf, clock, taken = Shelf(), HandClock(), Counter[str]()

        async def take(whole: Whole, taken: Counter[str] = taken) -> str:
            taken[whole.arrival.text] += 1
            return "1"

        joining = Joining(shelf, clock, take)  # type: ignore[arg-type]
        both = [f"{k}{n}" + "".join(rng.choice(LETTERS) for _ in range(100)) for k in "اب"]
        for text in both:
            shuffled = cut(text, 7)
            rng.shuffle(shuffled)
            for part in [*shuffled, *shuffled]:
                clock.advance(rng.random() * 5)
                await joining.part("p", "main", part)
        assert taken == Counter(both), (n, seed)


async def test_equal_references_one_after_the_other_stay_two_texts():
    await equal_refs(500, 3)


def test_a_letter_cut_between_two_parts_is_whole_again():
    """Octets are joined before they are decoded: a network may cut a surrogate pair."""
    octets = "سلام 😀".encode("utf-16-be")
    mine = assembly.Set(0, 0, octets={1: octets[:-2], 2: octets[-2:]}, coding=Coding.UCS2, total=2)
    assert assembly.join(mine) == ("سلام 😀", ())


@pytest.fixture
def three() -> list[Part]:
    return cut(FIRST + "ب" * 67 + "پایان", 5)


async def hear(home: House, *heard: Part) -> None:
    for part in heard:
        await home.paper().sink.arrived(part)


async def test_parts_in_any_order_are_one_ticket_and_a_late_repeat_is_none(tmp_path: Path, three: list[Part]):
    async with house(tmp_path) as home:
        await hear(home, three[2], three[0])
        assert await home.texts() == []
        await hear(home, three[1], three[1], three[0])
        home.clock.advance(23 * 3600)
        await hear(home, three[1])
        assert await home.texts() == [FIRST + "ب" * 67 + "پایان"]


async def test_parts_outlive_a_crash_and_a_whole_text_a_crash_left_is_taken(tmp_path: Path, three: list[Part]):
    async with house(tmp_path) as home:
        await hear(home, three[0])
    async with house(tmp_path) as home:
        await hear(home, three[2])
        box = (await home.desk.drawer.boxes(home.clock.now() + 1))[0]
        slot = assembly.place({}, three[1], home.clock.now())
        await home.desk.drawer.change(box, {slot.slot: slot.data})  # on disk, and then the power went
    async with house(tmp_path) as home:
        await home.channel._joining.look()
        await home.channel._joining.look()
        assert len(await home.texts()) == 1


async def test_after_five_minutes_what_is_there_is_a_ticket_and_a_late_part_amends_it(
    tmp_path: Path, three: list[Part]
):
    async with house(tmp_path) as home:
        await hear(home, three[0], three[2])
        home.clock.advance(299)
        await home.channel._joining.look()
        assert await home.texts() == []
        home.clock.advance(1)
        for _ in range(2):
            await home.channel._joining.look()
        assert await home.texts() == [FIRST + "[بخش ۲ از ۳ نرسید]" + "پایان"]
        await hear(home, three[1], three[1])
        assert (await home.texts())[1:] == [FIRST + "ب" * 67 + "پایان"]
        assert len(await home.tickets()) == 1
        assert await home.keys() == ["received"]


async def test_a_text_of_a_hundred_parts_is_one_ticket_and_a_run_of_lost_ones_is_one_note(tmp_path: Path):
    words = "".join(f" سطر{n:05d} " * 7 for n in range(100))
    heard = cut(words, 6)
    assert len(heard) > 100
    async with house(tmp_path) as home:
        await hear(home, *heard)
        assert await home.texts() == [words.strip()]
        lost = [part for part in cut(words, 7) if part.number not in (3, *range(10, 90))]
        await hear(home, *lost)
        home.clock.advance(300)
        await home.channel._joining.look()
        text = (await home.texts())[1]
    assert text.count("نرسید") == 2
    assert f"[بخش ۱۰–۸۹ از {persian(len(heard))} نرسید]" in text


async def test_after_ten_minutes_another_number_is_another_text(tmp_path: Path, three: list[Part]):
    async with house(tmp_path) as home:
        await hear(home, three[0])
        home.clock.advance(601)
        await hear(home, three[1], three[2])
        home.clock.advance(301)
        await home.channel._joining.look()
        assert len(await home.tickets()) == 2


async def test_numbers_that_cannot_be_are_kept_raw_and_acknowledged(tmp_path: Path):
    async with house(tmp_path) as home:
        for total, number in ((2, 3), (2, 0), (256, 1), (1, 1), (0, 0)):
            bad = Part(f"{total}.{number}", ME, "30001234", 1, 8, total, number, b"\x06\x44", Coding.UCS2)
            await home.paper().sink.arrived(bad)
        assert len(await home.tickets()) == 5
        assert await home.keys() == []
        defects = await home.store.read(
            lambda s: {tuple(meta["defects"]) for meta in s.scalars(sa.select(message.c.meta))}
        )
    assert defects == {("part_numbers",)}
    assert read().texts("console.defect.part_numbers", "fa") == "شمارهٔ بخش‌های پیامک نادرست است"


async def test_a_confidential_long_text_leaves_no_copy_in_the_drawer(tmp_path: Path):
    words = "محرمانه " + "رشوه " * 30
    async with house(tmp_path) as home:
        await hear(home, *cut(words, 3))
        for box in await home.desk.drawer.boxes(home.clock.now() + 1):
            for data in (await home.desk.drawer.get(box)).values():
                assert "رشوه" not in fold(data.decode("utf-16-be", "ignore"))
        assert [why for why, _ in await home.kept()] == ["confidential"]


async def test_orphans_do_not_pile_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sms.joining.MOST_SETS", 20)
    async with house(tmp_path) as home:
        for n in range(30):
            await hear(home, cut("الف" * 30, n)[0])
            home.clock.advance(1)
        assert len(await home.tickets()) == 10
