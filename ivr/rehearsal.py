"""A call without a telephone: the pure walk played line by line, for the command line, the simulator and transcripts.

What the caller does is written as words: keys (`1`, `#`, `12345`), `r12` speaks for 12 seconds, `.` presses nothing,
`o` an operator answers and talks, `n` nobody answers, `h` hangs up.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from ivr import steps
from ivr.prompts import Prompts, Recorded, Spoken, Tone, Voice
from ivr.stand import LEAST, Phase, Walk
from ivr.steps import Item
from ivr.tree import Menus
from ivr.walk import step

HEARD = (Phase.SAID, Phase.BEEP, Phase.READING)  # phases that go on by themselves once all is heard
NUMBER, CALLED = "+989120000000", "1888"  # of the made-up caller, and what was dialled
CODE, PIN = "72940518364", "0907"  # made up, the check digit right
SPOKEN = "spool/message.wav"
WORD = re.compile(r"r(\d{1,3})|[0-9*#]+|[.onh]")
Answers = Callable[[steps.Deed], Sequence[steps.Event]]


class WrongWord(ValueError):
    """A word of the caller that means nothing."""


@dataclass(frozen=True, slots=True)
class World:
    """A made-up house behind the menus: everything is found, everything is taken."""

    units: Mapping[str, str] = field(default_factory=dict)  #: extension → name
    unit: str = "…"  #: name of the unit a message reaches that was for none

    def answers(self, deed: steps.Deed) -> Sequence[steps.Event]:
        """What comes back for a deed; nothing where the caller's words decide."""
        match deed:
            case steps.Look():
                return [self._found(deed)]
            case steps.Take(unit=unit):
                return [steps.Taken(CODE, PIN, unit or "", {"unit": self.units.get(unit or "", self.unit)})]
            case steps.Text() | steps.Publish() | steps.CallBack():
                return [steps.Done()]
            case steps.Queue():
                return [steps.Place(2, 4)]
        return []

    def _found(self, look: steps.Look) -> steps.Found:
        match look.what:
            case "unit" | "card":
                name = self.units.get(look.key)
                items = (Item("ivr.unit_is", {"unit": name}),)
                return steps.Found("found", {"unit": look.key}, items) if name else steps.Found("none")
            case "answer":
                proven = not look.pin or look.pin == PIN
                items = (Item("ivr.sample.state"), *((Item("ivr.sample.answer"),) if proven else ()))
                return steps.Found("found" if proven else "unproven", {}, items)
            case "mine":
                return steps.Found("found", {"codes": [CODE]}, (Item("ivr.mine", {"n": 1, "kind": "…"}),))
            case "permit":
                return steps.Found("found", {"text": "ivr.menu.welcome", "lang": "fa"})
        return steps.Found("none")


class Rehearsal:
    """One call: `lines` is its transcript, `walk` where the caller stands."""

    def __init__(
        self, menus: Menus, prompts: Prompts, today: date, walk: Walk, answers: Answers = lambda deed: ()
    ) -> None:
        self.walk = walk
        self.lines: list[str] = []
        self.sounds: dict[int, tuple[str, str]] = {}  # line → text key and language of a sentence without facts
        self.said: set[int] = set()  # lines that the caller hears; the phone's others are what it does
        self._menus, self._prompts, self._today, self._answers = menus, prompts, today, answers

    def call(self, number: str | None = NUMBER, asserted: bool = True) -> None:
        """Somebody calls."""
        self.lines.append(f"caller: calls {number or 'withheld'}{' asserted' if asserted and number else ''}")
        self.happens([steps.Started("main", number, asserted, CALLED)])

    def word(self, word: str) -> None:
        """The caller does one thing, see the head of this file. Raises WrongWord."""
        line, events = _meant(word, self.walk)
        if not self.walk.done:
            self.lines.append(line)
            self.happens(events)

    def happens(self, events: Iterable[steps.Event], interrupted: bool = False) -> None:
        """Events one after the other; then all that is said is heard out, unless the next thing interrupts it."""
        for event in events:
            self._move(event)
        while self.walk.phase in HEARD and not interrupted:
            self._move(steps.PlayedOut())

    def heard(self, items: Sequence[Item], lang: str) -> Iterator[str]:
        """What a caller hears of these items, a line a piece."""
        for item in items:
            for piece in self._prompts.pieces(item, lang, self._today):
                match piece:
                    case Spoken(text, _):
                        yield f"phone: {text}"
                    case Tone(name):
                        yield f"phone: ({name})"
                    case Voice(key):
                        yield f"phone: (voice {key.rpartition('/')[2]})"
                    case Recorded(path):
                        yield f"phone: (recorded {path.rpartition('/')[2]})"

    def _move(self, event: steps.Event) -> None:
        self.walk, deeds = step(self._menus, self.walk, event)
        for deed in deeds:
            if isinstance(deed, steps.Say):
                self._say(deed)
            else:
                self.lines += _shown(deed)
        for deed in deeds:
            for answer in self._answers(deed):
                self._move(answer)

    def _say(self, deed: steps.Say) -> None:
        for item in deed.items:
            if item.key and not item.facts:
                self.sounds[len(self.lines)] = item.key, deed.lang
            first = len(self.lines)
            self.lines += self.heard([item], deed.lang)
            self.said |= set(range(first, len(self.lines)))


