"""The command line: `pasokh demo | serve | check | migrate | route | menu | call | answer | sms | staff | bench`."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

from gateway import loop, where

LOG_LINE = "%(asctime)s %(levelname)s %(name)s %(message)s"
FAULT = 2  # exit status for a wrong setting or a taken port, after one sentence per fault


def main(words: Sequence[str] | None = None) -> int:
    """Read the words, run the command, return its exit status."""
    parser = _parser()
    options = parser.parse_args(words)
    logging.basicConfig(level=options.log.upper(), format=LOG_LINE)
    return int(options.run(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pasokh",
        description="Pasokh: citizens phone, text, write or walk in; one ticket, one code, one answer back.",
    )
    parser.add_argument("--log", default="warning", choices=["debug", "info", "warning", "error"], help="log level")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in (_demo, _serve, _check, _migrate, _audit, _route, _menu, _call, _answer, _sms, _staff, _bench):
        add(commands)
    return parser


def _command(commands: Any, name: str, sentence: str, run: Callable[[argparse.Namespace], int]) -> Any:
    parser = commands.add_parser(name, help=sentence, description=sentence)
    parser.set_defaults(run=run)
    return parser


def _demo(commands: Any) -> None:
    parser = _command(commands, "demo", "Run the whole system on loopback with a sample agency.", _run_demo)
    parser.add_argument("--dir", type=Path, default=Path(".demo"), help="folder for all data (default .demo)")
    for name, port, what in (
        ("web", 8080, "portal, console and API"),
        ("sip", 5060, "phone line (UDP)"),
        ("desk", 5070, "where operators' and units' telephones are rung (UDP)"),
        ("smtp", 2525, "letters in"),
        ("sms", 8443, "made-up Kavenegar (TLS)"),
        ("smpp", 2775, "made-up message centre (SMPP)"),
        ("world", 8081, "handset and mailbox pages"),
    ):
        parser.add_argument(f"--{name}", type=_port, default=port, help=f"{what}: port (default {port}, 0 = any free)")
    parser.add_argument("--rtp", type=_range, default="20000-20999", metavar="A-B", help="RTP ports, 0 = any free")
    parser.add_argument("--json", action="store_true", help="print one JSON line when ready, nothing else")
    _site(parser)
    parser.add_argument("--database", help="PostgreSQL URL instead of SQLite in the folder")


def _serve(commands: Any) -> None:
    parser = _command(commands, "serve", "Run the system from its configuration, for real use.", _run_serve)
    _site(parser)
    parser.add_argument("--data", type=Path, required=True, help="folder for store, files, keys and spools")
    parser.add_argument("--database", help="PostgreSQL URL instead of SQLite in the data folder")


def _check(commands: Any) -> None:
    parser = _command(commands, "check", "Check all configuration without starting anything.", _run_check)
    _site(parser)


def _migrate(commands: Any) -> None:
    parser = _command(commands, "migrate", "Bring a store's tables to this version.", _run_migrate)
    parser.add_argument("database", help="sqlite:///path or postgresql://user@host/name")


def _audit(commands: Any) -> None:
    parser = _command(commands, "audit", "Look through all tickets' logs for what was changed unseen.", _run_audit)
    from gateway import auditing

    auditing.add_arguments(parser)


def _route(commands: Any) -> None:
    parser = _command(commands, "route", "Show which unit a text would go to, and by which rule.", _run_route)
    _site(parser)
    parser.add_argument("text", help="the citizen's words")
    parser.add_argument("--channel", default="web", help="phone, sms, mail, web, desk (default web)")
    parser.add_argument("--to", default="", help="the address or number it came to")


def _menu(commands: Any) -> None:
    parser = _command(commands, "menu", "Check, draw or play the phone's menus without a telephone.", _run_menu)
    from gateway import menus

    menus.add_arguments(parser)


def _call(commands: Any) -> None:
    parser = _command(commands, "call", "A small telephone: call a SIP address, press keys, speak, listen.", _run_call)
    from ivr import phone

    phone.add_arguments(parser)


def _answer(commands: Any) -> None:
    parser = _command(commands, "answer", "A small telephone that waits: an operator's or a unit's.", _run_answer)
    from ivr import answer

    answer.add_arguments(parser)


def _sms(commands: Any) -> None:
    parser = _command(commands, "sms", "Look at and steer the SMS lines of the running program.", _run_sms)
    from gateway import texting

    texting.add_arguments(parser)


def _staff(commands: Any) -> None:
    parser = _command(commands, "staff", "Give an account a password, or take its second factor away.", _run_staff)
    from gateway import staffing

    staffing.add_arguments(parser)


def _bench(commands: Any) -> None:
    parser = _command(commands, "bench", "Print figures beside their peers (from a checkout).", _run_bench)
    parser.add_argument(
        "names", nargs="*", metavar="SECTION", help="http, mail, letters, phone, smpp, sms; all when empty"
    )
    parser.add_argument("--rounds", help="of each pair; the figures are their medians")


def _site(parser: Any) -> None:
    parser.add_argument("--config", type=Path, help="folder of the site's own files, laid over the shipped ones")


def _port(text: str) -> int:
    if not (text.isdigit() and int(text) < 1 << 16):
        raise argparse.ArgumentTypeError(f"{text!r} is no port from 1 to 65535, nor 0")
    return int(text)


def _range(text: str) -> str:
    if text == "0":
        return text
    first, _, last = text.partition("-")
    if not (first.isdigit() and last.isdigit() and int(first) < int(last) < 1 << 16):
        raise argparse.ArgumentTypeError(f"{text!r} is no range of ports like 20000-20999, nor 0")
    return text


# ---------------------------------------------------------------- running


def _under_loop(main: Coroutine[Any, Any, int]) -> int:
    """Run to the end on our loop, with Twisted as its guest."""
    with asyncio.Runner(loop_factory=loop.new) as runner:
        return runner.run(_as_host(main))


async def _as_host(main: Coroutine[Any, Any, int]) -> int:
    loop.guest(asyncio.get_running_loop())
    where.tell_on_signal()
    try:
        return await main
    finally:
        loop.stop_guest()


def _run_demo(options: argparse.Namespace) -> int:
    from gateway import demo

    return _under_loop(demo.run(options))


def _run_serve(options: argparse.Namespace) -> int:
    from gateway import serve

    return _under_loop(serve.run(options))


def _run_check(options: argparse.Namespace) -> int:
    from gateway import serve

    faults = serve.check(options.config)
    for fault in faults:
        print(fault, file=sys.stderr)
    if not faults:
        print("no faults")
    return FAULT if faults else 0


def _run_migrate(options: argparse.Namespace) -> int:
    from core import store
    from core.refusal import Refusal

    try:
        asyncio.run(store.migrate(options.database, Path()))
    except (Refusal, OSError) as fault:
        print(f"pasokh migrate: {fault}", file=sys.stderr)
        return FAULT
    print("the tables are those of this version")
    return 0


def _run_audit(options: argparse.Namespace) -> int:
    from gateway import auditing

    return auditing.run(options)


def _run_staff(options: argparse.Namespace) -> int:
    from gateway import staffing

    return staffing.run(options)


def _run_route(options: argparse.Namespace) -> int:
    from gateway import serve, wiring

    try:
        print(serve.explain_route(options.config, options.text, options.channel, options.to))
    except wiring.CannotStart as fault:
        print(fault, file=sys.stderr)
        return FAULT
    return 0


def _run_menu(options: argparse.Namespace) -> int:
    from gateway import menus

    return menus.run(options)


def _run_call(options: argparse.Namespace) -> int:
    from ivr import phone

    return _under_loop(phone.run(options))


def _run_answer(options: argparse.Namespace) -> int:
    from ivr import answer

    return _under_loop(answer.run(options))


def _run_sms(options: argparse.Namespace) -> int:
    from gateway import texting

    return texting.run(options)


def _run_bench(options: argparse.Namespace) -> int:
    """This process becomes the benchmark, so that signals reach it."""
    root = Path(__file__).resolve().parent.parent
    if (root / "tests" / "bench").is_dir():
        os.chdir(root)
        words = [*options.names, *(["--rounds", options.rounds] if options.rounds else [])]
        os.execv(sys.executable, [sys.executable, "-m", "tests.bench", *words])
    print("the benchmarks run from a checkout: make bench", file=sys.stderr)
    return FAULT


if __name__ == "__main__":
    sys.exit(main())
