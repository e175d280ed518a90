"""A small telephone that waits: it answers calls to extensions, presses keys, speaks a file, keeps what it hears.

It stands for the telephones of operators and units where there is no exchange yet. It registers nowhere: a peer of the
line names its address.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ivr.leg import Run
from ivr.media.plane import Plane
from ivr.phone import DONE, HELP, WRONG, Handset, guest, paper, steps, stops_on_signal, voice
from ivr.settings import Line, Peer
from ivr.sip.leg import SipLeg
from ivr.sip.line import SipLine

AT = "127.0.0.1:5070"
HERE = "127.0.0.0/8"
KEYS = "wait,1"  # an operator listens who waits, and takes the call


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The words of `pasokh answer`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = HELP.partition("exit status")[0] + "It ends with Ctrl-C, or after --calls calls."
    parser.add_argument(
        "--at", type=_place, default=AT, metavar="HOST:PORT", help=f"where it waits, by UDP (default {AT})"
    )
    parser.add_argument("--extension", action="append", metavar="N", help="answer this one alone; may stand again")
    parser.add_argument("--allow", default=HERE, metavar="NETWORK", help=f"who may ring (default {HERE})")
    parser.add_argument("--keys", default=KEYS, help=f"what to do once it has answered, see below (default {KEYS})")
    parser.add_argument("--say", type=Path, metavar="FILE.wav", help="what to speak (WAV; PCM 8 or 16 bits or G.711)")
    parser.add_argument("--hear", type=Path, metavar="OUT.wav", help="keep what is heard in the last call")
    parser.add_argument("--stay", type=float, default=3600.0, help="seconds to stay after the keys (default 3600)")
    parser.add_argument("--calls", type=int, default=0, metavar="N", help="end after so many calls (default: never)")


def _place(text: str) -> str:
    """HOST:PORT. Raises ArgumentTypeError."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return text


async def run(options: argparse.Namespace) -> int:
    """`pasokh answer`, on a loop whose guest Twisted already is."""
    stops_on_signal()
    try:
        todo = steps(options.keys, options.say is not None)
        spoken = voice(options.say) if options.say is not None else None
        if options.hear is not None and not options.hear.parent.is_dir():
            raise ValueError(f"--hear: there is no folder {options.hear.parent}")
        peer = Peer("callers", allow=(options.allow,))
        peer.networks()
        numbers = dict.fromkeys(options.extension or ["*"], "answered")
        line = Line(bind=(f"udp:{options.at}",), peer=(peer,), numbers=numbers, max_call=86_400, rtp="0")
        waiting = Waiting(guest(), line, todo, spoken, options.hear, options.stay)
        await waiting.serve(options.calls)
    except asyncio.CancelledError:  # Ctrl-C or SIGTERM: it has hung up by now
        return DONE
    except (ValueError, OSError) as fault:
        print(f"pasokh answer: {fault}", file=sys.stderr)
        return WRONG
    return DONE


class Waiting:
    """A telephone for each extension; a second caller of the same one is told that it is busy."""

    def __init__(
        self, reactor: Any, settings: Line, todo: Sequence[str], spoken: Run | None, hear: Path | None, stay: float,
        tell: Callable[[str], None] = print,
    ) -> None:  # fmt: skip
        self._reactor, self._settings = reactor, settings
        self._todo, self._spoken, self._hear, self._stay, self._tell = todo, spoken, hear, stay, tell
        self._rings: asyncio.Queue[SipLeg] = asyncio.Queue()
        self._busy: set[str] = set()  # extensions

    async def serve(self, calls: int = 0) -> None:
        """Answer calls until cancelled, or so many. Raises OSError when the address cannot be had."""
        host = self._settings.address()[0]
        plane = Plane(host, 0, 0)
        line = SipLine(self._reactor, "answer", self._settings, plane, self._rung)
        line.start()
        try:
            plane.start(line.on_events, asyncio.get_running_loop())
            self._tell(f"waiting at {host}:{line.port}")
            async with asyncio.TaskGroup() as group:
                answered = 0
                while not calls or answered < calls:
                    group.create_task(self._take(await self._rings.get()))
                    answered += 1
        finally:
            await line.stop(0)
            plane.stop()

    def _rung(self, leg: SipLeg) -> None:
        if leg.called in self._busy:
            leg.hang_up()
            return
        self._busy.add(leg.called)
        self._rings.put_nowait(leg)

    async def _take(self, leg: SipLeg) -> None:
        self._tell(f"rung at {leg.called}")
        try:
            if not await leg.answer():
                self._tell("they hung up before the answer")
                return
            self._tell("answered")
            with paper(self._hear) as path:
                await Handset(leg, path, self._spoken, self._stay, self._tell).go(self._todo)
        finally:
            self._busy.discard(leg.called)
