"""Looks through all that a test run writes down: no key of a provider and no whole telephone number may stand in a log.

Every record of every logger of the test process (from DEBUG on, as the program itself writes it, with its extras and
tracebacks), what its children write to standard error, and the log files of our own programs that tests start. What is
found fails the run at its end, with the logger and the test named. Works in one process and in several (xdist).
"""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from core.text import digits
from gateway.__main__ import LOG_LINE

NUMBER = re.compile(
    r"(?<![0-9A-Fa-f])(?<![0-9]\.)(?:%2[Bb]|\+|00)?(?:98|0)9[0-9]{9}(?![0-9A-Fa-f])"  # as machines write them
    r"|(?<![0-9A-Fa-f-])(?:\+98|0)[ -]?9[0-9]{2}[ -][0-9]{3}[ -]?[0-9]{4}(?![0-9A-Fa-f-])"  # as people do
)
LINE = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} [A-Z]+ (\S+) ([^:\n]*)", re.M)
PEERS = ("mail.log", "mail.debug")  # loggers of aiosmtpd, a peer in the same process: it writes down all it hears
SHORTEST = 8  # characters of a key that is no ordinary word
TOLD = 40  # findings shown
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_hidden: set[str] = set()


def hide(*keys: str) -> None:
    """From now on none of these may be written down."""
    assert all(len(key) >= SHORTEST for key in keys), "too short to be told from a word"
    _hidden.update(keys)


@dataclass(frozen=True, slots=True)
class Finding:
    """What stood where. `place`: the logger, or the child's file; `words`: the constant sentence of its line."""

    what: str  #: key or number
    place: str
    words: str
    test: str

    def __str__(self) -> str:
        return f"a {self.what} in the log of {self.place} ({self.words!r}) during {self.test}"


def found_in(text: str) -> Iterator[tuple[str, int]]:
    """What must not stand in `text`, and at which character."""
    for key in _hidden:
        if key in text:
            yield "key", text.index(key)
    for match in NUMBER.finditer(text if text.isascii() else digits(text)):
        yield "whole number", match.start()


@dataclass
class Look:
    """All that was looked through, and what it came to."""

    findings: list[Finding] = field(default_factory=list)
    records: int = 0
    octets: int = 0  #: of children's logs
    seconds: float = 0.0

    def text(self, text: str, place: str, words: str | None = None) -> None:
        """Look through one record (with its `words`), or one piece of a file."""
        began = time.process_time()
        for what, at in found_in(text):
            logger, said = ("", words) if words is not None else _line_of(text, at)
            self.findings.append(Finding(what, f"{place}: {logger}" if logger else place, said, _test()))
        self.seconds += time.process_time() - began


def _line_of(text: str, at: int) -> tuple[str, str]:
    """Logger and sentence of the line at a place, as far as it is one of ours."""
    lines = list(LINE.finditer(text, 0, at))
    return (lines[-1][1], lines[-1][2][:80]) if lines else ("", "no line of ours")


def _test() -> str:
    return os.environ.get("PYTEST_CURRENT_TEST", "no test").split(" ")[0]


class Records(logging.Handler):
    """Every record of this process, as the program writes it and with what it does not write: its extras."""

    def __init__(self, look: Look) -> None:
        super().__init__(logging.DEBUG)
        self._look = look
        self.setFormatter(logging.Formatter(LOG_LINE))

    def emit(self, record: logging.LogRecord) -> None:
        if record.name in PEERS:
            return
        began = time.process_time()
        self._look.records += 1
        extras = {name: value for name, value in vars(record).items() if name not in _STANDARD}
        try:
            line = self.format(record)
        except (TypeError, ValueError):  # words and arguments that do not fit; logging itself tells of it
            line = f"{record.msg} {record.args}"
        self._look.seconds += time.process_time() - began
        self._look.text(f"{line} {extras}" if extras else line, record.name, str(record.msg)[:80])


