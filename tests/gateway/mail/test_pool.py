"""The parser workers: real child processes that are killed, overrun and left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from gateway.mail.pool import ROOT, UNREADABLE, Pool

LETTER = "From: sara@mailbox.example\r\nSubject: آب\r\n\r\nقطع است\r\n".encode()
SLOW = b"From: x@example.ir\r\nContent-Type: text/html\r\n\r\n" + b"".join(
    b"<b class=c%d><p>w " % i for i in range(30_000)
)


@pytest.fixture
async def pool():
    pool = Pool(1)
    await pool.start()
    yield pool
    await pool.stop()


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


async def until(true, seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_a_killed_worker_is_replaced_and_the_letter_read(pool):
    assert (await pool.read(LETTER, "cp1256")).new == "قطع است"
    os.kill(pool.pids()[0], signal.SIGKILL)
    mail = await pool.read(LETTER, "cp1256")
    assert (mail.new, mail.sender) == ("قطع است", "sara@mailbox.example")
    assert UNREADABLE not in mail.defects


async def test_a_letter_that_kills_three_workers_is_unreadable_with_its_sender(pool, monkeypatch):
    ask = pool._ask

    async def killed(process, job):
        if b"kill" in job.raw:
            process.kill()
        return await ask(process, job)

    monkeypatch.setattr(pool, "_ask", killed)
    mail = await pool.read(LETTER.replace(b"\r\n\r\n", b"\r\nX: kill\r\n\r\n"), "cp1256")
    assert UNREADABLE in mail.defects and mail.sender == "sara@mailbox.example" and mail.subject == "آب"
    assert pool.deaths == 3
    assert (await pool.read(LETTER, "cp1256")).new == "قطع است"


@pytest.mark.slow
async def test_html_that_takes_too_long_keeps_the_first_answer(pool):
    mail = await pool.read(SLOW, "cp1256")
    assert "html_unread" in mail.defects and UNREADABLE not in mail.defects
    assert mail.new.startswith("w w w")
    assert (await pool.read(LETTER, "cp1256")).new == "قطع است"


async def test_past_the_deadline_a_letter_is_unreadable(pool):
    pool._wall = 0.5
    os.kill(pool.pids()[0], signal.SIGSTOP)
    mail = await pool.read(LETTER, "cp1256")
    assert UNREADABLE in mail.defects and mail.sender == "sara@mailbox.example"
    pool._wall = 10.0
    assert (await pool.read(LETTER, "cp1256")).new == "قطع است"


async def test_the_loop_goes_on_while_a_worker_reads(pool):
    ticks = 0
    long = b"From: x@example.ir\r\nContent-Type: text/html\r\n\r\n" + b"&#x41;<br>" * 100_000
    task = asyncio.create_task(pool.read(long, "cp1256"))
    while not task.done():
        await asyncio.sleep(0.05)
        ticks += 1
    await task
    assert ticks > 5


async def test_stop_leaves_no_child():
    pool = Pool(2)
    await pool.start()
    pids = pool.pids()
    await pool.stop()
    await until(lambda: all(map(gone, pids)))


async def test_workers_die_with_a_parent_that_was_killed():
    program = """
        import asyncio
        from gateway.mail.pool import Pool
        async def main():
            pool = Pool(2)
            await pool.start()
            await pool.read(b"a: b\\r\\n\\r\\n", "cp1256")
            await pool.read(b"a: b\\r\\n\\r\\n", "cp1256")
            print(*pool.pids(), flush=True)
            await asyncio.sleep(60)
        asyncio.run(main())
    """
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", textwrap.dedent(program), stdout=subprocess.PIPE, cwd=ROOT
    )
    assert parent.stdout is not None
    pids = [int(word) for word in (await parent.stdout.readline()).split()]
    parent.kill()
    await parent.wait()
    assert len(pids) == 2
    await until(lambda: all(map(gone, pids)))
