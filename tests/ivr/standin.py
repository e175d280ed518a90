"""A stand-in for speech and transcription models, on the very pipe: `python -m tests.ivr.standin MODE PATH`.

MODE: say, hear, silent (never answers), dies (at the second question), noise (answers what is no answer).
"""

from __future__ import annotations

import sys
import time

import numpy as np

from ivr.media import g711
from ivr.models import pipe


def say(lang: str, text: bytes) -> bytes:
    """A tone of 22,050 Hz, a tenth of a second for each letter."""
    if "نشد" in text.decode():
        raise ValueError("cannot say it")
    count = int(22_050 * 0.1 * len(text.decode()))
    return g711.write_wav((8000 * np.sin(np.arange(count) * 0.2)).astype(np.int16), 22_050)


def hear(lang: str, sound: bytes) -> bytes:
    """How long it was, in words."""
    print("a model that prints where it should not")
    return f"صدایی به طولِ {len(g711.read_wav(sound)) / 8000:.0f} ثانیه".encode()


def main(mode: str) -> int:
    if mode == "silent":
        time.sleep(600)
    if mode == "noise":
        sys.stdin.buffer.readline()
        sys.stdout.write("hello\n")
        sys.stdout.flush()
        time.sleep(600)
    if mode == "dies":
        asked = iter(range(2))
        return pipe.serve("say", lambda lang, text: say(lang, text) if next(asked) == 0 else sys.exit(1))
    return pipe.serve(mode, say if mode == "say" else hear)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
