"""What the administrator wrote of the phone: lines, menus, texts and recorded prompts, read and checked together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from config import shape
from config.faults import Fault, Faults
from config.positions import Document, Where
from core.channels import Gear
from ivr import callback, menu, missed, roster
from ivr.callback import Callback
from ivr.child import Model
from ivr.menu import Menus
from ivr.roster import Queue, Roster
from ivr.settings import AnyLine, Extension, Line, Media
from ivr.transcripts import Scribe


@dataclass(frozen=True, slots=True)
class Site:
    """Lines and menus without a fault."""

    lines: Mapping[str, AnyLine]
    menus: Menus
    langs: tuple[str, ...]
    roster: Roster = field(default_factory=Roster)
    callback: Callback | None = None  #: None: answers wait for the caller
    voices: Mapping[str, Model] = field(default_factory=dict)  #: speech models by language
    scribe: Scribe | None = None  #: None: nobody writes voice messages down
    media: Media = field(default_factory=Media)


def read_site(gear: Gear) -> Site:
    """Lines and menus, checked. Raises config.Faults with every fault."""
    texts: Mapping[str, Mapping[str, str]] = gear.extra.get("texts") or gear.say.words  # type: ignore[attr-defined]
    where: Where = gear.extra.get("where") or Where(Document("lines.toml", gear.lines))
    lines = _lines(gear.lines, where)
    people = _roster(gear, where)
    spoken = recorded(prompt_folders(gear))
    menus = menu.read(menu_files(gear.extra), texts, gear.extra.get("units"), recorded=spoken)
    if not isinstance(menus, Menus):
        raise Faults(menus)
    faults = [fault for name, line in lines.items() for fault in _numbers(name, line, menus, where)]
    called = _callback(gear, lines, menus, where, faults)
    voices, scribe = _models(gear, texts, where, faults)
    media = shape.gather(Media, gear.lines.get("media", {}), where / "media", faults)
    faults += roster.faults(people, menus.trees.values(), where / "queue")
    if faults:
        raise Faults(faults)
    return Site(lines, menus, tuple(texts), people, called, voices, scribe, media or Media())


def menu_files(extra: Mapping[str, Any]) -> Mapping[str, str]:
    """The menu files: given as they are, or those of `menus_folder` over the shipped ones (`menus_shipped`)."""
    if "menus" in extra:
        found: Mapping[str, str] = extra["menus"]
        return found
    folders = [Path(extra[key]) for key in ("menus_shipped", "menus_folder") if key in extra]
    return layered(folders)


def layered(folders: Sequence[Path]) -> dict[str, str]:
    """Menu files by name; one of a later folder takes the place of its namesake."""
    paths = {path.name: path for folder in folders for path in sorted(folder.glob("*.toml"))}
    return {f"menus/{name}": path.read_text(encoding="utf-8") for name, path in sorted(paths.items())}


def _lines(tables: Mapping[str, Any], where: Where) -> dict[str, AnyLine]:
    if tables and all(isinstance(line, AnyLine) for line in tables.values()):
        return dict(tables)
    faults: list[Fault] = []
    told = tables.get("line", {})
    lines: dict[str, AnyLine] = {}
    if isinstance(told, Mapping):
        ours = {name: table for name, table in told.items() if isinstance(table, Mapping) and _is_extension(table)}
        lines |= shape.gather_each(Extension, ours, where / "line", faults)
        told = {name: table for name, table in told.items() if name not in ours}
    lines |= shape.gather_each(Line, told, where / "line", faults)
    faults += [fault for name, line in lines.items() for fault in line.faults(where / "line" / name)]
    if faults:
        raise Faults(faults)
    return lines


def as_written(gear: Gear) -> bool:
    """Whether the lines are those of the file: a demo moves them to free ports."""
    where: Where | None = gear.extra.get("where")
    return where is not None and where.document.data.get("phone") == gear.lines


def _is_extension(table: Mapping[str, Any]) -> bool:
    return table.get("kind") == "pyvoip"


def _callback(
    gear: Gear, lines: Mapping[str, AnyLine], menus: Menus, where: Where, faults: list[Fault]
) -> Callback | None:
    """`[phone.callback]`, when it is there: then a peer must be dialled and its menu must be there."""
    if "callback" not in gear.lines:
        return None
    place = where / "callback"
    found = shape.gather(Callback, gear.lines["callback"], place, faults)
    if not any(peer.dial for line in lines.values() for peer in getattr(line, "peer", ())):
        faults.append(place.fault("no-dial", "nobody can be called: no peer of a line says dial = true"))
    tree = menus.trees.get(callback.MENU)
    if tree is None or not {callback.HEARD, callback.SURE} <= tree.nodes.keys():
        told = f"menus/{callback.MENU}.toml must be there, with [menu.{callback.SURE}] and [menu.{callback.HEARD}]"
        faults.append(place.fault("unknown-menu", told))
    return found


def _models(
    gear: Gear, texts: Mapping[str, Any], where: Where, faults: list[Fault]
) -> tuple[dict[str, Model], Scribe | None]:
    """`[phone.voice.LANGUAGE]` and `[phone.transcription]`."""
    voices = shape.gather_each(Model, gear.lines.get("voice", {}), where / "voice", faults)
    for lang, model in voices.items():
        faults += model.faults(where / "voice" / lang)
        if lang not in texts:
            faults.append((where / "voice" / lang).fault("unknown-language", f"there are texts in {', '.join(texts)}"))
    if "transcription" not in gear.lines:
        return voices, None
    scribe = shape.gather(Scribe, gear.lines["transcription"], where / "transcription", faults)
    faults += scribe.faults(where / "transcription") if scribe is not None else []
    return voices, scribe


def _roster(gear: Gear, where: Where) -> Roster:
    faults: list[Fault] = []
    queues = shape.gather_each(Queue, gear.lines.get("queue", {}), where / "queue", faults)
    if faults:
        raise Faults(faults)
    return roster.roster(queues, gear.extra)


def _numbers(name: str, line: AnyLine, menus: Menus, where: Where) -> list[Fault]:
    """A dialled number must lead to a menu that is there."""
    place = where / "line" / name / "numbers"
    known = ", ".join(sorted(menus.trees))
    return [
        (place / number).fault("unknown-menu", f"{number} = {tree!r}; there are menus {known}")
        for number, tree in line.numbers.items()
        if tree not in menus.trees and tree != missed.MENU
    ]


def recorded(folders: Sequence[str | Path]) -> Callable[[str, str], bool]:
    """Which sentences a person has spoken."""
    places = [Path(folder) for folder in folders]
    return lambda key, lang: any((folder / lang / f"{key}.wav").is_file() for folder in places)


def prompt_folders(gear: Gear) -> list[str | Path]:
    """Where recorded prompts lie: those of the phone first, then the site's."""
    given = gear.extra.get("prompts")
    return [Path(gear.folder) / "prompts", *([given] if given else [])]
