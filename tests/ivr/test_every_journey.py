"""Every journey of a caller, driven by telephones that others wrote, baresip and sipp, directly and through Kamailio.

The menus, the store and the sound are the real ones; only the sentences without facts are short tones, so that a story
takes seconds. Each step waits until the caller stands where the story says.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest
import sqlalchemy as sa

from core import claims, people, replies
from core.channels import Inbound, Receipt
from core.cipher import Keyring
from core.clock import SystemClock
from core.schema import ticket
from ivr.call import Call
from ivr.media import g711
from ivr.site import read_site
from tests.ivr.conftest import KEY
from tests.ivr.sip.kamailio import running
from tests.ivr.sip.test_phone import share
from tests.ivr.site import texts
from tests.ivr.test_channel import gear, until
from tests.ivr.test_operators import Trusting
from tests.journeys.phones import ear
from tests.journeys.phones.baresip import Baresip
from tests.journeys.phones.led import Led, Step, Voice
from tests.journeys.test_phone import CODE, PIN, peer

pytestmark = [
    pytest.mark.peer,
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="sipp speaks by a raw socket, as root only"),
]
WAYS = ("directly", "through Kamailio")
ANSWER = "لولهٔ کوچه عوض شد."
AGAIN = "تکرارِ رمز"  # before the PIN, the second time
INCIDENT = "آبِ منطقهٔ سه قطع است."
CARDS = {"emergency": {"phone": "+982433000230", "hours": {"fa": "شبانه‌روزی"}}}
WAIT = 40.0  # seconds for a step, on a busy machine
HUM: Voice = (9000 * np.sin(np.arange(20_000) * 2 * np.pi * 300 / 8000)).astype(np.int16)  # 2.5 s
SAID = 2.2 * 8000  # octets of it that are a message

Keys = str | Callable[[Call], str]
Story = Sequence[tuple[str, Keys | Voice]]  # where the caller stands, as `node phase`; what they do there


class Telephone(Protocol):
    """A call under way."""

    def go(self, step: Step) -> None: ...

    def end(self) -> None:
        """Hang up and see it through."""
        ...

    def heard(self) -> bytes: ...


class ByBaresip:
    """baresip calls; the steps may be made up as it goes."""

    def __init__(self, folder: Path, uri: str, number: str, steps: Sequence[Step], ends: str) -> None:
        self._phone, self._ends = Baresip(folder, number), ends
        self._phone.do("dial", uri.removeprefix("sip:"))

    def go(self, step: Step) -> None:
        if isinstance(step, str):
            self._phone.press(step)
        else:
            self._phone.speak(step)

    def end(self) -> None:
        if self._ends == "caller":
            self._phone.do("hangup")
        else:
            self._phone.event("CALL_CLOSED")

    def heard(self) -> bytes:
        return self._phone.heard()

    def close(self) -> None:
        self._phone.__exit__(None, None, None)


class BySipp:
    """sipp calls; its steps are written down before."""

    def __init__(self, folder: Path, uri: str, number: str, steps: Sequence[Step], ends: str) -> None:
        self._phone = Led(folder, uri, number, steps, hung_up_on=ends == "line")
        self._phone.go()  # calls

    def go(self, step: Step) -> None:
        self._phone.go()

    def end(self) -> None:
        self._phone.go()
        self._phone.end()

    def heard(self) -> bytes:
        return self._phone.heard()

    def close(self) -> None:
        self._phone.__exit__(None, None, None)


class Door:
    """The real one, noting who brought what."""

    def __init__(self, door: Any) -> None:
        self._door = door
        self.taken: list[tuple[str, Inbound, Receipt]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._door, name)

    async def take(self, brought: Inbound) -> Receipt:
        receipt: Receipt = await self._door.take(brought)
        self.taken.append((brought.contact.value if brought.contact else "", brought, receipt))
        return receipt


@dataclass
class World:
    """Our phone, its store and door, and where it is called."""

    phone: Trusting
    store: Any
    files: Any
    door: Door
    folder: Path
    ways: dict[str, str] = field(default_factory=dict)  # path → host:port that is called
    calls: int = 0
    numbers: list[str] = field(default_factory=list)

    def number(self) -> str:
        """A mobile of one caller alone."""
        self.numbers.append(f"0912000{len(self.numbers):04}")
        return self.numbers[-1]

    def call_of(self, number: str) -> Call | None:
        return next((call for call, _ in self.phone._live.values() if call.leg.number == e164(number)), None)

    def stands(self, number: str, place: str) -> bool:
        """Is the caller at `node phase`? After their words: have they been written down?"""
        call = self.call_of(number)
        if call is None:
            return False
        node, _, phase = place.partition(" ")
        if phase == "spoken":
            said = Path(self.phone.house.spool.sound(call._recording or ""))
            return said.exists() and said.stat().st_size >= SAID
        there = (call.walk.node, call.walk.phase) == (node, phase or "asked")
        return there and (phase != "recording" or call._recording is not None)

    async def call(self, path: str, phone: str, number: str, story: Story, ends: str = "caller") -> bytes:
        """A whole call by one of WAYS, ended by the `caller` or the `line`; what the caller heard."""
        self.calls += 1
        folder, uri = self.folder / f"{phone}-{self.calls}", f"sip:1888@{self.ways[path]}"
        steps = [step for _, step in story if not callable(step)]
        made: Any = ByBaresip if phone == "baresip" else BySipp
        handset: Any = await asyncio.to_thread(made, folder, uri, number, steps, ends)
        try:
            await self._drive(handset, number, story)
            return bytes(handset.heard())
        finally:
            await asyncio.to_thread(handset.close)

    async def _drive(self, handset: Telephone, number: str, story: Story) -> None:
        for place, step in story:
            await self.at(number, place)
            call = self.call_of(number)
            assert call is not None
            done = step(call) if callable(step) else step
            one_by_one = isinstance(done, str) and isinstance(handset, ByBaresip)
            for each in done if one_by_one else [done]:
                walk = call.walk
                await asyncio.to_thread(handset.go, each)
                if one_by_one and each in "0123456789":
                    await until(lambda walk=walk, call=call: call.walk is not walk or not call.leg.up, WAIT)
        await asyncio.to_thread(handset.end)
        await until(lambda: self.call_of(number) is None, WAIT)

    async def at(self, number: str, place: str) -> None:
        try:
            await until(lambda: self.stands(number, place), WAIT)
        except TimeoutError:
            call = self.call_of(number)
            raise AssertionError(f"{number} not at {place}: {call and (call.walk.path, call.walk.phase)}") from None

    async def hears(self, sound: bytes, words: str, much: float = 0.8) -> bool:
        """Is it said in what a caller heard?"""
        return await asyncio.to_thread(ear.share, ear.read(sound), ear.spoken(words)) > much

    async def hums(self, left: Inbound) -> bool:
        """Is the recording that was kept what the telephone said, from its beginning to its end?"""
        [kept] = left.files
        samples = g711.read_wav(await self.files.read(kept.key)).astype(float)
        return 2.0 < len(samples) / g711.RATE < 4.0 and share(samples, 300) > 0.9

    def brought(self, number: str) -> list[tuple[Inbound, Receipt]]:
        return [(what, receipt) for who, what, receipt in self.door.taken if who == e164(number)]


def e164(number: str) -> str:
    return "+98" + number[1:]


@contextlib.asynccontextmanager
async def world(opened: Any, reactor: Any, folder: Path) -> AsyncIterator[World]:
    made, files, real = opened
    (folder / "phone").mkdir()
    prompts = folder / "prompts" / "fa"
    prompts.mkdir(parents=True)
    short = g711.write_wav((6000 * np.sin(np.arange(1600) * 2 * np.pi * 1000 / 8000)).astype(np.int16))
    for key, words in texts().words["fa"].items():
        if key.startswith("ivr.") and "{" not in words:
            (prompts / f"{key}.wav").write_bytes(short)
    peers = [{"name": "loopback", "allow": ["127.0.0.0/8"]}]
    numbers = {"1887": "missed", "*": "main"}
    table = {"line": {"main": {"bind": ["udp:127.0.0.1:0"], "rtp": "0", "peer": peers, "numbers": numbers}}}
    made_of = gear(
        folder / "phone", reactor, table, read=files.read, prompts=str(folder / "prompts"), cards=CARDS,
        bells={"emergency": "230"},
    )  # fmt: skip
    ours, door = Trusting(made_of, read_site(made_of)), Door(real)
    await ours.start(door)  # type: ignore[arg-type]
    try:
        yield World(ours, made, files, door, folder)
    finally:
        await ours.stop(0)


@pytest.fixture
async def town(opened, reactor, tmp_path):
    """The world, called directly and by the dispatcher and Record-Route of Kamailio."""
    peer("baresip"), peer("sipp")
    async with world(opened, reactor, tmp_path) as made:
        line = f"127.0.0.1:{made.phone.ports['main']}"
        with running(tmp_path / "front", [f"sip:{line}"]) as front:
            made.ways = dict(zip(WAYS, (line, f"127.0.0.1:{front.port}"), strict=True))
            yield made


# ---------------------------------------------------------------- the stories


def leaves(*to: tuple[str, str], again: bool = False) -> list[tuple[str, Keys | Voice]]:
    """A message for a unit that is not known, with its review; spoken anew where `again`."""
    first = [("message recording", HUM), ("message spoken", "#"), ("message review", "1")]
    anew = [("message review", "2"), ("message recording", HUM), ("message spoken", "#")] if again else []
    return [*to, ("unit", "0"), *first, *anew, ("message review", "3")]


def opinion(key: str) -> tuple[tuple[str, str], tuple[str, str]]:
    return ("main", "2"), ("opinion", key)


def mine(*then: tuple[str, Keys | Voice]) -> Story:
    """The own ticket without a code, on to its answer, and what comes then."""
    return [("main", "5"), ("code", "*"), ("mine said", "1"), ("answer reading", "99"), *then]


def says(node: str) -> list[tuple[str, Keys | Voice]]:
    return [(f"{node} recording", HUM), (f"{node} spoken", "#"), (f"{node} review", "3")]


async def answered(town: World, number: str) -> int:
    """The only message of this caller gets its answer; its ticket."""
    [(_, receipt)] = town.brought(number)
    await replies.reply(town.store, await people.actor(town.store, "director"), receipt.ticket, None, ANSWER, "web")
    return receipt.ticket


async def state(town: World, number: int) -> str:
    def read(s: Any) -> str:
        return str(s.execute(sa.select(ticket.c.state).where(ticket.c.id == number)).scalar_one())

    return str(await town.store.read(read))


async def complains(town: World, path: str) -> None:
    """A complaint, spoken anew; code and PIN heard twice; the code keyed back."""
    number = town.number()
    keyed: Story = [*leaves(("main", "1"), again=True), ("send said", lambda call: call.walk.told)]
    sound = ear.read(await town.call(path, "baresip", number, keyed, ends="line"))
    [(left, receipt)] = town.brought(number)
    assert (left.kind, left.contact and left.contact.proven) == ("complaint", True)
    assert left.ref.endswith("-2") and await town.hums(left)  # the second recording
    told = [(CODE, 11, receipt.code), (PIN, 4, receipt.pin), (AGAIN, 4, receipt.pin)]
    for words, many, digits in told:
        assert await asyncio.to_thread(ear.digits, sound, words, many) == digits


async def accepts(town: World, path: str) -> None:
    """A suggestion; then its state and answer by the code, accepted."""
    number = town.number()
    await town.call(path, "baresip", number, [*leaves(*opinion("1")), ("send said", "")])
    [(left, receipt)] = town.brought(number)
    assert left.kind == "suggestion"
    done = await answered(town, number)
    hears: Story = [("main", "5"), ("code", receipt.code), ("pin", "#"), ("verdict", "2")]
    sound = await town.call(path, "baresip", number, hears, ends="line")
    assert await town.hears(sound, "به پیامِ شما پاسخ داده است.", 0.5)
    assert await town.hears(sound, ANSWER)
    assert await state(town, done) == "closed"


async def reaches_a_unit(town: World, path: str) -> None:
    """A unit by its extension: its card by SMS, its telephone, where nobody answers, its mailbox."""
    number = town.number()
    unit: Story = [("main", "6"), ("directory", "230#"), ("card said", "2"), ("card_choice", "1"), *says("mailbox")]
    await town.call(path, "baresip", number, [*unit, ("send said", "")])
    [(left, receipt)] = town.brought(number)
    assert (left.kind, receipt.unit) == ("request", "emergency")


async def praises(town: World, path: str) -> None:
    """Thanks, with review."""
    number = town.number()
    await town.call(path, "baresip", number, [*leaves(*opinion("3")), ("send said", "")])
    assert [what.kind for what, _ in town.brought(number)] == ["thanks"]


async def objects(town: World, path: str) -> None:
    """A request, spoken anew; its answer found without a code, heard, objected to by voice."""
    number = town.number()
    await town.call(path, "sipp", number, [*leaves(("main", "3"), again=True), ("send said", "")])
    [(left, _)] = town.brought(number)
    assert (left.kind, left.ref[-2:]) == ("request", "-2") and await town.hums(left)
    objected = await answered(town, number)
    hears = [("verdict", "3"), *says("object")]
    sound = await town.call(path, "sipp", number, mine(*hears), ends="line")
    assert await town.hears(sound, ANSWER)
    assert await state(town, objected) == "disputed"


async def adds(town: World, path: str) -> None:
    """Criticism; its answer had by SMS, and added to by voice."""
    number = town.number()
    await town.call(path, "sipp", number, [*leaves(*opinion("2")), ("send said", "")])
    assert [what.kind for what, _ in town.brought(number)] == ["criticism"]
    await answered(town, number)
    await town.call(path, "sipp", number, mine(("answer reading", "5"), ("verdict", "4"), *says("add")), ends="line")
    assert [what.act for what, _ in town.brought(number)] == ["new", "add"]


async def follows(town: World, path: str, by: str) -> None:
    """The known incident is told first; whoever presses 1 will hear of its end."""
    sound = await town.call(path, by, town.number(), [("incident", "1"), ("main", "")])
    assert await town.hears(sound, INCIDENT)


async def misses(town: World, path: str, by: str) -> str:
    """Rings the number that is never answered; who did."""
    town.calls += 1
    number, folder = town.number(), town.folder / f"missed-{town.calls}"
    ring = missed_by_baresip if by == "baresip" else missed_by_sipp
    await asyncio.to_thread(ring, folder, f"sip:1887@{town.ways[path]}", number)
    return number


def missed_by_baresip(folder: Path, to: str, number: str) -> None:
    with Baresip(folder, number) as phone:
        phone.do("dial", to.removeprefix("sip:"))
        assert "486" in str(phone.event("CALL_CLOSED").get("param"))


def missed_by_sipp(folder: Path, uri: str, number: str) -> None:
    with Led(folder, uri, number, [], refused=486) as phone:
        phone.go()
        phone.end()


async def all_of(*stories: Coroutine[Any, Any, Any]) -> list[Any]:
    """At once; the first that breaks ends the others."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(story) for story in stories]
    return [task.result() for task in tasks]