def _shown(deed: steps.Deed) -> Iterator[str]:
    match deed:
        case steps.Record(most, silence, _, prompt):
            yield f"phone: records {'a prompt ' if prompt else ''}up to {most:g} s, {silence:g} s of quiet"
        case steps.Look(what, _, pin):
            yield f"phone: looks for {what}{' with a PIN' if pin else ''}"
        case steps.Take(act, kind, path, seconds, unit):
            words = (kind, unit, f"{seconds:g} s" if path else "no voice")
            yield f"phone: hands over {act} ({', '.join(word for word in words if word)})"
        case steps.Text(what, _, _):
            yield f"phone: texts {what}"
        case steps.Publish(text, lang, _, _):
            yield f"phone: publishes {text} in {lang}"
        case steps.Queue(name, unit):
            yield f"phone: queues for {name}{f' ({unit})' if unit else ''}"
        case steps.Leave():
            yield "phone: leaves the queue"
        case steps.CallBack(name):
            yield f"phone: keeps the place in {name} for a call back"
        case steps.Connect(to):
            yield f"phone: rings {to}"
        case steps.Hangup():
            yield "phone: hangs up"


def words(text: str) -> list[str]:
    """The caller's words of one line. Raises WrongWord naming the first wrong one."""
    found = text.split()
    for word in found:
        if not WORD.fullmatch(word):
            raise WrongWord(word)
    return found


def rehearse(
    menus: Menus, prompts: Prompts, today: date, walk: Walk, keys: str, world: World, asserted: bool = True
) -> Rehearsal:
    """A whole call of a made-up caller. Raises WrongWord."""
    call = Rehearsal(menus, prompts, today, walk, world.answers)
    todo = words(keys)
    call.call(NUMBER, asserted)
    for word in todo:
        call.word(word)
    return call


def _meant(word: str, walk: Walk) -> tuple[str, list[steps.Event]]:
    """The transcript's line for a word, and the events it stands for."""
    if not (found := WORD.fullmatch(word)):
        raise WrongWord(word)
    if found[1]:
        why = "key" if float(found[1]) >= LEAST else "silence"
        return f"caller: speaks {found[1]}", [steps.Recorded(why, float(found[1]), SPOKEN)]
    match word:
        case ".":
            silent: steps.Event = steps.Recorded("silence", 0.0, "") if walk.phase is Phase.RECORDING else steps.Quiet()
            return "caller: says nothing", [silent]
        case "o":
            return "house: answers, talks, hangs up", [steps.Connected(), steps.Parted("served")]
        case "n":
            return "house: nobody answers", [steps.Parted("away")]
        case "h":
            return "caller: hangs up", [steps.Ended("caller")]
    return f"caller: presses {' '.join(word)}", [steps.Key(key) for key in word]
