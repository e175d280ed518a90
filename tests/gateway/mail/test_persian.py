"""The Persian letters of this project: 413 in the shapes of nine programs, read as the goals say."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cache

from core import text
from core.channels import Auto
from gateway.mail import automail, charset, marks, pool, worker
from gateway.mail.mime import Mail
from tests.gateway.mail.persian import TEXTS, Case, letters
from tests.gateway.mail.test_read import OURS


@dataclass(frozen=True)
class Read:
    """A letter beside what was read of it."""

    case: Case
    mail: Mail

    @property
    def new(self) -> bool:
        return same(self.mail.new) == same(self.case.new)


@cache
def everything() -> tuple[Read, ...]:
    found = []
    for case in letters():
        job = worker.Job(case.raw, "cp1256", OURS, case.report)
        first = worker.first(job)
        found.append(Read(case, pool._merged(first, worker.second(first, job))))
    return tuple(found)


def same(words: str) -> str:
    return "\n".join(" ".join(line.split()) for line in text.clean(words).strip().split("\n"))


def share(right: list[bool]) -> float:
    return sum(right) / len(right)


def test_there_are_enough_of_them_and_of_each_kind():
    kinds = Counter(read.case.name.rpartition(", ")[2] for read in everything())
    assert len(everything()) >= 120
    assert len({read.case.raw for read in everything()}) == len(everything())
    assert min(kinds.values()) >= 28 and set(kinds) == {
        "new",
        "reply",
        "below",
        "forward",
        "holiday",
        "report",
        "files",
    }


def test_the_charset_is_told_in_99_of_100():
    """A wrong one would leave no word of the text right."""
    words = [[word for word in text.clean(read.case.new).split() if not word.isascii()] for read in everything()]
    right = [
        sum(word in text.clean(read.mail.text + read.mail.new) for word in said) > len(said) * 0.9
        for read, said in zip(everything(), words, strict=True)
    ]
    assert share(right) >= 0.99
    assert share([same(read.mail.subject) == same(read.case.subject) for read in everything()]) >= 0.99


def test_the_new_text_is_exact_in_95_of_100_and_none_of_it_is_ever_lost():
    assert share([read.new for read in everything()]) >= 0.95
    lost = [read.case.name for read in everything() if same(read.case.new) not in same(read.mail.text) and not read.new]
    assert lost == []
    hidden = [
        read.case.name for read in everything() if not read.new and same(read.case.new) not in same(read.mail.new)
    ]
    assert hidden == []


def test_every_file_keeps_its_name():
    wrong = [
        read.case.name
        for read in everything()
        if not read.case.report
        and [text.clean(f.name) for f in read.mail.files] != [text.clean(n) for n in read.case.files]
    ]
    assert wrong == []


def test_machines_are_told_from_people():
    phrases = marks.read().subjects
    for read in everything():
        envelope = "" if read.case.report else "maryam@mailbox.example"
        told = automail.classify(read.mail, envelope, phrases, "loop", frozenset())
        assert (told is not Auto.NO) == read.case.auto, read.case.name
        assert (read.mail.bounce is not None) == read.case.report, read.case.name


def test_eight_words_of_cp1256_are_enough_to_know_it():
    right = []
    for words in [one.replace("\n", " ").split() for one in TEXTS]:
        for at in range(max(1, len(words) - 8)):
            said = " ".join(words[at : at + 8]).translate(str.maketrans("ی۰۱۲۳۴۵۶۷۸۹", "ي0123456789"))
            raw = said.replace("\u0654", "").encode("cp1256")
            right.append(charset.decode(raw, None).charset == "cp1256")
    assert len(right) > 30 and share(right) >= 0.99
