"""The provider over real sockets against the made-up message centre: what is sent arrives once, what fails is known."""

from __future__ import annotations

import asyncio

import pytest

from config.faults import Faults
from core.channels import DeliveryState
from core.errors import Busy
from sms.providers import base
from sms.providers.base import Accepted, Doubt, LineState, Rejected, Report
from sms.providers.smpp.provider import Smpp
from tests.sms.smpp.conftest import PASSWORD, Build, text, until

LONG = "لولهٔ اصلی خیابان نمونه امروز تعمیر شد و آب وصل است. از شکیبایی شما سپاسگزاریم. " * 3


# ---------------------------------------------------------------- binding


@pytest.mark.parametrize("bind", ["trx", "tx+rx", "tx"])
async def test_a_text_reaches_the_telephone_in_every_mode_that_sends(house: Build, bind):
    here = await house()
    provider = await here.provider(bind=bind)
    (outcome,) = await provider.send([text()])
    assert outcome == Accepted("1", 1)
    assert here.got() == ["سلام"]


@pytest.mark.parametrize("bind", ["trx", "tx+rx", "rx"])
async def test_a_text_comes_in_in_every_mode_that_receives(house: Build, bind):
    here = await house()
    await here.provider(bind=bind)
    await here.network.text("09120000001", "30001234", "آب قطع است")
    await until(lambda: here.desk.arrivals)
    (arrival,) = here.desk.arrivals
    assert (arrival.sender, arrival.to, arrival.text) == ("+989120000001", "30001234", "آب قطع است")
    await until(lambda: here.centre.taken.rows)


async def test_a_receiver_alone_sends_nothing(house: Build):
    here = await house()
    (outcome,) = await (await here.provider(bind="rx")).send([text()])
    assert isinstance(outcome.error, base.AuthOrConfig)


async def test_over_tls_with_the_peers_own_authority(house: Build):
    here = await house(tls=True)
    provider = await here.provider()
    assert isinstance((await provider.send([text()]))[0], Accepted)
    await here.network.text("09120000001", "30001234", "آب قطع است")
    await until(lambda: here.desk.arrivals)


async def test_a_certificate_of_somebody_else_is_no_connection(house: Build, soon):
    here, other = await house(tls=True), await house(tls=True)
    provider = await here.provider(up=False, ca_file=str(other.authority))
    await until(lambda: LineState.DOWN in [state for state, _ in here.desk.states])
    assert provider.health().link == "down"
    assert here.centre.binds == []


async def test_a_wrong_password_pauses_the_line_and_is_not_asked_again_at_once(house: Build, soon):
    here = await house(password="other")
    (here.folder / "password").write_text("wrong")
    await here.provider(up=False)
    await until(lambda: (LineState.PAUSED, "bind refused") in here.desk.states)
    await asyncio.sleep(0.2)
    assert len(here.centre.binds) == 1


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [("password", "nine octets", "at most 8"), ("password", "رمز", "ASCII"), ("ca.pem", "nothing", "no certificates"),
     ("ca.pem", "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----", "no certificates")],
)  # fmt: skip
async def test_a_file_that_is_no_good_stops_the_start_and_is_named(house: Build, name, text, why):
    here = await house()
    settings = here.settings(tls=True, ca_file=str(here.folder / "ca.pem")) if name == "ca.pem" else here.settings()
    (here.folder / name).write_text(text)
    with pytest.raises(OSError, match=f"{name}.*{why}"):
        await Smpp("op", settings).start(here.desk)


@pytest.mark.parametrize(
    ("field", "value", "word"),
    [("port", 70_000, "out-of-range"), ("system_id", "x" * 16, "out-of-range"), ("bind", "both", "bad-value"),
     ("window", 0, "out-of-range"), ("codes", {"69": "slow"}, "bad-value"), ("codes", {"0x45": "soon"}, "bad-value"),
     ("tls", "yes", "bad-type"), ("hosts", "x", "unknown-key")],
)  # fmt: skip
async def test_a_wrong_field_is_named(house: Build, field, value, word):
    here = await house()
    with pytest.raises(Faults) as told:
        here.settings(**{field: value})
    assert word in str(told.value.faults[0]) + told.value.faults[0].word
    assert field in str(told.value)


async def test_a_rate_is_kept_however_many_wait(house: Build):
    here = await house()
    provider = await here.provider(rate=50)
    began = asyncio.get_running_loop().time()
    await provider.send([text(f"پیام {n}", key=n) for n in range(20)])
    assert asyncio.get_running_loop().time() - began >= 17 / 50  # the first ones may be early


