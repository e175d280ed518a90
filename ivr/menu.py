"""The menu tree as data, checked when it is read. Pure: no sockets, no clock, no database."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePath
from typing import Any

from config import positions
from config.faults import Fault, Faults
from config.texts import names as facts_of
from core.model import Kind
from ivr import paths
from ivr.paths import Lengths
from ivr.tree import ACTS, COMMON, KEYS, LATER, RANGES, SHAPES, VERBS, WORDS, Menus, Node, Number, Texts, Tree, Verb

RECORDS = ("record", "prompt")  # where `silence` is seconds of quiet, not a text
CHOICES = 6  # more are not remembered by a listener; repeat and language keys do not count

__all__ = ["ACTS", "Menus", "Node", "Tree", "read"]


def read(
    files: Mapping[str, str],
    texts: Texts,
    units: frozenset[str] | None = None,
    *,
    recorded: Callable[[str, str], bool] | None = None,
    speech: bool = True,
    lengths: Lengths | None = None,
) -> Menus | list[Fault]:
    """Read menu files (path → content) against the texts (language → key → sentence).

    Returns every fault found, not the first. `units` are the slugs a menu may name (None: not checked).
    `recorded(key, lang)` knows which prompts a person has spoken: without the speech voice the others are faults
    (`missing-prompt`), with it they are `Menus.warnings`. `lengths(key, lang)` gives seconds; else they are estimated.
    """
    faults: list[Fault] = []
    warnings: list[Fault] = []
    trees: dict[str, Tree] = {}
    seconds = lengths or (lambda key, lang: paths.estimate(texts[lang].get(key, "")))
    for path, content in sorted(files.items()):
        page = _Page(path, content, texts, units, faults, seconds)
        tree = page.tree()
        if tree is not None:
            trees[tree.name] = tree
            if recorded is not None:
                page.prompts(tree, recorded, warnings if speech else faults)
    return faults or Menus(trees, tuple(warnings))


class _Page:
    """One file while it is read; collects faults with their lines."""

    def __init__(
        self,
        path: str,
        content: str,
        texts: Texts,
        units: frozenset[str] | None,
        faults: list[Fault],
        lengths: Lengths,
    ) -> None:
        self.path, self.content, self.texts, self.units, self.faults = path, content, texts, units, faults
        self.lengths = lengths
        self.document = positions.Document(path, {})

    def tree(self) -> Tree | None:
        before = len(self.faults)
        try:
            self.document = positions.parse(self.content, self.path)
        except Faults as error:
            self.faults += error.faults
            return None
        data = dict(self.document.data)
        start, tables = data.pop("start", None), data.pop("menu", None)
        for key in data:
            self._fault("unknown-key", f"{key!r} is not known here; there are start and [menu.NAME]", self._at("", key))
        if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()) or not tables:
            self._fault("bad-value", "a menu file needs tables [menu.NAME]", 1)
            return None
        if start not in tables:
            self._fault("unknown-target", f"start = {start!r} names no [menu.…] of this file", self._at("", "start"))
            return None
        nodes = {name: node for name, table in tables.items() if (node := self._node(name, table, tables)) is not None}
        if len(self.faults) == before:
            self._shape(start, nodes)
        return Tree(PurePath(self.path).stem, start, nodes) if len(self.faults) == before else None

    # ------------------------------------------------ one node

    def _node(self, name: str, table: dict[str, Any], tables: Mapping[str, Any]) -> Node | None:
        do = table.get("do")
        if isinstance(do, str) and do in LATER:
            self._bad(name, "do", "later", f"do = {do!r} comes with a later version; leave it out for now")
            return None
        verb = VERBS.get(do) if isinstance(do, str) else None
        if verb is None or not isinstance(do, str):
            self._bad(name, "do", "unknown-do", f"do = {do!r}; there are {', '.join(VERBS)}")
            return None
        ways = ("else", *verb.exits, *verb.spare)
        self._names(name, table, verb, ways)
        self._values(name, table, do)
        exits = {way: table[way] for way in ways if way in table}
        keys = self._keys(name, table.get("key", {})) if verb.keyed else {}
        self._targets(name, {**exits, **{f"key.{key}": to for key, to in keys.items()}}, tables)
        self._needed(name, do, verb, exits, keys)
        self._choices(name, keys, tables)
        fields = {key: table[key] for key in COMMON & table.keys() if key not in ("do", "else")}
        if do in RECORDS:  # here `silence` is the quiet that ends a recording, in seconds
            fields.pop("silence", None)
        if not all(isinstance(fields.get(key, ""), str) for key in ("say", "wrong", "silence")):
            return None
        return Node(
            name, do, keys=keys, exits=exits, own={key: table[key] for key in verb.own & table.keys()}, **fields
        )

    def _names(self, name: str, table: Mapping[str, Any], verb: Verb, ways: tuple[str, ...]) -> None:
        known = COMMON | verb.own | set(ways) | ({"key"} if verb.keyed else set())
        for key in table:
            if key not in known:
                self._bad(name, key, "unknown-key", f"{key!r} means nothing for do = {table['do']!r}")

    def _values(self, name: str, table: Mapping[str, Any], do: str) -> None:
        for key, value in table.items():
            for word, remedy in self._value(key, value, do):
                self._bad(name, key, word, remedy)

    def _value(self, key: str, value: Any, do: str) -> Iterator[tuple[str, str]]:
        """What is wrong with one value, if anything."""
        if key in ("say", "wrong", "silence") and not (do in RECORDS and key == "silence"):
            yield from self._text(key, value)
        elif do in RECORDS and key in ("max", "silence"):
            yield from _within(key, value, (int, float), 1, 300)
        elif key in RANGES:
            yield from _within(key, value, *RANGES[key])
        elif key in ("what", "is", "check") and isinstance(value, str) and value in LATER:
            yield "later", f"{key} = {value!r} comes with a later version; leave it out for now"
        elif (do, key) in WORDS and (not isinstance(value, str) or value not in WORDS[do, key]):
            yield "bad-value", f"{key} = {value!r}; there are {', '.join(sorted(WORDS[do, key]))}"
        elif key in SHAPES and not isinstance(value, SHAPES[key]):
            yield "bad-value", f"{key} = {value!r} must be a {SHAPES[key].__name__}"
        elif key == "kind" and value not in set(Kind):
            yield "unknown-kind", f"kind = {value!r}; there are {', '.join(Kind)}"
        elif key == "unit" and (not isinstance(value, str) or (self.units is not None and value not in self.units)):
            yield "unknown-unit", f"unit = {value!r} is not among the units; see units.toml"
        elif key == "lang" and value not in self.texts:
            yield "bad-value", f"lang = {value!r}; there are texts in {', '.join(self.texts)}"
        elif key == "end" and value not in KEYS | {""}:
            yield "bad-value", f"end = {value!r} must be one key"

    def _text(self, key: str, value: Any) -> Iterator[tuple[str, str]]:
        if not isinstance(value, str):
            yield "bad-value", f"{key} = {value!r} must be a text key"
            return
        for lang, sentences in self.texts.items():
            if value not in sentences:
                yield "missing-text", f"{key} = {value!r} has no sentence in {lang}; add it to texts/{lang}/ivr.toml"
            elif wanted := facts_of(sentences[value]):
                yield (
                    "unknown-fact",
                    f"{value} wants {', '.join(sorted(wanted))} in {lang}; a menu has no facts to give",
                )

    def _keys(self, name: str, keys: Any) -> dict[str, str]:
        if not isinstance(keys, dict):
            self._bad(name, "key", "bad-value", 'write key.1 = "target"')
            return {}
        for key in keys.keys() - KEYS:
            self._bad(name, f"key.{key}", "unknown-key", f"key.{key}: a telephone has 0-9 * #")
        return {key: to for key, to in keys.items() if key in KEYS}

    def _targets(self, name: str, ways: Mapping[str, Any], tables: Mapping[str, Any]) -> None:
        for way, to in ways.items():
            if to not in tables:
                self._bad(name, way, "unknown-target", f"{way} = {to!r} names no [menu.…] of this file")

    def _needed(self, name: str, do: str, verb: Verb, exits: Mapping[str, str], keys: Mapping[str, str]) -> None:
        if do == "choose" and not keys:
            self._bad(name, "do", "dead-end", 'a choice without keys leads nowhere; add key.1 = "target"')
        if verb.asks and "else" not in exits:
            self._bad(name, "do", "no-else", 'who presses nothing must get somewhere: add else = "target"')
        missing = [way for way in verb.exits if way not in exits and not (verb.either and "else" in exits)]
        if missing:
            self._bad(name, "do", "dead-end", f'do = {do!r} leads nowhere: add {", ".join(missing)} = "target"')

    def _choices(self, name: str, keys: Mapping[str, str], tables: Mapping[str, Any]) -> None:
        real = [to for to in keys.values() if to != name and not _language(to, tables)]
        if len(real) > CHOICES:
            self._bad(name, "do", "too-many-choices", f"{len(real)} choices; nobody remembers more than {CHOICES}")

    # ------------------------------------------------ the whole

    def _shape(self, start: str, nodes: Mapping[str, Node]) -> None:
        for name in sorted(nodes.keys() - paths.reached(start, nodes)):
            self._bad(name, "do", "unreachable", f"nothing leads to [menu.{name}]; remove it or name it somewhere")
        for name in paths.circles(nodes):
            self._bad(
                name, "do", "loop-without-caller", "a caller who presses nothing would never get out of this circle"
            )

        for lang in self.texts:
            self._long(start, nodes, lang)

    def _long(self, start: str, nodes: Mapping[str, Node], lang: str) -> None:
        """Choices and ways that are too long for an ear."""
        for name, node in nodes.items():
            seconds = self.lengths(node.say, lang) if node.do == "choose" and node.say else 0.0
            if seconds > paths.CHOICES_LONGEST:
                told = f"{node.say} takes {seconds:.0f} s in {lang}; shorten it to {paths.CHOICES_LONGEST:.0f} s"
                self._bad(name, "say", "choices-too-long", told)
        seconds, way = paths.longest(Tree("", start, nodes), lang, self.lengths)
        if seconds > paths.PATH_LONGEST:
            told = f"{seconds:.0f} s to listen in {lang}: {' → '.join(way)}; {paths.PATH_LONGEST:.0f} s at most"
            self._bad(way[-1], "do", "path-too-long", told)

    def prompts(self, tree: Tree, recorded: Callable[[str, str], bool], found: list[Fault]) -> None:
        """Name the sentences that nobody has spoken yet, once each."""
        told: set[tuple[str, str]] = set()
        for node in tree.nodes.values():
            for lang in self.texts:
                if node.say and (node.say, lang) not in told and not recorded(node.say, lang):
                    told.add((node.say, lang))
                    remedy = (
                        f"{node.say} is not recorded in {lang}; record it by phone or add prompts/{lang}/{node.say}.wav"
                    )
                    found.append(Fault(self.path, self._at(node.name, "say"), "missing-prompt", remedy))

    def _bad(self, name: str, key: str, word: str, remedy: str) -> None:
        self._fault(word, f"[menu.{name}] {remedy}", self._at(name, key))

    def _fault(self, word: str, remedy: str, line: int) -> None:
        self.faults.append(Fault(self.path, line, word, remedy))

    def _at(self, name: str, key: str) -> int:
        """Line of `key` (`key.1` is a table's) in `[menu.name]`, else of the table's head, else 1."""
        table = ("menu", name) if name else ()
        return self.document.line(*table, *key.split(".", 1))


def _within(key: str, value: Any, shape: Number, least: float, most: float) -> Iterator[tuple[str, str]]:
    number = value if isinstance(value, shape) and not isinstance(value, bool) else None
    if number is None or not least <= float(number) <= most:
        yield "bad-value", f"{key} = {value!r} must be a number from {least:g} to {most:g}"


def _language(name: str, tables: Mapping[str, Any]) -> bool:
    """Is this node the choice of a language, or of nothing but languages?"""
    table = tables.get(name, {})
    keys = table.get("key")
    if table.get("do") == "choose" and isinstance(keys, dict):
        return all(isinstance(tables.get(to), dict) and tables[to].get("do") == "language" for to in keys.values())
    return bool(table.get("do") == "language")
