"""How letters leave: waits, doubt, delivery reports asked for, the unit's signature, connections that are kept."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest

from core.channels import KeptFile, Purpose, Refused, Sent, TryLater, Unknown
from core.errors import NotFound
from gateway.mail.relay import Relay
from gateway.mail.send import WAITS, signature, weighed
from gateway.mail.settings import LineSettings
from tests.gateway.mail.test_channel import CITIZEN, receipt

ANSWER = {"purpose": Purpose.ANSWER, "key": None, "text": "لوله عوض شد."}


class Peer:
    """A relay that offers what it is told to, and keeps the commands it gets."""

    def __init__(self, *offers: str) -> None:
        self.offers = offers
        self.said: list[str] = []
        self.connections = 0

    async def start(self) -> int:
        self.server = await asyncio.start_server(self._talk, "127.0.0.1", 0)
        return int(self.server.sockets[0].getsockname()[1])

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        writer.write(b"220 peer\r\n")
        while line := (await reader.readline()).decode().rstrip("\r\n"):
            self.said.append(line)
            if line.startswith("EHLO"):
                writer.write("".join(f"250-{one}\r\n" for one in ("peer", *self.offers)).encode() + b"250 SIZE\r\n")
            elif line == "DATA":
                writer.write(b"354 go\r\n")
                async for rest in reader:
                    if rest == b".\r\n":
                        break
                writer.write(b"250 ok\r\n")
            else:
                writer.write(b"250 ok\r\n")
            await writer.drain()
        writer.close()

    async def stop(self) -> None:
        self.server.close()
        await asyncio.sleep(0)


@pytest.fixture
async def peer(request):
    found = Peer(*getattr(request, "param", ()))
    found.port = await found.start()
    yield found
    await found.stop()


@pytest.mark.parametrize("peer", [("DSN",)], indirect=True)
async def test_reports_on_failure_and_delay_are_asked_for_where_the_relay_can(open_channel, peer):
    channel = await open_channel(relay_port=peer.port)
    assert isinstance(await channel.send(receipt(1, **ANSWER)), Sent)
    assert isinstance(await channel.send(receipt(2)), Sent)
    mails = [line for line in peer.said if line.startswith("MAIL")]
    rcpts = [line for line in peer.said if line.startswith("RCPT")]
    assert "RET=HDRS" in mails[0] and "b+" in mails[0]
    assert rcpts[0] == f"RCPT TO:<{CITIZEN}> NOTIFY=FAILURE,DELAY"
    assert mails[1].startswith("MAIL FROM:<>") and "RET" not in mails[1] and "NOTIFY" not in rcpts[1]


async def test_without_the_extension_nothing_is_asked(open_channel, peer):
    channel = await open_channel(relay_port=peer.port)
    assert isinstance(await channel.send(receipt(1, **ANSWER)), Sent)
    assert not any("NOTIFY" in line or "RET=" in line for line in peer.said)


async def test_one_connection_carries_many_letters(open_channel, peer):
    channel = await open_channel(relay_port=peer.port)
    for number in range(5):
        assert isinstance(await channel.send(receipt(number + 1)), Sent)
    assert peer.connections == 1


async def test_two_letters_to_a_domain_at_a_time_and_four_in_all(peer):
    relay = Relay(LineSettings("agency.example.ir", relay_port=peer.port))
    to = [f"a{n}@d{n // 5}.example" for n in range(20)]
    outcomes = await asyncio.gather(*(relay.send("", one, b"Subject: x\r\n\r\nx\r\n", "<1@a>") for one in to))
    assert all(isinstance(one, Sent) for one in outcomes)
    assert peer.connections <= 4
    await relay.close()


@pytest.mark.parametrize("attempt,step", [(1, 60), (2, 300), (3, 900), (4, 3600), (5, 14_400), (9, 14_400)])
def test_waits_grow_and_are_spread(attempt, step):
    row = receipt(1, attempt=attempt)
    waits = [weighed(TryLater("x"), row, chance).after for chance in (0.0, 0.5, 0.999)]
    assert waits[0] == pytest.approx(step * 0.8) and waits[1] == pytest.approx(step) and waits[2] < step * 1.2
    assert sum(WAITS[:4]) < 4 * 3600 < sum(WAITS)


def test_only_our_own_waits_are_changed():
    row = receipt(1, in_doubt=True)
    for outcome in (TryLater("x", 5.0), Refused("x"), Unknown("x", 900.0)):
        assert weighed(outcome, row, 0.5) == outcome
    assert weighed(Sent("<1>"), receipt(1), 0.5) == Sent("<1>")


async def test_a_letter_lost_after_the_dot_goes_once_more_and_is_marked_maybe_twice(channel, box):
    box.behave[CITIZEN] = "drop"
    assert await channel.send(receipt(1)) == Unknown("connection lost after the dot", 900.0)
    box.behave.clear()
    again = await channel.send(receipt(1, in_doubt=True, attempt=2))
    assert isinstance(again, Sent) and again.why == "maybe_twice"
    first, second = box.raw[-2:]
    assert first == second, "the same bytes"


def test_the_units_signature_ends_its_letters():
    words = {"fa": "روابط عمومی\nتلفن ۱۲۳", "en": "Public relations"}
    assert signature(words, "fa") == ["", "-- ", "روابط عمومی", "تلفن ۱۲۳"]
    assert signature(words, "ar")[-1] == "تلفن ۱۲۳"
    assert signature({}, "fa") == []


async def test_a_letter_of_a_unit_carries_its_signature(open_channel, box):
    channel = await open_channel()
    gear = dataclasses.replace(
        channel._gear, extra={**channel._gear.extra, "signatures": {"water": {"fa": "ادارهٔ آب"}}}
    )
    channel._gear = gear
    assert isinstance(await channel.send(receipt(1, **ANSWER)), Sent)
    got = box.of(CITIZEN)[-1]
    assert got.text.rstrip().endswith("-- \nادارهٔ آب") and "ادارهٔ آب" in got.html


async def test_a_letter_whose_file_cannot_be_read_waits_and_is_never_taken_for_sent(channel, monkeypatch):
    async def gone(key: str) -> bytes:
        raise NotFound("file")

    monkeypatch.setitem(channel._gear.extra, "read_file", gone)
    row = receipt(9, **ANSWER, files=(KeptFile("a" * 64, "map.pdf", "application/pdf", 5),))
    assert isinstance(await channel.send(row), TryLater)
    for _ in range(3):
        doubt = await channel.send(dataclasses.replace(row, in_doubt=True))
        assert isinstance(doubt, Unknown)
        assert not doubt.park
