"""kill -9 at any moment while letters come: what got its 250 is a whole ticket after the next start, once."""

from __future__ import annotations

import contextlib
import random
import smtplib
import threading
import time
from email.message import EmailMessage
from pathlib import Path

import pytest

from tests.gateway.mail.postfix import _free as free
from tests.gateway.mail.program import Program

WRITERS = 4
HALVES = {
    "no message": "SELECT count(*) FROM ticket t WHERE NOT EXISTS (SELECT 1 FROM message WHERE ticket = t.id)",
    "no event": "SELECT count(*) FROM ticket t WHERE NOT EXISTS (SELECT 1 FROM event WHERE ticket = t.id)",
    "no code": "SELECT count(*) FROM ticket t WHERE NOT EXISTS (SELECT 1 FROM code WHERE ticket = t.id)",
    "no raw": "SELECT count(*) FROM message m WHERE raw_key IS NULL"
    " AND NOT EXISTS (SELECT 1 FROM raw WHERE message = m.id)",
    "no Message-ID": "SELECT count(*) FROM ticket t WHERE NOT EXISTS (SELECT 1 FROM mail_id WHERE ticket = t.id)",
    "no file": "SELECT count(*) FROM ticket t WHERE subject LIKE '%file%'"
    " AND NOT EXISTS (SELECT 1 FROM file WHERE ticket = t.id)",
    "not marked as seen": "SELECT count(*) FROM ticket t WHERE NOT EXISTS (SELECT 1 FROM seen WHERE ticket = t.id)",
}


class Writers:
    """People who write until they are told to stop, and note what was acknowledged."""

    def __init__(self, port: int, name: str) -> None:
        self.port, self.name = port, name
        self.acknowledged: list[str] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._write, args=(n,)) for n in range(WRITERS)]

    def __enter__(self) -> Writers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *gone: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)

    def _write(self, number: int) -> None:
        count = 0
        while not self._stop.is_set():
            with contextlib.suppress(OSError, smtplib.SMTPException), self._link() as client:
                while not self._stop.is_set():
                    count += 1
                    subject = f"{self.name} {number} {count}" + (" file" if count % 5 == 0 else "")
                    client.send_message(_letter(subject, count % 5 == 0))
                    self.acknowledged.append(subject)

    def _link(self) -> smtplib.SMTP:
        return smtplib.SMTP("127.0.0.1", self.port, timeout=10)


def _letter(subject: str, with_file: bool) -> EmailMessage:
    letter = EmailMessage()
    letter["From"], letter["To"], letter["Subject"] = "maryam@mailbox.example", "bench@example.ir", subject
    letter["Message-ID"] = f"<{subject.replace(' ', '.')}@mailbox.example>"
    letter.set_content("آب قطع است")
    if with_file:
        letter.add_attachment(subject.encode() * 500, maintype="application", subtype="pdf", filename="plan.pdf")
    return letter


def rounds(folder: Path, count: int, seed: int) -> None:
    chance = random.Random(seed)
    port = free()
    program = Program(folder, f'[mail.line.main]\ndomain = "example.ir"\nport = {port}\nrelay_port = 1\n').start()
    due: list[str] = []
    try:
        for n in range(count):
            with Writers(port, f"r{n}") as writers:
                ends = time.monotonic() + chance.uniform(0.2, 1.0)
                while time.monotonic() < ends or not writers.acknowledged:
                    time.sleep(0.01)
                program.kill()
            due += writers.acknowledged
            program.start()
            kept = program.tickets()
            assert [subject for subject in due if kept[subject] != 1] == []
            assert [subject for subject, times in kept.items() if times != 1] == []
            assert {what: program.one(sql) for what, sql in HALVES.items()} == dict.fromkeys(HALVES, 0)
    finally:
        program.stop()
    assert len(due) > count * 5


@pytest.mark.slow
def test_three_kills_lose_no_letter_that_was_acknowledged_and_leave_no_half_ticket(tmp_path):
    rounds(tmp_path / "data", 3, 5)


@pytest.mark.long
def test_a_hundred_kills_lose_no_letter_that_was_acknowledged_and_leave_no_half_ticket(tmp_path):
    rounds(tmp_path / "data", 100, 6)
