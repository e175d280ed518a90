"""Letters made to hurt the reader, through a real worker under its limits: each is read, and no worker dies of it.

A worker that needs more than two seconds of CPU, ten in all or a gigabyte dies: so `deaths` is the measure.
"""

# ruff: noqa: E501  lines of letters
from __future__ import annotations

import base64
import gzip
import io
import zipfile

import pytest
import pytest_asyncio

from gateway.mail.pool import UNREADABLE, Pool
from tests.gateway.mail.winmail import winmail

TOP = b"From: sara@mailbox.example\r\nSubject: salam\r\n"
MB = 1 << 20


def nested(depth: int) -> bytes:
    parts = [b'Content-Type: multipart/mixed; boundary="%d"\r\n\r\n--%d\r\n' % (n, n) for n in range(depth)]
    return TOP + b"".join(parts) + b"\r\nthe words\r\n"


def letters_in_letters(depth: int) -> bytes:
    return (TOP + b"Content-Type: message/rfc822\r\n\r\n") * depth + b"From: x@y.ir\r\n\r\nthe words\r\n"


def zip_bomb() -> bytes:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as archive:
        for n in range(20):
            archive.writestr(f"{n}.txt", bytes(10 * MB))
    return attached("application/zip", "bomb.zip", inner.getvalue())


def attached(kind: str, name: str, data: bytes) -> bytes:
    body = base64.encodebytes(data).replace(b"\n", b"\r\n")
    return (
        TOP + b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n\r\nthe words\r\n--b\r\n'
        + f'Content-Type: {kind}; name="{name}"\r\nContent-Transfer-Encoding: base64\r\n\r\n'.encode() + body + b"\r\n--b--\r\n"
    )  # fmt: skip


def many_parts(count: int) -> bytes:
    return (
        TOP
        + b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'
        + b"--b\r\n\r\nthe words\r\n" * count
        + b"--b--\r\n"
    )


def html(source: bytes) -> bytes:
    return TOP + b"Content-Type: text/html\r\n\r\n<p>the words</p>" + source


TYPE = b"Content-Type: "
HOSTILE = {
    "1,000 deep": nested(1000),
    "100 deep": nested(100),
    "letters in letters": letters_in_letters(300),
    "20,000 parts": many_parts(20_000),
    "20,000 addresses": TOP + b"To: " + b", ".join(b"a%d@b.ir" % n for n in range(20_000)) + b"\r\n\r\nthe words",
    "20,000 addresses in From": b"From: " + b", ".join(b"a%d@b.ir" % n for n in range(20_000)) + b"\r\n\r\nthe words",
    "brackets in an address": b"From: " + b"(" * 60_000 + b"a@b.ir\r\nTo: " + b":" * 60_000 + b"\r\n\r\nthe words",
    "quotes in an address": TOP + b'To: "' + b'\\"' * 40_000 + b"\r\n\r\nthe words",
    "4 MB of headers": TOP + b"".join(b"X-%d: %s\r\n" % (n, b"y" * 100) for n in range(40_000)) + b"\r\nthe words",
    "one header of 4 MB": TOP + b"X-Long: " + b"z" * (4 * MB) + b"\r\n\r\nthe words",
    "a folded header of 4 MB": TOP + b"X-Long: a\r\n" + b" b\r\n" * MB + b"\r\nthe words",
    "encoded words without end": b"From: a@b.ir\r\nSubject: " + b"=?utf-8?b?2YU=?= " * 50_000 + b"\r\n\r\nthe words",
    "parameters without end": TOP + TYPE + b"text/plain" + b"; a*0*=x" * 30_000 + b"\r\n\r\nthe words",
    "NULs": TOP.replace(b"salam", b"sal\0am") + b"\r\nthe words\0\0\0",
    "bare CR": TOP.replace(b"\r\n", b"\r") + b"\rthe words\rmore",
    "bare LF": TOP.replace(b"\r\n", b"\n") + b"\nthe words\nmore",
    "mixed line ends": TOP + b"X: a\r b\n c\r\r\n\r\nthe words\r\r\n\n",
    "a charset that lies": TOP + TYPE + b"text/plain; charset=utf-16\r\n\r\nthe words",
    "a charset nobody knows": TOP + TYPE + b"text/plain; charset=x-" + b"y" * 5000 + b"\r\n\r\nthe words",
    "utf-7 that lies": TOP + TYPE + b"text/plain; charset=utf-7\r\n\r\nthe words +AGE +ADw-script+AD4-",
    "a charset that is no text": TOP + TYPE + b"text/plain; charset=zlib_codec\r\n\r\nthe words",
    "no boundary": TOP + TYPE + b"multipart/mixed\r\n\r\nthe words",
    "a boundary that never comes": TOP + TYPE + b'multipart/mixed; boundary="q"\r\n\r\nthe words',
    "an empty boundary": TOP + TYPE + b'multipart/mixed; boundary=""\r\n\r\n--\r\n\r\nthe words\r\n--',
    "a boundary within itself": TOP + TYPE + b'multipart/mixed; boundary="a"\r\n\r\n--a\r\n' + TYPE
    + b'multipart/mixed; boundary="a"\r\n\r\n--a\r\n\r\nthe words\r\n--a--\r\n--a--\r\n',
    "a zip bomb": zip_bomb(),
    "a gzip bomb": attached("application/gzip", "b.gz", gzip.compress(bytes(50 * MB))),
    "a winmail.dat of many pieces": attached("application/ms-tnef", "winmail.dat", winmail([(b"x", b"y")] * 2000)),
    "a winmail.dat that lies": attached("application/ms-tnef", "winmail.dat", winmail([(b"x", b"y")])[:-3] + b"\xff" * 50),
    "base64 that is none": attached("text/plain", "a.txt", b"").replace(b"base64", b"base64\r\nX: y") + b"=" * MB,
    "open tags": html(b"<a " * 50_000),
    "open comments": html(b"<!--" * 50_000),
    "deep tags": html(b"<div>" * 50_000),
    "entities": html(b"&amp;" * 100_000 + b"&#x41;" * 50_000),
    "quoted to the end of the world": TOP + b"\r\nthe words\r\n" + b">" * 60_000 + b" x\r\n" * 1000,
    "labels without end": TOP + b"\r\nthe words\r\n" + b"From: a\r\n" * 15_000,
    "attributions without end": TOP + b"\r\nthe words\r\n" + b"On x, y wrote\r\n" * 5000,
    "a line of a megabyte": TOP + b"\r\nthe words " + b"x" * MB,
}  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def pool():
    found = Pool(1)
    await found.start()
    yield found
    await found.stop()


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_letter_is_read_within_the_limits(pool, name):
    before = pool.deaths
    mail = await pool.read(HOSTILE[name], "cp1256", ("write above",))
    assert pool.deaths == before, "the worker died of it"
    assert UNREADABLE not in mail.defects
    shown = f"{mail.new}\n{mail.text}" + "".join(file.data.decode("latin-1") for file in mail.files)
    assert "the words" in shown, mail.defects
    assert "\0" not in mail.subject and "\r" not in mail.subject


async def test_reports_that_hurt_are_read_too(pool):
    before = pool.deaths
    for name in ("1,000 deep", "4 MB of headers", "a line of a megabyte", "20,000 parts", "labels without end"):
        mail = await pool.read(HOSTILE[name].replace(TOP, b"From: MAILER-DAEMON@x.ir\r\n"), "cp1256", (), True)
        assert UNREADABLE not in mail.defects, name
    assert pool.deaths == before
