"""Whatever order requests, answers and time come in, nothing raises and everything is given back."""

from __future__ import annotations

import asyncio
import contextlib
import random

import pytest

from ivr.media import messages as media
from ivr.settings import Extension, Line
from ivr.sip import message as sip
from ivr.sip.guarded import Phone as PyVoip
from ivr.sip.outgoing import Wanted
from ivr.sip.pyvoip_line import ExtensionLine
from ivr.sip.transaction import Peer as Address
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
        self.tags: dict[str, list[str]] = {"x": [""]}  # by call, what they called themselves
        self.asked: list[sip.Request] = []
        self.tasks: list[asyncio.Task[object]] = []

    async def step(self) -> None:
        chance = self.chance
        deeds = (self.fresh, self.ask, self.ask, self.ask, self.answer, self.answer, self.wait, self.call, self.hang_up)
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
                self.tags.setdefault(message.call_id.partition("@")[0], [""]).append(message.to_tag)

    def fresh(self) -> None:
        """A new call, as it should be."""
        call = f"n{len(self.tags)}"
        self.tags[call] = [""]
        self.phone.say(self.phone.make("INVITE", OFFER, call=call, branch="a"))

    def ask(self) -> None:
        chance = self.chance
        call = chance.choice(list(self.tags))
        method = chance.choice(METHODS)
        self.seq += chance.choice((0, 1, 1))
        seq = 1 if method in ("ACK", "CANCEL") and chance.random() < 0.5 else self.seq
        self.phone.say(
            self.phone.make(
                method, chance.choice(BODIES) if method in ("INVITE", "ACK", "UPDATE") else b"",
                self.tags[call][-1] if chance.random() < 0.8 else chance.choice(self.tags[call]), seq,
                chance.choice("aabcde"), call=call,
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


# ---------------------------------------------------------------- an extension by pyVoIP


class Silent:
    """Stands for the extension's socket: notes what is said."""

    def __init__(self, home: Pbx) -> None:
        self._home = home

    def say(self, data: bytes, to: Address) -> None:
        self._home.sent[to].append(data)

    def getHost(self) -> Address:
        return Address("127.0.0.1", 5062)


class Pbx(Still):
    """An extension line on a clock moved by hand."""

    def __init__(self, answers: bool) -> None:
        super().__init__(answers, 1000, Line())
        settings = Extension("127.0.0.1:5060", "1888", max_call=300)
        self.line = ExtensionLine(None, "pbx", settings, self.plane, self.take, lambda: self.now)
        self.line._far, self.line._host = Address("127.0.0.1", 5060), "127.0.0.1"
        self.line._udp = self.line._listening = Silent(self)
        self.line._phone = PyVoip(self.line, ("127.0.0.1", 5060), "1888", ("127.0.0.1", 5062))
        self.line.wake = self.wake
        self.plane.line = self.line


class Caller(Chaos):
    """Asks and answers, but is not called."""

    def call(self) -> None:
        self.ask()


@pytest.mark.parametrize("seed", range(8))
async def test_an_extension_gives_everything_back_whatever_it_is_told(seed):
    chance, calls, played = random.Random(seed), 0, 0
    for _ in range(12):
        home = Pbx(chance.random() < 0.7)
        chaos = Caller(home, home.phone(), chance)
        for _ in range(chance.randrange(4, 30)):
            await chaos.step()
        await home.skip(500)
        for task in home.tasks:
            await asyncio.wait_for(task, 1)
        assert home.line.calls == 0 and home.plane.ports.out == 0
        assert len(home.line._transactions) == 0 and not home.line._asked
        calls, played = calls + len(home.legs), played + len(home.plane.of(media.Add))
        assert not home.line._phone.calls and set(home.line._phone.sip.tagLibrary) == {"register"}
    assert calls > 8 and played > 4