async def test_every_journey_by_baresip_and_sipp_directly_and_through_kamailio(town):
    await all_of(
        *(tell(town, path) for path in WAYS for tell in (complains, accepts, reaches_a_unit, praises, objects, adds))
    )
    each = [(path, by) for path in WAYS for by in ("baresip", "sipp")]
    notices = town.phone.house.notices
    await notices.announce({"fa": INCIDENT}, SystemClock().now() + 3_600_000)
    await all_of(*(follows(town, *one) for one in each))
    assert await notices.mended({"fa": "آب وصل شد."}) == len(each)
    missed = await all_of(*(misses(town, *one) for one in each))
    ring = Keyring({1: KEY})
    rows = await town.store.write(claims.claim, "sms", 200, SystemClock().now() + 20_000, "test")
    sent = [(one.to, one.key) for one in (row.open(ring) for row in rows)]
    assert sorted(to for to, key in sent if key == "mine_none") == sorted(map(e164, missed))
    for key, count in (("unit_card", 2), ("incident_over", len(each)), ("answer", 2)):
        assert len([to for to, word in sent if word == key]) == count, (key, sent)
    wrote = {e164(number) for number in town.numbers if town.brought(number)}
    assert {to for to, key in sent if key == "received"} == wrote  # their codes, by SMS
