"""The speech voice: text in, a prompt out, by espeak-ng in one thread, kept on disk so that a sentence is made once."""

from __future__ import annotations

import asyncio
import ctypes
import hashlib
import logging
import os
import re
import threading
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import espeakng_loader
import numpy as np

from ivr.leg import FRAME, Run
from ivr.media import g711
from ivr.media.g711 import Samples

log = logging.getLogger(__name__)

PIECE = 500  # characters handed over at once
SPEED = 150  # words a minute; espeak's own 175 is too quick for a code read out
LOUDNESS = 0.1 * 32768  # -20 dBFS RMS of what is not silence
PEAK = 32_000  # of 32,767; louder speech is turned down to it
CACHE = 500 * 2**20  # octets on disk
KEPT = 64  # prompts in memory
LONGEST_PATH = 150  # octets of the data folder's path; espeak-ng has a buffer of 160 for it
VOICES = {"fa": "fa", "en": "en"}

SYNCHRONOUS, DONT_EXIT, UTF8, BY_CHARACTER, RATE = 2, 0x8000, 1, 1, 1  # speak_lib.h
_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class NoVoice(RuntimeError):
    """The speech voice cannot say this: no such language, or espeak-ng does not work here. The sentence says why."""


class Speech:
    """Says texts. Prompts lie in `folder` under the SHA-256 of voice, speed and text; the least used go first."""

    def __init__(self, folder: str | Path, speed: int = SPEED, cache: int = CACHE) -> None:
        self.folder = Path(folder)
        self.speed = speed
        self._cache = cache
        self._held = -1  # octets in the folder; -1 = not counted yet
        self._recent: OrderedDict[str, Run] = OrderedDict()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="pasokh-speech")

    async def say(self, text: str, lang: str, keep: bool = True) -> Run:
        """`text` as whole 20 ms frames in both laws; empty for a text without words. Raises NoVoice.

        `keep=False` leaves no trace of it: a PIN's ten thousand sentences could be tried against the files' names.
        """
        voice = VOICES.get(lang)
        if voice is None:
            raise NoVoice(f"no speech voice for the language {lang!r}")
        if not keep:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._speak, text, voice)
        name = self._name(text, voice)
        run = self._recent.get(name)
        if run is None:
            run = await asyncio.get_running_loop().run_in_executor(self._thread, self._prompt, name, text, voice)
        self._recent[name] = run
        self._recent.move_to_end(name)
        if len(self._recent) > KEPT:
            self._recent.popitem(last=False)
        return run

    async def kept(self, text: str, voice: str) -> Run | None:
        """What another voice has said before, if it is in the cache."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, _read, self._path(text, voice))

    async def keep(self, text: str, voice: str, run: Run) -> None:
        """Put what another voice has said into the cache."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._keep, self._path(text, voice), run)

    def _name(self, text: str, voice: str) -> str:
        return hashlib.sha256(f"{voice}\0{self.speed}\0{text}".encode(errors="replace")).hexdigest()

    def _path(self, text: str, voice: str) -> Path:
        name = self._name(text, voice)
        return self.folder / name[:2] / f"{name}.g711"

    def close(self) -> None:
        """End the thread; a text being said is finished first."""
        self._thread.shutdown()

    def _prompt(self, name: str, text: str, voice: str) -> Run:
        path = self.folder / name[:2] / f"{name}.g711"
        run = _read(path)
        if run is None:
            run = self._speak(text, voice)
            self._keep(path, run)
        return run

    def _speak(self, text: str, voice: str) -> Run:
        return g711.frames(level(g711.resample(*_espeak().speak(text, voice, self.speed))))

    def _keep(self, path: Path, run: Run) -> None:
        """Write a prompt to the cache; a disk that refuses only costs the next call some milliseconds."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(f".{os.getpid()}")
            part.write_bytes(run.pcma + run.pcmu)
            part.replace(path)
            self._held = self._count() if self._held < 0 else self._held + 2 * len(run.pcma)
            if self._held > self._cache:
                self._sweep()
        except OSError as error:
            log.warning("prompt not cached", extra={"errno": error.errno})

    def _count(self) -> int:
        return sum(path.stat().st_size for path in self.folder.glob("*/*.g711"))

    def _sweep(self) -> None:
        """Forget the prompts longest unused till a tenth of the cache is free."""
        files = sorted((path.stat().st_mtime, path.stat().st_size, path) for path in self.folder.glob("*/*.g711"))
        self._held = sum(size for _, size, _ in files)
        for _, size, path in files:
            if self._held <= 0.9 * self._cache:
                return
            path.unlink(missing_ok=True)
            self._held -= size


def _read(path: Path) -> Run | None:
    """A prompt of the cache, marked as used; None when there is none or it is not whole frames of both laws."""
    try:
        both = path.read_bytes()
        os.utime(path)
    except OSError:
        return None
    half = len(both) // 2
    return Run(both[:half], both[half:]) if len(both) == 2 * half and half % FRAME == 0 else None


def level(samples: Samples) -> Samples:
    """Samples at -20 dBFS RMS, silences not counted, without clipping."""
    size = np.abs(samples.astype(np.float32))
    peak = float(size.max(initial=0.0))
    heard = size[size > peak / 50]
    if not len(heard):
        return samples
    gain = min(LOUDNESS / float(np.sqrt(np.mean(heard**2))), PEAK / peak)
    level: Samples = np.rint(samples * np.float32(gain)).astype(np.int16)
    return level


def pieces(text: str) -> Iterator[str]:
    """`text` in pieces of at most `PIECE` characters, cut after a sentence, a clause or a word where there is one."""
    rest = " ".join(text.replace("\0", " ").split())
    while len(rest) > PIECE:
        head = rest[:PIECE]
        ends = [m.end() for m in re.finditer(r"[.!?؟]\s", head)] or [m.end() for m in re.finditer(r"[،؛,;:]?\s", head)]
        cut = ends[-1] if ends else PIECE
        yield rest[:cut].strip()
        rest = rest[cut:].strip()
    if rest:
        yield rest


class _Espeak:
    """The library, which has one state for the whole process: every use holds the lock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._heard: list[Samples] = []
        self._callback = _CALLBACK(self._hear)  # the library keeps only its address
        self._library = self._open()
        data = os.fsencode(espeakng_loader.get_data_path())
        if len(data) > LONGEST_PATH:
            raise NoVoice("the path of espeak-ng's data is over 150 octets: install in a folder with a shorter name")
        self.rate = int(self._library.espeak_Initialize(SYNCHRONOUS, 0, data, DONT_EXIT))
        if self.rate <= 0:
            raise NoVoice("espeak-ng found no data: reinstall the package espeakng-loader")
        self._library.espeak_SetSynthCallback(self._callback)

    def speak(self, text: str, voice: str, speed: int) -> tuple[Samples, int]:
        """Samples and their rate."""
        with self._lock:
            self._heard = []
            self._check(self._library.espeak_SetVoiceByName(voice.encode()), f"voice {voice}")
            self._check(self._library.espeak_SetParameter(RATE, speed, 0), f"speed {speed}")
            for piece in pieces(text):
                octets = piece.encode(errors="replace") + b"\0"
                told = self._library.espeak_Synth(octets, len(octets), 0, BY_CHARACTER, 0, UTF8, None, None)
                self._check(told, "a text")
            return np.concatenate([np.zeros(0, np.int16), *self._heard]), self.rate

    def _open(self) -> Any:
        try:
            library = ctypes.CDLL(espeakng_loader.get_library_path())
        except OSError as error:
            raise NoVoice(f"espeak-ng cannot be loaded: {error}") from error
        size, text = ctypes.c_size_t, ctypes.c_char_p
        library.espeak_Initialize.argtypes = [ctypes.c_int, ctypes.c_int, text, ctypes.c_int]
        library.espeak_SetSynthCallback.argtypes = [_CALLBACK]
        library.espeak_SetSynthCallback.restype = None
        library.espeak_SetVoiceByName.argtypes = [text]
        library.espeak_SetParameter.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int]
        library.espeak_Synth.argtypes = [
            text, size, ctypes.c_uint, ctypes.c_int, ctypes.c_uint, ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p,
        ]  # fmt: skip
        return library

    def _hear(self, wave: Any, count: int, events: int | None) -> int:
        if wave and count > 0:
            self._heard.append(np.ctypeslib.as_array(wave, (count,)).copy())
        return 0

    @staticmethod
    def _check(told: int, what: str) -> None:
        if told:
            raise NoVoice(f"espeak-ng refused {what}: error {told}")


_loaded: _Espeak | None = None
_loading = threading.Lock()


def _espeak() -> _Espeak:
    """The one library of the process, loaded at its first use. Raises NoVoice."""
    global _loaded
    with _loading:
        if _loaded is None:
            _loaded = _Espeak()
        return _loaded
