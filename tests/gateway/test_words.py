"""What the command line says to words that make no sense: one sentence, exit status 2, nothing raised."""

from __future__ import annotations

import pytest

from gateway.__main__ import main


@pytest.mark.parametrize("words", [("check",), ("route", "آب"), ("menu", "check")])
def test_a_configuration_folder_mistyped_is_not_taken_for_the_shipped_one(words, capsys):
    assert main([*words, "--config", "mistyped"]) == 2
    assert "mistyped:0: no-folder" in capsys.readouterr().err


def test_a_database_out_of_reach_is_said_in_a_sentence(capsys):
    assert main(["migrate", "postgresql://nobody@127.0.0.1:1/none"]) == 2
    assert "Connect call failed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--web", "99999"), "'99999' is no port"),
        (("--sip", "-1"), "'-1' is no port"),
        (("--rtp", "20000-70000"), "'20000-70000' is no range of ports"),
    ],
)
def test_what_is_no_port_is_refused_by_its_option(words, told, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["demo", *words])
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("place", ["foo", "127.0.0.1:", ":5070", "127.0.0.1:99999"])
def test_a_place_to_wait_at_that_is_none_is_refused_by_its_option(place, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["answer", "--at", place])
    assert f"argument --at: '{place}' is not HOST:PORT" in capsys.readouterr().err
