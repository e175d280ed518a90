"""Every sentence the code asks for is there in each language with the same facts, and none lies unused."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import config
from config.check import prefixes
from config.texts import names

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("core", "gateway", "ivr", "sms", "web", "config")
CONFIG = config.read()
TEXTS = CONFIG.texts
KEYS = TEXTS.keys()
AREAS = {key.split(".")[0] for key in KEYS}  # areas whose files do not exist yet are not asked for
PREFIXES = prefixes()
CALLS = {"say", "_say", "t", "_t", "Item"}  # an Item is a sentence to be spoken
QUOTED = re.compile(r"""["']([a-z0-9_.]+)["']""")
IN_TEMPLATE = re.compile(r"""\b(?:t|say)\(\s*["']([^"']+)["']\s*([~)+,])""")


def _python() -> Iterator[tuple[Path, ast.AST]]:
    for folder in SOURCES:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path, ast.parse(path.read_text())


def _templates() -> Iterator[tuple[Path, str]]:
    for path in sorted((ROOT / "web").rglob("*.html")):
        yield path, path.read_text()


def _begins(node: ast.expr) -> str | None:
    """The fixed beginning of `f"core.state.{x}"` or `"core.state." + x`; None for anything else."""
    if isinstance(node, ast.JoinedStr) and node.values and isinstance(node.values[0], ast.Constant):
        return str(node.values[0].value)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add) and isinstance(node.left, ast.Constant):
        return str(node.left.value)
    return None


def _called(tree: ast.AST) -> Iterator[tuple[ast.Call, ast.expr]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args:
            name = getattr(node.func, "attr", None) or getattr(node.func, "id", None)
            if name in CALLS:
                yield node, node.args[0]


def _asked() -> Iterator[tuple[str, str, bool, frozenset[str] | None]]:
    """(where, key or beginning, is it whole, names of the facts given or None where they cannot be seen)."""
    for path, tree in _python():
        for call, first in _called(tree):
            where = f"{path.relative_to(ROOT)}:{call.lineno}"
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                given = [word.arg for word in call.keywords]
                seen = None not in given and len(call.args) < 3 and "Item" not in ast.dump(call.func)
                yield where, first.value, True, frozenset(filter(None, given)) if seen else None
            elif begins := _begins(first):
                yield where, begins, False, None
    for path, text in _templates():
        for found in IN_TEMPLATE.finditer(text):
            where = f"{path.relative_to(ROOT)}:{text.count(chr(10), 0, found.start()) + 1}"
            yield where, found[1], found[2] not in "~+", None


ASKED = [one for one in _asked() if one[1].split(".")[0] in AREAS or "." in one[1]]


def _known_area(key: str) -> bool:
    return key.split(".")[0] in AREAS


def test_every_key_the_code_asks_for_exists():
    unknown = [f"{where}: {key}" for where, key, whole, _ in ASKED if whole and _known_area(key) and not TEXTS.has(key)]
    assert not unknown, "\n".join(unknown)


def test_every_key_is_given_the_facts_it_wants():
    wrong = []
    for where, key, whole, given in ASKED:
        if whole and given is not None and TEXTS.has(key):
            wanted = names(TEXTS.words["fa"][key])
            if wanted - given:
                wrong.append(f"{where}: {key} wants {sorted(wanted - given)}")
    assert not wrong, "\n".join(wrong)


def test_keys_made_of_parts_begin_as_the_list_of_prefixes_says():
    loose = [
        f"{where}: {key}…" for where, key, whole, _ in ASKED
        if not whole and _known_area(key) and not key.startswith(PREFIXES)
    ]  # fmt: skip
    assert not loose, "put the beginning into config/texts/prefixes.toml:\n" + "\n".join(loose)


def _mentioned() -> frozenset[str]:
    """Every quoted word in code, templates and menus; a channel's sentence is named by its word alone."""
    found: set[str] = set()
    for _, tree in _python():
        found |= {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    for _, text in _templates():
        found |= set(QUOTED.findall(text))
    for path in (ROOT / "config" / "menus").rglob("*.toml"):
        found |= set(re.findall(r'"([a-z0-9_.]+)"', path.read_text()))
    return frozenset(found)


def _used(key: str, mentioned: frozenset[str]) -> bool:
    """Named whole; under a beginning such as `core.state.`; or, where the beginning is a whole area, by the rest."""
    begun = [prefix for prefix in PREFIXES if key.startswith(prefix)]
    return key in mentioned or any(p.count(".") > 1 or key.removeprefix(p) in mentioned for p in begun)


def test_no_sentence_lies_unused():
    mentioned = _mentioned()
    unused = sorted(key for key in KEYS if not _used(key, mentioned))
    assert not unused, "no code says these; take them out or name their prefix:\n" + "\n".join(unused)


@pytest.mark.parametrize("key", sorted(KEYS))
def test_each_sentence_is_there_in_every_language(key):
    for lang in TEXTS.langs:
        assert key in TEXTS.words[lang]
        assert names(TEXTS.words[lang][key]) == names(TEXTS.words["fa"][key])


def test_the_words_of_core_have_their_sentences():
    from core import errors
    from core.channels import Act
    from core.model import Kind, State
    from core.states import Event

    wanted = [f"core.state.{x}" for x in State] + [f"core.state_told.{x}" for x in State]
    wanted += [f"core.kind.{x}" for x in Kind] + [f"core.event.{x}" for x in Event] + [f"core.act.{x}" for x in Act]
    wanted += [f"core.role.{x}" for x in CONFIG.roles]
    wanted += [f"core.error.{x.word}" for x in vars(errors).values() if isinstance(x, type) and hasattr(x, "word")]
    assert [key for key in wanted if not TEXTS.has(key)] == []


def test_every_word_an_error_can_carry_has_a_sentence():
    missing = []
    for path, tree in _python():
        for node in ast.walk(tree):
            name = getattr(getattr(node, "func", None), "id", None) if isinstance(node, ast.Call) else None
            if name in ("Guarded", "WrongInput") and node.args:  # type: ignore[attr-defined]
                word = node.args[-1]  # type: ignore[attr-defined]
                if isinstance(word, ast.Constant) and not any(
                    TEXTS.has(area + str(word.value)) for area in ("core.error.", "portal.fault.")
                ):
                    missing.append(f"{path.relative_to(ROOT)}:{word.lineno}: core.error.{word.value}")
    assert not missing, "\n".join(missing)
