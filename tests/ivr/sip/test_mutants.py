"""Whatever comes to a line, nothing raises and nothing is left behind: tortures and mutants, straight into the line."""

from __future__ import annotations

import random

from ivr.sip.message import Reject, read
from ivr.sip.transaction import Peer
from tests.ivr.sip.still import OFFER, house, settle
from tests.ivr.sip.test_message import INVITE, ODD

ROUNDS = 1500
PEER = Peer("127.0.0.1", 5070)


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
    chance = random.Random(1395)
    kinds = list(messages())
    async with house(per_second=10_000, burst=10_000, max_calls=10_000) as home:
        for i in range(ROUNDS):
            home.now += 0.1
            data = chance.choice(kinds).replace(b"z9hG4bKone", b"z9hG4bK%d" % i)
            home.line.feed(mutate(data.replace(b"a@example", b"%d@example" % i), chance), PEER)
            if i % 2 and home.legs:  # the others wait till their caller, or time, ends them
                home.legs.pop().hang_up()
        await settle()
        assert sum(home.line.counts.values()) > ROUNDS / 4
        assert all(not isinstance(read(data), Reject) for sent in home.sent.values() for data in sent)
        for wait in (700, 40):
            home.now += wait
            home.line.tick()
            await settle()
        assert home.line.calls == 0 and home.plane.ports.out == 0 and len(home.line._transactions) == 0


async def test_every_torture_of_rfc_4475_leaves_the_line_running(test_data):
    async with house() as home:
        for file in sorted((test_data / "rfc4475").glob("*.dat")):
            home.line.feed(file.read_bytes(), PEER)
        home.now += 700
        home.line.tick()
        home.line.feed(next(messages()).replace(b"INVITE", b"OPTIONS"), PEER)
        assert any(data.startswith(b"SIP/2.0 200 OK") for data in home.sent[PEER])