async def test_the_bind_says_what_the_settings_say(house: Build):
    here = await house()
    await here.provider(system_type="vms", address_range="3000.*")
    (bind,) = here.centre.binds
    assert (bind.system_id, bind.password, bind.system_type, bind.address_range) == (
        "pasokh",
        PASSWORD,
        "vms",
        "3000.*",
    )


async def test_nobody_there_is_certainly_unsent_and_found_again(house: Build, soon, monkeypatch):
    monkeypatch.setattr("sms.providers.smpp.sending.UNBOUND", 0.2)
    here = await house()
    provider = await here.provider()
    await here.hang_up()
    await until(lambda: provider.health().link != "up")
    (outcome,) = await provider.send([text()])
    assert isinstance(outcome, Rejected)
    assert isinstance(outcome.error, base.ProviderDown)


async def test_a_lost_connection_is_made_again(house: Build, soon):
    here = await house()
    provider = await here.provider()
    here.centre.cut()
    await until(lambda: len(here.centre.binds) == 2)
    assert isinstance((await provider.send([text()]))[0], Accepted)
    assert LineState.DOWN in [state for state, _ in here.desk.states]


# ---------------------------------------------------------------- out


@pytest.mark.parametrize("concat", ["udh8", "udh16", "sar", "payload"])
async def test_a_long_text_arrives_whole_and_its_ref_has_all_ids(house: Build, concat):
    here = await house()
    (outcome,) = await (await here.provider(concat=concat)).send([text(LONG)])
    assert here.got() == [LONG]
    count = 1 if concat == "payload" else 4
    assert outcome == Accepted(",".join(map(str, range(1, count + 1))), count)


@pytest.mark.parametrize("words", ["plain ASCII", "a€[b]", "ç", "۱", "😀 سلام", "@£$ÄÖ"])
async def test_a_text_of_any_alphabet_arrives_as_it_was(house: Build, words):
    here = await house()
    await (await here.provider()).send([text(words)])
    assert here.got() == [words]


async def test_a_hundred_texts_at_once_arrive_once_each_in_a_window_of_five(house: Build):
    here = await house(window=50)
    provider = await here.provider(window=5)
    outcomes = await provider.send([text(f"پیام {n}", key=n) for n in range(100)])
    assert all(isinstance(each, Accepted) for each in outcomes)
    assert len({each.ref for each in outcomes}) == 100
    assert sorted(here.got()) == sorted(f"پیام {n}" for n in range(100))


async def test_answers_in_any_order_find_their_texts(house: Build):
    here = await house()
    here.fault("submit_sm", *["shuffle"] * 10)
    outcomes = await (await here.provider()).send([text(f"پیام {n}", key=n) for n in range(10)])
    assert [each.ref for each in outcomes] == [str(n) for n in range(1, 11)]


@pytest.mark.parametrize("number_format", ["98", "+98", "0"])
async def test_a_recipient_is_written_as_the_operator_wants_it(house: Build, number_format):
    here = await house()
    await (await here.provider(number_format=number_format)).send([text()])
    assert here.centre.parts.rows[0]["to"] == number_format + "9120000001"


@pytest.mark.slow
async def test_throttling_slows_down_and_the_text_goes_after_all(house: Build, soon):
    here = await house()
    here.fault("submit_sm", "0x58", "0x14")
    provider = await here.provider()
    assert isinstance((await provider.send([text()]))[0], Accepted)
    assert here.got() == ["سلام"]
    assert (LineState.SLOW, "throttled") in here.desk.states
    assert provider.health().why == "slowed"


@pytest.mark.parametrize("status", ["0x08", "0x400"])
async def test_two_system_errors_are_tried_again_and_three_are_the_end(house: Build, soon, status):
    here = await house()
    provider = await here.provider()
    here.fault("submit_sm", status, status)
    assert isinstance((await provider.send([text("الف")]))[0], Accepted)
    here.fault("submit_sm", status, status, status)
    (outcome,) = await provider.send([text("ب")])
    assert isinstance(outcome, Rejected)
    assert isinstance(outcome.error, base.BadContent)
    assert here.got() == ["الف"]


@pytest.mark.parametrize(
    ("status", "kind"),
    [("0x0b", base.BadRecipient), ("0x45", base.BadContent), ("0x0a", base.AuthOrConfig), ("0x01", base.Bug),
     ("nack", base.Bug)],
)  # fmt: skip
async def test_a_refusal_is_its_class_and_nothing_is_sent(house: Build, status, kind):
    here = await house()
    here.fault("submit_sm", status)
    (outcome,) = await (await here.provider()).send([text()])
    assert isinstance(outcome.error, kind)
    assert here.got() == []


async def test_an_operators_own_codes_win(house: Build, soon):
    here = await house()
    here.fault("submit_sm", "0x45")
    (outcome,) = await (await here.provider(codes={"0x45": "recipient"})).send([text()])
    assert isinstance(outcome.error, base.BadRecipient)


