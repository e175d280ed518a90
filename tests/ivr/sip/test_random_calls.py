"""Whatever order requests, answers and time come in, nothing raises and everything is given back."""

from __future__ import annotations

import asyncio
import contextlib
import random

import pytest

from ivr.sip import message as sip
from ivr.sip.outgoing import Wanted
from tests.ivr.sip.still import OFFER, Phone, Still, house, settle

BODIES = (OFFER, b"", OFFER.replace(b"8 0", b"18"), OFFER.replace(b"sendrecv", b"sendonly"), b"v=0\r\n")
TIMES = ("Supported: timer", "Session-Expires: 90", "Allow: UPDATE, INVITE", "Session-Expires: 120;refresher=uas")
METHODS = ("INVITE", "INVITE", "ACK", "ACK", "BYE", "CANCEL", "UPDATE", "INFO", "OPTIONS", "REFER")
STATUSES = (100, 180, 183, 200, 302, 401, 408, 422, 481, 486, 491, 500, 503, 603)


class Chaos:
    """One far end that says anything at any time, most of it about calls there are."""

    def __init__(self, home: Still, phone: Phone, chance: random.Random) -> None:
        self.home, self.phone, self.chance = home, phone, chance
        self.seq = 1
        self.tags = [""]
        self.asked: list[sip.Request] = []
        self.tasks: list[asyncio.Task[object]] = []

    async def step(self) -> None:
        chance = self.chance
        deeds = (self.ask, self.ask, self.ask, self.answer, self.answer, self.wait, self.call, self.hang_up)
        chance.choice(deeds)()
        await settle()
        if chance.random() < 0.3:
            await self.home.skip(chance.choice((0.1, 1, 5, 33, 50, 95)))
        self.listen()

    def listen(self) -> None:
        for data in self.home.sent.pop(self.phone.peer, []):
            message = sip.read(data)
            assert not isinstance(message, sip.Reject), data
            if isinstance(message, sip.Request):
                self.asked.append(message)
            elif message.to_tag:
                self.tags.append(message.to_tag)

    def ask(self) -> None:
        chance = self.chance
        method = chance.choice(METHODS)
        self.seq += chance.choice((0, 1, 1))
        seq = 1 if method in ("ACK", "CANCEL") and chance.random() < 0.5 else self.seq
        self.phone.say(
            self.phone.make(
                method, chance.choice(BODIES) if method in ("INVITE", "ACK", "UPDATE") else b"",
                chance.choice(self.tags), seq, chance.choice("abcde"), call=chance.choice("xyz"),
                more=tuple(chance.sample(TIMES, chance.randrange(3))),
            )
        )  # fmt: skip

    def answer(self) -> None:
        if not self.asked:
            return
        request, status = self.chance.choice(self.asked[-6:]), self.chance.choice(STATUSES)
        more = [("contact", "<sip:far@127.0.0.1>"), ("session-expires", "100;refresher=uac"), ("min-se", "120")]
        more += [("www-authenticate", 'Digest realm="r", nonce="n"')] if status == 401 else []
        body = self.chance.choice(BODIES) if request.method == "INVITE" else b""
        self.phone.say(sip.write(sip.reply(request, status, more, body, self.chance.choice(("far", "other")))))

    def wait(self) -> None:
        self.home.now += self.chance.random()
        self.home.line.tick()

    def call(self) -> None:
        wanted = Wanted("sip:09120000000@127.0.0.1", self.phone.peer, user="u", password="p", ring=20)
        self.tasks.append(asyncio.ensure_future(self.home.line.call(wanted)))

    def hang_up(self) -> None:
        if self.home.legs:
            self.chance.choice(self.home.legs).hang_up()


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("seed", range(8))
async def test_any_order_of_everything_gives_everything_back(seed, transport):
    chance = random.Random(seed)
    for _ in range(12):
        async with house(answers=chance.random() < 0.7, max_call=300) as home:
            phone = home.phone(transport=transport)
            chaos = Chaos(home, phone, chance)
            for _ in range(chance.randrange(4, 30)):
                await chaos.step()
            if chance.random() < 0.5:
                for task in chaos.tasks:
                    task.cancel()
            if chance.random() < 0.3:
                home.line.broken(phone.peer)
            await home.skip(900)
            for task in chaos.tasks:
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            await home.skip(100)
            assert home.line.calls == 0 and home.plane.ports.out == 0
            assert len(home.line._transactions) == 0 and not home.line._asked and not home.line._attempts
            assert not home.line._invites and not home.line._by_row
