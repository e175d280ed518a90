"""What the console sees of the phone and does with it: menus, pictures, rehearsals, prompts, calls, the known incident.

The web knows these by their shapes only (`web.ports.Telephone`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol

import numpy as np

from config.faults import Fault, Faults
from ivr import draw, missed, paths, rehearsal
from ivr.callback import whole_hours
from ivr.counter import House
from ivr.media import g711
from ivr.notice import Notice
from ivr.operators import Operators
from ivr.prompts import Prompts
from ivr.rehearsal import Rehearsal, World
from ivr.settings import AnyLine
from ivr.shelf import Shelf
from ivr.site import Site
from ivr.stand import Walk
from ivr.steps import Item

UNSPOKEN = ("ivr.draw.", "ivr.sample.", "ivr.message")  # beginnings of keys no caller hears in a real call


@dataclass(frozen=True, slots=True)
class MenuView:
    """A menu, the numbers that lead to it, and the longest way to listen."""

    name: str
    numbers: Sequence[str]  #: "line number"
    nodes: int
    seconds: int
    way: Sequence[str]


@dataclass(frozen=True, slots=True)
class PromptView:
    """A sentence that callers hear: recorded by somebody, or synthetic."""

    key: str
    text: str
    recorded: bool
    by: str  #: who spoke it by phone, '' = a file of the site
    at: int | None  #: ms UTC
    ours: bool  #: published by phone: can be withdrawn
    greets: bool = False  #: said before a recording: a unit may have its own
    unit: str = ""  #: slug of the unit whose own it is


@dataclass(frozen=True, slots=True)
class CallView:
    """A call in progress."""

    id: str
    line: str
    number: str | None
    asserted: bool
    called: str
    since: int  #: ms UTC
    path: Sequence[str]


@dataclass(frozen=True, slots=True)
class LineView:
    """A line of a rehearsal; `sound` is the text key that can be played."""

    who: str
    words: str
    heard: bool  #: the caller hears it; else it is what somebody does
    sound: str = ""
    lang: str = ""


@dataclass(frozen=True, slots=True)
class RehearsalView:
    """A rehearsed call so far."""

    lines: Sequence[LineView]
    transcript: str
    node: str
    phase: str
    path: Sequence[str]
    over: bool


class Running(Protocol):
    """The channel, as far as this file needs it."""

    site: Site
    shelf: Shelf
    operators: Operators

    @property
    def house(self) -> House: ...

    def today(self) -> date: ...

    def live(self) -> Sequence[CallView]: ...

    def counts(self) -> Mapping[str, int]: ...

    async def reload(self) -> None: ...


class Panel:
    """Bound to a running phone channel."""

    def __init__(self, phone: Running) -> None:
        self._phone = phone
        self.operators = phone.operators  #: who is on duty, who waits, who rings
        self.faults: Sequence[Fault] = ()  #: of the last reload

    def call_hours(self) -> tuple[int, int] | None:
        """The first and the last full hour at which citizens are called with answers; None: they are not."""
        given = self._phone.site.callback
        return whole_hours(given) if given is not None else None

    # ---------------------------------------------------------------- menus

    def menus(self) -> list[MenuView]:
        """Every menu: first the one of all numbers that are not named, then by name."""
        house = self._phone.house
        found = []
        for name, tree in sorted(house.menus.trees.items()):
            seconds, way = paths.longest(tree, house.lang, lambda key, lang: paths.estimate(house.say(key, lang)))
            found.append(MenuView(name, self._numbers(name), len(tree.nodes), round(seconds), way))
        return sorted(found, key=lambda menu: ("*" not in menu.numbers, menu.name != "main", menu.name))

    def picture(self, name: str, lang: str) -> str | None:
        """A menu as SVG; None: there is no such menu."""
        house = self._phone.house
        tree = house.menus.trees.get(name)
        return draw.draw(tree, lambda key: house.say(key, lang), lang) if tree is not None else None

    async def reload(self) -> Sequence[Fault]:
        """Read menus and texts again, for new calls; the faults, when the old ones stay."""
        try:
            await self._phone.reload()
        except Faults as faults:
            self.faults = tuple(faults.faults)
        else:
            self.faults = ()
        return self.faults

    def rehearse(
        self, name: str, lang: str, keys: str, units: Mapping[str, str], known: Mapping[str, bool]
    ) -> RehearsalView | None:
        """A call without a telephone. `units`: extension → name; `known`: open, holiday, asserted.

        None: no such menu. Raises WrongWord.
        """
        house = self._phone.house
        if name not in house.menus.trees:
            return None
        walk = Walk(
            name, lang=lang, open=known["open"], holiday=known["holiday"],
            notice=house.notices.told() if house.notices is not None else {},
        )  # fmt: skip
        prompts = Prompts(house.say, self._phone.shelf.folders)
        call = rehearsal.rehearse(
            house.menus,
            prompts,
            self._phone.today(),
            walk,
            keys,
            World(units, house.say("ivr.sample.unit", lang)),
            known["asserted"],
        )
        return _shown(call)

    def _numbers(self, name: str) -> list[str]:
        lines: Mapping[str, AnyLine] = self._phone.site.lines
        return [number for line in lines.values() for number, menu in line.numbers.items() if menu == name]

    def missed_numbers(self) -> list[str]:
        """Numbers that are rung without being answered."""
        return self._numbers(missed.MENU)

    def staff_numbers(self) -> list[str]:
        """Numbers under which prompts are spoken."""
        trees = self._phone.house.menus.trees
        able = [name for name, tree in trees.items() if any(node.do == "prompt" for node in tree.nodes.values())]
        return [number for name in able for number in self._numbers(name)]

    # ---------------------------------------------------------------- prompts

    def prompts(self, lang: str) -> list[PromptView]:
        """Every sentence a caller may hear, those of the menus first; whole sentences only can be recorded."""
        house = self._phone.house
        trees = [house.menus.trees[menu.name] for menu in self.menus()]
        said = {node.say: None for tree in trees for node in tree.nodes.values() if node.say}  # keeps their order
        words: Mapping[str, str] = getattr(house.say, "words", {}).get(lang, {})
        others = [
            key for key, text in words.items()
            if key.startswith("ivr.") and not key.startswith(UNSPOKEN) and "{" not in text
        ]  # fmt: skip
        greetings = {
            node.say for tree in house.menus.trees.values() for node in tree.nodes.values() if node.do == "record"
        }
        found = []
        for key in dict.fromkeys([*said, *others]):
            found.append(self._prompt(key, lang, key in greetings))
            units = house.cards if key in greetings else ()
            own = [self._prompt(key, lang, unit=unit) for unit in units]
            found += [one for one in own if one.recorded]
        return found

    def _prompt(self, key: str, lang: str, greets: bool = False, unit: str = "") -> PromptView:
        name = f"{key}.{unit}" if unit else key
        kept = self._phone.shelf.find(name, lang)
        text = self._phone.house.say(key, lang)
        if kept is None:
            return PromptView(name, text, False, "", None, False, greets, unit)
        ours = kept.path.is_relative_to(self._phone.shelf.folder)
        return PromptView(name, text, True, kept.by, kept.at, ours, greets, unit)

    async def sound(self, key: str, lang: str) -> bytes | None:
        """A sentence as WAV, as a caller hears it; None: no such sentence."""
        known = {one.key: one.unit for one in self.prompts(lang)}
        if key not in known:
            return None
        item = Item(key.removesuffix(f".{known[key]}"), variant=known[key])
        runs = [run.pcma async for run in self._phone.house.sounds.runs(item, lang)]
        samples = g711.decode("pcma", b"".join(runs)) if runs else np.zeros(0, np.int16)
        return await asyncio.to_thread(g711.write_wav, samples)

    def permit(self, key: str, lang: str, by: str, unit: str = "") -> str | None:
        """Eight digits for speaking a sentence by phone, or a unit's own of it; None: no such sentence."""
        known = {one.key: one for one in self.prompts(lang)}
        if key not in known or (unit and not (known[key].greets and unit in self._phone.house.cards)):
            return None
        return self._phone.shelf.permit(f"{key}.{unit}" if unit else key, lang, by)

    async def withdraw(self, key: str, lang: str) -> bool:
        """Back from a recording by phone to what was there before it; False: no such sentence, or none recorded."""
        if key not in {one.key for one in self.prompts(lang)}:
            return False
        return await asyncio.to_thread(self._phone.shelf.withdraw, key, lang)

    # ---------------------------------------------------------------- now

    def calls(self) -> Sequence[CallView]:
        """Calls in progress, the oldest first."""
        return self._phone.live()

    def counts(self) -> Mapping[str, int]:
        """What the media plane counts since it began (`late_us`: since last asked)."""
        return self._phone.counts()

    def notice(self) -> Notice | None:
        """The known incident that callers are told of."""
        notices = self._phone.house.notices
        return notices.current() if notices is not None else None

    async def announce(self, texts: Mapping[str, str], until: int) -> None:
        """Tell callers of an incident until `until`, ms UTC."""
        notices = self._phone.house.notices
        assert notices is not None
        await notices.announce(texts, until)

    async def mended(self, texts: Mapping[str, str]) -> int:
        """The incident is over; how many callers are told so by SMS."""
        notices = self._phone.house.notices
        assert notices is not None
        return await notices.mended(texts)


def _shown(call: Rehearsal) -> RehearsalView:
    lines = []
    for number, line in enumerate(call.lines):
        who, _, words = line.partition(": ")
        key, lang = call.sounds.get(number, ("", ""))
        lines.append(LineView(who, words, number in call.said, key, lang))
    walk = call.walk
    return RehearsalView(lines, "\n".join(call.lines), walk.node, walk.phase.value, walk.path, walk.done)
