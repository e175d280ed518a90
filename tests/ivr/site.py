"""The shipped menus and texts as the tests use them, and a walk spoken line by line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from config.texts import Texts, read_texts
from ivr import menu, steps
from ivr.menu import Menus
from ivr.prompts import Prompts
from ivr.rehearsal import Rehearsal
from ivr.stand import Walk

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
    files = {str(path): path.read_text(encoding="utf-8") for path in sorted((ROOT / "config/menus").glob("*.toml"))}
    found = menu.read(files, texts().words)
    assert isinstance(found, Menus), found
    return found


class Story(Rehearsal):
    """Plays a transcript: its caller's, house's and door's lines go into the walk, the phone's lines come out."""

    def __init__(self) -> None:
        super().__init__(menus(), Prompts(texts()), TODAY, Walk("main"))

    def tell(self, line: str) -> None:
        """One line of the caller, the house or the door."""
        who, _, what = line.partition(": ")
        words = what.split()
        if (who, *words[:1]) == ("call", "is"):  # the call's circumstances, before it begins
            self.walk = replace(self.walk, **_circumstances(words[1:]))
            self.lines.append(line)
            return
        self.lines.append(line)
        interrupted = words[-1:] == ["…"]  # the next line comes while the phone still speaks
        self.happens(self._events(who, words[:-1] if interrupted else words), interrupted)

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
            case ("house", "answers"):
                yield steps.Connected()
            case ("house", "parts", way):
                yield steps.Parted(way)
            case ("house", "place", place, *rest):
                yield steps.Place(int(place), int(rest[0]) if rest else None)
            case ("door", "took", code, pin):
                yield steps.Taken(code, pin, "water", {"unit": "ادارهٔ آب"})
            case ("door", "failed", why):
                yield steps.Failed(why)
            case ("door", "done"):
                yield steps.Done()
            case ("door", "found", "codes", *codes):
                items = [steps.Item("ivr.mine", {"n": n, "kind": "شکایت"}) for n in range(1, len(codes) + 1)]
                yield steps.Found("found", {"codes": codes}, items)
            case ("door", "found", "prompt", text, lang):
                yield steps.Found("found", {"text": text, "lang": lang})
            case ("door", "found", way, *words):
                items = (steps.Item(words=" ".join(words)),) if words else ()
                yield steps.Found(way, {"unit": "water"} if way == "found" and not words else {}, items)
            case other:
                raise AssertionError(f"no such line: {other}")


def _circumstances(words: list[str]) -> dict[str, Any]:
    """`in staff`, `closed`, `holiday`, `full`, `incident`."""
    known: dict[str, Any] = {"open": "closed" not in words, "holiday": "holiday" in words, "full": "full" in words}
    if "incident" in words:
        known["notice"] = {"fa": "آبِ منطقهٔ سه تا ساعت ۱۸ قطع است.", "en": "Water is off in district 3 until 18:00."}
    return {**known, "tree": words[words.index("in") + 1]} if "in" in words else known


def retell(transcript: str) -> list[str]:
    """The same story told anew: every line that is not the phone's is played."""
    story = Story()
    for line in transcript.splitlines():
        if line.startswith("#"):
            story.lines.append(line)
        elif line and not line.startswith("phone:"):
            story.tell(line)
    return story.lines
