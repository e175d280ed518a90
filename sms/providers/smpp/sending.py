"""Texts on their way out: parts in lanes, tries, and what a text comes to when all its parts are answered. Pure.

A text is accepted when each part is, refused by the first part that is, in doubt by the first part that may have gone.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

from core.model import Purpose
from sms.providers.base import Ambiguous, Outcome, ProviderDown, ProviderError, Rejected, Text, Throttled
from sms.providers.base import Doubt as InDoubt
from sms.providers.smpp import status
from sms.providers.smpp.longtext import Piece
from sms.providers.smpp.status import Kind

TRIES = 3  # of a part that a status asks to try again
PAUSE = 1.0  # seconds between them
UNBOUND = 3.0  # seconds a text waits while nothing is bound
QUEUED = 30.0  # seconds a text waits for its turn
LANES: Mapping[str, int] = {Purpose.OTP: 0, Purpose.RECEIPT: 1, Purpose.STATE: 1, Purpose.ANSWER: 2}
BULK = 3  # notices and surveys: at most half of the window


@dataclass(slots=True, eq=False)
class Sending:
    """One text."""

    text: Text
    pieces: Sequence[Piece]
    since: float
    done: Callable[[Sending, Outcome | None], None]  #: None: every part has its id
    ids: list[str] = field(default_factory=list)
    left: int = 0
    lane: int = BULK  #: 0 goes first
    over: bool = False
    begun: bool = False  #: a part of it is on its way, or was

    def __post_init__(self) -> None:
        self.ids = [""] * len(self.pieces)
        self.left = len(self.pieces)
        self.lane = LANES.get(self.text.purpose, BULK)

    def accepted(self, index: int, id_: str) -> None:
        """A part has its id."""
        self.ids[index] = id_
        self.left -= 1
        if not self.left:
            self._end(None)

    def refused(self, error: ProviderError) -> None:
        """Certainly not sent as a whole."""
        self._end(Rejected(error))

    def doubted(self, why: str) -> None:
        """A part may have gone."""
        self._end(InDoubt(Ambiguous(why)))

    def _end(self, outcome: Outcome | None) -> None:
        if not self.over:
            self.over = True
            self.done(self, outcome)


@dataclass(slots=True, eq=False)
class Job:
    """One part of it."""

    sending: Sending
    index: int
    tries: int = 0
    free_at: float = 0.0

    @property
    def piece(self) -> Piece:
        return self.sending.pieces[self.index]


class Queue:
    """Parts that wait for their turn: by lane, then in order."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Job]] = []
        self._later: list[tuple[float, int, Job]] = []
        self._number = count()

    def __len__(self) -> int:
        return len(self._heap) + len(self._later)

    def put(self, sending: Sending) -> None:
        """All parts of a text."""
        for index in range(len(sending.pieces)):
            self.back(Job(sending, index))

    def back(self, job: Job) -> None:
        """A part again, at the end of its lane."""
        heapq.heappush(self._heap, (job.sending.lane, next(self._number), job))

    def later(self, job: Job, at: float) -> None:
        """A part again, not before `at`."""
        heapq.heappush(self._later, (at, next(self._number), job))

    def next(self, now: float, bulk: bool) -> Job | None:
        """The next part; with `bulk` False none of a notice or survey. Parts of texts that are over are left out."""
        while self._later and self._later[0][0] <= now:
            self.back(heapq.heappop(self._later)[2])
        while self._heap and self._heap[0][2].sending.over:
            heapq.heappop(self._heap)
        if not self._heap or (self._heap[0][0] == BULK and not bulk):
            return None
        return heapq.heappop(self._heap)[2]

    def overdue(self, now: float, bound: bool) -> Iterator[Sending]:
        """Texts that have waited long enough for a turn."""
        most = QUEUED if bound else UNBOUND
        seen = {job.sending for _, _, job in (*self._heap, *self._later)}
        yield from (sending for sending in seen if not sending.over and sending.since <= now - most)

    def empty(self) -> Sequence[Sending]:
        """Give up all that wait."""
        seen = {job.sending for _, _, job in (*self._heap, *self._later)}
        self._heap, self._later = [], []
        return [sending for sending in seen if not sending.over]


def late(bound: bool) -> ProviderError:
    """Why a text that waited too long was not sent."""
    return Throttled("no turn in time", "", 5.0) if bound else ProviderDown("not bound", "", 5.0)


def again(job: Job, told: int, kinds: dict[int, Kind], now: float, queue: Queue) -> bool:
    """Put a part back where its status asks for that; False when its text is refused."""
    kind = status.kind(told, kinds)
    if kind is Kind.SLOW:
        queue.later(job, now + PAUSE)
        return True
    job.tries += 1
    if kind is Kind.AGAIN and job.tries < TRIES:
        queue.later(job, now + PAUSE)
        return True
    return False
