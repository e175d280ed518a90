"""What is wrong with a setting: file, line, word and the remedy. Faults are gathered, so that all are told at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One fault. `word` is stable (`unknown-unit`), `remedy` a sentence that names the thing and what to do."""

    file: str
    line: int  #: from 1; 0 where the file itself is the fault
    word: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.word}: {self.remedy}"


class Faults(Exception):
    """The configuration cannot be used. `faults` are in file and line order."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = sorted(set(faults))
        super().__init__("\n".join(map(str, self.faults)))
