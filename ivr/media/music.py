"""Music for those who wait: a quiet melody made here, so that it is everybody's. Pure."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ivr.leg import Run
from ivr.media import g711

NOTE = 0.4  # seconds
LEVEL = 1800.0  # of 32768: well under a voice
NAMES = ("a", "b_", "b", "c", "d_", "d", "e_", "e", "f", "g_", "g", "a_")  # from A3 up; _ is flat
HERTZ = {name: 220.0 * 2 ** (step / 12) for step, name in enumerate(NAMES)}
MELODY = (
    "d f a d+ a f c+ a f c e g c+ g e b_ g e "
    "b_ d f b_ f d a f d a d_ e g e d_ d a f d - - "
)  # fmt: skip


@lru_cache(maxsize=1)
def music() -> Run:
    """Quarter of a minute; played over and over."""
    notes = MELODY.split()
    size = int(NOTE * g711.RATE)
    sound = np.zeros((len(notes) + 3) * size)
    for at, name in enumerate(notes):
        if name != "-":
            tone = _tone(HERTZ[name.rstrip("+")] * (2 if name.endswith("+") else 1), 3 * size)
            sound[at * size : at * size + len(tone)] += tone
    tail = sound[len(notes) * size :].copy()
    sound[: len(tail)] += tail  # what still sounds at the end goes on at the beginning
    return g711.frames(np.clip(sound[: len(notes) * size], -32_000, 32_000).astype(np.int16))


def _tone(hertz: float, size: int) -> npt.NDArray[np.float64]:
    """A plucked string: three partials that fade."""
    at = np.arange(size) / g711.RATE
    rise = np.minimum(1, at / 0.01) * np.minimum(1, (at[-1] - at) / 0.05)
    tone = np.zeros(size)
    for part in (1, 2, 3):
        tone += np.sin(2 * np.pi * hertz * part * at) * np.exp(-3.0 * part * at) / part
    sounding: npt.NDArray[np.float64] = LEVEL * rise * tone
    return sounding
