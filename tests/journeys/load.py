"""People on all channels at once, who note what was acknowledged to them; the judge after a crash."""

from __future__ import annotations

import contextlib
import json
import smtplib
import sqlite3
import subprocess
import sys
import threading
import time
import wave
from collections import Counter
from email.message import EmailMessage
from pathlib import Path

import requests

from tests.journeys.running import ROOT, Demo


class Crowd:
    """Writers on web, SMS and mail, and callers; `acknowledged` holds the token of every message that was."""

    def __init__(self, demo: Demo, name: str) -> None:
        self.demo, self.name = demo, name
        self.acknowledged: dict[str, list[str]] = {"web": [], "sms": [], "mail": []}
        self.codes: dict[str, tuple[str, str]] = {}
        self.phones: dict[str, str] = {}
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(each, n)) for each in self.acknowledged for n in (0, 1)
        ]
        self._secret = (demo.folder / "hook.secret").read_text().strip()

    def __enter__(self) -> Crowd:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *gone: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)

    def _run(self, channel: str, number: int) -> None:
        write = {"web": self._web, "sms": self._sms, "mail": self._mail}[channel]
        count = 0
        while not self._stop.is_set():
            count += 1
            token = f"نشان {self.name}{channel}{number}x{count}y"
            with contextlib.suppress(requests.RequestException, OSError, smtplib.SMTPException):
                if write(token, number, count):
                    self.acknowledged[channel].append(token)
                    continue
            time.sleep(0.02)

    def _web(self, token: str, number: int, count: int) -> bool:
        body = {"kind": "complaint", "text": f"{token} چراغ کوچه خاموش است"}
        key = {"Idempotency-Key": f"{self.name}-{number}-{count}"}
        answer = requests.post(f"{self.demo.facts['web']}/api/v1/tickets", json=body, headers=key, timeout=10)
        if answer.status_code == 201:
            self.codes[token] = (answer.json()["code"], answer.json()["pin"])
        return answer.status_code == 201

    def _sms(self, token: str, number: int, count: int) -> bool:
        phone = f"0912{abs(hash((self.name, number, count))) % 10**7:07d}"
        self.phones[token] = phone
        fields = {"messageid": f"{self.name}{number}{count}", "from": phone, "to": "30001234", "message": token}
        hook = f"{self.demo.facts['web']}/hooks/sms/main/{self._secret}"
        return requests.post(hook, data=fields, timeout=10).status_code == 200

    def _mail(self, token: str, number: int, count: int) -> bool:
        host, _, port = self.demo.facts["smtp"].rpartition(":")
        letter = EmailMessage()
        letter["From"] = f"w{count}-{number}@mailbox.example.ir"
        letter["To"] = self.demo.facts["addresses"][0]["email"]
        letter["Subject"] = "نامهٔ آزمون"
        letter["Message-ID"] = f"<{self.name}.{number}.{count}@mailbox.example.ir>"
        letter.set_content(token)
        with smtplib.SMTP(host, int(port), timeout=10) as smtp:
            return not smtp.send_message(letter)


class Callers:
    """Telephones that leave a message and are in the middle of it when the machine dies."""

    def __init__(self, demo: Demo, folder: Path, count: int) -> None:
        words = folder / "speech.wav"
        with wave.open(str(words), "wb") as file:
            file.setparams((1, 2, 8000, 0, "NONE", ""))
            file.writeframes(
                b"".join(int(9000 * ((n // 20) % 2 * 2 - 1)).to_bytes(2, "little", signed=True) for n in range(160000))
            )
        call = [
            sys.executable,
            "-m",
            "gateway",
            "call",
            demo.facts["sip"],
            "--keys",
            ",1,0,w,say",
            "--say",
            str(words),
        ]
        self._calls = [
            subprocess.Popen(call, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(count)
        ]

    def end(self) -> None:
        for call in self._calls:
            call.terminate()
            call.wait(10)


def recordings(demo: Demo) -> int:
    """Recordings under way longer than two and a half seconds: each must become a ticket whatever happens."""
    found = list((demo.folder / "phone" / "spool").glob("*.wav"))
    return sum(path.stat().st_size > 2.5 * 8000 + 64 for path in found)


def messages(demo: Demo) -> Counter[str]:
    """How often each text lies in the store, as a ticket's own message."""
    with contextlib.closing(sqlite3.connect(f"file:{demo.folder / 'pasokh.db'}?mode=ro", uri=True)) as s:
        return Counter(row[0] for row in s.execute("SELECT text FROM message WHERE way = 'in'"))


def phone_tickets(demo: Demo) -> int:
    """Tickets that came by phone."""
    with contextlib.closing(sqlite3.connect(f"file:{demo.folder / 'pasokh.db'}?mode=ro", uri=True)) as s:
        return int(s.execute("SELECT count(*) FROM ticket WHERE channel = 'phone'").fetchone()[0])


def judge(demo: Demo, crowd: Crowd) -> None:
    """Everything acknowledged is there, once; codes open their tickets."""
    kept = Counter(
        token for text in messages(demo).elements() for token in [text.strip()[: text.strip().find("y") + 1]]
    )
    for channel, tokens in crowd.acknowledged.items():
        lost = [token for token in tokens if kept[token] != 1]
        assert not lost, f"{channel}: {len(lost)} of {len(tokens)} not there once, e.g. {lost[0]} ({kept[lost[0]]})"
    for token in list(crowd.codes)[-5:]:
        code, pin = crowd.codes[token]
        answer = requests.post(f"{demo.facts['web']}/api/v1/track", json={"code": code, "proof": pin}, timeout=10)
        assert answer.status_code == 200, answer.text
        assert token in json.dumps(answer.json(), ensure_ascii=False)
