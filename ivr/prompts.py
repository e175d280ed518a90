"""What a sentence sounds like: texts with their facts as pieces to play, every digit turned into words. Pure but for
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
from core.text import digits
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


# ---------------------------------------------------------------- numbers

_FA = (
    "صفر", "یک", "دو", "سه", "چهار", "پنج", "شش", "هفت", "هشت", "نُه",
    "ده", "یازده", "دوازده", "سیزده", "چهارده", "پانزده", "شانزده", "هفده", "هجده", "نوزده",
)  # fmt: skip
_FA_TENS = ["بیست", "سی", "چهل", "پنجاه", "شصت", "هفتاد", "هشتاد", "نود"]
_FA_HUNDREDS = ["صد", "دویست", "سیصد", "چهارصد", "پانصد", "ششصد", "هفتصد", "هشتصد", "نهصد"]
_FA_LARGE = ((10**12, "هزار میلیارد"), (10**9, "میلیارد"), (10**6, "میلیون"), (1000, "هزار"))
_EN = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
    "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_EN_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_EN_LARGE = ((10**12, "trillion"), (10**9, "billion"), (10**6, "million"), (1000, "thousand"))
_AND = "ُ "  # «و» between numbers is heard *o*, a vowel at the end of the word before it
_ORDINALS = {3: "سوم", 30: "سی‌اُم"}
_EN_ORDINALS = {1: "first", 2: "second", 3: "third", 5: "fifth", 8: "eighth", 9: "ninth", 12: "twelfth"}
LONGEST = 9  # digits; a longer number is an identifier and read digit by digit


def number(value: int, lang: str) -> str:
    """A number in words: `بیستُ یک`, `twenty-one`."""
    if value < 0:
        return f"{'منفیِ' if lang == 'fa' else 'minus'} {number(-value, lang)}"
    return _AND.join(_persian(value)) if lang == "fa" else " ".join(_english(value))


def one_by_one(text: str, lang: str) -> str:
    """Digits one by one, a breath after each."""
    names = _FA if lang == "fa" else _EN
    return _comma(lang).join(names[int(digit)] for digit in digits(text) if digit.isdecimal())


def code(text: str, lang: str) -> str:
    """A tracking code in groups of 3, 4 and 4, a longer breath between them."""
    return _groups([text[:3], text[3:7], text[7:]], lang)


def day(when: date, lang: str, today: date) -> str:
    """`سیُ یکمِ شهریورِ هزارُ چهارصدُ پنج`; without the year when it is the year of `today`."""
    if lang != "fa":
        words = f"{_english_ordinal(when.day)} of {when:%B}"
        return words if when.year == today.year else f"{words} {number(when.year, lang)}"
    year, month, of_month = jalali.jalali(when)
    words = f"{_ordinal(of_month)}ِ {jalali.MONTHS[month - 1]}"
    return words if year == jalali.jalali(today)[0] else f"{words}ِ {number(year, lang)}"


def _persian(value: int) -> Iterator[str]:
    for size, name in _FA_LARGE:
        if value >= size:
            count, value = divmod(value, size)
            yield name if (count, size) == (1, 1000) else f"{_AND.join(_persian(count))} {name}"
            if not value:
                return
    if value >= 100:
        yield _FA_HUNDREDS[value // 100 - 1]
        value %= 100
        if not value:
            return
    if value >= 20:
        yield _FA_TENS[value // 10 - 2]
        value %= 10
        if not value:
            return
    yield _FA[value]


def _english(value: int) -> Iterator[str]:
    for size, name in _EN_LARGE:
        if value >= size:
            count, value = divmod(value, size)
            yield f"{' '.join(_english(count))} {name}"
            if not value:
                return
    if value >= 100:
        yield f"{_EN[value // 100]} hundred"
        value %= 100
        if not value:
            return
    if value >= 20:
        tens, value = _EN_TENS[value // 10 - 2], value % 10
        yield f"{tens}-{_EN[value]}" if value else tens
        return
    yield _EN[value]


def _ordinal(value: int) -> str:
    if value in _ORDINALS:
        return _ORDINALS[value]
    *front, last = _persian(value)
    return _AND.join([*front, "سوم" if last == "سه" else last + "م"])


def _english_ordinal(value: int) -> str:
    if value > 20 and value % 10:
        return f"{_EN_TENS[value // 10 - 2]}-{_english_ordinal(value % 10)}"
    if value >= 20:
        return _EN_TENS[value // 10 - 2].removesuffix("y") + "ieth"
    return _EN_ORDINALS.get(value, _EN[value] + "th")


# ---------------------------------------------------------------- free text

_LINK = re.compile(r"(?:https?://|www\.)\S+|[\w.+-]+@[\w-]+(?:\.[\w-]+)+", re.IGNORECASE)
_DATE = re.compile(r"(?<![\d/])(\d{4})\s?[/-]\s?(\d{1,2})\s?[/-]\s?(\d{1,2})(?![\d/])")
_CLOCK = re.compile(r"(?<![\d:])([01]?\d|2[0-3]):([0-5]\d)(?![\d:])")
_NUMBER = re.compile(r"\+?\d+(?:[-  ]\d+)*|\d{1,3}(?:[,٬]\d{3})+")
_THOUSANDS = re.compile(r"(?<![\d,٬])\d{1,3}(?:[,٬]\d{3})+(?![\d,٬])")
_DECIMAL = re.compile(r"(?<![\d.٫/])(\d+)[.٫](\d+)(?![\d.٫/])")
_PERCENT = re.compile(r"\s*[%٪]")
_SIGNS = re.compile(r"[/\\|_*#<>{}\[\]=~^`+]+")
_LATIN = re.compile(r"[A-Za-z][A-Za-z'’.,;:!? -]*")


def worded(text: str, lang: str, today: date, link: str = "") -> str:
    """Free text for the ear: dates, times and numbers in words, links and mail addresses as the sentence `link`."""
    text = _LINK.sub(f" {link} ", digits(text))
    text = _DATE.sub(lambda match: _date(match, lang, today), text)
    text = _CLOCK.sub(lambda match: _clock(match, lang), text)
    text = _THOUSANDS.sub(lambda match: re.sub(r"[,٬]", "", match[0]), text)
    text = _DECIMAL.sub(lambda match: _decimal(match, lang), text)
    text = _PERCENT.sub(" درصد" if lang == "fa" else " percent", text)
    text = _NUMBER.sub(lambda match: f" {_figure(match[0], lang)} ", text)
    text = "".join(_stray(letter, lang) for letter in text)
    return re.sub(r"\s+([،,.؛:!؟?])", r"\1", re.sub(r"\s+", " ", _SIGNS.sub(" ", text))).strip()


def _date(match: re.Match[str], lang: str, today: date) -> str:
    year, month, of_month = (int(part) for part in match.groups())
    try:
        when = date(year, month, of_month) if year > 1700 else jalali.gregorian(year, month, of_month)
    except ValueError:
        return " ".join(match.groups())
    return f" {day(when, lang, today)} "


def _clock(match: re.Match[str], lang: str) -> str:
    hour, minute = int(match[1]), int(match[2])
    if lang != "fa":
        return f" {number(hour, lang)} {number(minute, lang) if minute else 'o’clock'} "
    return f" {number(hour, lang)}{_AND + number(minute, lang) + ' دقیقه' if minute else ''} "


def _decimal(match: re.Match[str], lang: str) -> str:
    return f" {_figure(match[1], lang)} {'ممیز' if lang == 'fa' else 'point'} {one_by_one(match[2], lang)} "


def _figure(text: str, lang: str) -> str:
    """One number: long ones, and those that begin with + or 0, digit by digit in groups."""
    plain = re.sub(r"[-  +]", "", text)
    parts = re.findall(r"\d+", text)
    led = any(part.startswith("0") and part != "0" for part in parts)
    if text.startswith("+") or led or len(plain) > LONGEST:
        return _groups(parts if len(parts) > 1 else _fours(plain), lang)
    return _comma(lang).join(number(int(part), lang) for part in parts)


def _fours(text: str) -> list[str]:
    """`09120000000` as 0912 000 0000; others in threes from the front, the last group of up to four."""
    if len(text) == 11 and text.startswith("09"):
        return [text[:4], text[4:7], text[7:]]
    cut = [text[at : at + 3] for at in range(0, len(text), 3)]
    return [*cut[:-2], cut[-2] + cut[-1]] if len(cut) > 1 and len(cut[-1]) == 1 else cut


def _groups(groups: list[str], lang: str) -> str:
    return (" . " if lang != "fa" else " ؛ ").join(one_by_one(group, lang) for group in groups if group)


def _stray(letter: str, lang: str) -> str:
    """A digit of another script (²، ३), or one nothing else caught."""
    if not letter.isdigit() and not letter.isnumeric():
        return letter
    value = {"fa": _FA, "en": _EN}["fa" if lang == "fa" else "en"]
    return f" {value[int(letter)]} " if letter.isdigit() and _plain(letter) else " "


def _plain(letter: str) -> bool:
    return letter.isdecimal()


def _comma(lang: str) -> str:
    return "، " if lang == "fa" else ", "


# ---------------------------------------------------------------- voices


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
