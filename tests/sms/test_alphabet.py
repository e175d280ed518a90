"""The alphabets: every character there and back, escapes, what is odd; and the texts of parts."""

from __future__ import annotations

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from sms import alphabet, parts
from sms.providers.base import Coding

GSM = sorted((set(alphabet.BASIC) - {"\x1b"}) | set(alphabet.EXTENDED.values()))


def test_every_character_of_gsm_0338_comes_back():
    whole = "".join(GSM)
    assert len(alphabet.BASIC) == 128
    assert alphabet.text(alphabet.spell(whole, Coding.GSM7), Coding.GSM7) == (whole, ())


def test_extension_characters_take_an_escape():
    assert alphabet.spell("€[", Coding.GSM7) == b"\x1be\x1b<"
    assert alphabet.text(b"\x1be\x1bA\x1b\x1b!\x1b", Coding.GSM7) == ("€A !", ())


def test_octets_beyond_the_alphabet_are_told():
    assert alphabet.text(b"a\x80", Coding.GSM7) == ("a\ufffd", ("characters unreadable",))
    assert alphabet.text("سلام".encode("utf-16-be") + b"\x06", Coding.UCS2) == ("سلام", ("odd number of octets",))
    assert alphabet.text(b"\xd8\x00", Coding.UCS2)[1] == ("characters unreadable",)
    assert alphabet.text(b"\x01\x02", Coding.BINARY) == ("", ("octets of no alphabet",))


@pytest.mark.parametrize(
    ("dcs", "found"),
    [
        (0, Coding.LATIN1), (1, Coding.ASCII), (2, Coding.BINARY), (3, Coding.LATIN1), (4, Coding.BINARY),
        (8, Coding.UCS2), (0xF0, Coding.GSM7), (0xF5, Coding.BINARY), (13, Coding.BINARY),
    ],
)  # fmt: skip
def test_data_coding_names_an_alphabet_and_0_is_the_links_own(dcs, found):
    assert alphabet.coding(dcs, Coding.LATIN1) is found


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_comes_back_from_utf16(text):
    assert alphabet.text(alphabet.spell(text, Coding.UCS2), Coding.UCS2)[0] == text


MARKS = ["\u200c", "\u064e", "👨\u200d👩\u200d👧"]
PERSIAN = st.lists(st.sampled_from([*"ابپی ه۱a€[😀", *MARKS]), max_size=400).map("".join)


@given(PERSIAN, st.booleans())
def test_parts_join_to_the_text_fit_and_cut_no_cluster(text, wide):
    found = parts.split(text, wide)
    assert "".join(found) == text
    if not wide:
        assert len(found) == parts.measure(text).parts
    if len(found) > 1:
        coding = parts.measure(text).coding
        sizes = [len(alphabet.spell(part, Coding(coding))) for part in found]
        assert max(sizes) <= (153 - wide if coding == "gsm7" else 134 - 2 * wide)
        if coding == "ucs2" and all(len(c) < 30 for c in regex.findall(r"\X", text)):
            assert [c for part in found for c in regex.findall(r"\X", part)] == regex.findall(r"\X", text)
