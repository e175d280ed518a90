"""The tables `[sms.line.*]` and `[sms.provider.*]` of lines.toml, read and checked against each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from config.faults import Faults
from config.positions import Document, Where
from config.shape import read
from core.channels import Gear, Purpose, Say
from sms import keywords, providers
from sms.providers.base import Provider
from sms.settings import LineSettings

T = TypeVar("T")

LANGS = ("fa", "en")
WORDS = (
    "stop", "start", "help", "confidential", "state", "accept", "object", "yes", "no", "opinion", "clause", "vote",
)  # fmt: skip


def read_all(gear: Gear) -> tuple[dict[str, LineSettings], dict[str, Provider]]:
    """Lines, and the providers they name. Raises config.Faults, LookupError for a provider that is not there."""
    where: Where = gear.extra.get("where") or Where(Document("lines.toml", gear.lines))
    lines = _read_each(LineSettings, gear.lines.get("line", {}), where / "line")
    for name, line in lines.items():
        _check_words(line, where / "line" / name)
    wanted = sorted({each for line in lines.values() for each in (*line.providers, *_via(line))})
    known = gear.lines.get("provider", {})
    missing = [name for name in wanted if name not in known]
    if missing:
        raise LookupError(f"lines.toml names no [sms.provider.{missing[0]}]")
    return lines, {name: providers.make(name, known[name], where / "provider" / name) for name in wanted}


def vocabulary(say: Say, more: Mapping[str, str]) -> keywords.Vocabulary:
    """The words of all languages and those of the line."""
    rows = {word: "|".join(say(f"sms.words.{word}", lang) for lang in LANGS) for word in WORDS}
    return keywords.vocabulary({word: f"{row}|{more.get(word, '')}" for word, row in rows.items()})


def _read_each(cls: type[T], tables: Mapping[str, Any], where: Where) -> dict[str, T]:
    return {name: read(cls, table, where / name) for name, table in tables.items()}


def _via(line: LineSettings) -> list[str]:
    return [each for way in line.via.values() for each in way]


def _check_words(line: LineSettings, where: Where) -> None:
    """Unknown kinds of words and of purposes are faults: nobody would ever match them."""
    purposes = tuple(each.value for each in Purpose)
    faults = [
        (where / table / key).fault("unknown-key", f"one of {', '.join(known)}")
        for table, keys, known in (("words", line.words, WORDS), ("via", line.via, purposes))
        for key in keys
        if key not in known
    ]
    if faults:
        raise Faults(faults)
