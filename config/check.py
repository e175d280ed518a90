"""All checks of a configuration without starting anything: what `pasokh check` runs before the channels' own."""

from __future__ import annotations

from pathlib import Path

from config.faults import Fault, Faults
from config.positions import load
from config.read import SEEDS, examine
from config.values import Config


def check(folder: str | Path = SEEDS, site: str | Path | None = None) -> list[Fault]:
    """Every fault of the configuration, in file and line order; an empty list when it can be used."""
    config, faults = examine(folder, site)
    if config is not None:
        faults = [*faults, *_prefixes(config), *_names(config)]
    return sorted(set(faults))


def prefixes(folder: str | Path = SEEDS) -> tuple[str, ...]:
    """The beginnings of keys that code completes with a word. Raises Faults."""
    document = load(Path(folder) / "texts" / "prefixes.toml")
    listed = document.data.get("prefixes", [])
    if not isinstance(listed, list) or not all(isinstance(one, str) and one.endswith((".", "_")) for one in listed):
        raise Faults([document.at("prefixes").fault("bad-type", "prefixes is a list of texts ending in . or _")])
    return tuple(listed)


def _prefixes(config: Config) -> list[Fault]:
    try:
        known = prefixes(config.folder)
    except Faults as error:
        return list(error.faults)
    place = load(config.folder / "texts" / "prefixes.toml").at("prefixes")
    keys = config.texts.keys()
    areas = {path.stem for path in (config.folder / "texts" / config.agency.lang).glob("*.toml")}
    return [
        (place / n).fault("unused-prefix", f"no text begins with {one!r}; take it out or add its texts")
        for n, one in enumerate(known)
        if one.split(".")[0] in areas and not any(key.startswith(one) for key in keys)
    ]


def _names(config: Config) -> list[Fault]:
    """Names the screens show must be there in the first language."""
    found: list[Fault] = []
    lang = config.agency.lang
    for unit in config.units:
        if lang not in unit.name:
            place = config.where("units.toml", "unit", unit.slug, "name")
            found.append(place.fault("missing-name", f"unit {unit.slug!r} has no name in {lang!r}; add it"))
    for card in config.services.values():
        for what in ("title", "time", "fee", "documents"):
            if lang not in getattr(card, what):
                place = config.where("services.toml", "service", card.slug, what)
                found.append(place.fault("missing-name", f"service {card.slug!r} has no {what} in {lang!r}; add it"))
    return found
