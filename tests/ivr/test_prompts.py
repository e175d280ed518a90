"""Sentences for the ear: no digit or slash is left, and what is read says the same number."""

from __future__ import annotations

import random
import re
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import jalali
from ivr import prompts, readout
from ivr.prompts import Prompts, Recorded, Spoken, Tone, Voice
from ivr.steps import Item
from tests.ivr.site import TODAY, texts

UNITS = {word: value for value, word in enumerate(readout._FA)}
UNITS |= {word: 10 * (at + 2) for at, word in enumerate(readout._FA_TENS)}
UNITS |= {word: 100 * (at + 1) for at, word in enumerate(readout._FA_HUNDREDS)}
LARGE = {"هزار": 1000, "میلیون": 10**6, "میلیارد": 10**9}


def read_back(words: str) -> int:
    """The number that Persian words say, by another way than they were made."""
    total = part = 0
    for word in words.replace("ُ ", " ").split():
        if word in LARGE:
            total, part = total + (part or 1) * LARGE[word], 0
        else:
            part += UNITS[word]
    return total + part


def said(text: str, lang: str = "fa") -> str:
    return readout.worded(text, lang, TODAY, "نشانی در پیامک است")


@settings(max_examples=1000, deadline=None)
@given(st.integers(0, 10**12 - 1))
def test_a_number_read_back_is_the_same(value):
    assert read_back(readout.number(value, "fa")) == value


@settings(max_examples=1000, deadline=None)
@given(st.text("0123456789۰۱۲۳۴۵۶۷۸۹٠٣²½/\\.:-+,٬٫٪% اآبپتهZaz@،\n", max_size=80), st.sampled_from(["fa", "en"]))
def test_no_digit_and_no_slash_is_left(text, lang):
    words = said(text, lang)
    assert not any(letter.isnumeric() for letter in words), words
    assert not re.search(r"[/\\\n]", words)


@pytest.mark.parametrize(
    ("text", "heard"),
    [
        ("۲۱ نفر", "بیستُ یک نفر"),
        ("1405", "هزارُ چهارصدُ پنج"),
        ("تا 1405/06/31 صبر کنید", "تا سیُ یکمِ شهریور صبر کنید"),
        ("در ۱۴۰۴/۱/۳ بود", "در سومِ فروردینِ هزارُ چهارصدُ چهار بود"),
        ("1405/13/40", "هزارُ چهارصدُ پنج، سیزده، چهل"),
        ("تماس با 09120000000", "تماس با صفر، نُه، یک، دو؛ صفر، صفر، صفر؛ صفر، صفر، صفر، صفر"),
        ("ساعت 14:30", "ساعت چهاردهُ سی دقیقه"),
        ("۱۲٬۰۰۰ ریال", "دوازده هزار ریال"),
        ("3.5 متر", "سه ممیز پنج متر"),
        ("۲۰٪ و ۵٪", "بیست درصد و پنج درصد"),
        ("به https://example.ir/1 بروید", "به نشانی در پیامک است بروید"),
        ("به info@example.ir بنویسید", "به نشانی در پیامک است بنویسید"),
        ("و/یا", "و یا"),
        ("تا ۳۱ شهریور صبر کنید", "تا سیُ یکمِ شهریور صبر کنید"),
        ("۵ مهر ماه 1404", "پنجمِ مهرِ هزارُ چهارصدُ چهار"),
        ("۳۱ مهر", "سیُ یک مهر"),
        ("۲۵۰۰۰۰۰۰۰۰ ریال", "دو میلیاردُ پانصد میلیون ریال"),
        ("1,250,000تومان", "یک میلیونُ دویستُ پنجاه هزار تومان"),
        ("کد پیگیری 72940518364", "کدِ پیگیری هفت، دو، نُه؛ چهار، صفر، پنج، یک؛ هشت، سه، شش، چهار"),
        ("شماره‌ی پرونده", "شمارهٔ پرونده"),
        ("شماره ی ما", "شمارهٔ ما"),
        ("در سازمان بررسی شد", "در سازْمان بَررِسی شد"),
        ("سازمان‌ها و بررسی‌های ما", "سازْمان‌ها و بَررِسی‌های ما"),
        ("۹ نفر گفتند نه", "نُه نفر گفتند نه"),
        ("طی ۱۰ روز کاری", "طی ده روزِ کاری"),
    ],
)
def test_persian_text_is_read_so(text, heard):
    assert said(text) == heard


