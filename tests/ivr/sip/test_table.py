"""The behaviour tables of docs/phone.md name tests that are there."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).parents[3] / "docs"


def test_every_row_names_tests_that_exist():
    page = (DOCS / "phone.md").read_text(encoding="utf-8")
    places = dict(re.findall(r"^\[(\w+)\]: (\S+\.py)$", page, re.M))
    named = re.findall(r"\[`(\w+)`\]\[(\w+)\]", page)
    assert len(named) > 100
    sources = {name: (DOCS / path).read_text(encoding="utf-8") for name, path in places.items()}
    assert [test for test, place in named if f"def {test}(" not in sources[place]] == []


def test_every_row_of_the_sip_tables_has_a_test():
    page = (DOCS / "phone.md").read_text(encoding="utf-8")
    part = page[page.index("## What the line does with SIP") : page.index("### RFC 4475")]
    rows = [
        row for row in part.splitlines() if row.startswith("| ") and not row.startswith(("| comes in", "| goes out"))
    ]
    assert len(rows) > 40
    assert [row for row in rows if "`test_" not in row] == []


def test_every_journey_is_driven_directly_and_through_kamailio():
    page = (DOCS / "phone.md").read_text(encoding="utf-8")
    part = page[page.index("### What callers can do") : page.index("## Calling back")]
    titles, _, *journeys = [row.strip("| ").split(" | ") for row in part.splitlines() if row.startswith("|")]
    assert titles == ["journey", "keys", "as words", "directly", "through Kamailio"]
    assert len(journeys) > 12
    driven = re.compile(r"(sipp|baresip|pyVoIP) \[`\w+`\]\[\w+\]")
    assert [row[0] for row in journeys if not all(driven.search(cell) for cell in row[3:])] == []
