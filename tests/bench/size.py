"""How much of a benchmark is run, and what it says while it runs."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")
BEGUN = time.monotonic()


@dataclass(frozen=True, slots=True)
class Size:
    """`tiny`: only to see that everything runs, its figures mean nothing; `asked`: rounds, instead of the section's."""

    tiny: bool = False
    asked: int | None = None

    def of(self, usual: T, tiny: T) -> T:
        """What a tiny run has less of."""
        return tiny if self.tiny else usual

    def rounds(self, usual: int) -> int:
        """How often each pair is measured."""
        return 1 if self.tiny else self.asked or usual


def say(sentence: str) -> None:
    """One line of progress, with the seconds since the section began."""
    print(f"{time.monotonic() - BEGUN:6.0f} s  {sentence}", file=sys.stderr, flush=True)