async def test_the_second_part_refused_refuses_the_text(house: Build):
    here = await house()
    provider = await here.provider(window=1)
    here.fault("submit_sm", "", "0x45")
    (outcome,) = await provider.send([text(LONG)])
    assert isinstance(outcome, Rejected)
    assert here.got() == []
    assert len(here.centre.parts.rows) == 1


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["drop", "unbind", "megabyte"])
async def test_a_connection_that_ends_in_mid_window_leaves_what_is_in_it_in_doubt(house: Build, soon, fault):
    here = await house()
    provider = await here.provider(window=4, answer_s=1)
    here.fault("submit_sm", "lost", "lost", fault if fault != "megabyte" else "lost", fault)
    outcomes = await provider.send([text(f"پیام {n}", key=n) for n in range(8)])
    doubts = [n for n, each in enumerate(outcomes) if isinstance(each, Doubt)]
    assert doubts
    assert len(doubts) <= 4
    sent = here.got()
    assert len(sent) == len(set(sent))
    for n, each in enumerate(outcomes):
        assert isinstance(each, Doubt) or f"پیام {n}" in sent


@pytest.mark.slow
async def test_an_answer_that_never_comes_is_a_doubt_and_the_connection_lives(house: Build):
    here = await house()
    provider = await here.provider(answer_s=1)
    here.fault("submit_sm", "lost")
    outcomes = await provider.send([text("الف"), text("ب")])
    assert isinstance(outcomes[0], Doubt)
    assert isinstance(outcomes[1], Accepted)
    assert len(here.centre.binds) == 1


async def test_a_stop_leaves_what_was_queued_unsent_and_waits_for_the_window(house: Build):
    here = await house()
    provider = await here.provider(window=2)
    here.fault("submit_sm", "shuffle", "shuffle")
    sends = asyncio.ensure_future(provider.send([text(f"پیام {n}", key=n) for n in range(6)]))
    await until(lambda: len(here.got()) == 2)
    await provider.stop(3)
    kinds = [type(each) for each in await sends]
    assert kinds == [Accepted] * 2 + [Rejected] * 4
    assert len(here.got()) == 2


async def test_a_clean_stop_is_no_news_of_a_line_that_is_down(house: Build):
    here = await house()
    provider = await here.provider()
    await provider.stop(3)
    await until(lambda: not here.centre._clients)
    assert [state for state, _ in here.desk.states] == [LineState.UP]


async def test_notices_leave_half_of_the_window_to_answers(house: Build):
    here = await house()
    provider = await here.provider(window=4)
    here.fault("submit_sm", *["shuffle"] * 4)
    sends = [asyncio.ensure_future(provider.send([text(f"خبر {n}", purpose="notice")])) for n in range(6)]
    await until(lambda: len(here.got()) == 2)
    assert provider.health().facts["window"] == 2
    await provider.send([text("پاسخ")])
    await asyncio.gather(*sends)
    assert here.got()[2] == "پاسخ"


# ---------------------------------------------------------------- receipts


@pytest.mark.parametrize("receipts", ["text", "tlv", "both"])
@pytest.mark.parametrize("ids", ["plain", "hex", "zeros"])
async def test_a_receipt_finds_its_text_whatever_its_spelling(house: Build, receipts, ids):
    here = await house(receipts=receipts, ids=ids)
    provider = await here.provider()
    await provider.send([text(f"پیام {n}") for n in range(11)])
    (outcome,) = await provider.send([text("آخر")])
    await until(lambda: Report(outcome.ref, DeliveryState.DELIVERED) in here.desk.reports)


async def test_delivered_is_when_every_part_is(house: Build):
    here = await house()
    provider = await here.provider()
    (outcome,) = await provider.send([text(LONG)])
    await until(lambda: len(here.desk.reports) == 4)
    states = [report.state for report in here.desk.reports]
    assert states == [DeliveryState.SENT] * 3 + [DeliveryState.DELIVERED]
    assert {report.ref for report in here.desk.reports} == {outcome.ref}


async def test_one_part_undelivered_is_the_text_undelivered(house: Build):
    here = await house()
    here.fault("submit_sm", "", "undelivered")
    (outcome,) = await (await here.provider()).send([text(LONG)])
    await until(lambda: Report(outcome.ref, DeliveryState.UNDELIVERED) in here.desk.reports)


async def test_receipts_before_the_answer_are_kept_and_matched(house: Build):
    here = await house(ids="hex")
    here.fault("submit_sm", *["receipt_first"] * 4)
    (outcome,) = await (await here.provider()).send([text(LONG)])
    await until(lambda: Report(outcome.ref, DeliveryState.DELIVERED) in here.desk.reports)


