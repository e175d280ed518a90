"""`pasokh menu check | draw NAME | walk NAME`: the phone's menus looked at without a telephone."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from config.faults import Fault
from config.values import Config
from core import jalali
from core.clock import SystemClock
from gateway import wiring

FAULT = 2
WORDS = """\
words of --keys, one after the other:
  1, 0, #, 12345   keys
  r12              speaks for 12 seconds
  .                presses nothing
  o, n             an operator answers and talks; nobody answers
  h                hangs up
  Example: --keys "1 0 r12 3 #"   a complaint for a unit that is not known"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The words of `pasokh menu`."""
    deeds = parser.add_subparsers(required=True, metavar="DEED")
    check = deeds.add_parser("check", help="name every fault and warning, and the longest way to listen")
    check.set_defaults(deed=_check)
    draw = deeds.add_parser("draw", help="write the menu's picture (SVG) to standard output")
    walk = deeds.add_parser(
        "walk", help="play a call and print its transcript", epilog=WORDS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    for each in (check, draw, walk):
        each.add_argument("--config", type=Path, help="folder of the site's own files, laid over the shipped ones")
    for each, deed in ((draw, _draw), (walk, _walk)):
        each.add_argument("name", help="the menu: name of its file")
        each.add_argument("--lang", default="fa", help="language (default fa)")
        each.set_defaults(deed=deed)
    walk.add_argument("--keys", default="", help="what the caller does, see below")
    walk.add_argument("--closed", action="store_true", help="outside of office hours")
    walk.add_argument("--claimed", action="store_true", help="the caller's number is only claimed")


def run(options: argparse.Namespace) -> int:
    """Do one deed; the exit status is 2 for a fault or a wrong word, each with its sentence."""
    try:
        return _deed(options)(options, wiring.site(options.config))
    except wiring.CannotStart as fault:
        print(fault, file=sys.stderr)
        return FAULT


def _deed(options: argparse.Namespace) -> Callable[[argparse.Namespace, Config], int]:
    deed: Callable[[argparse.Namespace, Config], int] = options.deed
    return deed


def _check(options: argparse.Namespace, site: Config) -> int:
    from ivr import menu, paths
    from ivr.site import recorded

    found = menu.read(
        _files(site), site.texts.words, frozenset(site.units.items), recorded=recorded([site.prompts_folder])
    )
    if not isinstance(found, menu.Menus):
        return _told(found)
    for warning in found.warnings:
        print(f"warning: {warning}")
    for tree in found.trees.values():
        for lang in site.texts.langs:
            seconds, way = paths.longest(tree, lang, lambda key, lang: paths.estimate(site.texts(key, lang)))
            print(f"{tree.name} in {lang}: {seconds:.0f} s to listen at most, {' → '.join(way)}")
    print("no faults")
    return 0


def _draw(options: argparse.Namespace, site: Config) -> int:
    from ivr import draw, menu

    found = menu.read(_files(site), site.texts.words)
    if not isinstance(found, menu.Menus):
        return _told(found)
    if options.name not in found.trees or options.lang not in site.texts.words:
        return _unknown(options, found, site)
    print(draw.draw(found.trees[options.name], lambda key: site.texts(key, options.lang), options.lang))
    return 0


def _walk(options: argparse.Namespace, site: Config) -> int:
    from ivr import menu, rehearsal
    from ivr.prompts import Prompts
    from ivr.stand import Walk

    found = menu.read(_files(site), site.texts.words)
    if not isinstance(found, menu.Menus):
        return _told(found)
    if options.name not in found.trees or options.lang not in site.texts.words:
        return _unknown(options, found, site)
    today = jalali.local(SystemClock().now(), site.agency.zone).date()
    units = {unit.extension: site.units.name(unit.slug, options.lang) for unit in site.units if unit.extension}
    walk = Walk(options.name, lang=options.lang, open=not options.closed)
    prompts = Prompts(site.texts, [site.prompts_folder], site.agency.zone)
    world = rehearsal.World(units, site.texts("ivr.sample.unit", options.lang))
    try:
        call = rehearsal.rehearse(found, prompts, today, walk, options.keys, world, not options.claimed)
    except rehearsal.WrongWord as wrong:
        print(f"pasokh menu walk: --keys: {wrong} means nothing\n{WORDS}", file=sys.stderr)
        return FAULT
    print("\n".join(call.lines))
    return 0


def _files(site: Config) -> dict[str, str]:
    from ivr.site import layered

    return layered([site.folder / "menus", site.menus_folder])


def _told(faults: list[Fault]) -> int:
    for fault in faults:
        print(fault, file=sys.stderr)
    return FAULT


def _unknown(options: argparse.Namespace, found: object, site: Config) -> int:
    names = ", ".join(sorted(getattr(found, "trees", {})))
    langs = ", ".join(site.texts.langs)
    print(f"pasokh menu: there are menus {names}, in {langs}; not {options.name} in {options.lang}", file=sys.stderr)
    return FAULT
