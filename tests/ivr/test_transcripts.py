"""Golden transcripts: whole calls as text, told anew by the pure machine and compared line by line."""

from __future__ import annotations

import pytest

from tests.ivr.site import ROOT, retell

STORIES = sorted((ROOT / "tests/journeys/phone").glob("*.txt"))


def test_there_are_stories():
    assert len(STORIES) >= 13


@pytest.mark.parametrize("path", STORIES, ids=lambda path: path.stem)
def test_the_call_goes_as_written(path):
    told = path.read_text(encoding="utf-8")
    assert retell(told) == told.splitlines()
