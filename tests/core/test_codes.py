"""Tracking codes: their check digit, their shapes, and codes in what people write."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import codes

bodies = st.integers(1_000_000_000, 9_999_999_999).map(str)
good = bodies.map(lambda body: body + codes.check(body))


class Seeded:
    """Random numbers that repeat."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def randbelow(self, bound: int) -> int:
        return self._random.randrange(bound)


@pytest.mark.parametrize(("body", "digit"), [("236", "3"), ("7294051836", "4")])
def test_the_known_check_digits(body, digit):
    assert codes.check(body) == digit


def test_new_codes_are_well_formed_and_never_look_like_a_mobile():
    rng = Seeded(1)
    fresh = [codes.new(rng) for _ in range(2000)]
    assert all(map(codes.ok, fresh))
    assert not any(code.startswith("0") for code in fresh)
    assert len(set(fresh)) == len(fresh)


@given(good, st.integers(0, 10), st.integers(1, 9))
def test_each_single_wrong_digit_is_caught(code, place, more):
    wrong = code[:place] + str((int(code[place]) + more) % 10) + code[place + 1 :]
    assert not codes.ok(wrong)


@given(good, st.integers(0, 9))
def test_each_swap_of_neighbours_is_caught(code, place):
    swapped = code[:place] + code[place + 1] + code[place] + code[place + 2 :]
    assert swapped == code or not codes.ok(swapped)


def test_about_one_in_ten_of_random_numbers_checks():
    rng = random.Random(2)
    passed = sum(codes.ok(str(rng.randrange(10**10, 10**11))) for _ in range(20_000))
    assert 1800 < passed < 2200


@given(good)
def test_what_is_shown_is_read_again_in_any_digits(code):
    shown = codes.show(code)
    assert codes.parse(shown) == code
    assert codes.parse("\u202a" + shown.translate(str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹")) + "\u202c") == code
    assert codes.parse(shown.replace("-", " ").translate(str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩"))) == code


def test_shown_three_four_four():
    assert codes.show("12345678901") == "123-4567-8901"


@pytest.mark.parametrize("text", ["", "1234567890", "123456789012", "09120000000", "1234567890x", "سلام"])
def test_other_shapes_are_no_code(text):
    assert codes.parse(text) is None
    assert not codes.ok(text)


def test_a_wrong_check_digit_is_read_but_not_right():
    assert codes.parse("۷۲۹-۴۰۵۱-۸۳۶۵") == "72940518365"
    assert not codes.ok("72940518365")


CODE = "72940518364"


@pytest.mark.parametrize(
    "text",
    [
        "کد من ۷۲۹۴۰۵۱۸۳۶۴ است",
        "پیگیری 729-4051-8364.",
        "729 4051 8364",
        "شماره۷۲۹/۴۰۵۱/۸۳۶۴",
        "8364-4051-729",  # copied from a right-to-left line
        "تلفن 09120000000 و کد 72940518364",
    ],
)
def test_a_code_is_found_in_what_people_write(text):
    assert codes.find(text) == [CODE]


@pytest.mark.parametrize("text", ["", "72940518365", "+989120000000", "172940518364", "1405/09/03 ساعت 14:30"])
def test_what_is_no_code_is_not_found(text):
    assert codes.find(text) == []


@given(good, good)
def test_two_codes_are_found_in_order(one, other):
    found = codes.find(f"اول {one} دوم {other}")
    assert found == list(dict.fromkeys([one, other]))
