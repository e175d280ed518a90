"""Text for the ear: every number, date, amount and code in words, Persian with the vowels the voice needs. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date
from types import MappingProxyType

from core import codes, jalali
from core.text import digits

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
CODE = 11  # digits of a tracking code
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
_NAMED_DAY = re.compile(rf"(?<![\d/])(\d{{1,2}})\s+({'|'.join(jalali.MONTHS)})(?:\s*ماه)?(?:\s+(\d{{4}}))?(?!\w)")
_MONEY = re.compile(r"(?<![\d.,٬])(\d[\d,٬]{0,20})\s*(ریال|تومان|rials?|tomans?)(?!\w)", re.IGNORECASE)
_PERCENT = re.compile(r"\s*[%٪]")
_SIGNS = re.compile(r"[/\\|_*#<>{}\[\]=~^`+]+")


def worded(text: str, lang: str, today: date, link: str = "") -> str:
    """Free text for the ear: dates, times and numbers in words, links and mail addresses as the sentence `link`."""
    text = _LINK.sub(f" {link} ", digits(text))
    text = _DATE.sub(lambda match: _date(match, lang, today), text)
    text = _NAMED_DAY.sub(lambda match: _named_day(match, lang, today), text)
    text = _MONEY.sub(lambda match: _money(match, lang), text)
    text = _CLOCK.sub(lambda match: _clock(match, lang), text)
    text = _THOUSANDS.sub(lambda match: re.sub(r"[,٬]", "", match[0]), text)
    text = _DECIMAL.sub(lambda match: _decimal(match, lang), text)
    text = _PERCENT.sub(" درصد" if lang == "fa" else " percent", text)
    text = _NUMBER.sub(lambda match: f" {_figure(match[0], lang)} ", text)
    text = "".join(_stray(letter, lang) for letter in text)
    plain = re.sub(r"\s+([،,.؛:!؟?])", r"\1", re.sub(r"\s+", " ", _SIGNS.sub(" ", text))).strip()
    return _vowelled(plain) if lang == "fa" else plain


# Where the voice is wrong without its vowels, and ezafes that are not written. Whole words, longest first.
_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "کد پیگیری": "کدِ پیگیری",
        "شماره پیگیری": "شمارهٔ پیگیری",
        "شماره تلفن": "شمارهٔ تلفن",
        "شماره پرونده": "شمارهٔ پرونده",
        "اداره کل": "ادارهٔ کل",
        "روز کاری": "روزِ کاری",
        "بررسی": "بَررِسی",
        "سازمان": "سازْمان",
    }
)
_WRITTEN = re.compile(rf"(?<!\w)({'|'.join(_WORDS)})(?![\w\u064b-\u0652])")
_HEH_YE = re.compile(r"ه[\u200c\s]ی(?!\w)")  # «شماره‌ی», «خانه ی»: one sound, heard as two words else


def _vowelled(text: str) -> str:
    """Persian as the voice must be given it, so that it says what is meant."""
    return _WRITTEN.sub(lambda match: _WORDS[match[1]], _HEH_YE.sub("هٔ", text))


def _date(match: re.Match[str], lang: str, today: date) -> str:
    year, month, of_month = (int(part) for part in match.groups())
    try:
        when = date(year, month, of_month) if year > 1700 else jalali.gregorian(year, month, of_month)
    except ValueError:
        return " ".join(match.groups())
    return f" {day(when, lang, today)} "


def _named_day(match: re.Match[str], lang: str, today: date) -> str:
    """`۵ مهر ۱۴۰۵` as a date, whatever the language around it."""
    year = int(match[3]) if match[3] else jalali.jalali(today)[0]
    try:
        when = jalali.gregorian(year, jalali.MONTHS.index(match[2]) + 1, int(match[1]))
    except ValueError:
        return match[0]
    return f" {day(when, lang, today)} "


def _money(match: re.Match[str], lang: str) -> str:
    """An amount is a number however long it is: never read digit by digit."""
    amount = int(re.sub(r"[,٬]", "", match[1]))
    return f" {number(amount, lang)} {match[2]} " if amount < 10**15 else match[0]


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
    if len(plain) == CODE and codes.ok(plain) and not text.startswith("+"):
        return code(plain, lang)
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
