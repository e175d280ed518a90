"""Keys that come as tones in the sound (DTMF, ITU-T Q.23, Q.24), for callers whose telephone offers no events. Pure.

All calls' frames are one matrix, and their energies at the eight frequencies one product with a table. A key is two
frames on, and off for two; the frames of speech that look like one fail on twist, on a second strong frequency, on
what else is in the sound, or do not last.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ivr.leg import FRAME

ROWS, COLUMNS = (697, 770, 852, 941), (1209, 1336, 1477, 1633)  # Hz
KEYS = "123A456B789C*0#D"
ON, OFF = 2, 2  # frames
LEAST = 50.0**2  # mean square of a sample: about -53 dBm0, under any telephone's tones
TWIST = (10**-0.8, 10**0.4)  # high tone over low tone: -8 to +4 dB
RUNNER_UP = 10**0.6  # the best of four over the next: 6 dB
SHARE = (
    0.5  # of the frame's energy is in the two tones, 1.5 % beside their frequencies too; speech has more beside them
)

_AT = np.arange(FRAME)


def _table() -> npt.NDArray[np.float32]:
    """[FRAME, 16]: cosines of the eight frequencies, then their sines."""
    turns = 2 * np.pi * _AT[:, None] * np.array(ROWS + COLUMNS)[None, :] / 8000
    return np.hstack([np.cos(turns), np.sin(turns)]).astype(np.float32)


TABLE = _table()


def keys(frames: npt.NDArray[np.int16]) -> npt.NDArray[np.int8]:
    """Which key each frame ([n, FRAME] samples) sounds like: its place in `KEYS`, -1 for none."""
    sound = frames.astype(np.float32)
    parts = sound @ TABLE
    energy = (parts[:, :8] ** 2 + parts[:, 8:] ** 2) * (2.0 / FRAME)  # of each frequency, in the unit of `whole`
    whole = np.einsum("nt,nt->n", sound, sound)
    low, low_at, low_next = _best(energy[:, :4])
    high, high_at, high_next = _best(energy[:, 4:])
    with np.errstate(divide="ignore", invalid="ignore"):
        twist = high / low
    sure = (whole > LEAST * FRAME) & (low + high > SHARE * whole)
    sure &= (twist > TWIST[0]) & (twist < TWIST[1])
    sure &= (low > RUNNER_UP * low_next) & (high > RUNNER_UP * high_next)
    return np.where(sure, low_at * 4 + high_at, -1).astype(np.int8)


def _best(energy: Any) -> tuple[Any, Any, Any]:
    at = energy.argmax(axis=1)
    ordered = np.sort(energy, axis=1)
    return ordered[:, -1], at, ordered[:, -2]


@dataclass(slots=True)
class Ear:
    """One call's tones over time."""

    held: int = -1  #: the key that is down
    last: int = -1
    run: int = 0  #: frames in a row like `last`

    def hear(self, key: int) -> str | None:
        """The next frame sounds like `key` (-1: none); the key that it makes certain, once."""
        self.run = self.run + 1 if key == self.last else 1
        self.last = key
        if key == self.held:
            return None
        if key >= 0 and self.run >= ON:
            self.held = key
            return KEYS[key]
        if key < 0 and self.run >= OFF:
            self.held = -1
        return None
