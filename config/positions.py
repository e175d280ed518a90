"""Where in a TOML file each key stands: tomllib gives the values, a small scanner beside it the lines."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from config.faults import Fault, Faults

Key = tuple[str | int, ...]
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_AT_LINE = re.compile(r"\(at line (\d+), column \d+\)|\(at end of document\)")


@dataclass(frozen=True, slots=True)
class Document:
    """A TOML file: its values, and the line of every key path (arrays of tables count from 0)."""

    file: str
    data: Mapping[str, Any]
    lines: Mapping[Key, int] = field(default_factory=dict)

    def line(self, *path: str | int) -> int:
        """The line of a key path, or of the nearest thing around it; 1 for the file."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def at(self, *path: str | int) -> Where:
        """A place in this file."""
        return Where(self, path)


@dataclass(frozen=True, slots=True)
class Where:
    """A place in a document, to name in faults."""

    document: Document
    path: Key = ()

    def __truediv__(self, key: str | int) -> Where:
        return Where(self.document, (*self.path, key))

    @property
    def file(self) -> str:
        """Path of the file."""
        return self.document.file

    @property
    def line(self) -> int:
        """Line in the file, from 1."""
        return self.document.line(*self.path)

    @property
    def name(self) -> str:
        """The path as it would be written: `sms.line.main.number`."""
        return ".".join(map(str, self.path))

    def fault(self, word: str, remedy: str) -> Fault:
        """A fault here."""
        return Fault(self.file, self.line, word, remedy)


def load(path: Path, shown: str | None = None) -> Document:
    """Read a TOML file. Raises Faults: `missing-file`, `not-utf8`, `not-toml` with its line."""
    name = shown or str(path)
    try:
        text = path.read_bytes().decode()
    except FileNotFoundError:
        raise Faults([Fault(name, 0, "missing-file", f"there is no {path}; put it there")]) from None
    except OSError as error:
        raise Faults([Fault(name, 0, "unreadable-file", f"{error.strerror}; let the program read it")]) from None
    except UnicodeDecodeError as error:
        raise Faults([Fault(name, 0, "not-utf8", f"byte {error.start} is not UTF-8; save it as UTF-8")]) from None
    return parse(text, name)


def parse(text: str, name: str) -> Document:
    """Read TOML from a string; `name` is told in faults."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = _AT_LINE.search(str(error))
        line = int(found[1]) if found and found[1] else text.count("\n") + 1
        raise Faults([Fault(name, line, "not-toml", f"{error}; mend the line")]) from None
    return Document(name, data, _Scanner(text).lines())


class _Scanner:
    """Walks valid TOML, noting lines of keys; values are only stepped over."""

    def __init__(self, text: str) -> None:
        self._text = text.replace("\r\n", "\n")
        self._at = 0
        self._found: dict[Key, int] = {}
        self._arrays: dict[Key, int] = {}

    def lines(self) -> dict[Key, int]:
        table: Key = ()
        while self._skip_blank():
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)
        return self._found

    def _header(self) -> Key:
        line = self._line()
        array = self._text.startswith("[[", self._at)
        self._at += 2 if array else 1
        keys = self._key()
        self._at += 2 if array else 1
        path = self._placed(keys[:-1]) + keys[-1:]
        if array:
            self._note(path, line)
            self._arrays[path] = self._arrays.get(path, -1) + 1
            path = (*path, self._arrays[path])
        self._note(path, line)
        return path

    def _placed(self, keys: Key) -> Key:
        """The path with the index of the newest entry after each array of tables on the way."""
        path: Key = ()
        for key in keys:
            path = (*path, key)
            if path in self._arrays:
                path = (*path, self._arrays[path])
        return path

    def _pair(self, table: Key) -> None:
        line = self._line()
        keys = self._key()
        path = (*table, *keys)
        for end in range(len(table) + 1, len(path) + 1):
            self._note(path[:end], line)
        self._at += 1  # the equals sign
        self._value(path)

    def _value(self, path: Key) -> None:
        self._skip_blank()
        char = self._text[self._at]
        if char in "\"'":
            self._string()
        elif char in "[{":
            self._group(path, char)
        else:
            while self._at < len(self._text) and self._text[self._at] not in ",]}\n#":
                self._at += 1

    def _group(self, path: Key, opening: str) -> None:
        self._at += 1
        index = 0
        while self._skip_blank() and self._text[self._at] not in "]}":
            if self._text[self._at] == ",":
                self._at += 1
            elif opening == "{":
                self._pair(path)
            else:
                self._note((*path, index), self._line())
                self._value((*path, index))
                index += 1
        self._at += 1

    def _key(self) -> Key:
        keys: list[str] = []
        while True:
            self._skip_blank()
            keys.append(self._string() if self._text[self._at] in "\"'" else self._bare())
            self._skip_blank()
            if self._text[self._at] != ".":
                return tuple(keys)
            self._at += 1

    def _bare(self) -> str:
        found = _BARE.match(self._text, self._at)
        assert found, self._text[self._at : self._at + 20]
        self._at = found.end()
        return found.group()

    def _string(self) -> str:
        start, quote = self._at, self._text[self._at]
        mark = quote * 3 if self._text.startswith(quote * 3, self._at) else quote
        self._at += len(mark)
        while not self._text.startswith(mark, self._at):
            self._at += 2 if self._text[self._at] == "\\" and quote == '"' else 1
        self._at += len(mark)
        while len(mark) == 3 and self._text.startswith(quote, self._at):  # up to two quotes may end the text
            self._at += 1
        literal = self._text[start : self._at]
        value: str = tomllib.loads(f"k = {literal}")["k"]
        return value

    def _skip_blank(self) -> bool:
        """Over blanks, line ends and comments; False at the end."""
        while self._at < len(self._text):
            if self._text[self._at] == "#":
                end = self._text.find("\n", self._at)
                self._at = len(self._text) if end < 0 else end
            elif self._text[self._at] in " \t\n":
                self._at += 1
            else:
                return True
        return False

    def _line(self) -> int:
        return self._text.count("\n", 0, self._at) + 1

    def _note(self, path: Key, line: int) -> None:
        self._found.setdefault(path, line)
