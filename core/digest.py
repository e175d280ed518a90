"""Hashing a text without letting go of the interpreter: what takes 10 µs must not wait for another thread's turn."""

from __future__ import annotations

from typing import Protocol

PIECE = 2047  # octets; from 2,048 on hashlib releases the interpreter lock for each update
LONG = 65_536  # octets from which on the lock had better be free


class Digest(Protocol):
    """What hashlib makes."""

    def update(self, data: bytes | memoryview, /) -> None: ...


def feed(digest: Digest, data: bytes | memoryview) -> None:
    """`digest.update(data)`."""
    if len(data) <= PIECE or len(data) >= LONG:
        digest.update(data)
        return
    view = memoryview(data)
    for at in range(0, len(data), PIECE):
        digest.update(view[at : at + PIECE])
