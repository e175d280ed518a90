"""Letters bent at random: the reader never falls, whatever comes out can be stored, and none takes long."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import msgspec
import pytest

from gateway.mail import worker
from gateway.mail.mime import Mail
from gateway.mail.worker import Job
from tests.gateway.mail.letters import SAMPLES

BITS = [
    b"\r\n", b"=?", b"?=", b"\0", b"--", b"boundary=", b"Content-Type: ", b"(", b'"', b"<", b"\xff\xfe", b"\r\n\r\n",
    b"charset=utf-16", b"charset=utf-7", b"message/rfc822", b"multipart/mixed; ", b"quoted-printable", b"*0*=",
]  # fmt: skip

PEER = Path(__file__).resolve().parents[3] / ".peers" / "flufl-bounce"  #: its letters, where `make test` fetched them


def letters() -> list[bytes]:
    found = [sample.raw for sample in SAMPLES]
    folder = Path(os.environ.get("PASOKH_TEST_DATA", "")) / "mail"
    if os.environ.get("PASOKH_TEST_DATA") and folder.is_dir():
        files = (p for p in sorted(folder.rglob("*")) if p.is_file() and p.suffix not in (".xml", ".md"))
        found += [p.read_bytes() for p in files if p.stat().st_size < 40_000]
    return found + [p.read_bytes() for p in sorted(PEER.glob("flufl_bounce-*/tests/data/*.txt"))]


def bent(dice: random.Random, every: list[bytes]) -> bytes:
    raw = bytearray(dice.choice(every))
    for _ in range(dice.randrange(1, 8)):
        at = dice.randrange(len(raw) + 1)
        match dice.randrange(5):
            case 0:
                raw[at : at + 1] = bytes([dice.randrange(256)])
            case 1:
                del raw[at : at + dice.randrange(1, 60)]
            case 2:
                raw[at:at] = raw[at : at + dice.randrange(1, 200)]
            case 3:
                raw[at:at] = dice.choice(BITS)
            case _:
                other = dice.choice(every)
                raw[at:] = other[dice.randrange(len(other) + 1) :]
    return bytes(raw)


def read_all(count: int, seed: int) -> None:
    dice, every = random.Random(seed), letters()
    for number in range(count):
        job = Job(bent(dice, every), "cp1256", ("write above",), null=number % 2 == 0)
        begun = time.process_time()
        mail = worker.first(job)
        words = worker.second(mail, job)
        assert time.process_time() - begun < 2, number
        assert "unparsed" not in mail.defects, number
        again = msgspec.msgpack.decode(msgspec.msgpack.encode(mail), type=Mail)
        assert again == mail and msgspec.msgpack.encode(words), number


def test_a_thousand_bent_letters():
    read_all(1000, 7)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_a_hundred_thousand_bent_letters():
    read_all(100_000, time.time_ns())
