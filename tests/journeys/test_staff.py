"""Staff of a real site: a first password by command, sign-in with a second factor, the factor taken away by command."""

from __future__ import annotations

import base64
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from core import factors
from tests.journeys.running import ROOT, Browser, Page
from tests.journeys.test_programs import pasokh

SECOND = "/console/login/second"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[SimpleNamespace]:
    """`pasokh serve` as shipped, with the web alone on a free port."""
    site, data = tmp_path / "site", tmp_path / "data"
    site.mkdir()
    data.mkdir()
    settings = (ROOT / "config" / "settings.toml").read_text()
    (site / "settings.toml").write_text(settings.replace("port = 8080", "port = 0", 1))
    (site / "lines.toml").write_text("# the web alone\n")
    words = [sys.executable, "-m", "gateway", "serve", "--config", str(site), "--data", str(data)]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True, env=dict(os.environ))
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, (tmp_path / "log").read_text()[-3000:]
    port = int(line.rpartition(":")[2])
    yield SimpleNamespace(data=data, process=process, facts={"web": f"http://127.0.0.1:{port}"})
    if process.poll() is None:
        process.terminate()
        process.wait(20)
    process.stdout.close()


def staff(served: SimpleNamespace, *words: str) -> str:
    done = pasokh("staff", "--data", str(served.data), *words)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def sign_in(served: SimpleNamespace, password: str) -> tuple[Browser, Page]:
    browser = Browser(served)  # type: ignore[arg-type]  it asks for the address alone
    return browser, browser.submit(browser.get("/console/login"), "/console/login", user="director", password=password)


def secret_of(page: Page) -> bytes:
    found = re.search(r'id="secret">([A-Z2-7 ]+)<', page.html)
    assert found, page.text
    return base64.b32decode(found[1].replace(" ", ""))


def now(secret: bytes) -> str:
    return factors.code(secret, int(time.time()) // factors.STEP)


def test_a_real_site_s_staff_sign_in_with_a_second_factor_and_enrol_anew_when_it_is_lost(served: SimpleNamespace):
    password = staff(served, "password", "director")
    assert len(password) == 16
    browser, page = sign_in(served, password)
    done = browser.submit(page, SECOND, code=now(secret_of(page)))
    recovery = re.findall(r'<code dir="ltr">([^<]+)</code>', done.html)
    assert len(recovery) == 10
    assert "/login" not in browser.get("/console/queue?view=new").response.url
    other, asked = sign_in(served, password)
    assert 'id="secret"' not in asked.html
    assert other.submit(asked, SECOND, code=recovery[0]).status == 200
    assert "director" in staff(served, "reset", "director")
    assert "/login" in browser.get("/console/queue?view=new").response.url, "sessions ended"
    _, page = sign_in(served, password)
    assert secret_of(page)
    unknown = pasokh("staff", "--data", str(served.data), "reset", "nobody")
    assert unknown.returncode == 2
    assert "Traceback" not in unknown.stderr
    served.process.terminate()
    assert served.process.wait(20) == 0
    assert staff(served, "password", "director") != password, "the store is opened when nothing runs"
