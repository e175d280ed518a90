"""The provider through the real client over TLS to the made-up Kavenegar, and what its faults come to."""

from __future__ import annotations

import asyncio
import json
import logging
from urllib.parse import urlencode

import pytest

from core.channels import DeliveryState, RawRequest
from sms.providers import base, wire
from sms.providers.base import Accepted, Arrival, Doubt, Rejected, Report, Text
from sms.providers.kavenegar import Kavenegar
from sms.settings import ProviderSettings
from tests.sms.conftest import Heard
from tests.worlds import network as phones

LINE = "30001234"
NO_SENSE = ("reset_after", "empty", "html", "bare", "null", "dict", "list", "cut", "402", "500", "999")


def text(key: int, to: str = "+989120000000", words: str = "سلام") -> Text:
    return Text(key, to, LINE, words, "answer")


def batch(n: int, words: str = "متن {}") -> list[Text]:
    return [text(k, f"+9891200{k:05d}", words.format(k)) for k in range(1, n + 1)]


async def test_a_batch_reaches_every_handset_once(network, provider):
    outcomes = await provider.send(batch(3))
    assert all(isinstance(outcome, Accepted) for outcome in outcomes)
    assert [row["receptor"] for row in network.sent.rows] == ["09120000001", "09120000002", "09120000003"]


async def test_equal_texts_go_by_the_shorter_call_and_keep_their_local_ids(network, provider):
    network.faults["sendarray"] = ["500"]  # not asked
    outcomes = await provider.send(batch(3, "یک متن"))
    assert all(isinstance(outcome, Accepted) for outcome in outcomes)
    assert [row["localid"] for row in network.sent.rows] == ["1", "2", "3"]


async def test_the_same_local_id_again_sends_nothing_new(network, provider):
    first, again = [await provider.send([text(7)]) for _ in range(2)]
    assert first == again
    assert len(network.sent.rows) == 1


@pytest.mark.parametrize("fault", NO_SENSE)
async def test_no_sense_in_the_answer_is_a_doubt_and_found_by_local_id_if_it_was_sent(network, provider, fault):
    network.faults["sendarray"] = [fault]
    outcomes = await provider.send(batch(2))
    assert all(isinstance(outcome, Doubt) for outcome in outcomes)
    found = await provider.find([1, 2, 9])
    known = {row["localid"]: Accepted(str(row["messageid"])) for row in network.sent.rows}
    assert found == {1: known.get("1"), 2: known.get("2"), 9: None}
    assert bool(known) is not fault.isdigit()


async def test_what_was_accepted_late_is_not_sent_twice_under_its_local_id(network, provider):
    network.faults["sendarray"] = ["late"]
    assert isinstance((await provider.send([text(8)]))[0], Doubt)
    assert await provider.find([8]) == {8: None}
    await asyncio.sleep(0.5)  # the provider's own delay
    assert isinstance((await provider.send([text(8)]))[0], Accepted)
    assert len(network.sent.rows) == 1


@pytest.mark.parametrize("fault", ["null", "bare", "html", "cut", "500"])
async def test_a_look_up_without_sense_says_nothing_rather_than_not_found(network, provider, fault):
    network.faults["statuslocalmessageid"] = [fault]
    with pytest.raises(base.ProviderError):
        await provider.find([1])


async def test_a_local_id_is_forgotten_after_twelve_hours(network, provider):
    await provider.send([text(4)])
    network.ahead = 12 * 3600 + 1
    assert await provider.find([4]) == {4: None}


async def test_one_bad_number_fails_alone_in_a_batch_refused_whole(network, provider):
    outcomes = await provider.send([text(1), text(2, "+982100000000"), text(3, "+989120000003")])
    assert [type(outcome) for outcome in outcomes] == [Accepted, Rejected, Accepted]
    assert isinstance(outcomes[1].error, base.BadRecipient)


CODES = {
    base.Throttled: (409, 429, 451),
    base.Ambiguous: (402, 500, 503, 999),
    base.AuthOrConfig: (401, 403, 407, 412, 416, 426, 427, 501),
    base.NoCredit: (418,),
    base.BadRecipient: (411,),
    base.BadContent: (413, 417, 420, 422, 424, 428, 431, 432),
    base.Bug: (400, 404, 405, 406, 414, 415, 419, 604, 607),
}


@pytest.mark.parametrize(("code", "kind"), [(code, kind) for kind, codes in CODES.items() for code in codes])
async def test_a_return_code_is_its_class_of_error(network, provider, code, kind):
    network.faults["sendarray"] = [str(code)]
    (outcome,) = await provider.send([text(1)])
    assert type(outcome.error) is kind
    assert isinstance(outcome, Doubt if kind is base.Ambiguous else Rejected)
    assert network.sent.rows == []


async def test_no_credit_left_is_told(network, provider):
    network.credit = 0
    (outcome,) = await provider.send([text(1)])
    assert isinstance(outcome.error, base.NoCredit)


@pytest.mark.parametrize("fault", ["hang", "drip_headers", "drip_body"])
async def test_no_server_holds_a_call_longer_than_its_deadline(network, provider, monkeypatch, fault):
    monkeypatch.setattr(wire, "DEADLINE", 0.8)
    network.faults["sendarray"] = [fault]
    loop = asyncio.get_running_loop()
    began = loop.time()
    (outcome,) = await provider.send([text(1)])
    assert isinstance(outcome, Doubt)
    assert loop.time() - began < wire.DEADLINE + wire.CUT
    assert isinstance((await provider.send([text(1)]))[0], Accepted)


