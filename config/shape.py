"""Frozen dataclasses read from TOML tables: types, ranges, unknown and missing fields, each fault with file and line.

A field's type is `str int float bool`, a StrEnum, a Literal, `date`, another dataclass, `X | None`, `tuple[X, ...]` or
`Mapping[str, X]`; `Annotated[X, Range(1, 65535)]` narrows it. A field without default must be given.
The key in the file is the field's name, or its `metadata["key"]`.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import types
import typing
import zoneinfo
from collections.abc import Mapping, Sequence
from datetime import date
from enum import StrEnum
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from config.faults import Fault, Faults
from config.positions import Where

T = TypeVar("T")


class Bad(Exception):
    """What a narrowing (Range, Match, any callable in Annotated) raises: word and remedy."""

    def __init__(self, word: str, remedy: str) -> None:
        super().__init__(remedy)
        self.word = word
        self.remedy = remedy


@dataclasses.dataclass(frozen=True, slots=True)
class Range:
    """A number from `low` to `high`; a text or list of that many letters or entries. None: no bound."""

    low: float | None = None
    high: float | None = None

    def __call__(self, value: Any) -> None:
        """Raise Bad outside."""
        size = value if isinstance(value, int | float) else len(value)
        if (self.low is not None and size < self.low) or (self.high is not None and size > self.high):
            what = "a number" if isinstance(value, int | float) else "a length"
            raise Bad("out-of-range", f"give {what} {self}, not {size}")

    def __str__(self) -> str:
        if self.high is None:
            return f"of at least {self.low}"
        return f"up to {self.high}" if self.low is None else f"from {self.low} to {self.high}"


@dataclasses.dataclass(frozen=True, slots=True)
class Match:
    """A text that a pattern matches whole; `what` says in words what is wanted."""

    pattern: str
    what: str

    def __call__(self, value: str) -> None:
        """Raise Bad when it does not."""
        if not re.fullmatch(self.pattern, value):
            raise Bad("bad-value", f"give {self.what}, not {value!r}")


def known_zone(value: str) -> None:
    """Raise Bad for what is no time zone."""
    try:
        zoneinfo.ZoneInfo(value)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise Bad("bad-value", f"give a time zone like Asia/Tehran, not {value!r}") from None


Zone = Annotated[str, known_zone]
Slug = Annotated[str, Match(r"[a-z0-9-]{2,40}", "2 to 40 of a-z, 0-9 and -")]
Port = Annotated[int, Range(0, 65535)]


def read(cls: type[T], table: Any, where: Where) -> T:
    """An instance of the dataclass `cls` from `table`, which stands at `where`. Raises Faults with every fault."""
    faults: list[Fault] = []
    made = gather(cls, table, where, faults)
    if faults or made is None:
        raise Faults(faults)
    return made


def gather(cls: type[T], table: Any, where: Where, faults: list[Fault]) -> T | None:
    """Like `read`, but faults go to the list; None where there was one."""
    before = len(faults)
    made = _record(cls, table, where, faults)
    return made if len(faults) == before else None


def read_each(cls: type[T], tables: Any, where: Where, named: str | None = None) -> dict[str, T]:
    """One instance per table of tables, by key; `named`: the field that is given the key. Raises Faults."""
    faults: list[Fault] = []
    found = gather_each(cls, tables, where, faults, named)
    if faults:
        raise Faults(faults)
    return found


def gather_each(cls: type[T], tables: Any, where: Where, faults: list[Fault], named: str | None = None) -> dict[str, T]:
    """Like `read_each`, but faults go to the list and what is faulty is left out."""
    if not isinstance(tables, Mapping):
        faults.append(where.fault("not-a-table", f"{where.name} must be tables [{where.name}.NAME]"))
        return {}
    found: dict[str, T] = {}
    for key, table in tables.items():
        if named and isinstance(table, Mapping):
            if named in table:
                faults.append(
                    (where / key / named).fault("unknown-key", f"the table's name is the {named}; take it out")
                )
                continue
            table = {**table, named: key}
        made = gather(cls, table, where / key, faults)
        if made is not None:
            found[key] = made
    return found


def keys(cls: type) -> list[str]:
    """The keys a table of this shape may have, in order."""
    return [_key(f) for f in dataclasses.fields(cls)]


def _record(cls: Any, table: Any, where: Where, faults: list[Fault]) -> Any:
    if not isinstance(table, Mapping):
        faults.append(where.fault("not-a-table", f"{where.name} must be a table ([…] or {{…}}), not {_what(table)}"))
        return None
    hints = typing.get_type_hints(cls, include_extras=True)
    fields = [f for f in dataclasses.fields(cls) if f.init]
    known = {_key(f) for f in fields}
    for key in table:
        if key not in known:
            faults.append((where / key).fault("unknown-key", f"{key!r} means nothing here; {_nearest(key, known)}"))
    values = {}
    before = len(faults)
    for f in fields:
        key = _key(f)
        if key in table:
            values[f.name] = _value(hints[f.name], table[key], where / key, faults)
        elif f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING:
            name = (where / key).name
            faults.append(where.fault("missing-key", f"{name} is missing; add {key} = …"))
    return cls(**values) if len(faults) == before else None


def _value(kind: Any, value: Any, where: Where, faults: list[Fault]) -> Any:
    origin = get_origin(kind)
    if origin is Annotated:
        return _narrowed(kind, value, where, faults)
    if origin in (Union, types.UnionType):
        return _either(get_args(kind), value, where, faults)
    if origin is Literal:
        return _listed(get_args(kind), value, where, faults)
    if origin in (tuple, list, Sequence, frozenset):
        return _many(origin, get_args(kind)[0], value, where, faults)
    if origin in (dict, Mapping):
        return _mapping(get_args(kind)[1], value, where, faults)
    if dataclasses.is_dataclass(kind):
        return _record(kind, value, where, faults)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        found = _listed(tuple(map(str, kind)), value, where, faults)
        return None if found is None else kind(found)
    return _plain(kind, value, where, faults)


def _narrowed(kind: Any, value: Any, where: Where, faults: list[Fault]) -> Any:
    inner, *narrowings = get_args(kind)
    before = len(faults)
    made = _value(inner, value, where, faults)
    for narrowing in narrowings:
        if len(faults) == before and callable(narrowing):
            try:
                narrowing(made)
            except Bad as bad:
                faults.append(where.fault(bad.word, f"{where.name}: {bad.remedy}"))
    return made


def _either(kinds: tuple[Any, ...], value: Any, where: Where, faults: list[Fault]) -> Any:
    others = [kind for kind in kinds if kind is not type(None)]
    tried: list[Fault] = []
    for kind in others:
        tried = []
        made = _value(kind, value, where, tried)
        if not tried:
            return made
    faults.extend(tried)
    return None


def _listed(choices: tuple[Any, ...], value: Any, where: Where, faults: list[Fault]) -> Any:
    if value in choices and type(value) in {type(c) for c in choices}:
        return value
    told = ", ".join(map(repr, choices))
    faults.append(where.fault("bad-value", f"{where.name} must be one of {told}, not {value!r}"))
    return None


def _many(origin: Any, kind: Any, value: Any, where: Where, faults: list[Fault]) -> Any:
    if not isinstance(value, list):
        faults.append(where.fault("bad-type", f"{where.name} must be a list [ … ], not {_what(value)}"))
        return None
    made = [_value(kind, one, where / n, faults) for n, one in enumerate(value)]
    return frozenset(made) if origin is frozenset else made if origin is list else tuple(made)


def _mapping(kind: Any, value: Any, where: Where, faults: list[Fault]) -> Any:
    if not isinstance(value, Mapping):
        faults.append(where.fault("not-a-table", f"{where.name} must be a table, not {_what(value)}"))
        return None
    return {key: _value(kind, one, where / key, faults) for key, one in value.items()}


def _plain(kind: Any, value: Any, where: Where, faults: list[Fault]) -> Any:
    if kind is Any:
        return value
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is kind:
        return value
    faults.append(where.fault("bad-type", f"{where.name} must be {_NAMES.get(kind, kind)}, not {_what(value)}"))
    return None


def _key(f: dataclasses.Field[Any]) -> str:
    return str(f.metadata.get("key", f.name))


def _what(value: Any) -> str:
    return _NAMES.get(type(value), type(value).__name__)


def _nearest(key: str, known: set[str]) -> str:
    close = difflib.get_close_matches(key, known, 1)
    return f"did you mean {close[0]!r}?" if close else f"known are {', '.join(sorted(known))}"


_NAMES: Mapping[Any, str] = {
    str: 'a text in "…"',
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "a table",
    date: "a date like 2026-11-24",
}
