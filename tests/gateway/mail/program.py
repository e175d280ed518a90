"""The program with mail lines only, for tests that kill it: `python -m tests.gateway.mail.program DATA LINES.TOML`.

With `--die-before-mark` it kills itself where a mailbox's letter is a ticket and not marked yet.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import tomllib
from collections import Counter
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]


class Program:
    """It as a child: `start`, `kill` and `stop` as often as the story needs."""

    def __init__(self, folder: Path, lines: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        (folder / "lines.toml").write_text(lines)
        self._process: subprocess.Popen[str] | None = None

    def start(self, *more: str) -> Program:
        words = [sys.executable, "-m", "tests.gateway.mail.program", str(self.folder), str(self.folder / "lines.toml")]
        with (self.folder / "log").open("a") as log:
            self._process = subprocess.Popen([*words, *more], cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True)
        assert self._process.stdout is not None
        said = self._process.stdout.readline()
        assert said or more, (self.folder / "log").read_text()[-3000:]
        return self

    def ended(self, seconds: float = 60) -> int:
        assert self._process is not None and self._process.stdout is not None
        status = self._process.wait(seconds)
        self._process.stdout.close()
        self._process = None
        return status

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self.ended()

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            status = self.ended()
            assert status == 0, f"{status}: {(self.folder / 'log').read_text()[-2000:]}"

    def tickets(self) -> Counter[str]:
        """How many tickets have each subject."""
        return self.counted("SELECT subject, count(*) FROM ticket GROUP BY subject")

    def one(self, sql: str) -> int:
        """The one number an SQL sentence gives."""
        with closing(sqlite3.connect(f"file:{self.folder / 'pasokh.db'}?mode=ro", uri=True, timeout=30)) as s:
            return int(s.execute(sql).fetchone()[0])

    def counted(self, sql: str) -> Counter[str]:
        with closing(sqlite3.connect(f"file:{self.folder / 'pasokh.db'}?mode=ro", uri=True, timeout=30)) as s:
            return Counter(dict(s.execute(sql)))


async def serve(folder: Path, lines: dict[str, Any]) -> None:
    from gateway import loop, supervise, wiring

    loop.guest(asyncio.get_running_loop())
    parts = supervise.Parts()
    site = wiring.site(None)
    settings = replace(
        site.settings,
        second_factor="optional",
        loopback_exempt=True,
        web=replace(site.settings.web, port=0, bind="127.0.0.1"),
    )
    system = await wiring.start(replace(site, settings=settings, lines=lines), folder, None, parts)
    mail: Any = system.channels["mail"]
    for book in mail._books.values():
        book.units.setdefault("bench", next(iter(book.units.values())))
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    print("up", flush=True)
    await told.wait()
    await parts.stop(2)
    loop.stop_guest()


def main() -> None:
    from gateway import loop
    from gateway.mail.imap import Session

    if "--die-before-mark" in sys.argv:
        Session.mark = lambda self, uid: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[method-assign]
    lines = tomllib.loads(Path(sys.argv[2]).read_text())
    with asyncio.Runner(loop_factory=loop.new) as runner:
        runner.run(serve(Path(sys.argv[1]), lines))


if __name__ == "__main__":
    main()
