"""What is written down while texts come and go: no key, no secret, no whole number, no word of a citizen."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import requests

from core.text import digits
from tests.journeys.running import Demo, Operator, code_in, until

NUMBER = re.compile(r"(?<![0-9])(?:\+98|0098|98|0)9[0-9]{9}(?![0-9])")
FAULTS = (("sendarray", "reset_after"), ("receive", "html"), ("info", "403"), ("inboxpaged", "cut"))
PHONE, WORDS = "09120000055", "شیر آب همسایه شکسته است"


@pytest.mark.slow
def test_no_key_no_secret_no_number_and_no_word_stands_in_the_log(tmp_path: Path):
    demo = Demo(tmp_path / "data", log="debug").start()
    try:
        story(demo)
        secret = (demo.folder / "hook.secret").read_text().strip()
        key = (demo.folder / "kavenegar.key").read_text().strip()
        assert demo.stop() == 0
    finally:
        demo.end()
    log = (tmp_path / "data.log").read_text()
    assert len(log) > 1000, "nothing was written down"
    assert [name for name, hidden in (("key", key), ("secret", secret), ("words", WORDS)) if hidden in log] == []
    assert NUMBER.findall(digits(log)) == []


def story(demo: Demo) -> None:
    """In, out, refused, cut off, without sense, by hook and by poll, and an answer by an operator."""
    base = demo.facts["handset"].rsplit("/", 1)[0]
    for method, fault in FAULTS:
        requests.post(f"{base}/faults.json", json={"method": method, "fault": fault}, timeout=10)
    demo.text(PHONE, WORDS)
    code = code_in(until(lambda: demo.texts(PHONE), 30)[0]["text"])
    hook = f"{demo.facts['web']}/hooks/sms/main/{(demo.folder / 'hook.secret').read_text().strip()}"
    requests.post(hook, data={"nonsense": PHONE}, timeout=10)
    requests.post(hook + "x", data={"from": PHONE, "message": WORDS}, timeout=10)
    operator = Operator(demo, "manager")
    operator.reply(operator.ticket(code), "فردا درست می‌شود.")
    demo.text(PHONE, code)
    until(lambda: [row for row in demo.texts(PHONE) if "وضعیت" in row["text"]], 30)
