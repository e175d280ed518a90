"""Form fields as data: each kind cleans what was typed and names what is wrong with it. Portal and console share it."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol, TypeVar, get_type_hints

from core import codes, jalali, phones, text
from core.errors import WrongInput

F = TypeVar("F")
MAIL = re.compile(
    r"[^@\s,;<>\"()\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]{1,64}@[^@\s,;<>\"()]{1,190}"
)
LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")


class Form(Protocol):
    """What `read` reads: every value typed under a name."""

    def getall(self, key: str, default: Any = ..., /) -> Sequence[str]: ...


class Kind(Protocol):
    """A field kind. `clean` returns the value or raises `Wrong(word)`."""

    def clean(self, values: Sequence[str]) -> Any: ...


class Wrong(Exception):
    """What is wrong with one field, as a word of the table in the texts."""

    def __init__(self, word: str) -> None:
        super().__init__(word)
        self.word = word


@dataclass(frozen=True, slots=True)
class Bad:
    """A form that cannot be taken: fault word by field, and all that was typed."""

    errors: Mapping[str, str]
    echo: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of words, `short` to `long` characters."""

    long: int
    short: int = 1

    def clean(self, values: Sequence[str]) -> str:
        return _sized(" ".join(text.clean(values[0]).split()), self.short, self.long)


@dataclass(frozen=True, slots=True)
class Text:
    """Words over several lines; line ends become LF."""

    long: int
    short: int = 1

    def clean(self, values: Sequence[str]) -> str:
        return _sized(text.clean(values[0].replace("\r\n", "\n").replace("\r", "\n")).strip(), self.short, self.long)


@dataclass(frozen=True, slots=True)
class Secret:
    """A password: taken as typed, only its length is looked at."""

    long: int

    def clean(self, values: Sequence[str]) -> str:
        return _sized(values[0], 1, self.long)


@dataclass(frozen=True, slots=True)
class Code:
    """A tracking code → 11 ASCII digits."""

    def clean(self, values: Sequence[str]) -> str:
        code = codes.parse(values[0])
        if code is None:
            raise Wrong("digits")
        if not codes.ok(code):
            raise Wrong("check")
        return code


@dataclass(frozen=True, slots=True)
class Digits:
    """A number that is a name (postal code, subscription): `short` to `long` digits → ASCII."""

    long: int
    short: int = 1

    def clean(self, values: Sequence[str]) -> str:
        typed = re.sub(r"[\s\-\u200c-\u200f\u202a-\u202e\u2066-\u2069]", "", text.digits(values[0]))
        if not re.fullmatch(r"[0-9]+", typed):
            raise Wrong("shape")
        return _sized(typed, self.short, self.long)


@dataclass(frozen=True, slots=True)
class Phone:
    """A telephone number → E.164."""

    def clean(self, values: Sequence[str]) -> str:
        number = phones.parse(values[0])
        if number is None:
            raise Wrong("shape")
        return number


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail address: one @, lower case as letters' senders are, the domain as punycode, at most 254 characters."""

    def clean(self, values: Sequence[str]) -> str:
        typed = values[0].strip()
        if len(typed) > 254 or not MAIL.fullmatch(typed):
            raise Wrong("shape")
        local, _, domain = typed.partition("@")
        return f"{local.lower()}@{_domain(domain)}"


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the listed values."""

    values: Collection[str]

    def clean(self, values: Sequence[str]) -> str:
        if values[0] not in self.values:
            raise Wrong("choice")
        return values[0]


@dataclass(frozen=True, slots=True)
class Word:
    """One value that something else judges (a slug, a reference): short, printable, no space."""

    long: int = 64

    def clean(self, values: Sequence[str]) -> str:
        typed = values[0].strip()
        if len(typed) > self.long or not re.fullmatch(r"[!-~]+", typed):
            raise Wrong("choice")
        return typed


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number from `low` to `high`."""

    low: int
    high: int

    def clean(self, values: Sequence[str]) -> int:
        typed = text.digits(values[0]).strip().replace("٬", "").replace(",", "")
        if not re.fullmatch(r"-?[0-9]{1,18}", typed):
            raise Wrong("shape")
        if not self.low <= int(typed) <= self.high:
            raise Wrong("range")
        return int(typed)


@dataclass(frozen=True, slots=True)
class Number:
    """A number from `low` to `high`; `٬` and `,` group, `٫` and `.` begin the decimals."""

    low: float
    high: float

    def clean(self, values: Sequence[str]) -> float:
        typed = text.digits(values[0]).strip().replace("٬", "").replace(",", "").replace("٫", ".")
        if not re.fullmatch(r"-?[0-9]{1,15}(\.[0-9]{1,15})?", typed):
            raise Wrong("shape")
        if not self.low <= float(typed) <= self.high:
            raise Wrong("range")
        return float(typed)


@dataclass(frozen=True, slots=True)
class Date:
    """A day: `1405/9/1`, `1405-09-01`; a year past 1700 is Gregorian."""

    def clean(self, values: Sequence[str]) -> date:
        try:
            return jalali.parse(values[0])
        except WrongInput as wrong:
            raise Wrong(wrong.word) from wrong


@dataclass(frozen=True, slots=True)
class Proof:
    """A second proof: 4 digits = PIN, with @ = mail, else a phone; the cleaned value as one string."""

    def clean(self, values: Sequence[str]) -> str:
        typed = text.digits(values[0]).strip()
        if re.fullmatch(r"[0-9]{4}", typed):
            return typed
        if "@" in typed:
            return Mail().clean([typed])
        return Phone().clean([typed])


def read(shape: type[F], form: Form) -> F | Bad:
    """Read `shape`, a dataclass whose fields are `Annotated[type, kind]`, out of a form.

    A field without a default must be filled in; a blank one with a default keeps it. All faults come at once.
    """
    kinds = _kinds(shape)
    values: dict[str, Any] = {}
    errors: dict[str, str] = {}
    for field in dataclasses.fields(shape):  # type: ignore[arg-type]
        typed = [one for one in form.getall(field.name, []) if isinstance(one, str) and one.strip()]
        if not typed:
            if field.default is dataclasses.MISSING:
                errors[field.name] = "empty"
            continue
        try:
            values[field.name] = kinds[field.name].clean(typed)
        except Wrong as wrong:
            errors[field.name] = wrong.word
    return Bad(errors, echo(shape, form)) if errors else shape(**values)


def echo(shape: type[Any], form: Form) -> dict[str, str]:
    """What was typed, by field, so that a page can show it again; passwords are not given back."""
    kinds = _kinds(shape)
    shown = (name for name in kinds if not isinstance(kinds[name], Secret))
    return {name: str(next(iter(form.getall(name, [""])), "")) for name in shown}


def _kinds(shape: type[Any]) -> dict[str, Kind]:
    hints = get_type_hints(shape, include_extras=True)
    return {name: hint.__metadata__[0] for name, hint in hints.items()}


def _sized(value: str, short: int, long: int) -> str:
    if not value:
        raise Wrong("empty")
    if len(value) < short:
        raise Wrong("short")
    if len(value) > long:
        raise Wrong("long")
    return value


def _domain(typed: str) -> str:
    try:
        domain = typed.encode("idna").decode("ascii").lower()
    except UnicodeError as fault:
        raise Wrong("shape") from fault
    labels = domain.split(".")
    if len(labels) < 2 or not all(map(LABEL.fullmatch, labels)):
        raise Wrong("shape")
    return domain
