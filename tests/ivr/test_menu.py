"""The menu reader: every fault by its word, file and line."""

from __future__ import annotations

import pytest

from config.faults import Fault
from ivr import menu
from ivr.menu import Menus
from tests.ivr.site import menus

TEXTS = {
    "fa": {"ivr.a": "الف", "ivr.b": "ب", "ivr.wrong": "اشتباه", "ivr.silence": "سکوت", "ivr.facts": "{code}"},
    "en": {"ivr.a": "a", "ivr.wrong": "w", "ivr.silence": "s", "ivr.facts": "{code}"},
}
LONG = "یک واژه " * 80
for known in TEXTS.values():
    known["ivr.long"] = LONG
END = '\n[menu.end]\ndo = "hangup"\n'


def read(text: str, units: frozenset[str] | None = None) -> Menus | list[Fault]:
    return menu.read({"menus/main.toml": text}, TEXTS, units)


def faults(text: str, units: frozenset[str] | None = None) -> list[tuple[str, int]]:
    found = read(text, units)
    assert isinstance(found, list), "no fault was found"
    assert all(fault.file == "menus/main.toml" and fault.remedy for fault in found)
    return [(fault.word, fault.line) for fault in found]


def test_the_shipped_menu_has_no_fault_and_knows_its_nodes():
    tree = menus().trees["main"]
    assert tree.start == "welcome"
    assert tree.nodes["main"].keys["1"] == "complaint"
    assert tree.nodes["message"].own == {"max": 180, "silence": 5}


def test_a_small_menu_is_read_with_its_defaults():
    found = read('start = "hello"\n[menu.hello]\ndo = "choose"\nsay = "ivr.a"\nkey.1 = "end"\nelse = "end"\n' + END)
    assert isinstance(found, Menus)
    node = found.trees["main"].nodes["hello"]
    assert (node.wait, node.between, node.tries, node.barge, node.keys) == (7.0, 4.0, 3, True, {"1": "end"})


