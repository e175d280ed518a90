"""A call without a telephone: its words, its made-up house, and that it ends."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ivr import rehearsal
from ivr.prompts import Prompts
from ivr.rehearsal import World, WrongWord
from ivr.stand import Walk
from tests.ivr.site import TODAY, menus, texts

WORLD = World({"230": "امداد"})


def play(keys: str, tree: str = "main", asserted: bool = True, **known) -> list[str]:
    walk = Walk(tree, **known)
    return rehearsal.rehearse(menus(), Prompts(texts()), TODAY, walk, keys, WORLD, asserted).lines


def test_a_complaint_from_the_first_key_to_the_last_word():
    told = play("1 0 r12 3 #")
    assert "phone: hands over new (complaint, 12 s)" in told
    assert told[-1] == "phone: hangs up"


def test_the_answer_is_found_with_the_made_up_pin_and_not_without():
    assert any("پاسخِ نمونه" in line for line in play(f"5 {rehearsal.CODE} {rehearsal.PIN}"))
    assert not any("پاسخِ نمونه" in line for line in play(f"5 {rehearsal.CODE} 1111"))


def test_a_unit_is_rung_and_nobody_answers():
    told = play("6 230# 1 n r8 3 #")
    assert "phone: rings 230" in told
    assert "phone: hands over new (request, 230, 8 s)" in told


def test_an_operator_answers_in_office_hours_and_the_mailbox_at_night():
    assert "phone: queues for main" in play("0 o")
    assert "phone: records up to 120 s, 5 s of quiet" in play("0", open=False)


def test_staff_speak_a_prompt():
    assert "phone: publishes ivr.menu.welcome in fa" in play("12345678 r6 3", tree="staff")


def test_a_wrong_word_is_named():
    with pytest.raises(WrongWord, match="dance"):
        play("1 dance")


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from([*"0123456789*#.onh", "r1", "r9", "230#", rehearsal.CODE]), max_size=25), st.booleans())
def test_whatever_a_caller_does_it_is_told_and_never_raises(todo, asserted):
    told = play(" ".join(todo), asserted=asserted)
    assert all(line.split(":")[0] in ("caller", "phone", "house") for line in told)
