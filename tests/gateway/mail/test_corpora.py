"""Public letters of other projects (their own licences, not kept here): structure, quotes, reports; nothing raises."""

from __future__ import annotations

import ast
import os
from pathlib import Path

import pytest

from gateway.mail import marks, mime, quote
from gateway.mail.bounce import Bounce, Said

#: pairs that ask for what we do not do, and why; they count as misses
NOT_OURS = {
    "embedded_email_7.txt": "keeps what a program quoted between two texts; we fold it",
    "embedded_email_17.txt": "likewise",
    "embedded_email_18.txt": "shows another's words without the line that says whose they are",
    "forwarded_gmail.txt": "cuts what is forwarded; to us it is what the letter is about",
    "forwarded_message.txt": "likewise",
    "spam_1.txt": "leaves nothing; we show all rather than nothing",
}
#: letters of flanker that are reports, or hold one
REPORTS = ("disposition-notification.eml", "torture.eml")
#: letters of flufl.bounce that are not compared, and why
NOT_TOLD = {
    "bounce_01.txt": "names no address, and its own tests say nothing of it",
    "dumbass_01.txt": "likewise",
    "simple_42.txt": "its row is of one reader that must find nothing; the letter does report an address",
}
PEER = Path(__file__).resolve().parents[3] / ".peers" / "flufl-bounce"
#: leaves that are not compared, and why
NO_LEAVES: dict[str, str] = {}


def flat(raw: bytes, depth: int = 0) -> tuple[list[str], list[bytes]]:
    """All texts and files of a letter, those of letters inside it too."""
    mail = mime.parse(raw)
    texts, files = [mail.text, mail.html], [file.data for file in mail.files]
    for file in mail.files:
        if file.type == "message/rfc822" and depth < 5:
            more, others = flat(file.data, depth + 1)
            texts, files = texts + more, files + others
    return texts, files


def is_there(leaf: bytes, texts: list[str], files: list[bytes]) -> bool:
    want = b" ".join(leaf.split())
    shown = {want.decode("utf-8", "replace"), want.decode("latin-1")}
    return any(b" ".join(data.split()) == want for data in files) or any(
        each in " ".join(text.split()) for text in texts for each in shown
    )


def test_nine_leaves_in_ten_of_mime4j_are_found(test_data):
    found = []
    for letter in sorted((test_data / "mail" / "mime4j").rglob("*.msg")):
        texts, files = flat(letter.read_bytes())
        for leaf in letter.parent.glob(f"{letter.stem}_decoded_*"):
            if leaf.suffix != ".xml" and leaf.name not in NO_LEAVES:
                found.append(is_there(leaf.read_bytes(), texts, files))
    assert len(found) > 150
    assert sum(found) / len(found) >= 0.9


def lines(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.split("\n") if line.strip()]


def test_nine_replies_in_ten_are_cut_where_a_person_would(test_data):
    folder = test_data / "mail" / "email_reply_trimmer"
    right = {
        letter.name: lines(quote.split(letter.read_text("utf-8"), "", marks.read()).new)
        == lines((folder / "trimmed" / letter.name).read_text("utf-8"))
        for letter in sorted((folder / "emails").iterdir())
    }
    assert len(right) == 64
    assert sum(right.values()) / len(right) >= 0.9
    assert {name for name, good in right.items() if not good} <= NOT_OURS.keys()


def test_what_is_cut_is_folded_and_not_lost(test_data):
    for letter in (test_data / "mail" / "email_reply_trimmer" / "emails").iterdir():
        text = letter.read_text("utf-8")
        split = quote.split(text, "", marks.read())
        assert sorted(lines(f"{split.new}\n{split.quoted}")) == sorted(lines(text)), letter.name


def test_reports_of_flanker_are_told_from_letters(test_data):
    folder = test_data / "mail" / "flanker"
    bounces = [mime.parse(letter.read_bytes(), null=True).bounce for letter in sorted((folder / "bounce").iterdir())]
    told = [one.said in (Said.HARD, Said.SOFT, Said.DELAYED) and bool(one.recipient) for one in bounces if one]
    assert len(bounces) >= 9 and sum(told) / len(bounces) >= 0.9
    complaints = [mime.parse(letter.read_bytes()).bounce for letter in sorted((folder / "complaints").iterdir())]
    assert all(one is not None and one.said is Said.NOTED for one in complaints)
    letters = [letter for letter in folder.glob("*.eml") if letter.name not in REPORTS]
    assert [letter.name for letter in letters if mime.parse(letter.read_bytes()).bounce is not None] == []


@pytest.mark.parametrize("name", ["mime4j", "flanker", "email_reply_trimmer"])
def test_no_public_letter_makes_the_reader_raise_or_say_nothing(test_data, name):
    for letter in sorted(path for path in (test_data / "mail" / name).rglob("*") if path.is_file()):
        raw = letter.read_bytes()
        mail = mime.parse(raw, null=True)
        body = raw.replace(b"\r\n", b"\n").partition(b"\n\n")[2].strip()
        assert mail.text.strip() or mail.html.strip() or mail.files or len(body) < 400, letter.name


@pytest.fixture(scope="session")
def flufl() -> Path:
    """The tests of flufl.bounce, out of its source package: `make test` fetches it."""
    found = sorted(PEER.glob("flufl_bounce-*/tests"))
    if not found:
        (pytest.fail if os.environ.get("PASOKH_MUST_PEERS") else pytest.skip)("no .peers/flufl-bounce: make test")
    return found[0]


def told_by_flufl(tests: Path) -> dict[str, tuple[frozenset[str], bool]]:
    """Its own table by file: which addresses failed (none: no report, or of nobody), and whether for the time being."""
    table: list[tuple[str, str, list[bytes], bool]] = next(
        ast.literal_eval(one.value)
        for one in ast.parse((tests / "test_detectors.py").read_text("utf-8")).body
        if isinstance(one, ast.Assign) and getattr(one.targets[0], "id", "") == "DETECTORS"
    )
    found: dict[str, tuple[frozenset[str], bool]] = {}
    for _, name, addresses, soon in table:  # a file is named twice where one reader finds what another does not
        if addresses or name not in found:
            found[name] = frozenset(one.decode().lower() for one in addresses), soon
    return found


def agrees(found: Bounce | None, addresses: frozenset[str], soon: bool) -> bool:
    """Is it about one of the addresses, and given up or not as it should be?"""
    if not addresses or found is None:
        return not addresses and found is None
    return found.recipient in addresses and found.said in ((Said.DELAYED,) if soon else (Said.HARD, Said.SOFT))


def test_nineteen_reports_in_twenty_of_flufl_bounce_say_who_failed_and_whether_for_good(flufl):
    told = told_by_flufl(flufl)
    letters = [one for one in sorted((flufl / "data").glob("*.txt")) if one.name not in NOT_TOLD]
    assert len(letters) + len(NOT_TOLD) >= 117 and {one.name for one in letters} == told.keys() - NOT_TOLD.keys()
    right = {one.name: agrees(mime.parse(one.read_bytes(), null=True).bounce, *told[one.name]) for one in letters}
    assert sum(right.values()) / len(right) >= 0.95, [name for name, good in right.items() if not good]
