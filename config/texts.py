"""Every visible sentence, by key and language: `config/texts/<lang>/<area>.toml`, facts as `{name}`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from config.faults import Fault, Faults
from config.positions import Where, load

_FACT = re.compile(r"\{([a-z0-9_]+)\}")
_NAME = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)*\Z")


class UnknownText(LookupError):
    """A key that no text has, or a fact that was not given: a fault of the program."""


@dataclass(frozen=True, slots=True)
class Texts:
    """The words of all languages; called as `say("core.state.new", "fa")` (core.channels.Say)."""

    words: Mapping[str, Mapping[str, str]]  #: language → key → sentence
    first: str = "fa"  #: the language for those we have no texts in

    def __call__(self, key: str, lang: str, /, **facts: Any) -> str:
        """The sentence with its facts. Raises UnknownText."""
        words = self.words.get(lang) or self.words[self.first]
        try:
            sentence = words[key]
        except KeyError:
            raise UnknownText(f"no text {key!r} in {lang!r}") from None
        try:
            return _FACT.sub(lambda m: str(facts[m[1]]), sentence)
        except KeyError as error:
            raise UnknownText(f"text {key!r} wants the fact {error}") from None

    def has(self, key: str) -> bool:
        """Is there such a text?"""
        return key in self.words[self.first]

    def keys(self) -> frozenset[str]:
        """All keys."""
        return frozenset(self.words[self.first])

    @property
    def langs(self) -> tuple[str, ...]:
        """The languages there are, the first one first."""
        return (self.first, *(lang for lang in self.words if lang != self.first))


def names(sentence: str) -> frozenset[str]:
    """The facts a sentence wants."""
    return frozenset(_FACT.findall(sentence))


def read_texts(folders: list[Path], langs: tuple[str, ...], faults: list[Fault], root: Path | None = None) -> Texts:
    """Texts of `folders` (each `<lang>/<area>.toml`), later ones over earlier ones, key by key. Faults are added:
    `bad-key`, `bad-type`, `missing-text`, `other-names`."""
    found: dict[str, dict[str, tuple[str, Where]]] = {lang: {} for lang in langs}
    for folder in folders:
        for lang in langs:
            for path in sorted((folder / lang).glob("*.toml")):
                found[lang].update(_area(path, faults, root))
    _compare(found, langs, faults)
    return Texts({lang: {key: text for key, (text, _) in words.items()} for lang, words in found.items()}, langs[0])


def _area(path: Path, faults: list[Fault], root: Path | None) -> dict[str, tuple[str, Where]]:
    shown = str(path.relative_to(root)) if root and path.is_relative_to(root) else str(path)
    try:
        document = load(path, shown)
    except Faults as error:
        faults.extend(error.faults)
        return {}
    return {f"{path.stem}.{key}": (text, where) for key, text, where in _flat(document.data, document.at(), "", faults)}


def _flat(table: Mapping[str, Any], where: Where, before: str, faults: list[Fault]) -> Iterator[tuple[str, str, Where]]:
    for key, value in table.items():
        place, name = where / key, before + key
        if isinstance(value, Mapping):
            yield from _flat(value, place, name + ".", faults)
        elif not isinstance(value, str):
            faults.append(place.fault("bad-type", f"{name} must be a text in quotes"))
        elif not _NAME.match(name):
            faults.append(place.fault("bad-key", f"{name!r}: a text's key is of a-z, 0-9, _ and dots"))
        else:
            yield name, value, place


def _compare(found: Mapping[str, Mapping[str, tuple[str, Where]]], langs: tuple[str, ...], faults: list[Fault]) -> None:
    for lang in langs:
        for other in langs:
            for key, (text, where) in found[lang].items():
                if key not in found[other]:
                    faults.append(where.fault("missing-text", f"{key} has no text in {other!r}; add it there"))
                elif lang < other and names(text) != names(found[other][key][0]):
                    odd = ", ".join(sorted(names(text) ^ names(found[other][key][0])))
                    faults.append(where.fault("other-names", f"{key} has other facts in {other!r}: {odd}"))
