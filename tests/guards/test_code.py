"""The house's own rules, read from the source: first sentences, docstrings, clocks, reactors, commands documented."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HOMES = ("core", "gateway", "ivr", "sms", "web", "config")
LATE = {"gateway/loop.py", "ivr/sip/line.py", "ivr/phone.py", "gateway/mail/listen.py", "gateway/mail/relay.py"}


@cache
def sources() -> dict[str, ast.Module]:
    """Path below the root → its tree, of all source files."""
    listed = subprocess.run(["git", "ls-files", "--", *HOMES], cwd=ROOT, capture_output=True, text=True, check=True)
    found = [name for name in listed.stdout.split() if name.endswith(".py") and (ROOT / name).exists()]
    return {name: ast.parse((ROOT / name).read_text()) for name in found}


def test_every_file_says_in_its_first_sentence_what_it_is():
    silent = [name for name, tree in sources().items() if tree.body and not ast.get_docstring(tree)]
    assert silent == []


def test_every_public_function_of_core_has_its_promise_written():
    bare = []
    for name, tree in sources().items():
        if not name.startswith("core/") or "/migrations/" in name:
            continue
        for node in tree.body:
            public = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_")
            if public and not ast.get_docstring(node):
                bare.append(f"{name}:{node.lineno} {node.name}")
    assert bare == []


def test_nobody_asks_a_naive_clock():
    naive = [name for name in sources() if re.search(r"\butcnow\b|datetime\.now\(\)", (ROOT / name).read_text())]
    assert naive == []


def test_the_reactor_is_imported_late_and_only_where_sockets_are():
    early = []
    for name, tree in sources().items():
        for node in filter(_takes_reactor, ast.walk(tree)):
            early += [name] if node in tree.body or name not in LATE else []
    assert early == []


def _takes_reactor(node: ast.AST) -> bool:
    inside = isinstance(node, ast.ImportFrom) and (node.module or "").startswith("twisted.internet")
    return inside and any(alias.name == "reactor" for alias in node.names)


def test_no_failure_is_swallowed_without_a_word():
    silent = []
    for name, tree in sources().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ExceptHandler) and [type(x) for x in node.body] == [ast.Pass]:
                silent.append(f"{name}:{node.lineno}")
    assert silent == []


@pytest.mark.parametrize(
    "command", ["demo", "serve", "check", "migrate", "audit", "route", "menu", "call", "answer", "staff", "bench"]
)
def test_every_command_is_documented(command):
    assert f"pasokh {command}" in (ROOT / "docs" / "start.md").read_text()


def test_every_runtime_dependency_has_its_reason():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [each for group in project["optional-dependencies"].values() for each in group]
    names = [re.split(r"[\[<>=~; ]", each)[0] for each in (*project["dependencies"], *extras)]
    why = (ROOT / "docs" / "why.md").read_text()
    assert [name for name in names if name.lower() not in why.lower()] == []


def test_no_source_or_doc_names_a_registry_or_a_path_of_one_machine():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    marks = re.compile("/ro" + "ot/|regis" + "try.npmjs|py" + "pi.org/simple|files.python" + "hosted")
    found = []
    for name in listed:
        path = ROOT / name
        if path.suffix in (".py", ".md", ".toml", ".lock", ".json", ".sh", "") and path.is_file():
            found += [name] if marks.search(path.read_text(errors="replace")) else []
    assert found == []
