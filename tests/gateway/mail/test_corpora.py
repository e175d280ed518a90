"""Public letters of other projects (their own licences, not kept here): structure, quotes, reports; nothing raises."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.mail import marks, mime, quote
from gateway.mail.bounce import Said

#: pairs that ask for what we do not do, and why
NOT_OURS = {
    "embedded_email_7.txt": "keeps lines quoted between text; we fold them",
    "embedded_email_16.txt": "likewise",
    "embedded_email_17.txt": "likewise",
    "quote_and_text.txt": "likewise",
    "forwarded_gmail.txt": "cuts what is forwarded; to us it is what the letter is about",
    "forwarded_message.txt": "likewise",
    "spam_1.txt": "leaves nothing; we show all rather than nothing",
}
#: letters of flanker that are reports, or hold one
REPORTS = ("disposition-notification.eml", "torture.eml")
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
        if letter.name not in NOT_OURS
    }
    assert len(right) == 64 - len(NOT_OURS)
    assert sum(right.values()) / len(right) >= 0.9, [name for name, good in right.items() if not good]


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


def test_bounces_of_flufl_bounce_are_found(test_data):
    """Its 118 mails lie in its source package only; CI may unpack it beside the other letters."""
    folder = test_data / "mail" / "flufl.bounce"
    letters = sorted(Path(folder).rglob("*.txt")) if folder.is_dir() else []
    if not letters:
        pytest.skip("flufl.bounce's own letters not present")
    found = [mime.parse(letter.read_bytes(), null=True).bounce is not None for letter in letters]
    assert sum(found) / len(found) >= 0.95
