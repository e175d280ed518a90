"""The demo as a process of its own, and small hands to use it with: a browser, a handset, a mailbox."""

from __future__ import annotations

import html
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import requests

from core import codes
from core.text import digits
from sms.providers import wire
from tests.leaks import hide

wire.hush()  # what citizens' hands do here is no log of the program's, but it stands in the same process

ROOT = Path(__file__).resolve().parents[2]
T = TypeVar("T")


class Demo:
    """`pasokh demo` on free ports in `folder`; start, stop and kill it as often as the story needs."""

    def __init__(self, folder: Path, *more: str, log: str = "debug") -> None:
        self.folder = folder
        self.level = log
        self.more = more
        self.facts: dict[str, Any] = {}
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> Demo:
        """Up and ready; raises with its error output when it is not, within a minute."""
        words = [
            sys.executable,
            "-m",
            "gateway",
            "--log",
            self.level,
            "demo",
            "--json",
            "--dir",
            str(self.folder),
            "--rtp",
            rtp_range(),
        ]
        words += [f"--{name}=0" for name in ("web", "sip", "desk", "smtp", "sms", "smpp", "world")]
        self.log = (self.folder.parent / f"{self.folder.name}.log").open("a")
        self.process = subprocess.Popen(
            [*words, *self.more], cwd=ROOT, stdout=subprocess.PIPE, stderr=self.log, text=True, env=dict(os.environ)
        )
        line = self._first_line(60)
        if not line:
            self.log.close()
        assert line, f"the demo did not start:\n{Path(self.log.name).read_text()[-4000:]}"
        self.facts = json.loads(line)
        hide(*(path.read_text().strip() for path in self._secrets()))
        return self

    def _secrets(self) -> list[Path]:
        """Files with what must never be written down."""
        names = ("hook.secret", "kavenegar.key", "smpp.password")
        return [self.folder / name for name in names if (self.folder / name).exists()]

    def _first_line(self, seconds: float) -> str:
        """What it prints first; '' when it ends, or is not ready in time and is ended."""
        assert self.process is not None
        assert self.process.stdout is not None
        waits = threading.Timer(seconds, self.process.kill)
        waits.start()
        try:
            return self.process.stdout.readline()
        finally:
            waits.cancel()

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self._gone(20)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self._gone(10)

    def end(self) -> None:
        """Whatever the story came to: no process of it is left."""
        if self.process is not None and self.process.poll() is None:
            self.kill()

    def _gone(self, seconds: float) -> int:
        assert self.process is not None
        assert self.process.stdout is not None
        status = self.process.wait(seconds)
        self.process.stdout.close()
        self.log.close()
        return status

    # ---- what it told

    def account(self, role: str, unit: str | None = None) -> dict[str, str]:
        found = [a for a in self.facts["accounts"] if a["role"] == role and unit in (None, a["unit"])]
        assert found, f"no {role} in {unit}: {self.facts['accounts']}"
        return dict(found[0])

    def address(self, unit: str) -> dict[str, str]:
        return dict(next(a for a in self.facts["addresses"] if a["unit"] == unit))

    # ---- the outside world

    def text(self, sender: str, words: str, to: str | None = None) -> int:
        """By the first short code, which Kavenegar serves; `smpp_code` goes by SMPP."""
        to = to or self.facts["addresses"][0]["shortcode"]
        answer = requests.post(f"{self.facts['handset']}/send.json", json={"from": sender, "to": to, "text": words})
        answer.raise_for_status()
        return int(answer.json()["id"])

    @property
    def smpp_code(self) -> str:
        """The short code that the made-up message centre serves."""
        return str(self.facts["smpp"]["shortcode"])

    def texts(self, phone: str) -> list[dict[str, Any]]:
        rows = requests.get(f"{self.facts['handset']}/messages.json", params={"phone": phone}).json()
        return [row for row in rows if row["way"] == "in"]

    def write(self, sender: str, to: str, subject: str, words: str, reply_to: str | None = None) -> str:
        body = {"from": sender, "to": to, "subject": subject, "text": words}
        body |= {"in_reply_to": reply_to} if reply_to else {}
        answer = requests.post(f"{self.facts['mailbox']}/send.json", json=body)
        assert answer.ok, answer.text
        return str(answer.json()["id"])

    def letters(self, address: str) -> list[dict[str, Any]]:
        rows = requests.get(f"{self.facts['mailbox']}/messages.json", params={"address": address}).json()
        return [row for row in rows if row["way"] == "in"]


