"""G.711 both ways by table, prompts framed in both laws, and the WAV files around them. Pure: bytes in, bytes out."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ivr.leg import FRAME, Run
from ivr.media.messages import Law

Samples = npt.NDArray[np.int16]

RATE = 8000  # samples a second, the only rate of a call
SILENCE = {"pcma": 0xD5, "pcmu": 0xFF}  # the code of a zero sample
PAYLOAD = {"pcma": 8, "pcmu": 0}  # static RTP payload types, RFC 3551 s 6
TAG = {"pcma": 6, "pcmu": 7}  # WAVE format tags
HEADER = 58  # octets before the sound in a G.711 WAV: RIFF 12, fmt 8 + 18, fact 12, data 8
LOBES = 16  # zero crossings of the low-pass on each side
PASS = 0.92  # its cut, as a share of the lower Nyquist frequency


class NotSound(ValueError):
    """These bytes are not a WAV file that can be played on a call; the sentence says why."""


# ---------------------------------------------------------------- laws


def decode(law: Law, octets: bytes) -> Samples:
    """Samples of G.711 octets, one each."""
    return LINEAR[law][np.frombuffer(octets, np.uint8)]


def encode(law: Law, samples: Samples) -> bytes:
    """G.711 octets of samples, one each."""
    return CODES[law][samples.view(np.uint16)].tobytes()


def frames(samples: Samples) -> Run:
    """A prompt of 8 kHz samples as whole 20 ms frames, the last filled up with silence."""
    whole = np.zeros(-(-len(samples) // FRAME) * FRAME, np.int16)
    whole[: len(samples)] = samples
    return Run(encode("pcma", whole), encode("pcmu", whole))


def _linear_a() -> Samples:
    code = np.arange(256) ^ 0x55
    step, low = code >> 4 & 7, code & 15
    size = np.where(step == 0, (low << 4) + 8, ((low << 4) + 0x108) << np.maximum(step - 1, 0))
    return np.where(code & 0x80, size, -size).astype(np.int16)


def _linear_u() -> Samples:
    code = ~np.arange(256) & 0xFF
    size = (((code & 15) << 3) + 0x84 << (code >> 4 & 7)) - 0x84
    return np.where(code & 0x80, -size, size).astype(np.int16)


def _codes_a() -> npt.NDArray[np.uint8]:
    x = _every_sample() >> 3
    size = np.where(x < 0, -x - 1, x)
    step = np.searchsorted(0x20 << np.arange(7), size, side="right")
    low = np.where(step < 2, size >> 1, size >> step) & 15
    return ((step << 4 | low) ^ np.where(x < 0, 0x55, 0xD5)).astype(np.uint8)


def _codes_u() -> npt.NDArray[np.uint8]:
    x = _every_sample() >> 2
    size = np.minimum(np.where(x < 0, -x - 1, x), 8158) + 33
    step = np.searchsorted(0x40 << np.arange(7), size, side="right")
    low = size >> step + 1 & 15
    codes: npt.NDArray[np.uint8] = ((step << 4 | low) ^ np.where(x < 0, 0x7F, 0xFF)).astype(np.uint8)
    return codes


def _every_sample() -> npt.NDArray[np.int64]:
    """All int16 values in the order of their unsigned patterns."""
    return np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int64)


LINEAR: dict[str, Samples] = {"pcma": _linear_a(), "pcmu": _linear_u()}
CODES = {"pcma": _codes_a(), "pcmu": _codes_u()}


# ---------------------------------------------------------------- rates


def resample(samples: Samples, rate: int) -> Samples:
    """Samples of `rate` Hz as 8 kHz ones, low-passed by a Kaiser-windowed sinc."""
    if rate == RATE:
        return samples
    blocks = [_block(samples, rate, at) for at in range(0, len(samples) * RATE // rate, RATE)]
    return np.concatenate(blocks) if blocks else np.zeros(0, np.int16)


def _block(samples: Samples, rate: int, first: int) -> Samples:
    """One second of output from output sample `first` on: a block keeps memory small and lets other threads run."""
    count = min(RATE, len(samples) * RATE // rate - first)
    whole, part = np.divmod((first + np.arange(count)) * rate, RATE)
    weights = _weights(rate)[part // math.gcd(rate, RATE)]
    half = weights.shape[1] // 2
    near = whole[:, None] + np.arange(-half + 1, half + 1)
    heard = samples[np.clip(near, 0, len(samples) - 1)] * ((near >= 0) & (near < len(samples)))
    return _clip(np.einsum("nt,nt->n", heard, weights))


@lru_cache(maxsize=8)
def _weights(rate: int) -> npt.NDArray[np.float32]:
    """The low-pass for each place that an output sample can take between two input samples, a row each."""
    cut = PASS * min(1.0, RATE / rate)
    half = math.ceil(LOBES / cut)
    part = np.arange(RATE // math.gcd(rate, RATE)) * math.gcd(rate, RATE) / RATE
    off = part[:, None] - np.arange(-half + 1, half + 1)
    window = np.i0(8.0 * np.sqrt(np.maximum(0.0, 1.0 - (off / half) ** 2))) / np.i0(8.0)
    weights: npt.NDArray[np.float32] = (cut * np.sinc(cut * off) * window).astype(np.float32)
    return weights


def _clip(values: npt.NDArray[np.floating]) -> Samples:
    whole: Samples = np.clip(np.rint(values), -32768, 32767).astype(np.int16)
    return whole


# ---------------------------------------------------------------- WAV


def wav_header(law: Law, octets: int, channels: int = 1) -> bytes:
    """The `HEADER` octets before `octets` (even) of G.711: tag 6 or 7, an 18-octet fmt and a fact chunk."""
    return struct.pack(
        "<4sI4s4sIHHIIHHH4sII4sI",
        b"RIFF", HEADER - 8 + octets, b"WAVE",
        b"fmt ", 18, TAG[law], channels, RATE, RATE * channels, channels, 8, 0,
        b"fact", 4, octets // channels,
        b"data", octets,
    )  # fmt: skip


def wav(law: Law, octets: bytes) -> bytes:
    """A whole WAV file of G.711 octets."""
    even = octets + bytes([SILENCE[law]]) * (len(octets) % 2)
    return wav_header(law, len(even)) + even


def write_wav(samples: Samples, rate: int = RATE) -> bytes:
    """A whole WAV file of 16-bit samples, for programs that know no G.711."""
    data = samples.astype("<i2").tobytes()
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, rate * 2, 2, 16)
    return (
        struct.pack("<4sI4s", b"RIFF", 28 + 8 + len(data), b"WAVE")
        + fmt
        + struct.pack("<4sI", b"data", len(data))
        + data
    )


def read_wav(data: bytes) -> Samples:
    """8 kHz samples of a WAV file: PCM of 8 or 16 bits, A-law or mu-law, any rate, channels mixed to one.

    Raises NotSound. A data chunk that claims more than is there (a file cut short) is played as far as it goes.
    """
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise NotSound("not a WAV file")
    fmt: bytes | None = None
    for name, body in _chunks(data):
        if name == b"fmt ":
            fmt = body
        elif name == b"data" and fmt is not None:
            return _samples(fmt, body)
    raise NotSound("a WAV file without fmt and data chunks")


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 12
    while at + 8 <= len(data):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        yield data[at : at + 4], data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2


def _samples(fmt: bytes, body: bytes) -> Samples:
    if len(fmt) < 16:
        raise NotSound("a fmt chunk under 16 octets")
    tag, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", fmt)
    if tag == 0xFFFE and len(fmt) >= 26:  # extensible: the true tag opens the sub-format
        tag = int.from_bytes(fmt[24:26], "little")
    if not (1 <= channels <= 8 and 4000 <= rate <= 192_000):
        raise NotSound(f"{channels} channels at {rate} Hz")
    flat = _flat(tag, bits, body)
    mixed = flat[: len(flat) // channels * channels].reshape(-1, channels).mean(axis=1)
    return resample(_clip(mixed), rate)


def _flat(tag: int, bits: int, body: bytes) -> Samples:
    if (tag, bits) == (1, 16):
        return np.frombuffer(body[: len(body) // 2 * 2], "<i2").astype(np.int16)
    if (tag, bits) == (1, 8):
        return (np.frombuffer(body, np.uint8).astype(np.int16) - 128) * np.int16(256)
    if (tag, bits) in ((6, 8), (7, 8)):
        return decode("pcma" if tag == 6 else "pcmu", body)
    raise NotSound(f"format tag {tag} with {bits} bits is not PCM of 8 or 16 bits, A-law or mu-law")
