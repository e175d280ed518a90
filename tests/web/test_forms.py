"""Field kinds as a table: what is typed, what comes of it, which word says what is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import MultiDict

from core.model import KeptFile
from web import forms, sniff, uploads
from web.sign import Signer

CODE = "72940518364"


@pytest.mark.parametrize(
    ("kind", "typed", "expected"),
    [
        (forms.Line(10), "  علي  كريمي ", "علی کریمی"),
        (forms.Line(10), "می\u200cروم", "می\u200cروم"),
        (forms.Line(20), "الف\u202eب\u0007", "الفب"),
        (forms.Text(20), "یک\r\nدو\rسه", "یک\nدو\nسه"),
        (forms.Code(), "729-4051-8364", CODE),
        (forms.Code(), "۷۲۹ ۴۰۵۱ ۸۳۶۴", CODE),
        (forms.Code(), "٧٢٩٤٠٥١٨٣٦٤", CODE),
        (forms.Phone(), "۰۹۱۲۰۰۰۰۰۰۰", "+989120000000"),
        (forms.Phone(), "0098 912 000 0000", "+989120000000"),
        (forms.Mail(), " Maryam@Example.IR ", "maryam@example.ir"),
        (forms.Mail(), "a@نمونه.ir", "a@xn--hhbbbed.ir"),
        (forms.Date(), "۱۴۰۵/۹/۱", date(2026, 11, 22)),
        (forms.Date(), "2026-11-22", date(2026, 11, 22)),
        (forms.Number(-90, 90), "۳۶٫۶۷", 36.67),
        (forms.Number(0, 10_000), "۱٬۲۳۴", 1234.0),
        (forms.Whole(0, 10), "۷", 7),
        (forms.Choice(("a", "b")), "b", "b"),
        (forms.Proof(), "۱۲۳۴", "1234"),
        (forms.Proof(), "a@example.ir", "a@example.ir"),
        (forms.Proof(), "09120000000", "+989120000000"),
    ],
)
def test_what_is_typed_is_cleaned(kind: forms.Kind, typed: str, expected: Any):
    assert kind.clean([typed]) == expected


@pytest.mark.parametrize(
    ("kind", "typed", "word"),
    [
        (forms.Line(3), "چهار حرف", "long"),
        (forms.Text(10, 5), "نه", "short"),
        (forms.Text(10), "\u202e", "empty"),
        (forms.Code(), "۱۲۳", "digits"),
        (forms.Code(), "72940518365", "check"),
        (forms.Phone(), "سلام", "shape"),
        (forms.Mail(), "a@b", "shape"),
        (forms.Mail(), "a@b.ir\nBcc: x@y.ir", "shape"),
        (forms.Mail(), "a@@b.ir", "shape"),
        (forms.Mail(), "a\x00b@c.ir", "shape"),
        (forms.Mail(), "a\u202eb@c.ir", "shape"),
        (forms.Mail(), "a" * 250 + "@b.ir", "shape"),
        (forms.Date(), "فردا", "shape"),
        (forms.Date(), "1405/12/31", "no_such_day"),
        (forms.Number(-90, 90), "91", "range"),
        (forms.Number(-90, 90), "شمال", "shape"),
        (forms.Whole(1, 3), "4", "range"),
        (forms.Whole(1, 3), "1.5", "shape"),
        (forms.Choice(("a",)), "c", "choice"),
        (forms.Word(4), "a b", "choice"),
        (forms.Proof(), "12", "shape"),
    ],
)
def test_what_is_wrong_has_a_word(kind: forms.Kind, typed: str, word: str):
    with pytest.raises(forms.Wrong) as wrong:
        kind.clean([typed])
    assert wrong.value.word == word


@dataclass(frozen=True, slots=True)
class Visitor:
    name: Annotated[str, forms.Line(10)]
    password: Annotated[str, forms.Secret(10)]
    age: Annotated[int, forms.Whole(0, 150)] = 0


def test_all_faults_come_at_once_and_all_but_secrets_comes_back():
    bad = forms.read(Visitor, MultiDict(name="", password="رمز", age="پیر"))
    assert isinstance(bad, forms.Bad)
    assert bad.errors == {"name": "empty", "age": "shape"}
    assert bad.echo == {"name": "", "age": "پیر"}


def test_a_blank_field_keeps_its_default():
    assert forms.read(Visitor, MultiDict(name="مریم", password="p", age=" ")) == Visitor("مریم", "p", 0)


@given(st.text(max_size=300))
def test_no_input_breaks_a_field(typed: str):
    for kind in (
        forms.Line(300), forms.Text(300), forms.Code(), forms.Phone(), forms.Mail(), forms.Date(), forms.Number(0, 9),
        forms.Whole(0, 9), forms.Word(), forms.Proof(), forms.Choice(("a",)),
    ):  # fmt: skip
        try:
            kind.clean([typed])
        except forms.Wrong:
            continue


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"%PDF-1.7", "application/pdf"),
        (b"RIFF\0\0\0\0WAVEfmt ", "audio/x-wav"),
        (b"OggS\0", "audio/ogg"),
        (b"\0\0\0\x18ftypM4A ", "audio/mp4"),
        (b"<svg xmlns=", None),
        (b"<!DOCTYPE html>", None),
        (b"MZ\x90\0", None),
        (b"PK\x03\x04 plain zip", None),
        (b"", None),
    ],
)
def test_a_file_is_what_its_first_bytes_say(head: bytes, kind: str | None):
    assert sniff.media_type(head) == kind


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\temp\\عکس.png", "عکس.png"),
        ("cod\u202egnp.exe", "codgnp.exe"),
        ("\r\nX: y", "X: y"),
        ("", "file"),
    ],
)
def test_a_files_name_is_a_label(name: str, expected: str):
    assert uploads.label(name) == expected


def test_a_token_opens_for_its_purpose_and_time_only():
    signer, other = Signer(b"k" * 32), Signer(b"j" * 32)
    token = signer.sign("pass", ["72940518364", "1234"], 1000)
    opened = signer.open("pass", token)
    assert opened is not None
    assert (opened.value, opened.at) == (["72940518364", "1234"], 1000)
    assert signer.open("kept", token) is None
    assert other.open("pass", token) is None
    assert signer.fresh("pass", token, 1501, 500) is None
    assert signer.fresh("pass", token, 999, 500) is None
    for broken in ("", ".", "a.b.c", token[:-2], token.replace(".", "!."), "é.é"):
        assert signer.open("pass", broken) is None


def test_a_list_of_kept_files_survives_its_form():
    files = [KeptFile("k" * 64, "عکس.png", "image/png", 12)]
    assert uploads.unpack(uploads.pack(files)) == files
