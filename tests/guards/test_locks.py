"""What the program and its made-up world import is in the lock that `make demo` installs, not in the tests' alone."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RUN_BY_DEMO = ("core", "gateway", "ivr", "sms", "web", "config", "tests/worlds")
OWN = {"core", "gateway", "ivr", "sms", "web", "config", "tests"}
OPTIONAL = {
    "tnefparse",
    "vosk",
    "faster_whisper",
    "piper",
}  # extras; without them the program says so and goes on


def test_everything_the_demo_imports_is_in_the_lock_of_the_demo():
    locked, homes = _locked("requirements.lock"), packages_distributions()
    missing = {
        f"{path}: {name}"
        for path, name in _imports()
        if not any(_plain(home) in locked for home in homes.get(name, [name]))
    }
    assert not missing


def test_the_locks_name_no_download_address():
    for lock in ROOT.glob("requirements*.lock"):
        assert "://" not in lock.read_text()


def _imports() -> set[tuple[str, str]]:
    listed = subprocess.run(
        ["git", "ls-files", "--", *RUN_BY_DEMO], cwd=ROOT, capture_output=True, text=True, check=True
    )
    paths = [name for name in listed.stdout.split() if name.endswith(".py") and (ROOT / name).exists()]
    found = {(path, name) for path in paths for name in _names(ast.parse((ROOT / path).read_text()))}
    return {(path, name) for path, name in found if name not in OWN | OPTIONAL | sys.stdlib_module_names}


def _names(tree: ast.Module) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names


def _locked(lock: str) -> set[str]:
    return {_plain(name) for name in re.findall(r"^([\w.-]+)==", (ROOT / lock).read_text(), re.M)}


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
