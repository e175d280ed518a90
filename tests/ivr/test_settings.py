"""A line's settings: read from TOML, each fault with file and line."""

from __future__ import annotations

import pytest

from config import positions, shape
from config.faults import Faults
from ivr.settings import Line, Peer

GOOD = """
[phone.line.main]
bind = ["udp:127.0.0.1:5060"]
rtp = "20000-20999"
max_calls = 50
numbers = { "1888" = "missed", "*" = "main" }
[[phone.line.main.peer]]
name = "trunk"
allow = ["192.0.2.0/24", "2001:db8::/32"]
asserts_identity = true
"""


def read(text: str) -> Line:
    document = positions.parse(text, "lines.toml")
    return shape.read(Line, document.data["phone"]["line"]["main"], document.at("phone", "line", "main"))


def test_a_line_and_its_peers():
    line = read(GOOD)
    assert line.address() == ("127.0.0.1", 5060) and line.rtp_range() == (20000, 20999)
    assert line.menu("1888") == "missed" and line.menu("5") == "main"
    assert line.peer == (Peer("trunk", ("192.0.2.0/24", "2001:db8::/32"), True),)
    assert [net.prefixlen for net in line.peer[0].networks()] == [24, 32]


def test_what_is_not_given_has_the_documents_values():
    line = read("[phone.line.main]")
    assert (line.max_calls, line.per_second, line.burst, line.max_call) == (200, 50, 100, 600)
    assert line.address() == ("0.0.0.0", 5060) and line.peer == ()


@pytest.mark.parametrize(
    ("was", "now", "line"),
    [
        ('"udp:127.0.0.1:5060"', '"sctp:127.0.0.1:5060"', 3),
        ('"20000-20999"', '"many"', 4),
        ("max_calls = 50", "max_calls = 0", 5),
        ("max_calls = 50", "max_cals = 50", 5),
        ('"192.0.2.0/24"', '"192.0.2.0/240"', 9),
        ('name = "trunk"\n', "", 7),
    ],
)
def test_a_fault_names_its_line(was, now, line):
    with pytest.raises(Faults) as found:
        read(GOOD.replace(was, now))
    assert [fault.line for fault in found.value.faults] == [line]


PEERED = """
[phone.line.main]
bind = ["udp:127.0.0.1:5060", "tls:127.0.0.1:5061"]
cert = "c"
key = "k"
rtp = "20000-20999"
[[phone.line.main.peer]]
name = "trunk"
address = "192.0.2.5:5070"
domain = "trunk.example.ir"
user = "1888"
password_file = "p"
register = true
dial = true
[[phone.line.main.peer]]
name = "pbx"
allow = ["10.0.0.0/8"]
transport = "tls"
nat = true
behind_pbx = true
"""


@pytest.fixture(autouse=True)
def files(tmp_path, monkeypatch):
    """The files that PEERED names are there."""
    monkeypatch.chdir(tmp_path)
    for name in "ckp":
        (tmp_path / name).touch()


def faults(text: str) -> list[tuple[str, int]]:
    place = positions.parse(text, "lines.toml").at("phone", "line", "main")
    return [(fault.word, fault.line) for fault in read(text).faults(place)]


def test_several_peers_and_bindings_fit_together():
    line = read(PEERED)
    assert faults(PEERED) == []
    assert [tuple(each) for each in line.bindings()] == [("udp", "127.0.0.1", 5060), ("tls", "127.0.0.1", 5061)]
    trunk, pbx = line.peer
    assert trunk.far() == ("192.0.2.5", 5070, "udp") and trunk.home == "trunk.example.ir"
    assert [str(net) for net in trunk.networks()] == ["192.0.2.5/32"]
    assert pbx.far() is None and (pbx.nat, pbx.behind_pbx, pbx.dial) == (True, True, False)


@pytest.mark.parametrize(
    ("was", "now", "word", "line"),
    [
        ('address = "192.0.2.5:5070"\n', 'allow = ["192.0.2.5/32"]\n', "no-address", 7),
        ('user = "1888"\n', "", "no-user", 12),
        ('password_file = "p"\n', "", "no-password", 11),
        ('allow = ["10.0.0.0/8"]\n', "", "no-source", 15),
        ('domain = "trunk.example.ir"', 'transport = "tcp"', "no-bind", 9),
        ('key = "k"\n', "", "no-certificate", 3),
        ('"tls:127.0.0.1:5061"', '"udp:127.0.0.1:5061"', "bind-twice", 3),
        ('name = "pbx"', 'name = "trunk"', "peer-twice", 16),
        ('"20000-20999"', '"20000-19999"', "bad-range", 6),
        ('cert = "c"', 'cert = "gone"', "missing-file", 4),
        ('password_file = "p"', 'password_file = "gone"', "missing-file", 12),
        ("nat = true", 'ca_file = "gone"', "missing-file", 19),
    ],
)
def test_what_does_not_fit_together_is_named(was, now, word, line):
    assert (word, line) in faults(PEERED.replace(was, now))


@pytest.mark.parametrize(
    ("address", "far"),
    [("192.0.2.5", ("192.0.2.5", 5060)), ("[2001:db8::1]:5070", ("2001:db8::1", 5070)), ("[::1]", ("::1", 5060))],
)
def test_addresses_with_and_without_a_port(address, far):
    assert (Peer("x", address=address).far() or ())[:2] == far


def test_a_password_is_the_first_line_and_a_missing_file_is_named(tmp_path):
    (tmp_path / "p").write_text("رمز\nsecond\n", encoding="utf-8")
    assert Peer("x", password_file=str(tmp_path / "p")).password() == "رمز"
    with pytest.raises(OSError, match="peer x: password_file"):
        Peer("x", password_file=str(tmp_path / "none")).password()
