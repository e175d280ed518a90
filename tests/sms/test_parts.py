"""Counting parts: the table of known texts."""

from __future__ import annotations

import pytest

from sms.parts import compact, measure

FA = "ا"
ROWS = [
    ("a" * 160, 1), ("a" * 161, 2), ("a" * 306, 2), ("a" * 307, 3), ("€" * 80, 1), ("€" * 81, 2),
    (FA * 70, 1), (FA * 71, 2), (FA * 134, 2), (FA * 135, 3), ("a" * 69 + "۱", 1), ("a" * 70 + "۱", 2),
    (FA * 66 + "😀" + "ب" * 65, 2), (FA * 66 + "😀" + "ب" * 66, 3),
    ("a" * 152 + "€" + "b" * 151, 2), ("a" * 152 + "€" + "b" * 152, 3),
    (FA * 65 + "ی\u200c" + "ر" * 67, 2), (FA * 66 + "ی\u200c" + "ر" * 67, 3),
]  # fmt: skip


@pytest.mark.parametrize(("text", "parts"), ROWS)
def test_a_text_takes_the_parts_of_the_table(text, parts):
    assert measure(text).parts == parts


def test_compact_drops_invisible_marks_only_where_a_part_is_saved():
    long = "می\u200cخواهم " + FA * 62
    assert measure(long).parts == 2
    assert measure(compact(long)).parts == 1
    assert compact("می\u200cخواهم") == "می\u200cخواهم"
