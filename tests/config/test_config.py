"""The shipped configuration reads; each fault names its file, line and remedy."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import config
from core import calendar, routing

SEEDS = config.SEEDS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the shipped files to spoil."""
    for path in SEEDS.glob("*.toml"):
        shutil.copy(path, tmp_path)
    shutil.copytree(SEEDS / "texts", tmp_path / "texts")
    return tmp_path


def spoil(folder: Path, file: str, old: str, new: str) -> int:
    """Replace the first `old` in a file; returns the line it stood in."""
    text = (folder / file).read_text()
    assert old in text, old
    (folder / file).write_text(text.replace(old, new, 1))
    return text[: text.index(old)].count("\n") + 1


def add(folder: Path, file: str, text: str) -> int:
    """Append to a file; returns the line it begins in."""
    before = (folder / file).read_text()
    (folder / file).write_text(before + text)
    return before.count("\n") + 1


def test_what_ships_has_no_fault():
    assert config.check() == []


def test_the_sample_agency_is_whole():
    found = config.read()
    assert len(found.units) >= 12
    assert found.units.oversight is not None
    assert found.units.secretariat.slug == "secretariat"
    assert len(found.services) >= 8
    assert {person.role for person in found.staff.values()} >= {"operator", "lead", "manager", "admin", "expert"}
    assert found.settings.drain_seconds == 120
    assert found.settings.second_factor == "required"
    assert not found.settings.loopback_exempt
    assert found.lines["sms"]["line"]["main"]["number"] == "30001234"
    assert found.where("lines.toml", "sms", "line", "main", "number").line > 1


def test_every_rule_that_ships_can_win():
    found = config.read()
    texts = {
        "danger": "ترکیدگی لوله در کوچه", "cut": "برق قطع شده", "bill": "قبضم زیاد آمده", "permit": "تمدید پروانه",
        "road": "چاله‌ی بزرگ", "portal": "سامانه باز نمی‌شود",
    }  # fmt: skip
    for name, text in texts.items():
        assert routing.route(routing.Facts("sms", text), found.routes).rule == name
    rude = routing.route(routing.Facts("web", "رفتار بد کارمند", kind="complaint"), found.routes)
    assert (rude.rule, rude.unit) == ("staff-conduct", "oversight")


def test_the_holidays_of_1405_are_there():
    cal = config.read().calendar
    from core.jalali import gregorian

    for month, day in [(1, 1), (1, 13), (3, 14), (11, 22), (12, 29), (4, 4), (3, 6)]:
        off = cal.off(gregorian(1405, month, day))
        assert off is not None and off.why is calendar.Why.HOLIDAY, (month, day)
    assert {d.certainty for d in cal.days.values()} == {"expected"}
    for year in range(1404, 1409):
        assert sum(1 for day in cal.days if gregorian(year, 1, 1) <= day < gregorian(year + 1, 1, 1)) >= 15


def test_the_tree_knows_its_ways():
    units = config.read().units
    assert units.subtree("services") == {"services", "subscribers", "permits", "emergency"}
    assert units.ancestors("permits") == ["services", "organization"]
    assert units.subtree("nowhere") == frozenset()
    above = units.superior("permits")
    last = units.superior("permits", 2)
    assert above and above.slug == "services"
    assert last and last.slug == "oversight"
    assert units.superior("permits", 3) is None
    assert units.name("permits", "en") == "Permits"
    assert units.name("permits", "ar") == "صدور مجوز"
    found = units.by_mail("Roads+77@EXAMPLE.ir")
    assert found and found.slug == "roads"
    assert units.by_mail("roads@elsewhere.ir") is None
    by_key = units.by_extension("210")
    assert by_key and by_key.slug == "subscribers"


def test_the_budget_of_a_message():
    found = config.read()
    assert found.budget("complaint") == "10wd"
    assert found.budget("complaint", "repair") == "4wh"
    assert found.budget("complaint", "repair", "1wh") == "1wh"
    assert found.budget("thanks") is None


