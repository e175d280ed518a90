"""Files of letters and the virus scanner: held until clean, infected for good, asked about again."""

from __future__ import annotations

import asyncio
import os
import smtplib
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.schema import event, file
from gateway.mail.scan import Clamd as Client
from gateway.mail.scan import NoAnswer, Scanner, _verdict
from tests.gateway.mail import clamd
from tests.gateway.mail.letters import TEXT_PART, b64, parts
from tests.gateway.mail.system import INFO, Running, running

BAD = b"%PDF-1.4 a made-up plan " + clamd.SIGN + b" of a pipe"
GOOD = b"%PDF-1.4 a plan of a pipe"


@pytest.fixture
def scanner() -> Iterator[clamd.Clamd]:
    """Not started yet."""
    if clamd.find() is None:
        if os.environ.get("PASOKH_MUST_PEERS"):
            pytest.fail("clamd is not installed: tools/debian-packages")
        pytest.skip("clamd is not installed: tools/debian-packages")
    with tempfile.TemporaryDirectory(prefix="pasokh-clamd-") as name:
        os.chmod(name, 0o755)
        made = clamd.Clamd(Path(name))
        yield made
        made.stop()


def attached(name: str, data: bytes) -> bytes:
    return f"Content-Type: application/pdf; name={name}\r\nContent-Disposition: attachment\r\n".encode() + b64(data)


async def send(system: Running, *files: tuple[str, bytes]) -> None:
    letter = parts(TEXT_PART, *(attached(*each) for each in files))

    def hand_over() -> None:
        with smtplib.SMTP("127.0.0.1", system.mail.port(), timeout=20) as client:
            client.sendmail("maryam@mailbox.example", [INFO], letter)

    await asyncio.to_thread(hand_over)


async def states(system: Running) -> dict[str, str]:
    return dict(await system.rows(file.c.label, file.c.scan))


async def reached(system: Running, wanted: dict[str, str]) -> None:
    async def there() -> bool:
        return await states(system) == wanted

    await system.until(there)


async def page_and_files(system: Running) -> tuple[str, dict[str, int]]:
    """The ticket's page as its director sees it, and what asking for each file says."""
    ((ticket,),) = {tuple(row) for row in await system.rows(file.c.ticket)}
    async with system.browser("director") as browser:
        page = (await browser.get(f"/console/t/{ticket}")).text
        found = {}
        for label, key in await system.rows(file.c.label, file.c.key):
            found[label] = (await browser.get(f"/console/file/{key}?t={ticket}")).status
    return page, found


@pytest.mark.peer
@pytest.mark.slow
async def test_an_infected_file_is_marked_and_nobody_gets_it_and_a_clean_one_is_free(scanner, reactor, tmp_path, box):
    scanner.start()
    async with running(tmp_path / "data", box, tables={"scan": {"address": scanner.address}}) as system:
        await send(system, ("good.pdf", GOOD), ("bad.pdf", BAD))
        await reached(system, {"good.pdf": "clean", "bad.pdf": "infected"})
        page, found = await page_and_files(system)
        assert found == {"good.pdf": 200, "bad.pdf": 403}
        assert "آلوده به ویروس" in page and "بی‌ویروس" in page
        assert await system.rows(event.c.kind, where=event.c.kind == "infected") == [("infected",)]
        assert dict(await system.rows(file.c.label, file.c.found))["bad.pdf"].startswith("Pasokh.Test.MadeUp")
        assert "پیوست آلوده بود" in page
        [(letter,)] = set(await system.rows(file.c.message))
        async with system.browser("director") as browser:
            assert (await browser.get(f"/console/letters/{letter}/raw")).status == 403


@pytest.mark.peer
@pytest.mark.slow
async def test_while_the_scanner_is_down_letters_are_taken_their_files_held_and_asked_about_again(
    scanner, reactor, tmp_path, box
):
    table = {"address": scanner.address, "again_s": 0.5}
    async with running(tmp_path / "data", box, tables={"scan": table}) as system:
        await send(system, ("good.pdf", GOOD), ("bad.pdf", BAD))
        await reached(system, {"good.pdf": "unscanned", "bad.pdf": "unscanned"})
        page, found = await page_and_files(system)
        assert found == {"good.pdf": 403, "bad.pdf": 403} and "ویروس‌یاب پاسخ نمی‌دهد" in page
        async with system.browser("director") as browser:
            assert '"scanner": "down"' in (await browser.get("/health")).text.replace('":"', '": "')
    async with running(tmp_path / "data", box, tables={"scan": table}) as system:  # a restart finds what waits
        scanner.start()
        await reached(system, {"good.pdf": "clean", "bad.pdf": "infected"})
        assert (await page_and_files(system))[1] == {"good.pdf": 200, "bad.pdf": 403}


@pytest.mark.slow
async def test_without_a_scanner_files_are_marked_as_not_scanned(reactor, tmp_path, box):
    async with running(tmp_path / "data", box) as system:
        await send(system, ("good.pdf", GOOD))
        assert await states(system) == {"good.pdf": "off"}
        page, found = await page_and_files(system)
        assert found == {"good.pdf": 200} and "اسکن نشده" in page


def test_what_clamd_says_is_understood_and_everything_else_is_no_answer():
    assert _verdict(b"stream: OK\0") is None
    assert _verdict(b"stream: Eicar-Test-Signature FOUND\0") == "Eicar-Test-Signature"
    for said in (b"INSTREAM size limit exceeded. ERROR\0", b"\0", b"UNKNOWN COMMAND\0", b"\xff\0"):
        with pytest.raises(NoAnswer):
            _verdict(said)


async def test_a_scanner_that_hangs_up_or_says_nothing_is_no_answer(tmp_path):
    heard = []

    async def mute(reader, writer) -> None:
        heard.append(await reader.readexactly(10))
        size = struct.unpack("!I", await reader.readexactly(4))[0]
        heard.append(await reader.readexactly(size))
        if heard[-1] != b"hang up":
            await reader.read()
        writer.close()

    async def data(words: bytes):
        yield words

    path = str(tmp_path / "clamd.sock")
    async with await asyncio.start_unix_server(mute, path):
        client = Client(Scanner(f"unix:{path}", timeout_s=0.5))
        for words in (b"hang up", b"say nothing"):
            with pytest.raises(NoAnswer):
                await client.virus(data(words))
    assert heard == [b"zINSTREAM\0", b"hang up", b"zINSTREAM\0", b"say nothing"]
    with pytest.raises(NoAnswer):
        await client.virus(data(b"x"))
