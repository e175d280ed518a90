"""A caller's voice made nobody's: what is said stays, who says it does not. Pure: frames in, frames out.

Pitch and formants are not shifted, which could be shifted back, but thrown away and made anew. Of each 20 ms only the
loudness in `BANDS` broad bands is kept, rounded to steps of `STEP` dB; it is moved up or down by a factor that
wanders, and laid over sound made here: pulses at a pitch that wanders by itself, and noise. The melody of the voice,
its fine structure and its phases are in no way in the result; the factor, the pitch and the noise are drawn from the
system's entropy and kept nowhere.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ivr.leg import FRAME
from ivr.media import g711
from ivr.media.messages import Law

BANDS = 18
LOWEST, HIGHEST = 90.0, 3850.0  # Hz
STEP = 3.0  # dB
PITCHES = (85.0, 210.0)  # Hz
SHIFTS = ((0.78, 0.88), (1.14, 1.28))  # of the formants: well down or well up
WANDER = 0.015  # of both, a frame
QUIET = 12.0  # mean amplitude under which a frame is silence
VOICED, HISSED = 4.0, 0.6  # energy under 1 kHz over that above 2 kHz: mostly pulses, only noise

_Reals = npt.NDArray[np.float64]
_WINDOW = np.sqrt(np.hanning(2 * FRAME + 1)[:-1])
_HERTZ = np.fft.rfftfreq(2 * FRAME, 1 / g711.RATE)
_LOW, _HIGH = _HERTZ < 1000, _HERTZ > 2000


def _mel(hertz: npt.ArrayLike) -> _Reals:
    return np.asarray(1127 * np.log1p(np.asarray(hertz, np.float64) / 700))


def _bands() -> tuple[_Reals, _Reals]:
    """Middle of each band in Hz, and [bins, BANDS] weights of triangles on the mel scale, each summing to one."""
    edges = np.linspace(_mel(LOWEST), _mel(HIGHEST), BANDS + 2)
    here = _mel(_HERTZ)[:, None]
    rise, fall = (here - edges[:-2]) / (edges[1] - edges[0]), (edges[2:] - here) / (edges[1] - edges[0])
    weights = np.maximum(0, np.minimum(rise, fall))
    return 700 * np.expm1(edges[1:-1] / 1127), weights / weights.sum(axis=0)


_MIDDLES, _WEIGHTS = _bands()


class Mask:
    """One call's disguise. Its memory is a few frames, however long the call."""

    def __init__(self) -> None:
        self._draw = np.random.default_rng()
        self._said = np.zeros(FRAME)
        self._made = np.zeros(FRAME)
        self._tail = np.zeros(FRAME)
        self._coming = bytearray()
        self._ready = bytearray()
        self._law: Law = "pcma"
        self._phase = 0.0
        self._pitch = float(self._draw.uniform(*PITCHES))
        self._range = SHIFTS[int(self._draw.integers(2))]
        self._shift = float(self._draw.uniform(*self._range))

    def wear(self, law: Law, octets: bytes) -> bytes:
        """As many octets as came, 40 ms later."""
        if law != self._law or not (self._ready or self._coming):
            self._law, self._coming, self._ready = law, bytearray(), bytearray([g711.SILENCE[law]]) * FRAME
        self._coming += octets
        while len(self._coming) >= FRAME:
            frame = g711.decode(law, bytes(self._coming[:FRAME])).astype(np.float64)
            del self._coming[:FRAME]
            self._ready += g711.encode(law, np.clip(self.frame(frame), -32000, 32000).astype(np.int16))
        out = bytes(self._ready[: len(octets)])
        del self._ready[: len(octets)]
        return out

    def frame(self, samples: _Reals) -> _Reals:
        """The next 20 ms, 20 ms later."""
        before, self._said = self._said, samples
        heard = np.abs(np.fft.rfft(np.concatenate([before, samples]) * _WINDOW)) ** 2
        self._walk()
        made = self._voice(heard)
        both = np.concatenate([self._made, made])
        self._made = made
        shaped = np.fft.irfft(np.fft.rfft(both * _WINDOW) * self._shape(heard)) * _WINDOW
        out: _Reals = self._tail + shaped[:FRAME]
        self._tail = shaped[FRAME:]
        return out

    def _walk(self) -> None:
        """Pitch and shift wander, within their bounds."""
        step = self._draw.normal(0, WANDER, 2)
        self._pitch = float(np.clip(self._pitch * (1 + step[0]), *PITCHES))
        self._shift = float(np.clip(self._shift * (1 + step[1] / 3), *self._range))

    def _voice(self, heard: _Reals) -> _Reals:
        """20 ms of flat sound of unit power: pulses, noise, or half of each."""
        ratio = heard[_LOW].sum() / (heard[_HIGH].sum() + 1)
        share = 0.9 if ratio > VOICED else 0.0 if ratio < HISSED else 0.5  # three kinds only: how voiced it was is gone
        step = self._pitch / g711.RATE
        turns = self._phase + step * np.arange(1, FRAME + 1)
        pulses = np.floor(turns) > np.floor(turns - step)
        self._phase = float(turns[-1] % 1)
        made: _Reals = share * pulses * np.sqrt(1 / step) + np.sqrt(1 - share**2) * self._draw.normal(0, 1, FRAME)
        return made

    def _shape(self, heard: _Reals) -> _Reals:
        """How strong each frequency of the made sound is to be."""
        loud = np.sqrt(heard @ _WEIGHTS / FRAME)
        steps = np.round(20 * np.log10(np.maximum(loud, 1e-3)) / STEP) * STEP
        level = np.where(loud < QUIET / 4, 0.0, 10 ** (steps / 20))
        shape: _Reals = np.interp(_HERTZ / self._shift, _MIDDLES, level, left=0.0, right=0.0)
        return shape
