"""Receipts by parameters and by text, ids in another spelling, and the classes of statuses."""

from __future__ import annotations

import pytest

from core.channels import DeliveryState
from sms.providers import base
from sms.providers.smpp import report, status
from sms.providers.smpp.pdu import Command, Data, Message, Pdu, Tag
from sms.providers.smpp.report import Receipt, State, read, spellings
from sms.providers.smpp.status import Kind

NUMBER = "989120000000"


def receipt(text: bytes = b"", esm: int = 4, tlvs: tuple[tuple[int, bytes], ...] = ()) -> Receipt | None:
    return read(Pdu(Command.DELIVER_SM, 1, 0, Message(source=NUMBER, esm_class=esm, text=text), tlvs))


@pytest.mark.parametrize(
    ("state", "found"),
    [
        (State.ENROUTE, DeliveryState.SENT), (State.DELIVERED, DeliveryState.DELIVERED),
        (State.EXPIRED, DeliveryState.EXPIRED), (State.DELETED, DeliveryState.FAILED),
        (State.UNDELIVERABLE, DeliveryState.UNDELIVERED), (State.ACCEPTED, DeliveryState.SENT),
        (State.UNKNOWN, None), (State.REJECTED, DeliveryState.FAILED),
    ],
)  # fmt: skip
def test_every_state_is_read_from_text_and_from_parameters(state, found):
    assert receipt(report.write("0A1", state, "2611241200")) == Receipt("0A1", NUMBER, found)
    tlvs = ((Tag.RECEIPTED_ID, b"0A1\0"), (Tag.STATE, bytes((state,))))
    assert receipt(b"", 4, tlvs) == receipt(b"", 0, tlvs) == Receipt("0A1", NUMBER, found)


def test_parameters_win_over_the_text_and_the_text_fills_in():
    text = report.write("5", State.REJECTED, "2611241200", "069")
    assert receipt(text, 4, ((Tag.RECEIPTED_ID, b"6"),)) == Receipt("6", NUMBER, DeliveryState.FAILED, "069")


def test_a_receipt_in_data_sm_lies_in_its_payload():
    tlvs = ((Tag.PAYLOAD, report.write("7", State.DELIVERED, "2611241200")),)
    assert read(Pdu(Command.DATA_SM, 1, 0, Data(source=NUMBER, esm_class=4), tlvs)) == Receipt(
        "7", NUMBER, DeliveryState.DELIVERED
    )


@pytest.mark.parametrize("text", [b"", b"nonsense", b"id: stat: err:", bytes(range(256))[:254], b"stat:WHAT"])
def test_a_receipt_without_sense_names_nothing(text):
    assert receipt(text) == Receipt("", NUMBER, None)


@pytest.mark.parametrize("esm", [0x00, 0x40, 0x80, 0x43])
def test_a_text_is_no_receipt(esm):
    assert receipt(b"id:1 stat:DELIVRD", esm) is None


def test_words_of_other_makers_are_understood():
    text = b"id:77 sub:1 dlvrd:1 submit date:2611241200 done date:2611241200 stat:DELIVERED err:0 Text:id:5 stat:x"
    assert receipt(text) == Receipt("77", NUMBER, DeliveryState.DELIVERED)


def test_an_id_is_known_again_without_zeros_and_in_the_other_number_system():
    assert set(spellings("0001a2b")) & set(spellings("6699")) == {"1a2b", "6699"} & set(spellings("6699"))
    assert "6699" in spellings("1A2B")
    assert "1a2b" in spellings("6699")
    assert spellings("b5e1-77") == ["b5e1-77"]
    assert spellings("000") == ["000", "0", "0"]


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (0x14, base.Throttled), (0x58, base.Throttled), (0x08, base.BadContent), (0x45, base.BadContent),
        (0x0B, base.BadRecipient), (0x0A, base.AuthOrConfig), (0x0D, base.AuthOrConfig), (0x0E, base.AuthOrConfig),
        (0x0F, base.AuthOrConfig), (0x05, base.ProviderDown), (0x400, base.BadContent), (0xFF, base.BadContent),
        *((code, base.Bug) for code in (1, 2, 3, 4, 0x33, 0x43, 0x48, 0x54, 0xC0, 0xC4)),
    ],
)  # fmt: skip
def test_a_status_is_its_class_of_error(code, kind):
    assert isinstance(status.error(code, {}), kind)


def test_codes_of_an_operator_win():
    codes = {0x45: Kind.SLOW, 0x400: Kind.RECIPIENT}
    assert isinstance(status.error(0x45, codes), base.Throttled)
    assert isinstance(status.error(0x400, codes), base.BadRecipient)
    assert status.kind(0x400, {}) is Kind.AGAIN
