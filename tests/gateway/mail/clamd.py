"""Debian's clamd on a UNIX socket, with one signature made by hand: of a sentence that is no virus."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import time
from pathlib import Path

SIGN = b"PASOKH-MADE-UP-SIGNATURE-OF-A-TEST"
CONFIG = """
Foreground yes
LocalSocket {home}/clamd.sock
LocalSocketMode 666
DatabaseDirectory {home}/db
LogFile {home}/log
TemporaryDirectory {home}
StreamMaxLength 100M
MaxThreads 4
AlertExceedsMax yes
Bytecode no
{user}
"""


def find() -> str | None:
    return shutil.which("clamd", path="/usr/sbin:/usr/bin")


class Clamd:
    """`start` and `stop` as often as the story needs."""

    def __init__(self, home: Path) -> None:
        self.home = home
        (home / "db").mkdir(parents=True, exist_ok=True)
        (home / "db/made-up.ndb").write_text(f"Pasokh.Test.MadeUp:0:*:{SIGN.hex()}\n")
        user = "User nobody" if os.geteuid() == 0 else ""
        (home / "clamd.conf").write_text(CONFIG.format(home=home, user=user))
        if os.geteuid() == 0:
            entry = pwd.getpwnam("nobody")
            for path in [home, *home.rglob("*")]:
                os.chown(path, entry.pw_uid, entry.pw_gid)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"unix:{self.home}/clamd.sock"

    def start(self) -> Clamd:
        program = find()
        assert program is not None
        words = [program, "-c", str(self.home / "clamd.conf")]
        self._process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        ends = time.monotonic() + 20
        while not (self.home / "clamd.sock").exists():
            assert time.monotonic() < ends, (self.home / "log").read_text()[-2000:]
            time.sleep(0.05)
        return self

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)
            self._process = None
            (self.home / "clamd.sock").unlink(missing_ok=True)
