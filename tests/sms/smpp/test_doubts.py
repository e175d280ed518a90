"""Texts in doubt over SMPP: a late answer, a receipt with our reference or alone for its number show that they went."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core.channels import DeliveryState
from core.errors import Busy
from sms.providers.base import Accepted, Doubt, Report
from sms.providers.smpp.book import Book, Found
from sms.providers.smpp.report import Receipt
from tests.sms.smpp.conftest import Build, text, until

DELIVERED, SENT = DeliveryState.DELIVERED, DeliveryState.SENT
NUMBER, OTHER = "+989120000001", "+989120000002"
KEY = 5 << 36 | 70_000
LONG = "لولهٔ اصلی خیابان نمونه امروز تعمیر شد و آب وصل است. از شکیبایی شما سپاسگزاریم. " * 3


def receipt(id_: str, reference: int | None = KEY & 0xFFFF, number: str = NUMBER, state=DELIVERED) -> Receipt:
    return Receipt(id_, number.removeprefix("+"), state, "", reference)


# ---------------------------------------------------------------- through the wire


@pytest.fixture
def late(monkeypatch: pytest.MonkeyPatch) -> None:
    """The centre's late answers come two seconds after the text; ours are in doubt after one."""
    monkeypatch.setattr("tests.worlds.smsc.HELD", 2.0)


@pytest.mark.slow
async def test_an_answer_after_the_doubt_is_not_dropped(house: Build, late):
    here = await house(receipts="none")
    provider = await here.provider(answer_s=1)
    here.fault("submit_sm", "late")
    (outcome,) = await provider.send([text(key=KEY)])
    assert isinstance(outcome, Doubt)
    assert provider.remembered(KEY) is None
    await until(lambda: here.desk.found_)
    assert here.desk.found_ == [(KEY, Accepted("1", 1))]
    assert provider.remembered(KEY) == Accepted("1", 1)
    assert provider.health().facts["strays"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("reference", [True, False])
async def test_a_receipt_without_an_answer_finds_its_text(house: Build, reference):
    here = await house(reference=reference)
    provider = await here.provider(answer_s=1)
    here.fault("submit_sm", "lost")
    (outcome,) = await provider.send([text(key=KEY)])
    assert isinstance(outcome, Doubt)
    await until(lambda: Report("1", DELIVERED) in here.desk.reports and here.desk.found_)
    assert here.desk.found_ == [(KEY, Accepted("1", 1))]


@pytest.mark.slow
async def test_a_long_text_is_found_once_each_part_is(house: Build):
    here = await house()
    provider = await here.provider(answer_s=1)
    here.fault("submit_sm", "", "lost")
    (outcome,) = await provider.send([text(LONG, key=KEY)])
    assert isinstance(outcome, Doubt)
    await until(lambda: here.desk.found_)
    ((key, found),) = here.desk.found_
    assert (key, found.parts) == (KEY, 4)
    await until(lambda: Report(found.ref, DELIVERED) in here.desk.reports)


async def test_after_a_kill_the_receipts_of_what_was_in_flight_find_it(house: Build):
    here = await house()
    provider = await here.provider(answer_s=1)
    here.fault("submit_sm", "lost")
    sending = asyncio.ensure_future(provider._send(text(key=KEY)))
    await until(lambda: here.got() and provider._jobs)
    for link in provider._links:  # as a kill leaves it: no answer, nothing said, the file as it lies
        assert link._wire is not None
        link._wire.transport.abortConnection()
    await provider.stop(0)
    assert isinstance(await sending, Doubt)
    here.desk.found_.clear()
    here.desk.reports.clear()
    again = await here.provider()
    known = again.remembered(KEY)
    if known is None:  # its receipt came to nobody before
        await until(lambda: here.desk.found_)
    assert again.remembered(KEY) == Accepted("1", 1)


async def test_nothing_is_told_of_a_text_before_it_is_on_disk_that_it_was_sent(house: Build, monkeypatch):
    """Two receipts in one turn of the loop: what both found lies with the first, and the second waits for it."""
    here = await house()
    provider = await here.provider()
    book, gate, busy = provider._book, asyncio.Event(), [Busy(1)]

    async def slow(key: int, accepted: Accepted) -> None:
        await gate.wait()
        if busy:
            raise busy.pop()
        here.desk.found_.append((key, accepted))

    monkeypatch.setattr(here.desk, "found", slow)
    for key in (KEY, KEY + 1):
        book.tried(key, NUMBER, 1, 0)
        book.doubted(key, [""], 0)
    told = [book.received(receipt(id_, (KEY + n) & 0xFFFF), 1) for n, id_ in enumerate(("a7", "a8"))]
    telling = [asyncio.ensure_future(provider._tell(each)) for each in told]
    await asyncio.sleep(0)
    assert here.desk.reports == []
    gate.set()
    first, second = await asyncio.gather(*telling, return_exceptions=True)
    assert isinstance(first, Busy) and second is None
    assert here.desk.found_ == [(KEY, Accepted("a7", 1)), (KEY + 1, Accepted("a8", 1))]
    assert here.desk.reports == [Report("a8", DELIVERED)]


async def test_the_reference_goes_only_to_who_knows_optional_parameters(house: Build, monkeypatch):
    here = await house()
    provider = await here.provider()
    assert provider._links[0].optional
    monkeypatch.setattr("sms.providers.smpp.smsc.VERSION", 0x33)
    other = await here.provider()
    assert not other._links[0].optional
    assert isinstance((await other.send([text()]))[0], Accepted)


# ---------------------------------------------------------------- the book


Open = Callable[..., Book]


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Open]:
    """The book as a start finds it; whatever was open before is let go of."""
    opened: list[Book] = []

    def begin(now: int = 0) -> Book:
        for one in opened:
            one.close()
        opened.append(Book(tmp_path / "receipts", now))
        return opened[-1]

    yield begin
    opened[-1].close()


