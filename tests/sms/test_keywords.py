"""What a text asks for: a row of the table each."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import codes, text
from core.channels import Act
from sms.keywords import Wish, read

CODE = "72940518364"
SHOWN = codes.show(CODE)
FA = text.persian(CODE)
BROKEN = CODE[:-1] + str((int(CODE[-1]) + 1) % 10)

ROWS = [
    ("", Wish.EMPTY), ("  \n", Wish.EMPTY), ("😀", Wish.EMPTY), ("!!", Wish.EMPTY),
    ("لغو", Wish.STOP), ("لغو۱۱", Wish.STOP), ("وصل", Wish.START), ("راهنما", Wish.HELP), ("؟", Wish.HELP),
    ("help", Wish.HELP), ("تخلف در ادارهٔ نمونه", Wish.CONFIDENTIAL), ("گزارش تخلف", Wish.CONFIDENTIAL),
    (CODE, Wish.STATE), (SHOWN, Wish.STATE), (FA, Wish.STATE), (f"کد {CODE}", Wish.STATE),
    (f"پیگیری {SHOWN}", Wish.STATE), (f"{CODE} 1234", Wish.STATE), (BROKEN, Wish.BAD_CODE),
    ("پیگیری", Wish.MINE), ("وضعیت", Wish.MINE), (f"{CODE} ۳۱", Wish.ACT), ("۱۲", Wish.STRAY),
    ("09120000000", Wish.NEW), ("آب کوچه قطع است", Wish.NEW), ("لغو پروانهٔ کسب من چه شد", Wish.NEW),
]  # fmt: skip


@pytest.mark.parametrize(("text", "wish"), ROWS)
def test_the_first_row_that_fits(words, text, wish):
    assert read(text, words).wish is wish


def test_code_and_33_with_words_is_an_objection(words):
    reading = read(f"{SHOWN} ۳۳ پاسخ ناقص بود", words)
    assert (reading.act, reading.code, reading.rest) == (Act.OBJECT, CODE, "پاسخ ناقص بود")


def test_code_pin_and_31_accepts_with_proof(words):
    reading = read(f"{CODE} ۱۲۳۴ موافقم", words)
    assert (reading.act, reading.proof) == (Act.ACCEPT, "1234")


@pytest.mark.parametrize("text", [f"{CODE} عکس را هم دیدید؟", f"عکس را هم دیدید؟ {CODE}"])
def test_code_and_words_is_an_addition(words, text):
    reading = read(text, words)
    assert (reading.act, reading.code, reading.rest) == (Act.ADD, CODE, "عکس را هم دیدید؟")


@given(st.text(max_size=200))
def test_no_text_raises(words, text):
    assert read(text, words).wish in Wish