async def test_no_server_is_certainly_not_sent(tmp_path, network):
    key = tmp_path / "other"
    key.write_text("very-secret-key")
    made = Kavenegar("k", ProviderSettings("kavenegar", str(key), "127.0.0.1:1", str(network.authority)))
    await made.start(Heard())
    (outcome,) = await made.send([text(1)])
    await made.stop(0)
    assert isinstance(outcome, Rejected)
    assert isinstance(outcome.error, base.ProviderDown)


@pytest.mark.parametrize("fault", ["403", "reset_after", "html", "cut", "reset_before", "bare"])
async def test_the_key_is_in_no_error_and_no_log(network, provider, caplog, fault):
    network.faults["sendarray"] = [fault]
    with caplog.at_level(logging.DEBUG):
        (outcome,) = await provider.send([text(1)])
        await provider.credit()
    seen = caplog.text + repr(outcome) + repr(provider._client) + str(provider._client) + repr(vars(outcome.error))
    assert "made-up-key" not in seen
    assert "9120000000" not in seen


# ---------------------------------------------------------------- states


async def test_states_are_asked_for_and_forgotten_after_48_hours(network, provider):
    network.off = {"09120000002"}
    refs = [outcome.ref for outcome in await provider.send(batch(2))]
    assert await provider.status(refs) == [
        Report(refs[0], DeliveryState.DELIVERED), Report(refs[1], DeliveryState.UNDELIVERED),
    ]  # fmt: skip
    network.ahead = 48 * 3600 + 1
    assert await provider.status(refs) == [Report(refs[0], None), Report(refs[1], None)]


async def test_a_scheduled_text_can_be_taken_back(network, provider):
    row = network.accept("09120000001", LINE, "فردا", at=network.now() + 3600)
    assert await provider.cancel([str(row["messageid"])]) == [str(row["messageid"])]
    assert (await provider.status([str(row["messageid"])]))[0].state is DeliveryState.CANCELLED


async def test_who_blocked_the_line_is_known_by_the_answer_and_by_the_list(network, provider):
    await network.text("09120000001", LINE, "لغو۱۱")
    (outcome,) = await provider.send([text(1, "+989120000001")])
    assert isinstance(outcome.error, base.Blocked)
    assert await provider.blocked(LINE, 0) == ["+989120000001"]


async def test_more_than_a_page_of_blocked_numbers_comes_whole(network, provider):
    network.blocked = {f"0912000{n:04d}": network.now() for n in range(401)}
    assert len(await provider.blocked(LINE, 0)) == 401


async def test_a_one_time_code_goes_by_template(network, provider):
    outcome = await provider.send_template(text(1), "login", {"token": "1234"})
    assert isinstance(outcome, Accepted)
    assert network.sent.rows[0]["message"] == "login: 1234"
    refused = await provider.send_template(text(1), "login", {"token": "12 34"})
    assert isinstance(refused.error, base.BadContent)
    network.faults["lookup"] = ["reset_after"]
    assert isinstance(await provider.send_template(text(1), "login", {"token": "1234"}), Doubt)


async def test_credit_is_told_with_switches_that_should_be_off(network, provider):
    network.config["apilogs"] = "enabled"
    left = await provider.credit()
    assert (left.rial, list(left.warnings)) == (network.credit, ["apilogs"])


# ---------------------------------------------------------------- texts in


async def test_texts_are_polled_and_come_again_after_a_crash(network, provider):
    await network.text("09120000000", LINE, "آب قطع است")
    first = await provider.poll(LINE, since=None)
    assert [arrival.text for arrival in first] == ["آب قطع است"]
    assert await provider.poll(LINE, since=None) == []
    assert await provider.poll(LINE, since=0) == first


async def test_after_a_crash_all_pages_come_read_and_unread(network, provider):
    for n in range(450):
        network.inbox.add(messageid=n + 1, sender="09120000000", receptor=LINE, message=f"{n}", date=network.now())
    assert len(await provider.poll(LINE, since=None)) == 100
    again = await provider.poll(LINE, since=(network.now() - 47 * 3600) * 1000)
    assert sorted(int(arrival.text) for arrival in again) == list(range(450))


WORDS = {"messageid": "5", "from": "09120000000", "to": LINE, "message": "سلام"}
ROW = {"messageid": 5, "sender": "09120000000", "receptor": LINE, "message": "سلام"}


def push(query: dict[str, str], body: bytes = b"", kind: str = "") -> RawRequest:
    return RawRequest("POST", query, {"content-type": kind} if kind else {}, body, "127.0.0.1")


@pytest.mark.parametrize(
    "request_",
    [
        push(WORDS),
        push({}, urlencode(WORDS).encode(), "application/x-www-form-urlencoded"),
        push({}, json.dumps(ROW).encode(), "application/json"),
    ],
)
async def test_a_push_is_read_from_query_form_or_json(provider, request_):
    assert provider.read_push(request_) == [Arrival("5", "09120000000", LINE, "سلام")]


async def test_a_report_is_read_and_a_push_without_fields_is_an_error(provider):
    assert provider.read_push(push({"messageid": "5", "status": "10"})) == [Report("5", DeliveryState.DELIVERED)]
    for query in ({}, {"messageid": "5"}, {"from": "0912"}):
        with pytest.raises(ValueError, match="without"):
            provider.read_push(push(query))


@pytest.mark.parametrize("body", [b"[1]", b"{", b"\xff\xfe", b"null", b'"x"', b'{"from": null, "message": null}'])
async def test_a_push_of_odd_json_is_an_error_and_no_more(provider, body):
    with pytest.raises(ValueError):
        provider.read_push(push({}, body, "application/json"))


@pytest.mark.parametrize(
    ("words", "parts"),
    [("a" * 160, 1), ("a" * 161, 2), ("آ" * 70, 1), ("آ" * 71, 2), ("آ" * 134, 2), ("آ" * 135, 3)],
)
def test_the_made_up_network_counts_parts(words, parts):
    assert phones.parts_of(words) == parts
