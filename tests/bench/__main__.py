"""`make bench`: every figure beside its limit or its peer of the same run, as one table.

`python -m tests.bench [SECTION …] [--rounds N] [--tiny]`. Each section is a process of its own with a time of its own;
one that fails or takes too long is ended with all it started, the others go on, and the status is 1. Ctrl-C ends the
section that runs, prints what there is, and the status is 130.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path

from tests.bench.table import Figure, table

GRACE = 30.0  # seconds a section gets to end what it started
USUAL = 5  # rounds; more of them get more time


class Failed(Exception):
    """A section gave no figures."""


@dataclass(frozen=True, slots=True)
class Section:
    """Its module here, and the seconds it may take."""

    name: str
    seconds: float


SECTIONS = (
    Section("http", 420), Section("mail", 420), Section("letters", 90), Section("phone", 600), Section("smpp", 300),
    Section("sms", 180),
)  # fmt: skip
NAMES = tuple(one.name for one in SECTIONS)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the named sections, all when there are none."""
    options = _parser().parse_args(arguments)
    if options.json:
        return _alone(options.names[0], options)
    print(f"{machine()}\n", flush=True)
    rows: list[Figure] = []
    failed = []
    try:
        for section in SECTIONS:
            if options.names and section.name not in options.names:
                continue
            try:
                rows += _run(section, options)
            except Failed as why:
                failed.append(f"{section.name}: {why}")
    except KeyboardInterrupt:
        print(table(rows), flush=True)
        return 130
    print(table(rows), flush=True)
    for why in failed:
        print(why, file=sys.stderr)
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("names", nargs="*", type=_section, metavar="SECTION", help=", ".join(NAMES))
    parser.add_argument("--rounds", type=_count, help="of each pair; the figures are their medians")
    parser.add_argument("--tiny", action="store_true", help="only to see that everything runs")
    parser.add_argument("--json", action="store_true", help="one section in this process; its rows as JSON")
    return parser


def _section(word: str) -> str:
    if word not in NAMES:
        raise argparse.ArgumentTypeError(f"there is no section {word}; there are {', '.join(NAMES)}")
    return word


def _count(word: str) -> int:
    if not word.isdigit() or not int(word):
        raise argparse.ArgumentTypeError(f"{word!r} is no number of rounds")
    return int(word)


# ---------------------------------------------------------------- one section


def _run(section: Section, options: argparse.Namespace) -> list[Figure]:
    """Its rows, from a process group of its own. Raises Failed."""
    print(f"== {section.name}", file=sys.stderr, flush=True)
    words = [sys.executable, "-m", "tests.bench", section.name, "--json"]
    words += ["--rounds", str(options.rounds)] if options.rounds else []
    words += ["--tiny"] if options.tiny else []
    limit = section.seconds * max(1.0, (options.rounds or 0) / USUAL)
    child = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        out, _ = child.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        raise Failed(f"not over after {limit:.0f} s") from None
    finally:
        _end(child)
    if child.returncode:
        raise Failed(f"ended with status {child.returncode}")
    return [Figure(**row) for row in json.loads(out.splitlines()[-1])]


def _end(child: subprocess.Popen[str]) -> None:
    """Nothing of its group is left: asked as by Ctrl-C, so that it ends its servers itself, then made to."""
    try:
        if child.poll() is None:
            child.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(GRACE)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        assert child.stdout is not None
        child.stdout.close()


def _alone(name: str, options: argparse.Namespace) -> int:
    """The section in this process: what `_run` starts."""
    from tests.bench.size import Size

    signal.signal(signal.SIGINT, signal.default_int_handler)  # also when whoever started us ignores it
    figures: Callable[[Size], list[Figure]] = import_module(f"tests.bench.{name}").figures
    rows = figures(Size(options.tiny, options.rounds))
    print(json.dumps([asdict(row) for row in rows]), flush=True)
    return 0


# ---------------------------------------------------------------- the machine


def machine() -> str:
    """What kind of machine this is, for the reader of the figures."""
    kind = "virtual machine" if any("hypervisor" in line.split() for line in _lines("/proc/cpuinfo")) else "machine"
    memory = next(line.split()[1] for line in _lines("/proc/meminfo") if line.startswith("MemTotal"))
    release = ".".join(platform.release().split(".")[:2])
    return (
        f"{os.cpu_count()}-core {kind} ({platform.machine()}), {int(memory) >> 20} GiB, "
        f"Python {platform.python_version()}, {platform.system()} {release}, load {os.getloadavg()[0]:.1f}"
    )


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
