"""Sealed columns, blind indexes, PINs; budgets and who is shut out."""

from __future__ import annotations

import os
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import cipher
from core.cipher import BadKeyring, BadSeal, Keyring
from core.clock import HandClock
from core.throttle import Rule, Throttle

RING = Keyring({1: b"a" * 32, 7: b"b" * 32})
OLD = Keyring({1: b"a" * 32})


def test_a_keyring_is_made_once_and_read_again(tmp_path):
    path = tmp_path / "keyring"
    made = Keyring.create(path)
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert Keyring.read(path).keys == made.keys
    with pytest.raises(BadKeyring, match="cannot be made"):
        Keyring.create(path)
    assert made.keys[1].hex() not in repr(made)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_keyring_others_may_read_is_refused(tmp_path, mode):
    path = tmp_path / "keyring"
    Keyring.create(path)
    path.chmod(mode)
    with pytest.raises(BadKeyring, match="chmod 600"):
        Keyring.read(path)


@pytest.mark.parametrize("text", ["", "\n", "1 short\n", "one AAAA\n", "1\n", "0 " + "A" * 43 + "=\n"])
def test_a_damaged_keyring_is_refused(tmp_path, text):
    path = tmp_path / "keyring"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(BadKeyring):
        Keyring.read(path)


def test_no_keyring_is_an_error_with_its_path(tmp_path):
    with pytest.raises(BadKeyring, match="nowhere"):
        Keyring.read(tmp_path / "nowhere")


@given(st.binary(max_size=200), st.integers(0, 2**53))
def test_what_is_sealed_opens_in_its_place_only(data, row):
    sealed = cipher.seal(RING, "contact", "value", row, data)
    assert cipher.unseal(RING, "contact", "value", row, sealed) == data
    for table, column, other in [("contact", "name", row), ("person", "value", row), ("contact", "value", row + 1)]:
        with pytest.raises(BadSeal):
            cipher.unseal(RING, table, column, other, sealed)


@given(st.integers(0, 50), st.integers(1, 255))
def test_changed_bytes_do_not_open(place, flip):
    sealed = bytearray(cipher.seal(RING, "contact", "value", 1, "+989120000000"))
    sealed[place % len(sealed)] ^= flip
    with pytest.raises((BadSeal, BadKeyring)):
        cipher.unseal(RING, "contact", "value", 1, bytes(sealed))


def test_the_newest_key_seals_and_old_ones_still_open():
    before = cipher.seal(OLD, "contact", "value", 1, "۰۹۱۲")
    assert cipher.unseal(RING, "contact", "value", 1, before).decode() == "۰۹۱۲"
    assert cipher.seal(RING, "contact", "value", 1, "x")[:2] == b"\x00\x07"
    with pytest.raises(BadKeyring, match="no key 7"):
        cipher.unseal(OLD, "contact", "value", 1, cipher.seal(RING, "contact", "value", 1, "x"))


def test_two_seals_of_one_text_differ_and_short_bytes_do_not_open():
    assert cipher.seal(RING, "a", "b", 1, "x") != cipher.seal(RING, "a", "b", 1, "x")
    with pytest.raises(BadSeal, match="too short"):
        cipher.unseal(RING, "a", "b", 1, b"\x00\x01abc")


def test_blind_indexes_are_the_same_for_the_same_value_and_kind_only():
    one = cipher.blind(RING, "phone", "+989120000000")
    assert one == cipher.blind(RING, "phone", "+989120000000")
    assert len({one, cipher.blind(RING, "mail", "+989120000000"), cipher.blind(RING, "phone", "+989120000000", 1)}) == 3


def test_macs_tell_lists_apart():
    assert cipher.mac(RING, "form", "ab", "c") != cipher.mac(RING, "form", "a", "bc")
    assert cipher.mac(RING, "form", "a") != cipher.mac(RING, "reply", "a")
    assert cipher.same(cipher.mac(RING, "form", 1, b"x"), cipher.mac(RING, "form", 1, b"x"))


