"""All sound being played, as 20 ms frames in one array, so that a tick gathers every call's payload at once. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ivr.leg import FRAME
from ivr.media.g711 import SILENCE

FIRST = 16_384  # frames it starts with: 5 minutes, 2.6 MB
QUIET = {"pcma": 0, "pcmu": 1}  # the frame of silence in each law


@dataclass(slots=True)
class _Place:
    start: int
    count: int
    users: int = 0


class Arena:
    """Frames of sounds in use. A sound that many calls play lies here once; it stays after use until room is needed."""

    def __init__(self, frames: int = FIRST) -> None:
        self.frames: npt.NDArray[np.uint8] = np.zeros((frames, FRAME), np.uint8)
        for law, at in QUIET.items():
            self.frames[at] = SILENCE[law]
        self._places: dict[bytes, _Place] = {}
        self._free = [(len(QUIET), frames)]  # spans [from, to)

    def enter(self, sound: bytes) -> tuple[int, int]:
        """First frame and the one after the last of `sound` (whole frames of one law), now in use once more."""
        place = self._places.get(sound)
        if place is None:
            place = self._places[sound] = self._lay(sound)
        place.users += 1
        return place.start, place.start + place.count

    def leave(self, sound: bytes) -> None:
        """One use less; the frames stay until somebody needs the room."""
        self._places[sound].users -= 1

    def _lay(self, sound: bytes) -> _Place:
        count = len(sound) // FRAME
        start = self._find(count)
        if start is None:
            self._sweep()
            start = self._find(count)
        while start is None:
            self._grow()
            start = self._find(count)
        self.frames[start : start + count] = np.frombuffer(sound, np.uint8, count * FRAME).reshape(count, FRAME)
        return _Place(start, count)

    def _find(self, count: int) -> int | None:
        for at, (low, high) in enumerate(self._free):
            if high - low >= count:
                self._free[at] = (low + count, high)
                return low
        return None

    def _sweep(self) -> None:
        """Forget what nobody plays and join the free spans."""
        self._places = {sound: place for sound, place in self._places.items() if place.users}
        low, self._free = len(QUIET), []
        for place in sorted(self._places.values(), key=lambda place: place.start):
            self._free.append((low, place.start))
            low = place.start + place.count
        self._free.append((low, len(self.frames)))

    def _grow(self) -> None:
        size = len(self.frames)
        self.frames = np.concatenate([self.frames, np.zeros((size, FRAME), np.uint8)])
        low, high = self._free[-1]
        self._free[-1:] = [(low, 2 * size)] if high == size else [(low, high), (size, 2 * size)]