FAULTS = [
    ("units.toml", 'parent = "services"', 'parent = "nowhere"', "unknown-unit", "nowhere"),
    ("units.toml", 'extension = "110"', 'extension = "100"', "twice", "'organization'"),
    ("units.toml", 'mail = "info"', 'mail = "In Fo"', "bad-value", "before the @"),
    ("units.toml", 'kind = "oversight"', 'kind = "police"', "bad-value", "'oversight'"),
    ("units.toml", 'extension = "120"', "extension = 120", "bad-type", "text"),
    ("units.toml", 'head = { name = { fa = "لیلا', 'haed = { name = { fa = "لیلا', "unknown-key", "'head'"),
    ("services.toml", 'unit = "subscribers"', 'unit = "subscriber"', "unknown-unit", "subscribers"),
    ("services.toml", 'due = "15wd"', 'due = "15 days"', "bad-value", "10wd"),
    ("staff.toml", 'role = "manager"', 'role = "king"', "unknown-role", "king"),
    ("staff.toml", 'unit = "oversight"', 'unit = "oversigh"', "unknown-unit", "oversigh"),
    ("roles.toml", '"read:assigned"', '"reed:assigned"', "unknown-permission", "reed"),
    ("routes.toml", 'then = { unit = "roads" }', 'then = { unit = "rodes" }', "unknown-unit", "rodes"),
    ("routes.toml", 'service = "repair"', 'service = "repairs"', "unknown-service", "repairs"),
    ("routes.toml", 'when = { area = "north" }', 'when = { aera = "north" }', "unknown-key", "aera"),
    ("routes.toml", 'name = "south"', 'name = "north"', "duplicate-name", "north"),
    ("routes.toml", 'when = { kind = "data" }', 'when = { kind = "date" }', "unknown-kind", "complaint"),
    ("routes.toml", 'then = { unit = "south" }', "then = { }", "does-nothing", "south"),
    ("calendar.toml", 'sat = ["07:00-14:30"]', 'sat = ["14:30-07:00"]', "bad-hours", "07:00-14:30"),
    ("calendar.toml", 'sun = ["07:00-14:30"]', 'sun = ["07:00-14:30", "14:00-15:00"]', "overlap", "overlap"),
    ("calendar.toml", 'mon = ["07:00', 'mun = ["07:00', "unknown-key", "mon"),
    ("calendar.toml", 'day = "1404/1/2"', 'day = "1404/12/30"', "bad-day", "1404/12/30"),
    ("calendar.toml", 'day = "1/13"', 'day = "13/1"', "bad-day", "13/1"),
    ("settings.toml", 'second_factor = "required"', 'second_factor = "never"', "bad-value", "optional"),
    ("settings.toml", 'zone = "Asia/Tehran"', 'zone = "Asia/Teheran"', "bad-value", "Asia/Tehran"),
    ("settings.toml", 'zone = "Asia/Tehran"', 'zone = "Asia"', "bad-value", "Asia/Tehran"),
    ("settings.toml", 'zone = "Asia/Tehran"', 'zone = "../etc"', "bad-value", "Asia/Tehran"),
    ("settings.toml", "drain_seconds = 120", "drain_seconds = -1", "out-of-range", "3600"),
    ("settings.toml", "port = 8080", "port = 80800", "out-of-range", "65535"),
    ("settings.toml", 'complaint = "10wd"', 'complain = "10wd"', "unknown-kind", "complaint"),
    ("settings.toml", "miss_web = { limit = 10", 'miss_web = { limit = "10"', "bad-type", "whole number"),
    ("lines.toml", 'number = "30001234"', 'number = "30001234', "not-toml", "line"),
]  # fmt: skip


@pytest.mark.parametrize(("file", "old", "new", "word", "remedy"), FAULTS, ids=[f"{f[0]}-{f[3]}" for f in FAULTS])
def test_a_fault_names_file_line_and_remedy(folder, file, old, new, word, remedy):
    line = spoil(folder, file, old, new)
    with pytest.raises(config.Faults) as caught:
        config.read(folder)
    found = [fault for fault in caught.value.faults if fault.word == word]
    assert found, caught.value
    assert Path(found[0].file) == folder / file
    assert found[0].line == line
    assert remedy in found[0].remedy
    assert str(found[0]).startswith(f"{folder / file}:{line}: {word}: ")


def test_several_faults_are_told_at_once(folder):
    spoil(folder, "staff.toml", 'role = "manager"', 'role = "king"')
    spoil(folder, "routes.toml", 'then = { unit = "roads" }', 'then = { unit = "rodes" }')
    assert {fault.word for fault in config.check(folder)} >= {"unknown-role", "unknown-unit"}