def test_pins_are_four_digits_bound_to_ticket_and_key():
    pins = [cipher.pin(RING, 7, ticket) for ticket in range(5000)]
    assert all(len(pin) == 4 and pin.isascii() and pin.isdigit() for pin in pins)
    assert pins[:50] == [cipher.pin(RING, 7, ticket) for ticket in range(50)]
    assert pins[:50] != [cipher.pin(RING, 1, ticket) for ticket in range(50)]
    assert len(set(pins)) > 3500
    assert max(Counter(pin[0] for pin in pins).values()) < 650


# ---------------------------------------------------------------- throttle


def test_a_budget_is_spent_and_comes_back():
    clock = HandClock()
    throttle = Throttle([Rule("codes", 3, 3600)], clock)
    assert [throttle.take("codes", "a") for _ in range(3)] == [None] * 3
    assert throttle.take("codes", "a") == pytest.approx(1200)
    assert throttle.take("codes", "b") is None
    clock.advance(1199)
    assert throttle.take("codes", "a") == pytest.approx(1)
    clock.advance(1.001)
    assert throttle.take("codes", "a") is None
    assert throttle.take("codes", "a") is not None


def test_a_burst_is_less_than_the_limit():
    clock = HandClock()
    throttle = Throttle([Rule("sip", 50, 1, burst=2)], clock)
    assert [throttle.take("sip", "a") is None for _ in range(3)] == [True, True, False]
    clock.advance(0.021)
    assert throttle.take("sip", "a") is None


def test_looking_takes_nothing():
    throttle = Throttle([Rule("m", 1, 10)], HandClock())
    assert [throttle.wait("m", "a") for _ in range(5)] == [None] * 5
    throttle.take("m", "a")
    assert throttle.wait("m", "a") == pytest.approx(10)
    throttle.forget("m", "a")
    assert throttle.wait("m", "a") is None


def test_whoever_has_spent_all_stays_out_for_the_whole_time():
    clock = HandClock()
    throttle = Throttle([Rule("miss", 10, 86400, shut=86400)], clock)
    assert [throttle.take("miss", "a") for _ in range(10)] == [None] * 10
    clock.advance(86399)
    assert throttle.wait("miss", "a") == pytest.approx(1)
    clock.advance(2)
    assert throttle.take("miss", "a") is None


def test_a_limit_of_none_lets_nobody_in():
    assert Throttle([Rule("off", 0, 60)], HandClock()).take("off", "a") == 60


def test_memory_is_bounded_and_those_seen_last_are_remembered():
    throttle = Throttle([Rule("m", 1, 1000)], HandClock(), most=100)
    for n in range(10_000):
        throttle.take("m", str(n))
    assert throttle.take("m", "9999") is not None
    assert throttle.take("m", "9901") is not None
    assert throttle.take("m", "0") is None


def test_an_unknown_rule_is_a_fault_of_the_program():
    with pytest.raises(KeyError):
        Throttle([], HandClock()).take("nothing", "a")


@given(st.lists(st.floats(0, 100), max_size=60))
def test_never_more_than_twice_the_limit_in_a_span(waits):
    clock = HandClock()
    throttle = Throttle([Rule("m", 5, 100)], clock)
    taken = []
    for wait in waits:
        clock.advance(wait)
        if throttle.take("m", "a") is None:
            taken.append(clock.monotonic())
    for start in taken:
        assert sum(start <= t < start + 100 for t in taken) <= 10


def test_a_hundred_thousand_guesses_get_few_tries():
    clock = HandClock()
    throttle = Throttle([Rule("miss", 10, 86400, shut=86400)], clock)
    tries = 0
    for _ in range(100_000):
        clock.advance(1)
        tries += throttle.take("miss", "one caller") is None
    assert tries <= 20