def rtp_range() -> str:
    """Two hundred RTP ports of this process's own, so that demos beside each other do not meet."""
    first = 20000 + (os.getpid() * 200) % 20000
    return f"{first}-{first + 199}"


def until(found: Callable[[], T], seconds: float = 20.0) -> T:
    """Ask until the answer is truthy; fails after `seconds`."""
    ends = time.monotonic() + seconds
    while True:
        answer = found()
        if answer:
            return answer
        assert time.monotonic() < ends, f"not within {seconds} s"
        time.sleep(0.05)


class Page:
    """An HTML page as a browser without JavaScript sees it: text, links, forms."""

    def __init__(self, response: requests.Response) -> None:
        self.response, self.html, self.status = response, response.text, response.status_code
        bare = re.sub(r"<(style|script)\b.*?</\1>", "", self.html, flags=re.S)
        self.text = re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", bare)))

    def form(self, action: str) -> dict[str, str]:
        """Hidden and filled fields of the form whose action ends so."""
        for attributes, body in re.findall(r"<form\b([^>]*)>(.*?)</form>", self.html, flags=re.S):
            target = re.search(r'action="([^"]*)"', attributes)
            if target and html.unescape(target.group(1)).endswith(action):
                return dict(_fields(body))
        raise AssertionError(f"no form for {action}")


def _fields(body: str) -> list[tuple[str, str]]:
    found = []
    for tag in re.findall(r"<input\b[^>]*>", body):
        attributes = dict(re.findall(r'([\w-]+)="([^"]*)"', tag))
        if attributes.get("type") in ("hidden", None, "text") and "name" in attributes:
            found.append((attributes["name"], html.unescape(attributes.get("value", ""))))
    return found


class Browser:
    """Cookies and same-origin headers, nothing else."""

    def __init__(self, demo: Demo) -> None:
        self.base = demo.facts["web"]
        self.session = requests.Session()
        self.session.trust_env = False

    def get(self, path: str) -> Page:
        return Page(self.session.get(self.base + path))

    def post(self, path: str, **fields: Any) -> Page:
        return Page(self.session.post(self.base + path, data=fields, headers={"Origin": self.base}))

    def submit(self, page: Page, path: str, **fields: Any) -> Page:
        """Fill the form of `page` for `path` and press its button; multipart, as every browser can."""
        values = {**page.form(path), **fields}
        parts = [(name, (None, value)) for name, value in values.items()]
        return Page(self.session.post(self.base + path, files=parts, headers={"Origin": self.base}))


class Operator(Browser):
    """A signed-in member of staff."""

    def __init__(self, demo: Demo, role: str, unit: str | None = None) -> None:
        super().__init__(demo)
        account = demo.account(role, unit)
        page = self.get("/console/login")
        done = self.submit(page, "/console/login", user=account["name"], password=account["password"])
        assert done.status == 200, done.text[:500]
        assert "/login" not in done.response.url, done.text[:500]

    def ticket(self, code: str) -> int:
        """The id of the ticket with this code, in the queue of new ones or of all."""
        for view in ("new", "all"):
            page = self.get(f"/console/queue?view={view}")
            shown = codes.show(code)
            for row in re.findall(r"<tr\b.*?</tr>|<li\b.*?</li>", page.html, flags=re.S):
                if shown in digits(row):
                    found = re.search(r"/console/t/(\d+)", row)
                    assert found, row
                    return int(found.group(1))
        raise AssertionError(f"{code} is in no queue")

    def reply(self, ticket: int, words: str) -> Page:
        page = self.get(f"/console/t/{ticket}")
        done = self.submit(page, f"/console/t/{ticket}/reply", text=words, way="reply", then="answered")
        assert done.status == 200, done.text[:1000]
        return done


def code_in(text: str) -> str:
    """The first tracking code of a text, as 11 ASCII digits."""
    found = codes.find(text)
    assert found, text
    return found[0]


def pin_in(text: str, word: str = "رمز") -> str:
    found = re.search(rf"{word}\D{{0,40}}(\d{{4}})(?!\d)", digits(text))
    assert found, text
    return found.group(1)
