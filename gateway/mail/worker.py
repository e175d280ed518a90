"""The parser worker, a child process: letters in by stdin, what they say out by stdout. It dies with its parent.

A frame is four octets of length, msgpack of a value and of the sizes of what follows as it is: the letter, or its
files. So nothing big is copied to be packed. Each letter is answered twice: headers, text and files; then what only its
HTML says. Losing the second keeps the first.
"""

from __future__ import annotations

import ctypes
import dataclasses
import os
import resource
import signal
import struct
import sys
from collections.abc import Sequence
from typing import BinaryIO

import msgspec

from gateway.mail import automail, html, marks, mime, quote
from gateway.mail.mime import Mail

CPU = 2  # seconds a letter
MEMORY = 1 << 30  # octets of address space
BIG = 1 << 20  # octets of a letter after which memory is given back at once
PR_SET_PDEATHSIG = 1
M_MMAP_THRESHOLD = -3


class Job(msgspec.Struct, frozen=True):
    """One letter to read. `ours` are our own first lines, in every language; `null`: no sender on its envelope."""

    raw: bytes
    charset: str
    ours: tuple[str, ...] = ()
    null: bool = False


class Words(msgspec.Struct, frozen=True):
    """The second answer: None where HTML had nothing to add."""

    text: str = ""
    new: str = ""
    quoted: str = ""
    defect: str = ""
    echo: bool = False


def first(job: Job) -> Mail:
    """Headers, text and files; quotes folded where there is plain text."""
    mail = mime.parse(job.raw, default=job.charset, null=job.null)
    if not mail.text.strip():
        words = html.crude(mail.html)[:65_536]
        echo = automail.echoes(mail.subject, words, job.ours)
        return dataclasses.replace(mail, text="", new=words or mail.new, echo=echo)
    split = quote.split(mail.text, "", marks.read(), job.ours, quote.forwarded(mail.subject, marks.read()))
    echo = automail.echoes(mail.subject, mail.text, job.ours)
    return dataclasses.replace(mail, new=split.new, quoted=split.quoted, echo=echo)


def second(mail: Mail, job: Job) -> Words:
    """What the HTML says, only where there is no plain text."""
    if mail.text.strip() or not mail.html.strip():
        return Words()
    if html.too_deep(mail.html):
        return Words(defect="html_unread")
    found = html.words(mail.html)
    whole = quote.forwarded(mail.subject, marks.read())
    split = quote.split(found.new or found.quoted, found.quoted if found.new else "", marks.read(), job.ours, whole)
    text = f"{found.new}\n{found.quoted}".strip()[:65_536]
    echo = automail.echoes(mail.subject, text, job.ours)
    return Words(text, split.new[:65_536], split.quoted[:65_536], echo=echo)


def send(out: BinaryIO, value: object, tails: Sequence[bytes] = ()) -> None:
    out.write(packed(value, tails))
    for tail in tails:
        out.write(tail)
    out.flush()


def packed(value: object, tails: Sequence[bytes] = ()) -> bytes:
    """The beginning of a frame; `tails` follow it."""
    data = msgspec.msgpack.encode((value, [len(tail) for tail in tails]))
    return struct.pack("!I", len(data)) + data


def receive(into: BinaryIO) -> Job | None:
    """A letter to read; None when the parent is gone."""
    head = into.read(4)
    if len(head) < 4:
        return None
    data = into.read(struct.unpack("!I", head)[0])
    job, (size,) = msgspec.msgpack.decode(data, type=tuple[Job, tuple[int]])
    raw = into.read(size)
    return msgspec.structs.replace(job, raw=raw) if len(raw) == size else None


def without_data(mail: Mail) -> Mail:
    """What goes packed: not the HTML, which the second answer is made of, nor the files, which follow."""
    return dataclasses.replace(mail, html="", files=tuple(dataclasses.replace(file, data=b"") for file in mail.files))


def fence(parent: int) -> None:
    """Die with the parent, bounded in memory, without a core file; Ctrl-C is the parent's affair."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    libc.mallopt(M_MMAP_THRESHOLD, 1 << 18)  # what is big goes back when it is let go, not into the heap
    if os.getppid() != parent:
        sys.exit(0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def more_time() -> None:
    """CPU seconds are counted for the life of a process, so each letter moves the limit ahead."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + 1 + CPU, hard))


def serve(into: BinaryIO, out: BinaryIO) -> None:
    while (job := receive(into)) is not None:
        more_time()
        one(job, out)
        if len(job.raw) > BIG:
            del job
            ctypes.CDLL(None).malloc_trim(0)


def one(job: Job, out: BinaryIO) -> None:
    """Answer twice."""
    mail = first(job)
    send(out, without_data(mail), [file.data for file in mail.files])
    mail = dataclasses.replace(mail, files=())
    try:
        words = second(mail, job)
    except (MemoryError, RecursionError):
        words = Words(defect="html_unread")
    send(out, words)


if __name__ == "__main__":
    fence(int(sys.argv[1]))
    marks.read()
    serve(sys.stdin.buffer, sys.stdout.buffer)
