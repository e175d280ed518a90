"""`make bench`: every figure beside its limit or its peer of the same run, as one table."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.bench import http, letters, mail, phone, smpp, sms
from tests.bench.table import Figure, table

ALL: dict[str, Callable[[], list[Figure]]] = {
    "http": http.figures, "mail": mail.figures, "letters": letters.figures, "phone": phone.figures,
    "smpp": smpp.figures,
    "sms": sms.figures,
}  # fmt: skip


def main(names: Sequence[str] = ()) -> int:
    """Run the named benchmarks, all when there are none."""
    unknown = set(names) - ALL.keys()
    if unknown:
        print(f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(ALL)}", file=sys.stderr)
        return 2
    print(f"{machine()}\n")
    rows: list[Figure] = []
    for name in names or ALL:
        rows += ALL[name]()
    print(table(rows))
    return 0


def machine() -> str:
    """What kind of machine this is, for the reader of the figures."""
    model = next((line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if "model name" in line), "?")
    memory = next(line.split()[1] for line in _lines("/proc/meminfo") if line.startswith("MemTotal"))
    return (
        f"{os.cpu_count()} cores ({model}), {int(memory) >> 20} GiB, Python {platform.python_version()}, "
        f"{platform.system()} {platform.release()}, load {os.getloadavg()[0]:.1f}"
    )


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
