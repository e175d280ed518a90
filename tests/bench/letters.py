"""How fast letters are read in a worker, beside the standard library's own reading of the same letters."""

from __future__ import annotations

import email
import statistics
import time
from collections.abc import Callable, Sequence
from email import policy
from email.message import EmailMessage

from gateway.mail import marks, worker
from tests.bench import stall
from tests.bench.size import Size, say
from tests.bench.table import Figure
from tests.gateway.mail.persian import letters
from tests.gateway.mail.test_hostile import HOSTILE

ROUNDS = 5
OURS = ("لطفاً پاسخ خود را بالای این خط بنویسید",)


def ours(raw: bytes) -> None:
    """All a worker does: fields, charsets, text, quotes, HTML, files."""
    job = worker.Job(raw, "cp1256", OURS)
    worker.second(worker.first(job), job)


def stdlib(raw: bytes) -> None:
    """As much as the standard library knows of it: structure, the usual fields, bodies, files."""
    letter = email.message_from_bytes(raw, policy=policy.default)
    assert isinstance(letter, EmailMessage)
    for name in ("From", "To", "Subject", "Message-ID", "In-Reply-To", "References"):
        str(letter[name])
    for part in letter.walk():
        if not part.is_multipart():
            part.get_filename()
            part.get_payload(decode=True)


def seconds(read: Callable[[bytes], None], every: Sequence[bytes]) -> float:
    begun = time.process_time()
    for raw in every:
        read(raw)
    return time.process_time() - begun


def figures(size: Size) -> list[Figure]:
    """Three rows: reading Persian letters, the slowest hostile one, and the one that holds up the loop the longest."""
    rounds = size.rounds(ROUNDS)
    every = [case.raw for case in letters()][: size.of(None, 20)]
    marks.read()
    seconds(ours, every[:50])
    seconds(stdlib, every[:50])
    pairs = [(seconds(stdlib, every), seconds(ours, every)) for _ in range(rounds)]
    ratio = statistics.median(theirs / mine for theirs, mine in pairs)
    rate = len(every) / statistics.median(mine for _, mine in pairs)
    say(f"letters: {rounds} rounds, now the hostile ones")
    hostile = list(HOSTILE.items())[: size.of(None, 3)]
    slowest = max((seconds(ours, [raw]), name) for name, raw in hostile)
    return [
        Figure(
            "letters read by a worker ÷ the standard library's own parsing", f"{ratio:.2f}", "≥ 0.5",
            f"{len(every)} Persian letters, {rounds} rounds, {rate:,.0f}/s of CPU; quotes and HTML read too",
        ),
        Figure("the slowest of the hostile letters", f"{slowest[0]:.2f} s of CPU", "≤ 2 s", slowest[1]),
        *stall.figures(size),
    ]  # fmt: skip
