"""Persian text at the door, folded, and cut for the index."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import text


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("كتاب علي", "کتاب علی"),
        ("ﺳﻼم", "سلام"),
        ("a\x00b\x07c", "abc"),
        ("\u202eمعکوس\u202c", "معکوس"),
        ("\u2067جدا\u2069", "جدا"),
        ("می‌شود", "می‌شود"),
        ("خط\r\nدوم\rسوم", "خط\nدوم\nسوم"),
        ("\ud800سالم", "سالم"),
        ("آ", "آ"),
        ("<b>متن</b>", "<b>متن</b>"),
        ("\ufeffسلام", "سلام"),
    ],
)
def test_the_door_cleans(raw, clean):
    assert text.clean(raw) == clean


@given(st.text(st.characters(codec=None), max_size=80))
def test_cleaning_twice_is_cleaning_once_and_can_be_stored(raw):
    once = text.clean(raw)
    assert text.clean(once) == once
    assert once == unicodedata.normalize("NFC", once)
    once.encode()
    assert "\x00" not in once


@given(st.text(st.sampled_from("ابپکگیكيئؤأآءةۀهٔـَُِّ\u200c\u200d ۰٣7aÉ-،؟\n"), max_size=60))
def test_folding_twice_is_folding_once(raw):
    once = text.fold(raw)
    assert text.fold(once) == once


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("مسئول", "مسؤول"),
        ("مسئولین", "مسوولین"),
        ("خانه‌ی ما", "خانهٔ ما"),
        ("خانۀ ما", "خانه ما"),
        ("آب", "اب"),
        ("إمضأ", "امضا"),
        ("کِتابِ", "کتاب"),
        ("جـــاده", "جاده"),
        ("می‌شود", "میشود"),
        ("۱۲۳", "١٢٣"),
        ("ABC", "abc"),
        ("جزء", "جز"),
        ("نامة", "نامه"),
    ],
)
def test_spellings_of_one_word_fold_alike(one, other):
    assert text.fold(one) == text.fold(other)


def test_digits_in_and_out():
    assert text.digits("۰۹۱۲ ٣٤") == "0912 34"
    assert text.persian(1405) == "۱۴۰۵"
