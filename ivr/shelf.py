"""Recorded prompts: which there are, who may speak one by phone, and how a recording becomes a prompt.

A sentence of the menus is spoken by phone by somebody whom the console gave a permit: eight digits, good once, for one
sentence and fifteen minutes. What is published lies in the data folder and wins over the site's own files; the one
before it is kept under `old/`.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.channels import Clock
from ivr.media import g711
from ivr.speech import level

log = logging.getLogger(__name__)
MINUTES = 15  # a permit is good for
GUESSES = 20  # wrong permits in that time, of all callers together; then every permit is void
QUIET = 400  # of 32,768: what is softer at both ends of a recording is cut away
EDGE = 0.15  # seconds left before and after


@dataclass(frozen=True, slots=True)
class Permit:
    """The right to speak one sentence by phone."""

    text: str
    lang: str
    by: str  #: who asked for it, as shown on the listening page
    until: int  #: ms UTC


@dataclass(frozen=True, slots=True)
class Kept:
    """A recorded prompt: where it lies, and by whom it was spoken when it came by phone."""

    path: Path
    by: str = ""
    at: int | None = None  #: ms UTC


class Shelf:
    """`folder` is ours (data); `others` are the site's and the shipped ones, read only."""

    def __init__(self, folder: str | Path, others: Sequence[str | Path], clock: Clock) -> None:
        self.folder = Path(folder)
        self._others = [Path(other) for other in others]
        self._clock = clock
        self._permits: dict[bytes, Permit] = {}
        self._wrong: list[int] = []  # ms UTC of wrong permits
        (self.folder / "new").mkdir(parents=True, exist_ok=True)

    @property
    def folders(self) -> list[Path]:
        """Where prompts are looked for, the first one wins."""
        return [self.folder, *self._others]

    def find(self, text: str, lang: str) -> Kept | None:
        """The recorded prompt of a text key, if there is one."""
        for folder in self.folders:
            path = folder / lang / f"{text}.wav"
            if path.is_file():
                return _kept(path)
        return None

    # ---------------------------------------------------------------- permits

    def permit(self, text: str, lang: str, by: str) -> str:
        """Eight digits for speaking `text` in `lang` by phone."""
        digits = "".join(secrets.choice("0123456789") for _ in range(8))
        now = self._clock.now()
        self._permits = {key: known for key, known in self._permits.items() if known.until > now}
        self._permits[_hash(digits)] = Permit(text, lang, by, now + MINUTES * 60_000)
        return digits

    def allows(self, digits: str) -> Permit | None:
        """What these digits allow. Too many wrong ones, by whomever, void every permit."""
        now = self._clock.now()
        known = self._permits.get(_hash(digits))
        if known is not None and known.until > now:
            return known
        self._wrong = [at for at in self._wrong if at > now - MINUTES * 60_000] + [now]
        if len(self._wrong) >= GUESSES and self._permits:
            log.warning("permits for prompts are void: too many wrong ones")
            self._permits.clear()
        return None

    # ---------------------------------------------------------------- recordings

    def fresh(self, call: str, step: int) -> Path:
        """Where a recording lies until it is published."""
        return self.folder / "new" / f"{call}-{step}.wav"

    def clear(self, call: str) -> None:
        """The call is over: what it recorded and did not publish goes."""
        for path in (self.folder / "new").glob(f"{call}-*.wav"):
            path.unlink(missing_ok=True)

    def publish(self, text: str, lang: str, path: str, digits: str) -> bool:
        """Make the recording the prompt; False without the permit for it. Raises OSError, NotSound."""
        permit = self.allows(digits)
        if permit is None or (permit.text, permit.lang) != (text, lang):
            return False
        sound = g711.write_wav(level(trimmed(g711.read_wav(Path(path).read_bytes()))))
        place = self.folder / lang / f"{text}.wav"
        self._put_aside(place)
        place.parent.mkdir(parents=True, exist_ok=True)
        _write(place.with_suffix(".json"), json.dumps({"by": permit.by, "at": self._clock.now()}).encode())
        _write(place, sound)
        self._permits.pop(_hash(digits), None)
        log.info("prompt published", extra={"text": text, "lang": lang})
        return True

    def withdraw(self, text: str, lang: str) -> bool:
        """Back to what was there before a recording by phone: the site's file or the speech voice."""
        place = self.folder / lang / f"{text}.wav"
        if not place.is_file():
            return False
        self._put_aside(place)
        place.with_suffix(".json").unlink(missing_ok=True)
        return True

    def _put_aside(self, place: Path) -> None:
        if not place.is_file():
            return
        old = self.folder / "old" / place.parent.name
        old.mkdir(parents=True, exist_ok=True)
        os.replace(place, old / f"{place.stem}.{self._clock.now()}.wav")


def trimmed(samples: g711.Samples) -> g711.Samples:
    """Without the quiet before and after; all of it where nothing is loud."""
    loud = (np.abs(samples.astype(np.int32)) > QUIET).nonzero()[0]
    if not len(loud):
        return samples
    edge = int(EDGE * g711.RATE)
    return samples[max(0, int(loud[0]) - edge) : int(loud[-1]) + edge]


def _kept(path: Path) -> Kept:
    try:
        told = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        return Kept(path, str(told.get("by", "")), int(told["at"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Kept(path)


def _hash(digits: str) -> bytes:
    return hashlib.sha256(digits.encode()).digest()


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all."""
    part = path.with_name(f"{path.name}.part")
    with open(part, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)