async def test_a_receipt_for_an_unknown_id_is_told_by_its_id_and_makes_no_text(house: Build):
    here = await house()
    here.fault("submit_sm", "orphan")
    await (await here.provider()).send([text()])
    await until(lambda: Report("no-such-id", DeliveryState.DELIVERED) in here.desk.reports)
    assert here.desk.arrivals == []


async def test_a_receipt_after_a_restart_still_finds_its_text(house: Build):
    here = await house(ids="hex", receipts="none")
    provider = await here.provider()
    (outcome,) = await provider.send([text(LONG)])
    await provider.stop(1)
    again = await here.provider()
    for n in range(1, 5):
        receipt = base_receipt(n)
        told = again._book.received(receipt, here.desk.clock.now())
    assert told == [Report(outcome.ref, DeliveryState.DELIVERED)]


def base_receipt(number: int):
    from sms.providers.smpp.report import Receipt

    return Receipt(f"{number:06}", "989120000001", DeliveryState.DELIVERED)


# ---------------------------------------------------------------- in


async def test_a_long_text_comes_as_its_parts(house: Build):
    here = await house(concat="udh16")
    await here.provider()
    await here.network.text("09120000001", "30001234", LONG)
    await until(lambda: len(here.desk.arrivals) == 4)
    parts = sorted(here.desk.arrivals, key=lambda part: part.number)
    assert "".join(part.data.decode("utf-16-be") for part in parts) == LONG
    assert {(part.total, part.width, part.sender, part.coding) for part in parts} == {(4, 16, "+989120000001", "ucs2")}


async def test_a_text_is_acknowledged_only_once_it_is_kept(house: Build):
    here = await house()
    here.desk.shut = asyncio.Event()
    await here.provider()
    await here.network.text("09120000001", "30001234", "آب قطع است")
    await until(lambda: here.centre._out)
    await asyncio.sleep(0.1)
    assert here.centre.taken.rows == []
    here.desk.shut.set()
    await until(lambda: here.centre.taken.rows)


async def test_a_full_door_and_a_failed_commit_are_told_and_the_text_comes_again(house: Build):
    here = await house()
    here.desk.fail = [Busy(1), RuntimeError("the disk is full")]
    await here.provider()
    await here.network.text("09120000001", "30001234", "آب قطع است")
    await until(lambda: here.centre.taken.rows)
    assert here.centre.refused == [0x64, 0x08]
    assert len(here.desk.arrivals) == 1


@pytest.mark.parametrize("fault", ["bad_numbers", "bad_header", "bad_sar", "binary", "cut_body"])
async def test_what_cannot_be_read_is_kept_raw_and_the_next_text_comes(house: Build, fault):
    here = await house()
    here.fault("deliver_sm", fault)
    await here.provider()
    await here.network.text("09120000001", "30001234", "آب قطع است")
    await until(lambda: len(here.desk.arrivals) == 2)
    kept, read = sorted(here.desk.arrivals, key=lambda each: each.raw is None)
    assert kept.raw
    assert kept.defects
    assert read.text == "آب قطع است"


@pytest.mark.parametrize("fault", ["no_receipt", "unknown_command", "unknown_tlv", "garbage", "megabyte"])
async def test_noise_loses_nothing(house: Build, soon, fault):
    here = await house()
    here.fault("deliver_sm", fault)
    provider = await here.provider()
    await here.network.text("09120000001", "30001234", "آب قطع است")
    await until(lambda: here.centre.taken.rows)
    assert "آب قطع است" in [each.text for each in here.desk.arrivals]
    await until(lambda: provider.health().link == "up")
    assert isinstance((await provider.send([text()]))[0], Accepted)


async def test_fifty_unanswered_texts_stop_the_reading_till_the_store_is_back(house: Build):
    here = await house(window=100)
    here.desk.shut = asyncio.Event()
    provider = await here.provider()
    for n in range(80):
        await here.network.text("09120000001", "30001234", f"پیام {n}")
    await until(lambda: len(provider._tasks) == 50)
    await asyncio.sleep(0.1)
    assert len(provider._tasks) == 50
    here.desk.shut.set()
    await until(lambda: len(here.desk.arrivals) == 80)


async def test_a_connection_lost_before_the_answer_brings_the_text_again(house: Build, soon):
    here = await house()
    here.desk.shut = asyncio.Event()
    provider = await here.provider()
    await here.network.text("09120000001", "30001234", "آب قطع است")
    await until(lambda: provider._tasks)
    here.centre.cut()
    await until(lambda: len(here.centre.binds) == 2)
    here.desk.shut.set()
    await until(lambda: here.centre.taken.rows)
    assert len(here.desk.arrivals) == 2  # the channel knows it again
