"""The provider through the real client over TLS to the made-up Kavenegar, and what its faults come to."""

from __future__ import annotations

import json
from urllib.parse import urlencode

import pytest

from core.channels import DeliveryState, RawRequest
from sms.providers import base
from sms.providers.base import Accepted, Arrival, Doubt, Rejected, Report, Text
from sms.providers.kavenegar import Kavenegar
from sms.settings import ProviderSettings
from tests.sms.conftest import Heard


def text(key: int, to: str = "+989120000000", words: str = "سلام") -> Text:
    return Text(key, to, "30001234", words, "answer")


async def test_a_batch_reaches_every_handset_once(network, provider):
    batch = [text(n, f"+98912000000{n}") for n in range(1, 4)]
    outcomes = await provider.send(batch)
    assert all(isinstance(outcome, Accepted) for outcome in outcomes)
    assert [row["receptor"] for row in network.sent.rows] == ["09120000001", "09120000002", "09120000003"]


async def test_the_same_local_id_again_sends_nothing_new(network, provider):
    first, again = [await provider.send([text(7)]) for _ in range(2)]
    assert first == again
    assert len(network.sent.rows) == 1


async def test_a_connection_lost_after_acceptance_is_in_doubt_and_found_by_local_id(network, provider):
    network.faults["sendarray"] = ["reset_after"]
    assert isinstance((await provider.send([text(8)]))[0], Doubt)
    found = await provider.find([8, 9])
    assert found == {8: Accepted(str(network.sent.rows[0]["messageid"])), 9: None}


async def test_one_bad_number_fails_alone_in_a_batch_refused_whole(network, provider):
    outcomes = await provider.send([text(1), text(2, "+982100000000"), text(3, "+989120000003")])
    assert [type(outcome) for outcome in outcomes] == [Accepted, Rejected, Accepted]
    assert isinstance(outcomes[1].error, base.BadRecipient)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [("418", base.NoCredit), ("429", base.Throttled), ("403", base.LinePaused), ("413", base.BadContent)],
)
async def test_a_return_code_is_its_class_of_error(network, provider, fault, kind):
    network.faults["sendarray"] = [fault]
    (outcome,) = await provider.send([text(1)])
    assert isinstance(outcome.error, kind)


@pytest.mark.parametrize("fault", ["402", "empty", "html", "bare", "reset_before"])
async def test_no_sense_in_the_answer_is_a_doubt(network, provider, fault):
    network.faults["sendarray"] = [fault]
    (outcome,) = await provider.send([text(1)])
    assert isinstance(outcome, Doubt)


async def test_a_dripping_answer_is_cut(network, provider, monkeypatch):
    monkeypatch.setattr("sms.providers.kavenegar.DEADLINE", 1.0)
    network.faults["sendarray"] = ["drip"]
    (outcome,) = await provider.send([text(1)])
    assert isinstance(outcome, Doubt)


async def test_no_server_is_certainly_not_sent_and_no_error_holds_the_key(tmp_path, network):
    key = tmp_path / "other"
    key.write_text("very-secret-key")
    made = Kavenegar("k", ProviderSettings("kavenegar", str(key), "127.0.0.1:1", str(network.authority)))
    await made.start(Heard())
    (outcome,) = await made.send([text(1)])
    await made.stop(0)
    assert isinstance(outcome, Rejected)
    assert isinstance(outcome.error, base.ProviderDown)
    assert "very-secret-key" not in repr(outcome) + repr(made._client)


async def test_texts_are_polled_and_come_again_after_a_crash(network, provider):
    await network.text("09120000000", "30001234", "آب قطع است")
    first = await provider.poll("30001234", since=None)
    assert [arrival.text for arrival in first] == ["آب قطع است"]
    assert await provider.poll("30001234", since=None) == []
    assert await provider.poll("30001234", since=0) == first


WORDS = {"messageid": "5", "from": "09120000000", "to": "30001234", "message": "سلام"}
ROW = {"messageid": 5, "sender": "09120000000", "receptor": "30001234", "message": "سلام"}


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
    assert provider.read_push(request_) == [Arrival("5", "09120000000", "30001234", "سلام")]


async def test_a_report_is_read_and_a_push_without_fields_is_an_error(provider):
    assert provider.read_push(push({"messageid": "5", "status": "10"})) == [Report("5", DeliveryState.DELIVERED)]
    for query in ({}, {"messageid": "5"}, {"from": "0912"}):
        with pytest.raises(ValueError, match="without"):
            provider.read_push(push(query))
