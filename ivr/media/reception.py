"""What came of each call's stream: packets, losses and jitter as RFC 3550 counts them (A.1, A.3, A.8). Pure.

All calls at once: a table of one row a call, and packets as columns. A batch may hold several packets of one call;
they are counted one after the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

RATE = 8000  # timestamp units a second
DROPOUT = 3000  # a sequence number further ahead than this is a new beginning, not that many losses (A.1)
MISORDER = 100  # and one further back than this
JUMP = 10.0  # seconds between two packets' clocks beyond which their distance is no jitter

TALLY = np.dtype([
    ("begun", "?"), ("timed", "?"),
    ("base", "u2"), ("top", "u2"), ("cycles", "u4"), ("now", "u4"),  # of the present numbering
    ("received", "u4"), ("lost", "i8"), ("gone", "i8"),  # gone: lost in earlier numberings
    ("jitter", "f8"), ("stamp", "u4"), ("at", "f8"),  # seconds, timestamp units of the last packet
    ("told", "u4"), ("told_lost", "i8"),  # at the last report
])  # fmt: skip


@dataclass(frozen=True, slots=True)
class Quality:
    """How well a caller was heard, and how well they say they heard us."""

    received: int = 0  #: packets
    lost: int = 0
    jitter_ms: float = 0.0
    far_lost: int | None = None  #: by their last report (RTCP)
    far_jitter_ms: float | None = None


def count(tally: npt.NDArray[Any], slots: Any, heads: npt.NDArray[Any], at: Any, sound: Any) -> None:
    """Enter packets into `tally`. `slots`, `heads`, `at` (s) and `sound` (audio: counts for jitter) a row each."""
    for now in by_rank(slots):
        _once(tally, slots[now], heads["seq"][now], heads["ts"][now], at[now], sound[now])


def by_rank(slots: Any) -> Iterator[Any]:
    """Indices in rounds in which no slot occurs twice, each slot's in order."""
    order = np.argsort(slots, kind="stable")
    ordered = slots[order]
    first = np.r_[True, ordered[1:] != ordered[:-1]] if len(ordered) else np.zeros(0, bool)
    rank = np.arange(len(ordered)) - np.flatnonzero(first)[np.cumsum(first) - 1]
    for turn in range(int(rank.max(initial=-1)) + 1):
        yield order[rank == turn]


def quality(row: Any) -> Quality:
    """A row of the table in words."""
    return Quality(int(row["received"]), max(0, int(row["lost"])), round(float(row["jitter"]) * 1000 / RATE, 2))


def extended(row: Any) -> int:
    """The highest sequence number with its cycles, for reports."""
    return (int(row["cycles"]) << 16 | int(row["top"])) & 0xFFFFFFFF


def _once(tally: Any, slots: Any, seq: Any, stamp: Any, at: Any, sound: Any) -> None:
    rows = tally[slots]
    seq = seq.astype(np.uint16)
    ahead = (seq - rows["top"]).astype(np.uint16)
    fresh = ~rows["begun"] | ((ahead >= DROPOUT) & (ahead <= 0x10000 - MISORDER))
    forward = ~fresh & (ahead < DROPOUT)
    rows["gone"] = np.where(fresh, rows["lost"], rows["gone"])
    rows["cycles"] = np.where(fresh, 0, rows["cycles"] + (forward & (seq < rows["top"])))
    rows["base"] = np.where(fresh, seq, rows["base"])
    rows["top"] = np.where(fresh | forward, seq, rows["top"])
    rows["now"] = np.where(fresh, 1, rows["now"] + 1)
    rows["received"] += 1
    expected = (rows["cycles"].astype(np.int64) << 16) + rows["top"].astype(np.int64) - rows["base"] + 1
    rows["lost"] = rows["gone"] + expected - rows["now"]
    _jitter(rows, fresh, stamp.astype(np.uint32), at, sound)
    rows["begun"] = True
    tally[slots] = rows


def _jitter(rows: Any, fresh: Any, stamp: Any, at: Any, sound: Any) -> None:
    """J += (|D| - J) / 16, D the difference between the packets' distance here and there."""
    apart = (at - rows["at"]) * RATE - (stamp - rows["stamp"]).astype(np.int32)
    counts = sound & rows["timed"] & ~fresh & (np.abs(apart) < JUMP * RATE)
    rows["jitter"] += np.where(counts, (np.abs(apart) - rows["jitter"]) / 16, 0)
    rows["stamp"], rows["at"] = np.where(sound, stamp, rows["stamp"]), np.where(sound, at, rows["at"])
    rows["timed"] = rows["timed"] | sound
