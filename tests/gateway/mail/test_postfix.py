"""Debian's Postfix in front of the running program by LMTP, as docs/mail.md sets it up; killed while letters come."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway.mail import postfix
from tests.gateway.mail.postfix import Postfix
from tests.gateway.mail.program import Program

pytestmark = [pytest.mark.peer, pytest.mark.slow]
DOMAIN = "example.ir"


def lmtp(place: str) -> str:
    return f'[mail.line.main]\nkind = "lmtp"\ndomain = "{DOMAIN}"\nrelay_port = 1\ndisk_free = 0.0\n{place}\n'


@pytest.fixture
def front() -> Iterator[list[Postfix]]:
    """A place for the Postfix of the test; it is stopped at the end."""
    why = postfix.missing()
    if why is not None:
        if os.environ.get("PASOKH_MUST_PEERS") and os.geteuid() == 0:
            pytest.fail(why)
        pytest.skip(why)
    started: list[Postfix] = []
    yield started
    for each in started:
        each.stop()


def swaks(port: int, *words: str) -> tuple[int, str]:
    done = subprocess.run(
        ["swaks", "--server", f"127.0.0.1:{port}", "--from", "sara@mailbox.example", *words],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    return done.returncode, done.stdout


def until(true, seconds: float = 60.0, each: float = 0.1) -> None:
    ends = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends
        time.sleep(each)


def test_by_a_unix_socket_letters_become_tickets_and_nobody_is_refused_while_the_sender_waits(front, tmp_path):
    sockets = Path("/tmp") / f"pasokh-lmtp-{os.getpid()}"
    program = Program(tmp_path / "data", lmtp(f'socket = "{sockets}"\nsocket_mode = 0o666')).start()
    try:
        front.append(Postfix(DOMAIN, f"lmtp:unix:{sockets}").start())
        port = front[0].port
        code, said = swaks(port, "--to", f"bench@{DOMAIN}", "--h-Subject", "first", "--body", "water")
        assert code == 0, said
        code, said = swaks(port, "--to", f"nobody@{DOMAIN}")
        assert code == 24 and "550" in said and "No such address here" in said
        code, said = swaks(port, "--to", "x@elsewhere.example")
        assert code == 24 and "554 5.7.1" in said
        until(lambda: program.tickets() == {"first": 1})
        until(lambda: front[0].queued() == 0)
    finally:
        program.stop()
        sockets.unlink(missing_ok=True)
    assert "status=bounced" not in front[0].log()


def killed_while_letters_come(front: list[Postfix], folder: Path, letters: int, kills: int) -> None:
    """Every letter Postfix took is one ticket, whatever happens to us meanwhile."""
    port = postfix._free()
    program = Program(folder, lmtp(f"port = {port}")).start()
    try:
        front.append(Postfix(DOMAIN, f"lmtp:inet:127.0.0.1:{port}").start())
        queue = front[0]
        assert swaks(queue.port, "--to", f"bench@{DOMAIN}", "--h-Subject", "warm")[0] == 0  # the address is known now
        until(lambda: program.tickets()["warm"] == 1)
        source = shutil.which("smtp-source", path="/usr/sbin:/usr/bin")
        assert source is not None
        words = ["-s", "10", "-m", str(letters), "-l", "2000", "-f", "sara@mailbox.example", "-t", f"bench@{DOMAIN}"]
        sending = subprocess.Popen([source, "-4", *words, f"127.0.0.1:{queue.port}"], stderr=subprocess.PIPE)
        for n in range(kills):
            goal = letters * (n + 1) // (kills + 2)
            until(lambda goal=goal: program.tickets().total() > goal, 300, 0.02)
            program.kill()
            program.start()
        assert sending.wait(300) == 0, sending.stderr
        assert sending.stderr is not None
        sending.stderr.close()
        until(lambda: queue.hurry() or queue.queued() == 0, 300, 0.5)
        until(lambda: program.tickets().total() >= letters + 1, 30)
    finally:
        program.stop()
    by_letter = program.counted("SELECT hash, count(DISTINCT ticket) FROM mail_id GROUP BY hash")
    assert len(by_letter) == letters + 1 and set(by_letter.values()) == {1}
    assert program.tickets().total() == letters + 1
    log = queue.log()
    assert "status=bounced" not in log and "status=expired" not in log
    assert log.count("status=sent (250 2.0.0") >= letters


def test_killed_twice_during_three_hundred_letters_each_is_one_ticket(front, tmp_path):
    killed_while_letters_come(front, tmp_path / "data", 300, 2)


@pytest.mark.long
def test_killed_five_times_during_three_thousand_letters_each_is_one_ticket(front, tmp_path):
    killed_while_letters_come(front, tmp_path / "data", 3000, 5)
