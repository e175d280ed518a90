"""The shipped menus and texts as the tests use them, and a walk spoken line by line."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from functools import cache
from pathlib import Path

from config.texts import Texts, read_texts
from ivr import menu, steps
from ivr.menu import Menus
from ivr.prompts import Prompts, Spoken, Tone, Voice
from ivr.stand import Phase, Walk
from ivr.walk import step

ROOT = Path(__file__).parents[2]
TODAY = date(2026, 11, 24)
CODE = "72940518364"  # made up, its check digit right


@cache
def texts() -> Texts:
    """All shipped texts; a fault in them fails the test that asks."""
    faults: list = []
    found = read_texts([ROOT / "config/texts"], ("fa", "en"), faults)
    ours = [fault for fault in faults if "ivr" in fault.file]
    assert not ours, ours
    return found


@cache
def menus() -> Menus:
    """The shipped menus, which have no fault."""
    path = ROOT / "config/menus/main.toml"
    found = menu.read({str(path): path.read_text(encoding="utf-8")}, texts().words)
    assert isinstance(found, Menus), found
    return found


def heard(items, lang: str) -> Iterator[str]:
    """What a caller hears of these items, a line a piece."""
    for item in items:
        for piece in Prompts(texts()).pieces(item, lang, TODAY):
            match piece:
                case Spoken(text, _):
                    yield f"phone: {text}"
                case Tone(name):
                    yield f"phone: ({name})"
                case Voice(key):
                    yield f"phone: (voice {key.rpartition('/')[2]})"


class Story:
    """Plays a transcript: its caller's and door's lines go into the walk, the phone's lines come out."""

    def __init__(self) -> None:
        self.walk = Walk("main")
        self.lines: list[str] = []

    def tell(self, line: str) -> None:
        """One line of the caller or the door."""
        self.lines.append(line)
        who, _, what = line.partition(": ")
        words = what.split()
        interrupted = words[-1:] == ["…"]  # the next line comes while the phone still speaks
        for event in self._events(who, words[:-1] if interrupted else words):
            self._move(event)
        while self.walk.phase in (Phase.SAID, Phase.BEEP) and not interrupted:
            self._move(steps.PlayedOut())

    def _events(self, who: str, words: list[str]) -> Iterator[steps.Event]:
        match (who, *words):
            case ("caller", "calls", number, *rest):
                yield steps.Started("main", None if number == "withheld" else number, "asserted" in rest, "1888")
            case ("caller", "presses", *keys):
                yield from (steps.Key(key) for key in keys)
            case ("caller", "says", "nothing"):
                yield steps.Quiet()
            case ("caller", "speaks", seconds, *rest):
                yield steps.Recorded(rest[-1] if rest else "key", float(seconds), "/spool/message.wav")
            case ("caller", "hangs", "up"):
                yield steps.Ended("caller")
            case ("door", "took", code, pin):
                yield steps.Taken(code, pin, "water", {"unit": "ادارهٔ آب"})
            case ("door", "failed", why):
                yield steps.Failed(why)
            case ("door", "found", way, *words):
                items = (steps.Item(words=" ".join(words)),) if words else ()
                yield steps.Found(way, {"unit": "water"} if way == "found" and not words else {}, items)
            case other:
                raise AssertionError(f"no such line: {other}")

    def _move(self, event: steps.Event) -> None:
        self.walk, deeds = step(menus(), self.walk, event)
        for deed in deeds:
            self.lines += self._shown(deed)

    def _shown(self, deed: steps.Deed) -> Iterator[str]:
        match deed:
            case steps.Say(items, _, lang):
                yield from heard(items, lang)
            case steps.Record(most, silence, _):
                yield f"phone: records up to {most:g} s, {silence:g} s of quiet"
            case steps.Look(what, _, pin):
                yield f"phone: looks for {what}{' with a PIN' if pin else ''}"
            case steps.Take(act, kind, path, seconds, unit):
                words = (kind, unit, f"{seconds:g} s" if path else "no voice")
                yield f"phone: hands over {act} ({', '.join(word for word in words if word)})"
            case steps.Hangup():
                yield "phone: hangs up"


def retell(transcript: str) -> list[str]:
    """The same story told anew: every line that is not the phone's is played."""
    story = Story()
    for line in transcript.splitlines():
        if line.startswith("#"):
            story.lines.append(line)
        elif line and not line.startswith("phone:"):
            story.tell(line)
    return story.lines
