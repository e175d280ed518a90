"""What a sentence sounds like: texts with their facts as pieces to play, in the voice of their script. Pure but for
looking whether a recorded prompt is there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from core import jalali
from core.channels import Say
from ivr.readout import code, day, number, one_by_one, worded
from ivr.steps import Item

PIECE = 500  # letters the speech voice is given at once
PRIVATE = frozenset({"code", "pin"})  # facts that must not lie about as sound


@dataclass(frozen=True, slots=True)
class Recorded:
    """A prompt spoken by a person, a WAV file of the site."""

    path: str


@dataclass(frozen=True, slots=True)
class Spoken:
    """Words for the speech voice of `lang`: no digit, slash or link in them."""

    text: str
    lang: str
    private: bool = False  #: a code, a PIN or somebody's answer: its sound is kept nowhere


@dataclass(frozen=True, slots=True)
class Voice:
    """A recording: `key` of a kept file, or `spool:PATH` of this call's own."""

    key: str


@dataclass(frozen=True, slots=True)
class Tone:
    """A sound made by us: `beep`."""

    name: str


Piece = Recorded | Spoken | Voice | Tone


class Prompts:
    """The sentences of one site: its texts, and the folders where recorded prompts lie as `{lang}/{key}.wav`.

    The first folder that has one wins; `{key}.{variant}.wav` wins over `{key}.wav`."""

    def __init__(self, say: Say, folders: Sequence[str | Path] = (), zone: str = jalali.ZONE) -> None:
        self._say, self._folders, self._zone = say, [Path(folder) for folder in folders], zone

    def pieces(self, item: Item, lang: str, today: date) -> list[Piece]:
        """What is to be played for `item`, in order. A date of the year of `today` is said without its year."""
        if item.voice is not None:
            kind, _, name = item.voice.partition(":")
            return [Tone(name)] if kind == "tone" else [Voice(item.voice)]
        found: list[Piece] = []
        if item.key:
            found += self._sentence(item, lang, today)
        if item.words:
            found += self._spoken(item.words, lang, today, private=True)
        return found

    def _sentence(self, item: Item, lang: str, today: date) -> list[Piece]:
        recorded = None if item.facts else self._recorded(item, lang)
        if recorded is not None:
            return [Recorded(str(recorded))]
        facts = {name: self._fact(name, value, lang, today) for name, value in item.facts.items()}
        return self._spoken(self._say(item.key, lang, **facts), lang, today, not PRIVATE.isdisjoint(facts))

    def _recorded(self, item: Item, lang: str) -> Path | None:
        names = [f"{item.key}.{item.variant}.wav"] if item.variant else []
        places = (folder / lang / name for name in (*names, f"{item.key}.wav") for folder in self._folders)
        return next((path for path in places if path.is_file()), None)

    def _fact(self, name: str, value: Any, lang: str, today: date) -> str:
        if name == "code":
            return code(str(value), lang)
        if name == "pin":
            return one_by_one(str(value), lang)
        if (name == "at" or name.endswith("_at")) and isinstance(value, int):
            return day(jalali.local(value, self._zone).date(), lang, today)
        return number(value, lang) if isinstance(value, int) else str(value)

    def _spoken(self, text: str, lang: str, today: date, private: bool = False) -> list[Piece]:
        words = worded(text, lang, today, self._say("ivr.link", lang))
        return [Spoken(part, voice, private) for run, voice in _voices(words, lang) for part in _cut(run)]


# ---------------------------------------------------------------- voices

_LATIN = re.compile(r"[A-Za-z][A-Za-z'’.,;:!? -]*")


def _voices(text: str, lang: str) -> Iterator[tuple[str, str]]:
    """Runs of one script each: Latin words in a Persian text go to the English voice, and the other way round."""
    if lang != "fa":
        yield from _runs(text, re.compile(r"[؀-ۿ][؀-ۿ\s‌]*"), lang, "fa")
    else:
        yield from _runs(text, _LATIN, lang, "en")


def _runs(text: str, other: re.Pattern[str], lang: str, voice: str) -> Iterator[tuple[str, str]]:
    at = 0
    for match in other.finditer(text):
        yield text[at : match.start()].strip(), lang
        yield match[0].strip(), voice
        at = match.end()
    yield text[at:].strip(), lang


def _cut(run: str) -> Iterator[str]:
    """Pieces of at most `PIECE` letters, cut after a sentence where there is one, else between words."""
    while len(run) > PIECE:
        head = run[:PIECE]
        at = max(head.rfind(mark) for mark in (". ", "؟ ", "! ", "؛ ")) + 1
        at = at or head.rfind(" ") + 1 or PIECE
        yield run[:at].strip()
        run = run[at:].strip()
    if re.search(r"\w", run):
        yield run
