"""`pasokh menu`: faults by name and line, the picture, the transcript of a call."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from config.read import SEEDS
from gateway.__main__ import main


@pytest.fixture
def site(tmp_path) -> Path:
    shutil.copytree(SEEDS / "menus", tmp_path / "menus")
    return tmp_path


def test_the_shipped_menus_have_no_fault_and_say_how_long_they_take(capsys):
    assert main(["menu", "check"]) == 0
    told = capsys.readouterr().out
    assert "main in fa: " in told
    assert "warning: " in told  # nobody has spoken the sentences yet
    assert told.endswith("no faults\n")


def test_a_fault_is_told_with_file_and_line(site, capsys):
    place = site / "menus" / "main.toml"
    place.write_text(place.read_text().replace('key.1 = "complaint"', 'key.1 = "nowhere"'))
    line = place.read_text().splitlines().index('key.1 = "nowhere"') + 1
    assert main(["menu", "check", "--config", str(site)]) == 2
    assert f"main.toml:{line}: unknown-target: " in capsys.readouterr().err


def test_a_picture_is_svg(capsys):
    assert main(["menu", "draw", "main", "--lang", "en"]) == 0
    assert capsys.readouterr().out.startswith("<svg ")


def test_a_walk_prints_what_is_heard(capsys):
    assert main(["menu", "walk", "main", "--lang", "en", "--keys", "1 0 r12 3 #"]) == 0
    told = capsys.readouterr().out
    assert "caller: presses 1" in told
    assert "phone: For a complaint, press one." in told
    assert "phone: hands over new (complaint, 12 s)" in told


@pytest.mark.parametrize("words", [["moon"], ["main", "--lang", "de"], ["main", "--keys", "dance"]])
def test_wrong_words_are_named(words, capsys):
    assert main(["menu", "walk", *words]) == 2
    assert "pasokh menu" in capsys.readouterr().err
