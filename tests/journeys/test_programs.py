"""The program as its users start and stop it: PostgreSQL, a second start, a stop in time, what check says."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from tests.journeys.running import ROOT, Demo, until
from tests.postgres import empty_database


def pasokh(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gateway", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, env=dict(os.environ))


def ticket(demo: Demo) -> dict[str, str]:
    body = {"kind": "complaint", "text": "چراغ کوچه خاموش است"}
    answer = requests.post(f"{demo.facts['web']}/api/v1/tickets", json=body, timeout=10)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def state(demo: Demo, made: dict[str, str]) -> str:
    body = {"code": made["code"], "proof": made["pin"]}
    answer = requests.post(f"{demo.facts['web']}/api/v1/track", json=body, timeout=10)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["state"])


def test_the_demo_runs_on_postgresql_once_it_is_migrated(postgres: str, tmp_path: Path):
    url = asyncio.run(empty_database(postgres))
    refused = pasokh("demo", "--dir", str(tmp_path / "a"), "--database", url, "--rtp", "0", *zeros())
    assert refused.returncode == 2
    assert "pasokh migrate" in refused.stderr
    assert pasokh("migrate", url).returncode == 0
    demo = Demo(tmp_path / "b", "--database", url).start()
    made = ticket(demo)
    demo.kill()
    demo.start()
    assert state(demo, made) == "new"
    assert demo.stop() == 0


def zeros() -> list[str]:
    return [f"--{name}=0" for name in ("web", "sip", "smtp", "sms", "smpp", "world")]


def test_a_second_start_finds_the_data_and_a_stop_takes_less_than_five_seconds(tmp_path: Path):
    demo = Demo(tmp_path / "data").start()
    made, accounts = ticket(demo), demo.facts["accounts"]
    begun = time.monotonic()
    assert demo.stop() == 0
    assert time.monotonic() - begun < 5
    demo.start()
    assert state(demo, made) == "new"
    assert demo.facts["accounts"] == accounts
    assert demo.stop() == 0


def test_two_programs_on_one_folder_and_the_second_names_the_first(tmp_path: Path):
    demo = Demo(tmp_path / "data").start()
    assert demo.process is not None
    second = pasokh("demo", "--dir", str(demo.folder), "--rtp", "0", *zeros())
    assert second.returncode == 2
    assert str(demo.process.pid) in second.stderr
    assert demo.stop() == 0


@pytest.mark.parametrize(
    ("file", "text", "word"),
    [
        ("lines.toml", '[sms.line.main]\nnumber = "3000"\nproviders = ["paper"]\n', "paper"),
        ("lines.toml", '[mail.line.main]\ndomain = "example.ir"\nport = 99999\n', "port"),
        ("settings.toml", "drain_seconds = -1\n", "drain_seconds"),
    ],
)
def test_check_names_file_line_and_remedy(tmp_path: Path, file, text, word):
    (tmp_path / file).write_text(text)
    found = pasokh("check", "--config", str(tmp_path))
    assert found.returncode == 2
    assert f"{file}:" in found.stderr
    assert word in found.stderr


def test_serve_refuses_exemptions_where_strangers_can_reach_it(tmp_path: Path):
    settings = (ROOT / "config" / "settings.toml").read_text()
    (tmp_path / "settings.toml").write_text(
        settings.replace("loopback_exempt = false", "loopback_exempt = true").replace(
            'bind = "127.0.0.1"', 'bind = "0.0.0.0"'
        )
    )
    (tmp_path / "data").mkdir()
    refused = pasokh("serve", "--config", str(tmp_path), "--data", str(tmp_path / "data"))
    assert refused.returncode == 2
    assert "loopback_exempt" in refused.stderr


def test_serve_says_that_a_folder_is_missing(tmp_path: Path):
    refused = pasokh("serve", "--data", str(tmp_path / "mistyped"))
    assert refused.returncode == 2
    assert "mistyped is no folder" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_the_demo_says_that_its_folder_cannot_be_made():
    refused = pasokh("demo", "--dir", "/proc/none", "--rtp", "0", *zeros())
    assert refused.returncode == 2
    assert "--dir /proc/none cannot be made" in refused.stderr
    assert "Traceback" not in refused.stderr


def children(pid: int) -> list[int]:
    """Processes below `pid`."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in map(int, (task / "children").read_text().split()):
            found += [child, *children(child)]
    return found


def test_its_children_end_with_it_also_after_kill_9(tmp_path: Path):
    demo = Demo(tmp_path / "data").start()
    assert demo.process is not None
    family = children(demo.process.pid)
    assert len(family) >= 3, "the made-up world and two parser workers"
    demo.kill()
    until(lambda: not [pid for pid in family if Path(f"/proc/{pid}/cmdline").exists()], 10)