def doubtful(book: Open, parts: int = 1, *keys: int) -> Book:
    """A book of texts that left before a kill."""
    before = book()
    for key in keys or (KEY,):
        before.tried(key, NUMBER, parts, 0)
    return book()


def test_what_left_before_a_kill_is_found_by_our_reference(book):
    mine = doubtful(book, 1, KEY, KEY + 1)
    assert mine.received(receipt("a7"), 1) == [Report("a7", DELIVERED)]
    assert mine.take_found() == [Found(KEY, "a7", 1)]
    assert (mine.known(KEY), mine.known(KEY + 1)) == (("a7", 1), None)
    assert book().known(KEY) == ("a7", 1)


def test_what_a_kill_kept_from_the_store_is_told_again_with_its_receipt(book):
    doubtful(book).received(receipt("a7"), 1)
    again = book()
    assert again.received(receipt("a7"), 2) == [Report("a7", DELIVERED)]
    assert again.take_found() == [Found(KEY, "a7", 1)]


def test_without_a_reference_one_text_alone_to_its_number_is_found(book):
    mine = doubtful(book)
    assert mine.received(receipt("9", None, OTHER), 1) == [Report("9", DELIVERED)]
    assert mine.take_found() == []
    mine.received(receipt("7", None), 1)
    assert mine.take_found() == [Found(KEY, "7", 1)]


def test_of_two_texts_to_a_number_neither_is_taken_for_the_other(book):
    mine = doubtful(book, 1, KEY, KEY + 1)
    assert mine.received(receipt("7", None), 1) == [Report("7", DELIVERED)]
    assert mine.take_found() == []


def test_a_foreign_reference_finds_nothing(book):
    mine = doubtful(book)
    mine.received(receipt("7", 1), 1)
    assert mine.take_found() == []