def test_ten_thousand_answers_are_read_without_a_digit_and_their_amounts_come_back_equal():
    chance = random.Random(1405)
    for _ in range(10_000):
        amount, day = chance.randrange(1, 10 ** chance.randint(1, 12)), f"{chance.randint(1, 29)}"
        text = f"مبلغ {amount} ریال تا {day} {chance.choice(jalali.MONTHS)} و کد {chance.randrange(10**10, 10**11)}/۲"
        heard = said(text)
        assert not any(letter.isnumeric() or letter == "/" for letter in heard), heard
        assert read_back(heard.split("مبلغ ")[1].split(" ریال")[0]) == amount


@pytest.mark.parametrize(
    ("text", "heard"),
    [
        ("21 people", "twenty-one people"),
        ("by 2026-09-22", "by twenty-second of September"),
        ("in 2025-03-20", "in twentieth of March two thousand twenty-five"),
        ("115 000", "one, one, five. zero, zero, zero"),
        ("at 9:00", "at nine o’clock"),
        ("1,250", "one thousand two hundred fifty"),
    ],
)
def test_english_text_is_read_so(text, heard):
    assert said(text, "en") == heard


def test_nine_has_its_vowel_so_that_it_is_not_heard_as_no():
    assert readout.one_by_one("۹", "fa") == "نُه"
    assert "نه" not in readout.code("99999999999", "fa").split("، ")


def test_a_code_is_read_in_groups_of_three_four_and_four():
    groups = readout.code("72940518364", "fa").split("؛")
    assert [len(group.split("،")) for group in groups] == [3, 4, 4]


def test_every_day_of_a_year_is_read_with_its_month():
    for ordinal in range(date(2026, 3, 21).toordinal(), date(2027, 3, 21).toordinal()):
        when = date.fromordinal(ordinal)
        words = readout.day(when, "fa", TODAY)
        assert words.endswith(jalali.MONTHS[jalali.jalali(when)[1] - 1])


def pieces(item: Item, lang: str = "fa", folder: str | None = None):
    return Prompts(texts(), [folder] if folder else []).pieces(item, lang, TODAY)


def test_latin_words_in_a_persian_answer_go_to_the_english_voice():
    found = pieces(Item(words="سامانهٔ Pasokh System را ببینید"))
    assert found == [Spoken("سامانهٔ", "fa", True), Spoken("Pasokh System", "en", True), Spoken("را ببینید", "fa", True)]


def test_a_recorded_prompt_wins_where_a_sentence_has_no_facts(tmp_path):
    path = tmp_path / "fa" / "ivr.wrong.wav"
    path.parent.mkdir()
    path.write_bytes(b"RIFF")
    assert pieces(Item("ivr.wrong"), folder=str(tmp_path)) == [Recorded(str(path))]
    assert isinstance(pieces(Item("ivr.wrong"), "en", str(tmp_path))[0], Spoken)


def test_voices_and_tones_are_played_as_they_are():
    assert pieces(Item(voice="tone:beep")) == [Tone("beep")]
    assert pieces(Item(voice="ab/cd")) == [Voice("ab/cd")]


def test_codes_pins_and_answers_are_private_and_the_menus_are_not():
    secret = [
        Item("ivr.code", {"code": "72940518364"}),
        Item("ivr.pin_again", {"pin": "0907"}),
        Item(words="آب وصل شد."),
    ]
    assert all(piece.private for item in secret for piece in pieces(item))
    assert not any(piece.private for piece in pieces(Item("ivr.menu.welcome")))


def test_a_long_answer_is_cut_into_pieces_the_voice_can_take():
    found = pieces(Item(words="آب وصل شد. " * 200))
    assert len(found) > 3
    assert all(len(piece.text) <= prompts.PIECE for piece in found)
    assert " ".join(piece.text for piece in found) == ("آب وصل شد. " * 200).strip()


def test_every_shipped_sentence_is_spoken_without_digits():
    facts = {
        "first": 9,
        "last": 19,
        "code": "72940518364", "pin": "0907", "seconds": 31, "unit": "ادارهٔ آب منطقهٔ ۳", "at": 1790000000000,
        "due_at": 1790000000000, "answered_at": 1790000000000, "n": 2, "kind": "شکایت", "place": 3, "minutes": 12,
        "hours": "شنبه تا چهارشنبه ۷ تا ۱۴:۳۰", "phone": "۰۲۴-۳۳۰۰۰۲۳۰",
    }  # fmt: skip
    for lang in ("fa", "en"):
        for key in sorted(texts().keys()):
            if key.startswith("ivr.") and key != "ivr.message":
                found = pieces(Item(key, facts), lang)
                assert found, key
                assert not any(letter.isnumeric() for piece in found for letter in piece.text), key
