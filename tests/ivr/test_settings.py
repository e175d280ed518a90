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
