"""Each row of the tables of behaviour in the docs names tests that exist."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TABLES = {"sms.md": "## Bad input", "smpp.md": "## What happens when"}


@cache
def written() -> set[str]:
    """Names of all tests."""
    files = [path.read_text() for path in (ROOT / "tests").rglob("test_*.py")]
    return {name for text in files for name in re.findall(r"def (test_\w+)", text)}


def rows(name: str) -> list[str]:
    """Of the page's table."""
    text = (ROOT / "docs" / name).read_text().split(TABLES[name])[1].split("\n## ")[0]
    return [line for line in text.splitlines() if line.startswith("| ")][1:]


@pytest.mark.parametrize("name", list(TABLES))
def test_every_row_names_a_test_that_exists(name):
    found = rows(name)
    assert len(found) > 20
    for row in found:
        tests = re.findall(r"`(test_\w+)`", row)
        assert tests or "`tests/" in row or "| the same |" in row, row
        assert set(tests) <= written(), row
