"""Texts that were handed to the peer and whose fate is not known yet: late answers and receipts find them. Pure.

A receipt names a text by an id that only its answer told. Where that answer never came (a kill -9, a lost connection,
ten seconds of silence) it is found by our own reference, if the peer repeats it (user_message_reference, SMPP v3.4
s 5.3.2.17), else by its number, if one text alone to that number is in doubt.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from core.channels import DeliveryState

KEPT = 72 * 3600 * 1000  # ms a try is remembered
MOST = 50_000  # tries remembered; the oldest goes first
REFERENCE = 0xFFFF  #: bits of a key that are the reference a text goes with


@dataclass(slots=True)
class Try:
    """One text. `live`: its answer may still come, so its receipts wait for that."""

    key: int
    mark: str
    parts: int
    at: int
    live: bool = True
    states: dict[str, DeliveryState | None] = field(default_factory=dict)  #: by the ids known of it

    @property
    def whole(self) -> bool:
        """Is an id known of every part?"""
        return len(self.states) >= self.parts


class Tries:
    """All of them, by key and by the mark of their number."""

    def __init__(self) -> None:
        self._tries: OrderedDict[int, Try] = OrderedDict()
        self._marks: dict[str, list[Try]] = {}

    def __len__(self) -> int:
        return len(self._tries)

    def get(self, key: int) -> Try | None:
        return self._tries.get(key)

    def begin(self, one: Try) -> None:
        """It is about to leave."""
        self.over(one.key)
        self._tries[one.key] = one
        self._marks.setdefault(one.mark, []).append(one)
        while len(self._tries) > MOST or next(iter(self._tries.values())).at < one.at - KEPT:
            self.over(next(iter(self._tries)))

    def over(self, key: int) -> bool:
        """Its fate is known. Was it not?"""
        one = self._tries.pop(key, None)
        if one is None:
            return False
        self._marks[one.mark] = [other for other in self._marks[one.mark] if other is not one]
        if not self._marks[one.mark]:
            del self._marks[one.mark]
        return True

    def whose(self, id_: str, mark: str, reference: int | None) -> Try | None:
        """The text in doubt that a receipt with an unknown id is about; None where that cannot be told."""
        mine = self._marks.get(mark, [])
        known = next((one for one in mine if id_ in one.states), None)
        if known is not None:
            return known
        if reference is not None:
            mine = [one for one in mine if one.key & REFERENCE == reference]
        if len(mine) != 1 or mine[0].live or mine[0].whole:
            return None
        return mine[0]
