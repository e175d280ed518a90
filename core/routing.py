"""Which unit a message goes to: rules as data, the first that fits wins, and says why. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import msgspec

from core import text as persian
from core.channels import Inbound
from core.model import Kind

PLAIN = ("channel", "to", "kind", "service", "unit", "area", "lang", "sender")
WORDS = ("words.any", "words.all", "words.none")


class Facts(msgspec.Struct, frozen=True):  # made ten times as fast as a frozen dataclass, for every message
    """What rules look at. `to`: our addresses the message came to; `hints`: what a menu or form has asked."""

    channel: str
    text: str = ""
    to: Sequence[str] = ()
    kind: str | None = None
    service: str | None = None
    unit: str | None = None
    area: str | None = None
    lang: str = "fa"
    sender: str | None = None
    hints: Mapping[str, str] = msgspec.field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Then:
    """What a rule does; all may be missing but one."""

    unit: str | None = None
    kind: Kind | None = None
    service: str | None = None
    urgent: bool = False
    hold: bool = False
    tags: tuple[str, ...] = ()
    due: str | None = None  #: budget as `core.calendar.due` reads it


NOTHING = Then()


@dataclass(frozen=True, slots=True)
class Rule:
    """`when`: key to values, each folded; a key fits when one of its values does, the rule when all its keys do."""

    name: str
    when: Mapping[str, tuple[str, ...]]
    then: Then
    file: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class Rules:
    """All rules in order, and what stands behind them."""

    items: tuple[Rule, ...]
    secretariat: str  #: slug of the unit for what fits nothing
    services: Mapping[str, str] = field(default_factory=dict)  #: service slug → slug of the unit that gives it
    addresses: Mapping[str, str] = field(default_factory=dict)  #: extension or mail address → slug
    needed: tuple[tuple[str, ...], ...] = field(init=False, repr=False, compare=False)
    #: for each rule, what one of must stand in a text, or it need not be looked at; empty: any text will do

    def __post_init__(self) -> None:
        object.__setattr__(self, "needed", tuple(_needed(rule) for rule in self.items))


class Route(msgspec.Struct, frozen=True):
    """Where to, and why: stored with the ticket and shown. `rule`: its name, or `(chosen)` `(service)` `(address)`
    `(none)` where no rule gave the unit."""

    unit: str
    rule: str
    matched: Mapping[str, str] = msgspec.field(default_factory=dict)  #: key → the value that fitted
    kind: Kind | None = None
    service: str | None = None
    urgent: bool = False
    hold: bool = False
    tags: tuple[str, ...] = ()
    due: str | None = None


def facts_of(message: Inbound, area: str | None = None) -> Facts:
    """What rules may see of a message."""
    hints = {str(k): str(v) for k, v in message.facts.items() if isinstance(v, str | int)} if message.facts else {}
    return Facts(
        channel=message.channel,
        text=f"{message.subject}\n{message.text}" if message.subject else message.text,
        to=tuple(message.to),
        kind=message.kind,
        service=message.service,
        unit=message.unit,
        area=area,
        lang=message.lang,
        sender=message.contact.value if message.contact else None,
        hints=hints,
    )


def route(facts: Facts, rules: Rules) -> Route:
    """The unit for a message and what its rule adds.

    The first rule that fits adds its kind, marks and budget; the unit is the citizen's own choice, else the chosen
    service's, else the rule's, else the one written to by its own address, else the secretariat.
    """
    haystack = _Haystack(facts.text)
    rule: Rule | None = None
    matched: dict[str, str] = {}
    for candidate in haystack.candidates(rules):
        found = _fits(candidate, facts, haystack)
        if found is not None:
            rule, matched = candidate, found
            break
    then = rule.then if rule else NOTHING
    service = facts.service or then.service
    unit, why = _unit(facts, then, rule, service, rules)
    return Route(unit, why, matched, then.kind, service, then.urgent, then.hold, then.tags, then.due)


def covers(first: Rule, second: Rule) -> bool:
    """Does `first` take everything `second` would, so that `second` behind it is never reached?"""
    return all(_covered(key, set(values), second.when) for key, values in first.when.items())


def folded(key: str, value: str) -> str:
    """A value as it is compared: words folded, a trailing `*` kept."""
    star = "*" if value.endswith("*") else ""
    bare = value.removesuffix("*")
    return (" ".join(persian.words(bare)) if key in WORDS else persian.digits(bare).strip().lower()) + star


class _Haystack:
    """The words of a text, folded once, with compounds both joined and cut."""

    def __init__(self, text: str) -> None:
        joined, cut = persian.readings(text)
        self._lines = f" {' '.join(joined)} " if joined is cut else f" {' '.join(joined)} \n {' '.join(cut)} "

    def candidates(self, rules: Rules) -> Iterator[Rule]:
        """The rules whose words, or one of them, stand here, and those that need none. Every message meets every rule
        in these two loops: calls in them, or any(), would take half as long again."""
        lines = self._lines
        for rule, needed in zip(rules.items, rules.needed, strict=True):
            for one in needed:
                if one in lines:
                    yield rule
                    break
            else:
                if not needed:
                    yield rule

    def held(self, values: tuple[str, ...]) -> list[str]:
        """Those of `values` that stand here."""
        lines = self._lines
        return [value for value, wanted in _wanted(values) if wanted in lines]


@lru_cache(4096)
def _wanted(values: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Each phrase, and what to look for between blanks."""
    return tuple((one, f" {one[:-1]}" if one.endswith("*") else f" {one} ") for one in values)