class Children:
    """What our own programs write when a test runs them: their log files, and errors handed back to the test."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self._files: dict[str, int] = {}  # path → octets looked through
        self._running: dict[str, subprocess.Popen[Any]] = {}
        self._begin, self._hear = subprocess.Popen.__init__, subprocess.Popen.communicate

    def watch(self) -> None:
        """Notice every child from now on."""
        begin, hear, me = self._begin, self._hear, self

        def begun(popen: Any, args: Any, *more: Any, **named: Any) -> None:
            begin(popen, args, *more, **named)
            me.begun(popen, args, named.get("stderr"))

        def heard(popen: Any, *more: Any, **named: Any) -> Any:
            out, errors = hear(popen, *more, **named)
            if errors and _ours(popen.args):
                words = errors if isinstance(errors, str) else errors.decode(errors="replace")
                me._look.text(words, "a child that was heard to its end")
            return out, errors

        subprocess.Popen.__init__ = begun  # type: ignore[method-assign, assignment]
        subprocess.Popen.communicate = heard  # type: ignore[method-assign]

    def leave(self) -> None:
        """As it was before."""
        subprocess.Popen.__init__ = self._begin  # type: ignore[method-assign]
        subprocess.Popen.communicate = self._hear  # type: ignore[method-assign]

    def begun(self, popen: Any, args: Any, errors: Any) -> None:
        path = getattr(errors, "name", None)
        if isinstance(path, str) and _ours(args):
            self._files.setdefault(path, 0)
            self._running[path] = popen

    def read(self) -> None:
        """What their files have got since the last look; the file of a child that is gone is done with."""
        for path, child in list(self._running.items()):
            gone = child.returncode is not None
            self._one(Path(path))
            if gone:
                del self._running[path]

    def _one(self, path: Path) -> None:
        if not path.exists() or path.stat().st_size <= self._files[str(path)]:
            return
        with path.open("rb") as file:
            file.seek(self._files[str(path)])
            octets = file.read()
        self._files[str(path)] += len(octets)
        self._look.octets += len(octets)
        self._look.text(octets.decode(errors="replace"), path.name)


def _ours(args: Any) -> bool:
    """Is it a program of ours, not a peer (who logs as it likes)?"""
    return isinstance(args, Sequence) and not isinstance(args, str) and bool(args) and str(args[0]) == sys.executable


class Guard:
    """The plugin."""

    def __init__(self) -> None:
        self.look = Look()
        self._records, self._children = Records(self.look), Children(self.look)
        self._children.watch()
        self._level = logging.getLogger().level
        logging.getLogger().addHandler(self._records)
        logging.getLogger().setLevel(logging.DEBUG)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Children that write to our own standard error were caught with the test's; a worker has looked already."""
        if report.when != "teardown" or hasattr(report, "node"):
            return
        for name, words in report.sections:
            if name.startswith("Captured stderr") and words:
                self.look.text(words, "standard error")

    def pytest_runtest_logfinish(self) -> None:
        self._children.read()

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """A worker hands its findings over; whoever has no one above fails the run."""
        self._children.read()
        mine = getattr(session.config, "workeroutput", None)
        if mine is not None:
            mine["leaks"] = [str(each) for each in self.look.findings]
            mine["looked"] = (self.look.records, self.look.octets, self.look.seconds)
        elif self.look.findings:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: Any) -> None:
        """What a worker found (one that crashed says nothing, and fails the run by itself)."""
        given = getattr(node, "workeroutput", {})
        for words in given.get("leaks", ()):
            self.look.findings.append(_Told(words))
        records, octets, seconds = given.get("looked", (0, 0, 0.0))
        self.look.records += records
        self.look.octets += octets
        self.look.seconds += seconds

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        look, shown = self.look, list(dict.fromkeys(map(str, self.look.findings)))
        if shown:
            terminalreporter.section("written down that must not be", red=True)
            for words in shown[:TOLD]:
                terminalreporter.line(words)
        terminalreporter.line(
            f"logs: {look.records} records and {look.octets >> 10} KiB of children's looked through in "
            f"{look.seconds:.1f} s: {len(shown) or 'no'} leaks"
        )

    def pytest_unconfigure(self) -> None:
        self._children.leave()
        logging.getLogger().removeHandler(self._records)
        logging.getLogger().setLevel(self._level)


class _Told(str):
    """A finding as a worker told it."""


def pytest_configure(config: pytest.Config) -> None:
    """Once for each process, also where only this file is loaded (`-p tests.leaks`)."""
    if not config.pluginmanager.has_plugin("leaks"):
        config.pluginmanager.register(Guard(), "leaks")
