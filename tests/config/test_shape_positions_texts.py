"""Shapes of dataclasses, lines of keys, sentences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config import positions, shape
from config.faults import Faults
from config.shape import Match, Range
from config.texts import Texts, UnknownText


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True, slots=True)
class Peer:
    name: str
    allow: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Line:
    number: Annotated[str, Match(r"[0-9]+", "digits")]
    rate: Annotated[float, Range(0, 20)] = 1.0
    kind: Literal["sip", "pyvoip"] = "sip"
    colour: Colour | None = None
    numbers: Mapping[str, str] = field(default_factory=dict)
    peer: tuple[Peer, ...] = ()
    since: date | None = None
    of: int = field(default=0, metadata={"key": "from"})
    on: bool = True


def read(text: str) -> Line:
    document = positions.parse(text, "lines.toml")
    return shape.read(Line, document.data["line"], document.at("line"))


def test_every_type_is_read():
    line = read(
        '[line]\nnumber = "12"\nrate = 3\nkind = "pyvoip"\ncolour = "red"\nnumbers = { "*" = "main" }\n'
        'since = 2026-11-24\nfrom = 4\non = false\n[[line.peer]]\nname = "a"\nallow = ["127.0.0.0/8"]\n'
    )
    assert line == Line(
        "12", 3.0, "pyvoip", Colour.RED, {"*": "main"}, (Peer("a", ("127.0.0.0/8",)),), date(2026, 11, 24), 4, False
    )
    assert type(line.rate) is float


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ("[line]\n", 1, "missing-key"),
        ('[line]\nnumber = "x"\n', 2, "bad-value"),
        ('[line]\nnumber = "1"\nrate = 21\n', 3, "out-of-range"),
        ('[line]\nnumber = "1"\nkind = "SIP"\n', 3, "bad-value"),
        ('[line]\nnumber = "1"\non = 1\n', 3, "bad-type"),
        ('[line]\nnumber = "1"\nof = 1\n', 3, "unknown-key"),
        ('[line]\nnumber = "1"\ncolour = "blue"\n', 3, "bad-value"),
        ('[line]\nnumber = "1"\n\n[[line.peer]]\nname = "a"\n[[line.peer]]\nallow = []\n', 6, "missing-key"),
        ('[line]\nnumber = "1"\n[[line.peer]]\nname = "a"\nallow = [\n "x",\n 3]\n', 7, "bad-type"),
        ('[line]\nnumber = "1"\npeer = { name = "a" }\n', 3, "bad-type"),
        ('[line]\nnumber = "1"\nnumbers = "main"\n', 3, "not-a-table"),
        ("line = 3\n", 1, "not-a-table"),
    ],
)
def test_each_fault_has_its_line(text, line, word):
    with pytest.raises(Faults) as caught:
        read(text)
    assert [(f.file, f.line, f.word) for f in caught.value.faults] == [("lines.toml", line, word)]


def test_lines_of_keys_in_hard_toml():
    document = positions.parse(
        'a.b = 1  # c\n"q.r" = """\n[no]\nx = 1 \\\n"""\nlit = \'\'\'\n[[no]]\n\'\'\'\n\n'
        'inline = { x = 1, y = [ { z = "]" }, # }\n { z = 2 } ] }\n'
        "[t . u]\nk = 1979-05-27T07:32:00Z\n[[t.list]]\nn = 1\n[t.list.sub]\nm = 1\n"
        "[[t.list]]\n[[t.list.deep]]\nv=-1e3\n",
        "x.toml",
    )
    wanted = {
        ("a", "b"): 1, ("q.r",): 2, ("lit",): 6, ("inline", "x"): 10, ("inline", "y", 0, "z"): 10,
        ("inline", "y", 1, "z"): 11, ("t", "u"): 12, ("t", "u", "k"): 13, ("t", "list", 0): 14,
        ("t", "list", 0, "n"): 15,
        ("t", "list", 0, "sub", "m"): 17, ("t", "list", 1): 18, ("t", "list", 1, "deep", 0, "v"): 20,
    }  # fmt: skip
    assert {path: document.line(*path) for path in wanted} == wanted
    assert document.line("t", "u", "nothing") == 12
    assert document.line("nothing") == 1


keys = st.text("ab-_1", min_size=1, max_size=4)
values = st.recursive(
    st.sampled_from(['"x # ]"', "'}'", "1", "true", "-0.5", '"""\n\n"""', "1979-05-27"]),
    lambda inner: st.lists(inner, max_size=3).map(lambda items: "[\n" + ", ".join(items) + "]"),
    max_leaves=6,
)


@given(st.dictionaries(keys, values, max_size=6), st.dictionaries(keys, values, max_size=4))
def test_the_scanner_finds_each_key_where_it_was_written(top, inner):
    text, wanted = "", {}
    for key, value in top.items():
        wanted[(key,)] = text.count("\n") + 1
        text += f"{key} = {value}\n"
    text += "[ZZ.table]\n"
    for key, value in inner.items():
        wanted["ZZ", "table", key] = text.count("\n") + 1
        text += f"  {key} = {value} # end\n"
    document = positions.parse(text, "x")
    assert {path: document.line(*path) for path in wanted} == wanted


def test_broken_toml_names_its_line():
    with pytest.raises(Faults) as caught:
        positions.parse("a = 1\nb = \n", "x.toml")
    (fault,) = caught.value.faults
    assert (fault.word, fault.line) == ("not-toml", 2)


SAY = Texts({"fa": {"core.hello": "سلام {name}، {n}"}, "en": {"core.hello": "hello {name}, {n}"}})


def test_sentences_take_their_facts():
    assert SAY("core.hello", "en", name="Mina", n=3, more="unused") == "hello Mina, 3"
    assert SAY("core.hello", "ar", name="{n}", n=3) == "سلام {n}، 3"


def test_an_unknown_key_or_a_missing_fact_is_a_fault_of_the_program():
    with pytest.raises(UnknownText, match=r"core\.goodbye"):
        SAY("core.goodbye", "fa")
    with pytest.raises(UnknownText, match="name"):
        SAY("core.hello", "fa", n=1)