def test_a_missing_file_is_named(folder):
    (folder / "units.toml").unlink()
    (fault,) = config.check(folder)
    assert (fault.file, fault.word) == (str(folder / "units.toml"), "missing-file")


def test_a_missing_key_is_named_with_its_table(folder):
    spoil(folder, "services.toml", 'fee = { fa = "رایگان", en = "Free" }\n', "")
    (fault,) = config.check(folder)
    text = (folder / "services.toml").read_text()
    assert fault.word == "missing-key"
    assert "fee" in fault.remedy
    assert text.splitlines()[fault.line - 1] == "[service.change-name]"


def test_a_loop_in_the_tree_is_shown_whole(folder):
    line = spoil(
        folder,
        "units.toml",
        'parent = "organization"\nhead = { name = { fa = "رضا',
        'parent = "permits"\nhead = { name = { fa = "رضا',
    )
    (fault,) = [f for f in config.check(folder) if f.word == "unit-loop"]
    assert {"services", "permits"} <= set(fault.remedy.split(":")[0].split(" → "))
    assert abs(fault.line - line) < 40


def test_a_second_root_and_no_secretariat(folder):
    spoil(folder, "units.toml", 'kind = "secretariat"\n', "")
    add(folder, "units.toml", '\n[unit.other]\nname = { fa = "دیگر" }\n')
    assert {fault.word for fault in config.check(folder)} == {"no-secretariat", "two-roots"}


def test_a_rule_out_of_reach_names_the_one_before_it(folder):
    line = add(
        folder,
        "routes.toml",
        '\n[[rule]]\nname = "far-north"\nwhen = { area = "north", channel = "sms" }\nthen = { unit = "north" }\n',
    )
    (fault,) = config.check(folder)
    assert (fault.word, fault.line) == ("unreachable", line + 1)
    assert "'north'" in fault.remedy


def test_a_week_without_hours_is_refused(folder):
    text = (folder / "calendar.toml").read_text()
    (folder / "calendar.toml").write_text(text.replace('["07:00-14:30"]', "[]"))
    (fault,) = config.check(folder)
    assert fault.word == "never-open"


def test_a_login_with_odd_letters_is_refused(folder):
    add(folder, "staff.toml", '\n[staff."علی"]\nname = { fa = "علی" }\nrole = "operator"\nunit = "it"\n')
    (fault,) = config.check(folder)
    assert fault.word == "bad-value"


def test_texts_must_be_in_each_language_with_the_same_facts(folder):
    spoil(folder, "texts/en/core.toml", 'new = "New"\n', "")
    line = spoil(folder, "texts/en/core.toml", "{until}", "{till}")
    faults = {fault.word: fault for fault in config.check(folder)}
    assert set(faults) == {"missing-text", "other-names"}
    assert "core.state.new" in faults["missing-text"].remedy
    assert "till, until" in faults["other-names"].remedy
    assert faults["other-names"].line == line


def test_a_text_that_is_no_text_or_has_a_bad_key(folder):
    add(folder, "texts/fa/core.toml", '\n[more]\nn = 3\n"Bad Key" = "x"\n')
    assert {fault.word for fault in config.check(folder)} >= {"bad-type", "bad-key"}


def test_a_prefix_without_texts_is_told(folder):
    spoil(folder, "texts/prefixes.toml", '"core.state."', '"core.states."')
    (fault,) = config.check(folder)
    assert fault.word == "unused-prefix"


def test_the_sites_folder_lies_over_the_seeds(folder, tmp_path_factory):
    site = tmp_path_factory.mktemp("site")
    shutil.copy(folder / "lines.toml", site)
    spoil(site, "lines.toml", '"30001234"', '"30009999"')
    (site / "texts" / "fa").mkdir(parents=True)
    (site / "texts" / "fa" / "core.toml").write_text('[state]\nnew = "در صف"\n')
    found = config.read(folder, site)
    assert found.lines["sms"]["line"]["main"]["number"] == "30009999"
    assert found.texts("core.state.new", "fa") == "در صف"
    assert found.texts("core.state.open", "fa") == "در دست بررسی"
    spoil(site, "lines.toml", "[sms", "[[sms")
    assert Path(config.check(folder, site)[0].file) == site / "lines.toml"


def test_a_file_that_is_not_utf8(folder):
    (folder / "units.toml").write_bytes(b"# \xff\n")
    (fault,) = config.check(folder)
    assert fault.word == "not-utf8"