def _needed(rule: Rule) -> tuple[str, ...]:
    values = rule.when.get("words.any", ()) or rule.when.get("words.all", ())[:1]
    return tuple(wanted for _, wanted in _wanted(values))


def _fits(rule: Rule, facts: Facts, text: _Haystack) -> dict[str, str] | None:
    matched: dict[str, str] = {}
    for key, values in rule.when.items():
        found = _match(key, values, facts, text)
        if found is None:
            return None
        matched[key] = found
    return matched


def _match(key: str, values: tuple[str, ...], facts: Facts, text: _Haystack) -> str | None:
    if key in WORDS:
        held = text.held(values)
        if key == "words.none":
            return None if held else ""
        enough = len(held) == len(values) if key == "words.all" else bool(held)
        return "، ".join(held) if enough else None
    present = [folded(key, one) for one in _values(key, facts)]
    return next((value for value in values for one in present if _same(value, one)), None)


def _values(key: str, facts: Facts) -> Iterator[str]:
    if key.startswith("hint."):
        if key[5:] in facts.hints:
            yield facts.hints[key[5:]]
    elif key == "to":
        yield from facts.to
    else:
        value = getattr(facts, key)
        if value is not None:
            yield str(value)


def _same(value: str, one: str) -> bool:
    return one.startswith(value[:-1]) if value.endswith("*") else one == value


def _unit(facts: Facts, then: Then, rule: Rule | None, service: str | None, rules: Rules) -> tuple[str, str]:
    if facts.unit:
        return facts.unit, "(chosen)"
    if facts.service and facts.service in rules.services:
        return rules.services[facts.service], "(service)"
    if rule and then.unit:
        return then.unit, rule.name
    if rule and service and service in rules.services:
        return rules.services[service], rule.name
    for address in facts.to:
        if address.lower() in rules.addresses:
            return rules.addresses[address.lower()], "(address)"
    return rules.secretariat, rule.name if rule else "(none)"


def _covered(key: str, values: set[str], when: Mapping[str, tuple[str, ...]]) -> bool:
    others = set(when.get(key, ()))
    if key == "words.none":
        return values <= others
    if key == "words.all":
        return all(any(_wider(v, o) for o in others) for v in values)
    return bool(others) and all(any(_wider(v, o) for v in values) for o in others)


def _wider(value: str, other: str) -> bool:
    return other.startswith(value[:-1]) if value.endswith("*") else value == other
