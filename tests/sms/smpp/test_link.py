"""A connection that is lost and made again: what belonged to the one before says nothing on the next."""

from __future__ import annotations

import asyncio

from sms.providers.smpp.link import Link
from sms.providers.smpp.pdu import Answer, Bound, Command, Message, Pdu, encode
from sms.providers.smpp.provider import Smpp
from sms.providers.smpp.session import Mode
from tests.sms.smpp.conftest import PASSWORD, Build, until


class Heard:
    """A wire that notes what is said."""

    def __init__(self) -> None:
        self.said = b""

    def play(self, data: bytes, reading: bool) -> None:
        self.said += data


async def test_a_text_kept_after_its_connection_was_lost_does_not_answer_for_another(house: Build):
    """The next connection counts anew: its first text has the number of the one that is still being kept."""
    here = await house()
    provider = Smpp("op", here.settings())
    provider._sink = here.desk
    link = Link(here.settings(), Mode.TRX, PASSWORD, None, provider)
    wires, doors = [Heard(), Heard()], [asyncio.Event(), asyncio.Event()]
    for wire, door in zip(wires, doors, strict=True):
        here.desk.shut = door
        link.made(wire)
        link.heard(encode(Pdu(Command.BIND_TRANSCEIVER_RESP, 1, 0, Bound("centre"))))
        link.heard(encode(Pdu(Command.DELIVER_SM, 7, 0, Message(source="989120000001", dest="30001234", text=b"ab"))))
        await until(lambda wire=wire: len(provider._tasks) == wires.index(wire) + 1)
        await asyncio.sleep(0)
        if wire is wires[0]:
            link.lost("connection lost")
    before = wires[1].said
    doors[0].set()
    await until(lambda: len(provider._tasks) == 1)
    assert wires[1].said == before
    doors[1].set()
    await until(lambda: not provider._tasks)
    assert wires[1].said == before + encode(Pdu(Command.DELIVER_SM_RESP, 7, 0, Answer("")))