def test_while_the_answer_may_still_come_its_receipt_waits_for_it(book):
    mine = book()
    mine.tried(KEY, NUMBER, 1, 0)
    mine.received(receipt("7"), 1)
    assert mine.take_found() == []
    assert mine.accepted(["7"], NUMBER, 2, KEY) == ("7", [Report("7", DELIVERED)])
    assert mine.take_found() == []


def test_a_receipt_that_came_before_the_doubt_counts_after_it(book):
    mine = book()
    mine.tried(KEY, NUMBER, 1, 0)
    mine.received(receipt("7"), 1)
    assert mine.doubted(KEY, [""], 2) == [Report("7", DELIVERED)]
    assert mine.take_found() == [Found(KEY, "7", 1)]


def test_two_receipts_that_came_before_the_doubt_both_count_after_it(book):
    mine = book()
    mine.tried(KEY, NUMBER, 1, 0)
    mine.received(receipt("7", state=SENT), 1)
    mine.received(receipt("7"), 1)
    assert mine.doubted(KEY, [""], 2) == [Report("7", SENT), Report("7", DELIVERED)]


def test_a_receipt_that_came_before_the_kill_counts_after_it(book):
    mine = book()
    mine.tried(KEY, NUMBER, 1, 0)
    mine.tried(KEY + 1, NUMBER, 1, 0)
    mine.received(receipt("7"), 1)  # its answer is on the way
    again = book()
    assert again.told_before == [Report("7", DELIVERED)]
    assert again.take_found() == [Found(KEY, "7", 1)]
    assert book().known(KEY) == ("7", 1)


def test_a_receipt_that_came_before_its_answer_and_a_kill_is_told_of_the_text(book):
    mine = book()
    mine.tried(KEY, NUMBER, 1, 0)
    mine.received(receipt("7"), 1)
    mine.accepted(["7"], NUMBER, 2, KEY)
    again = book()
    assert (again.told_before, again.take_found()) == ([Report("7", DELIVERED)], [])


def test_a_receipt_of_nothing_of_ours_is_forgotten_after_three_days(book):
    book().received(receipt("7"), 1)
    assert book(2).told_before == []
    later = book(73 * 3_600_000)
    later.tried(KEY, NUMBER, 1, 73 * 3_600_000)
    assert later.doubted(KEY, [""], 73 * 3_600_000) == []


def test_parts_are_put_together_over_a_restart(book):
    mine = doubtful(book, 2)
    assert mine.received(receipt("7"), 1) == []
    assert mine.received(receipt("7"), 1) == []  # the same part again
    again = book()
    assert again.received(receipt("8", state=SENT), 2) == [Report("7,8", SENT), Report("7,8", SENT)]
    assert again.take_found() == [Found(KEY, "7,8", 2)]
    assert again.received(receipt("8"), 3) == [Report("7,8", DELIVERED)]


def test_a_late_answer_to_one_part_and_the_answers_in_time_make_the_whole(book):
    mine = book()
    mine.tried(KEY, NUMBER, 2, 0)
    assert mine.doubted(KEY, ["7", ""], 1) == []
    assert mine.late(KEY, "8", 2) == []
    assert mine.take_found() == [Found(KEY, "7,8", 2)]
    assert mine.late(KEY, "8", 2) == []


def test_what_was_refused_is_found_by_nothing(book):
    mine = book()
    mine.tried(KEY, NUMBER, 1, 0)
    mine.refused(KEY)
    again = book()
    again.received(receipt("7"), 1)
    assert again.take_found() == []


def test_an_answer_written_down_before_a_kill_is_remembered(book):
    mine = book()
    mine.tried(KEY, NUMBER, 1, 0)
    mine.accepted(["7"], NUMBER, 0, KEY)
    assert book().known(KEY) == ("7", 1)


def test_after_three_days_a_try_is_forgotten(book):
    doubtful(book)
    later = book(73 * 3_600_000)
    later.received(receipt("7"), 73 * 3_600_000)
    assert later.take_found() == []