CHOICE = 'start = "hello"\n[menu.hello]\ndo = "choose"\nelse = "end"\n'
CASES = {
    "start leads nowhere": ('start = "gone"' + END, [("unknown-target", 1)]),
    "a key leads nowhere": (CHOICE + 'key.1 = "end"\nkey.2 = "gone"' + END, [("unknown-target", 6)]),
    "else leads nowhere": (CHOICE.replace('"end"', '"gone"') + 'key.1 = "end"' + END, [("unknown-target", 4)]),
    "no such verb": ('start = "a"\n[menu.a]\ndo = "dance"\n', [("unknown-do", 3)]),
    "a verb of later": ('start = "a"\n[menu.a]\ndo = "report"\n', [("later", 3)]),
    "no verb": ('start = "a"\n[menu.a]\nsay = "ivr.a"\n', [("unknown-do", 2)]),
    "a word that means nothing": (CHOICE + 'key.1 = "end"\ncolour = "red"' + END, [("unknown-key", 6)]),
    "a key no telephone has": (CHOICE + 'key.1 = "end"\nkey.12 = "end"' + END, [("unknown-key", 6)]),
    "a word outside the tables": ("colour = 1\n" + CHOICE + 'key.1 = "end"' + END, [("unknown-key", 1)]),
    "a wait of hours": (CHOICE + 'key.1 = "end"\nwait = 7200' + END, [("bad-value", 6)]),
    "yes for a number": (CHOICE + 'key.1 = "end"\ntries = true' + END, [("bad-value", 6)]),
    "barge as a word": (CHOICE + 'key.1 = "end"\nbarge = "no"' + END, [("bad-value", 6)]),
    "not TOML": ('start = "a\n', [("not-toml", 1)]),
    "no tables": ('start = "a"\n', [("bad-value", 1)]),
    "nothing leads there": (CHOICE + 'key.1 = "end"\n[menu.lost]\ndo = "hangup"' + END, [("unreachable", 7)]),
    "a choice without keys": (CHOICE + END, [("dead-end", 3)]),
    "a sentence that leads nowhere": ('start = "a"\n[menu.a]\ndo = "say"\nsay = "ivr.a"\n', [("dead-end", 3)]),
    "an act that cannot fail": ('start = "a"\n[menu.a]\ndo = "take"\nok = "end"' + END, [("dead-end", 3)]),
    "nothing for the silent": ('start = "a"\n[menu.a]\ndo = "choose"\nkey.1 = "end"' + END, [("no-else", 3)]),
    "a sentence missing in English": (CHOICE + 'key.1 = "end"\nsay = "ivr.b"' + END, [("missing-text", 6)]),
    "a sentence missing in both": (
        CHOICE + 'key.1 = "end"\nsilence = "ivr.c"' + END,
        [("missing-text", 6), ("missing-text", 6)],
    ),
    "an unknown kind": (
        CHOICE.replace("choose", "record") + 'ok = "end"\nkind = "gossip"' + END,
        [("unknown-kind", 6)],
    ),
    "an unknown language": (
        'start = "a"\n[menu.a]\ndo = "language"\nlang = "de"\ngo = "end"' + END,
        [("bad-value", 4)],
    ),
    "an unknown question": (
        'start = "a"\n[menu.a]\ndo = "when"\nis = "raining"\nyes = "end"\nno = "end"' + END,
        [("bad-value", 4)],
    ),
    "a sentence that wants facts": (CHOICE + 'key.1 = "end"\nsay = "ivr.facts"' + END, [("unknown-fact", 6)] * 2),
    "a queue that is never left": ('start = "a"\n[menu.a]\ndo = "queue"\nserved = "end"' + END, [("dead-end", 3)]),
    "a bell without an end": ('start = "a"\n[menu.a]\ndo = "connect"\nto = "water"' + END, [("dead-end", 3)]),
    "a verb that is no text": ('start = "a"\n[menu.a]\ndo = ["say"]' + END, [("unknown-do", 3)]),
    "a check of later": (
        'start = "a"\n[menu.a]\ndo = "digits"\ncheck = "clause"\nok = "end"\nelse = "end"' + END,
        [("later", 4)],
    ),
    "a prompt without an else": ('start = "a"\n[menu.a]\ndo = "prompt"\nok = "end"' + END, [("no-else", 3)]),
    "a choice nobody can listen to": (CHOICE + 'key.1 = "end"\nsay = "ivr.long"' + END, [("choices-too-long", 6)] * 2),
    "a text by post": (
        'start = "a"\n[menu.a]\ndo = "text"\nwhat = "gold"\nok = "end"\nfailed = "end"' + END,
        [("bad-value", 4)],
    ),
    "a look of later": (
        'start = "a"\n[menu.a]\ndo = "look"\nwhat = "survey"\nelse = "end"' + END,
        [("later", 4)],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_fault_has_its_word_and_line(case):
    text, expected = CASES[case]
    assert faults(text) == expected


def test_a_way_of_more_than_three_minutes_is_named_with_its_nodes():
    says = "".join(f'[menu.a{n}]\ndo = "say"\nsay = "ivr.long"\ngo = "a{n + 1}"\n' for n in range(5))
    found = read('start = "a0"\n' + says + '[menu.a5]\ndo = "hangup"\n')
    assert isinstance(found, list)
    assert {(fault.word, fault.line) for fault in found} == {("path-too-long", 19)}
    assert "a0 → a1 → a2 → a3 → a4" in found[0].remedy


def test_what_nobody_has_spoken_is_a_warning_with_the_voice_and_a_fault_without():
    text = CHOICE + 'key.1 = "end"\nsay = "ivr.a"' + END
    spoken = {("ivr.a", "fa")}.__contains__
    known = {"recorded": lambda key, lang: spoken((key, lang))}
    warned = menu.read({"menus/main.toml": text}, TEXTS, **known)
    assert isinstance(warned, Menus)
    assert [(one.word, one.line) for one in warned.warnings] == [("missing-prompt", 6)]
    assert "ivr.a is not recorded in en" in warned.warnings[0].remedy
    refused = menu.read({"menus/main.toml": text}, TEXTS, speech=False, **known)
    assert [(one.word, one.line) for one in refused] == [("missing-prompt", 6)]


def test_seven_choices_are_too_many_but_repeat_and_languages_do_not_count():
    six = CHOICE + "".join(f'key.{key} = "end"\n' for key in range(1, 7)) + 'key.0 = "hello"\nkey."*" = "english"\n'
    english = '[menu.english]\ndo = "language"\nlang = "en"\ngo = "hello"\n'
    assert isinstance(read(six + english + END), Menus)
    seven = six + 'key.7 = "end"\n' + english + END
    assert faults(seven) == [("too-many-choices", 3)]


def test_a_circle_that_a_silent_caller_would_never_leave_is_refused():
    text = (
        'start = "a"\n[menu.a]\ndo = "choose"\nkey.1 = "end"\nelse = "b"\n[menu.b]\ndo = "say"\nsay = "ivr.a"\ngo = "a"'
    )
    assert sorted(faults(text + END)) == [("loop-without-caller", 3), ("loop-without-caller", 7)]


def test_a_circle_that_needs_a_key_is_allowed():
    assert isinstance(read(CHOICE + 'key.1 = "hello"\n' + END), Menus)


def test_a_unit_that_is_not_there_is_refused():
    text = 'start = "a"\n[menu.a]\ndo = "record"\nunit = "moon"\nok = "end"\nelse = "end"' + END
    assert faults(text, frozenset({"water"})) == [("unknown-unit", 4)]
    assert isinstance(read(text.replace("moon", "water"), frozenset({"water"})), Menus)


def test_all_faults_of_all_files_are_told_at_once():
    bad = 'start = "a"\n[menu.a]\ndo = "dance"\n'
    found = menu.read({"menus/main.toml": bad, "menus/other.toml": bad}, TEXTS)
    assert isinstance(found, list)
    assert [fault.file for fault in found] == ["menus/main.toml", "menus/other.toml"]
