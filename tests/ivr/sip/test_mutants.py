"""Whatever comes to a line, nothing raises and nothing is left behind: tortures and mutants, straight into the line."""

from __future__ import annotations

import random

from ivr.settings import Line, Peer
from ivr.sip.line import SipLine
from ivr.sip.message import Reject, read
from tests.ivr.sip.house import OFFER, NotedPlane
from tests.ivr.sip.test_message import INVITE, ODD

ROUNDS = 1500
PEER = ("127.0.0.1", 5070)


class Wall:
    """Takes what the line sends and knows its port."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def write(self, data: bytes, peer: object) -> None:
        self.sent.append(data)

    def getHost(self):
        return type("Host", (), {"port": 5060})


def line_at_a_wall():
    plane = NotedPlane()
    now = [0.0]

    def take(leg):
        if leg.row % 2:  # the others wait till their caller, or time, ends them
            leg.hang_up()

    settings = Line(peer=(Peer("all", ("127.0.0.0/8",)),), per_second=10_000, burst=10_000, max_calls=10_000)
    line = SipLine(None, "main", settings, plane, take, lambda: now[0])
    plane.line = line
    line.transport = line._port = wall = Wall()
    return line, plane, wall, now


def messages():
    """Every method, with and without a dialog, in long and short forms."""
    plain = INVITE.replace(b"Content-Length: 4\r\n\r\nbody", b"Content-Type: application/sdp\r\n\r\n" + OFFER)
    methods = [b"INVITE", b"ACK", b"BYE", b"CANCEL", b"OPTIONS", b"INFO", b"UPDATE", b"REGISTER", b"REFER", b"WINK"]
    for method in methods:
        yield plain.replace(b"INVITE", method)
        yield plain.replace(b"INVITE", method).replace(b"@127.0.0.1>", b"@127.0.0.1>;tag=x")
    yield ODD


def mutate(data: bytes, chance: random.Random) -> bytes:
    mutant = bytearray(data)
    for _ in range(chance.randrange(1, 12)):
        at = chance.randrange(len(mutant))
        bits = [
            b"\r\n",
            b"\0",
            b'"',
            b"<",
            b">",
            b";self=1",
            b"%00",
            b",",
            b"\xff",
            b"\\",
            b"z9hG4bK",
            b":",
            b" ",
            b"0" * 30,
        ]
        mutant[at : at + chance.choice([0, 0, 1, 5])] = chance.choice(bits) if chance.random() < 0.6 else bytes(
            chance.randrange(256) for _ in range(chance.randrange(1, 5))
        )  # fmt: skip
    return bytes(mutant)


async def test_mutants_never_raise_and_leave_no_port_out():
    line, plane, wall, now = line_at_a_wall()
    chance = random.Random(1395)
    kinds = list(messages())
    for i in range(ROUNDS):
        now[0] += 0.01
        data = chance.choice(kinds).replace(b"z9hG4bKone", b"z9hG4bK%d" % i).replace(b"a@example", b"%d@example" % i)
        line.datagramReceived(mutate(data, chance), PEER)
    assert sum(line.counts.values()) > ROUNDS / 4
    assert all(not isinstance(read(data), Reject) for data in wall.sent)
    now[0] += 700
    line.tick()
    now[0] += 40
    line.tick()
    assert line.calls == 0 and plane.ports.out == 0 and len(line._transactions) == 0


async def test_every_torture_of_rfc_4475_leaves_the_line_running(test_data):
    line, _plane, wall, now = line_at_a_wall()
    for file in sorted((test_data / "rfc4475").glob("*.dat")):
        line.datagramReceived(file.read_bytes(), PEER)
    now[0] += 700
    line.tick()
    line.datagramReceived(next(messages()).replace(b"INVITE", b"OPTIONS"), PEER)
    assert wall.sent[-1].startswith(b"SIP/2.0 200 OK")
