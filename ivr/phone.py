"""A small telephone for the command line: calls a SIP address, presses keys, speaks a file, keeps what it hears."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import re
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ivr.leg import FRAME, HungUp, LegEvent, PlayedOut, Pressed, Run
from ivr.media import g711
from ivr.media.plane import Plane
from ivr.settings import Line, Peer
from ivr.sip import message as sip
from ivr.sip.gate import bracketed, facing
from ivr.sip.leg import SipLeg
from ivr.sip.line import SipLine
from ivr.sip.outgoing import NotReached, Wanted
from ivr.sip.transaction import Peer as Address

DONE, NOT_REACHED, WRONG = 0, 1, 2  # exit status
PAUSE = 1.0  # seconds of a comma
KEY = 0.16  # seconds one key takes: 100 ms of tone, 60 ms of rest
QUIET = 1.2  # seconds without sound that `wait` takes for the end of a sentence
NOTHING = 10.0  # seconds `wait` gives the other end to begin speaking
LONGEST = 120.0  # seconds `wait` listens at most
LOUD = 500  # of 32768: a 20 ms frame with a sample above it is sound
TOKEN = re.compile(r"\s*(wait|say|hangup|[wsh]|,|[0-9*#A-D])")
IDLE = frozenset({"wait", ",", "hangup"})  # steps that their hanging up does not cut off
WORDS = {"w": "wait", "s": "say", "h": "hangup"}
HELP = """\
keys:
  0-9 * # A-D     press it
  ,               pause one second
  w or wait       listen until the other end has spoken and is quiet for a while
  s or say        speak the file of --say and wait until it is out
  h or hangup     hang up (else the call is held for --stay seconds, or until they hang up)
  Without an s, the file of --say is spoken after the last wait, or after the last key when there is none.
  Example: --keys "w1,wait,say,#,w"   listens, presses 1, listens to the beep, speaks, ends with #, listens.

exit status: 0 all keys were pressed, 1 not reached or cut off before, 2 wrong words"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The words of `pasokh call`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = HELP
    parser.add_argument("uri", help="whom to call: sip:NUMBER@HOST[:PORT][;transport=tcp|tls]")
    parser.add_argument("--keys", default="", help="what to do once they answer, see below")
    parser.add_argument("--say", type=Path, metavar="FILE.wav", help="what to speak (WAV; PCM 8 or 16 bits or G.711)")
    parser.add_argument("--hear", type=Path, metavar="OUT.wav", help="keep what is heard (WAV, 16 bits, 8 kHz)")
    parser.add_argument("--caller", default="pasokh", help="the number to show (default pasokh)")
    parser.add_argument("--user", help="name for a challenge; the password comes from PASOKH_CALL_PASSWORD")
    parser.add_argument("--ca", type=Path, metavar="FILE.pem", help="who signed their certificate, for transport=tls")
    parser.add_argument("--ring", type=float, default=30.0, help="seconds to let it ring (default 30)")
    parser.add_argument("--stay", type=float, default=30.0, help="seconds to listen on after the keys (default 30)")


async def run(options: argparse.Namespace) -> int:
    """`pasokh call`, on a loop whose guest Twisted already is."""
    stops_on_signal()
    try:
        return await call(
            options.uri, options.keys, options.say, options.hear, reactor=guest(), caller=options.caller,
            user=options.user, password=os.environ.get("PASOKH_CALL_PASSWORD"), ring=options.ring, stay=options.stay,
            ca=options.ca,
        )  # fmt: skip
    except asyncio.CancelledError:  # Ctrl-C or SIGTERM: it has hung up by now
        return NOT_REACHED
    except (ValueError, OSError) as fault:
        print(f"pasokh call: {fault}", file=sys.stderr)
        return WRONG


def guest() -> Any:
    """Twisted's reactor, where it is the loop's guest already."""
    from twisted.internet import reactor  # late

    return reactor


def stops_on_signal() -> None:
    """Have SIGTERM cancel the task that asks."""
    this = asyncio.current_task()
    assert this is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)


async def call(
    uri: str,
    keys: str = "",
    say: Path | None = None,
    hear: Path | None = None,
    *,
    reactor: Any,
    caller: str = "pasokh",
    user: str | None = None,
    password: str | None = None,
    ring: float = 30.0,
    stay: float = 30.0,
    ca: Path | None = None,
    tell: Callable[[str], None] = print,
) -> int:
    """Call `uri` and go through `keys`; returns the exit status. Raises ValueError or OSError on wrong words."""
    todo = steps(keys, say is not None)
    spoken = voice(say) if say is not None else None
    peer = await _whereabouts(uri)
    with paper(hear) as path:
        async with _exchange(reactor, peer, ca) as line:
            wanted = Wanted(uri, peer.far, caller, user, password, ring)
            tell(f"calling {uri}")
            leg = await line.call(wanted, lambda status: tell("ringing"))
            if isinstance(leg, NotReached):
                tell(f"not reached: {leg.status} {leg.reason}")
                return NOT_REACHED
            tell("answered")
            return await Handset(leg, path, spoken, stay, tell).go(todo)


def steps(keys: str, speaks: bool) -> list[str]:
    """`keys` as single steps: a key, `,`, wait, say, hangup. Raises ValueError naming the first wrong place."""
    found: list[str] = []
    at = 0
    while keys[at:].strip():
        token = TOKEN.match(keys, at)
        if token is None:
            raise ValueError(f"--keys: {keys[at:].strip()!r} does not begin with a key, a comma, wait, say or hangup")
        found.append(WORDS.get(token[1], token[1]))
        at = token.end()
    if "say" in found and not speaks:
        raise ValueError("--keys: say needs --say FILE.wav")
    if speaks and "say" not in found:
        last = len(found) - found[::-1].index("wait") if "wait" in found else len(found)
        found.insert(last, "say")
    return found


@dataclass(slots=True)
class Handset:
    """A running call with its hands, mouth and ears."""

    leg: SipLeg
    path: Path
    spoken: Run | None
    stay: float
    tell: Callable[[str], None]
    began: float = 0.0
    done: int = 0  # steps gone through
    over: HungUp | None = None

    async def go(self, todo: Sequence[str]) -> int:
        self.leg.record(str(self.path), 86_400, 1e9, "")
        self.began = time.monotonic()
        news: asyncio.Queue[LegEvent] = asyncio.Queue()
        listening = asyncio.create_task(self._listen(news))
        working = asyncio.create_task(self._work(todo, news))
        try:
            await asyncio.wait({listening, working}, return_when=asyncio.FIRST_COMPLETED)
            if not self.over:
                self.tell("hanging up")
            return DONE if IDLE.issuperset(todo[self.done :]) else NOT_REACHED
        finally:
            self.leg.hang_up()
            working.cancel()
            await asyncio.wait({listening, working}, timeout=5)

    async def _listen(self, news: asyncio.Queue[LegEvent]) -> None:
        async for event in self.leg.events():
            if isinstance(event, Pressed):
                self.tell(f"they pressed {event.key}")
            elif isinstance(event, HungUp):
                self.over = event
                if event.why == "caller":
                    self.tell("they hung up")
            news.put_nowait(event)

    async def _work(self, todo: Sequence[str], news: asyncio.Queue[LegEvent]) -> None:
        for step in todo:
            if step == "wait":
                await self._wait()
            elif step == "say":
                await self._say(news)
            self.done += 1
            if step == ",":
                await asyncio.sleep(PAUSE)
            elif step == "hangup":
                return
            elif len(step) == 1:
                self.tell(f"pressing {step}")
                self.leg.send_keys(step)
                await asyncio.sleep(KEY)
        if self.stay > 0:
            await self._until_over(news)

    async def _until_over(self, news: asyncio.Queue[LegEvent]) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.stay):
                while not isinstance(await news.get(), HungUp):
                    pass

    async def _say(self, news: asyncio.Queue[LegEvent]) -> None:
        assert self.spoken is not None
        self.tell(f"speaking {self.spoken.seconds:.1f} s")
        play = self.leg.play([self.spoken])
        while not (isinstance(event := await news.get(), PlayedOut) and event.play == play):
            pass

    async def _wait(self) -> None:
        """Until they have spoken and are quiet; the recording, spooled each second, is what is listened to."""
        since = time.monotonic() - self.began
        end = time.monotonic() + LONGEST
        while time.monotonic() < end:
            first, last, length = sounds(self.path, since)
            if last is not None and length - last >= QUIET:
                return
            if first is None and length - since >= NOTHING:
                return
            await asyncio.sleep(0.1)


def sounds(path: Path, since: float) -> tuple[float | None, float | None, float]:
    """Seconds where sound first and last is in the running recording after `since`, and how long it is so far."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None, None, 0.0
    law: Any = "pcma" if data[20:21] == b"\x06" else "pcmu"
    octets = data[g711.HEADER :]
    begin = int(since * g711.RATE)
    samples = g711.decode(law, octets[begin:])
    frames = samples[: len(samples) // FRAME * FRAME].astype(int).reshape(-1, FRAME)
    loud = (abs(frames).max(axis=1) > LOUD).nonzero()[0]
    seconds = FRAME / g711.RATE
    length = len(octets) / g711.RATE
    return (since + loud[0] * seconds, since + (loud[-1] + 1) * seconds, length) if len(loud) else (None, None, length)


def voice(say: Path) -> Run:
    """A WAV file as sound. Raises ValueError."""
    try:
        return g711.frames(g711.read_wav(say.read_bytes()))
    except g711.NotSound as fault:
        raise ValueError(f"--say: {say}: {fault}") from None


@dataclass(frozen=True, slots=True)
class _There:
    """Where a call goes, and by which name it was asked for."""

    far: Address
    name: str | None  #: None: by its address


async def _whereabouts(uri: str) -> _There:
    """Address, port and transport of the host in `uri`. Raises ValueError or OSError."""
    found = sip.uri(uri)
    if found is None or found.scheme not in ("sip", "sips"):
        raise ValueError(f"{uri!r} is not sip:NUMBER@HOST[:PORT]")
    transport = "tls" if found.scheme == "sips" else sip.params(uri).get("transport", "udp").lower()
    if transport not in ("udp", "tcp", "tls"):
        raise ValueError(f"{uri!r}: transport is udp, tcp or tls")
    loop = asyncio.get_running_loop()
    port = found.port or (5061 if transport == "tls" else 5060)
    host = found.host.strip("[]")
    try:
        all_of = await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except socket.gaierror:
        raise ValueError(f"there is no host {found.host!r}") from None
    address = str(all_of[0][4][0])
    return _There(Address(address, port, transport), host if host != address else None)


@contextlib.contextmanager
def paper(hear: Path | None) -> Any:
    """Where the call is recorded; turned into 16-bit WAV at `hear` at the end, whatever ended it."""
    if hear is not None and not hear.parent.is_dir():
        raise ValueError(f"--hear: there is no folder {hear.parent}")
    with tempfile.TemporaryDirectory(prefix="pasokh-call-") as folder:
        path = Path(folder) / "heard.wav"
        try:
            yield path
        finally:
            if hear is not None and path.exists():
                hear.write_bytes(g711.write_wav(g711.read_wav(path.read_bytes())))


@contextlib.asynccontextmanager
async def _exchange(reactor: Any, there: _There, ca: Path | None) -> Any:
    """A line and a plane of our own, which take nothing from anybody but whom we call."""
    far, host = there.far, facing(there.far.host)
    plane = Plane(host, 0, 0)
    by = "udp" if far.transport == "udp" else "tcp"  # TLS needs no listener: they answer by our connection
    called = Peer("called", allow=(far.host,), dial=True, domain=there.name, ca_file=str(ca) if ca else None)
    settings = Line(bind=(f"{by}:{bracketed(host)}:0",), peer=(called,), max_calls=1)
    line = SipLine(reactor, "phone", settings, plane, lambda leg: leg.hang_up())
    line.start()
    try:
        plane.start(line.on_events, asyncio.get_running_loop())
        yield line
    finally:
        await line.stop(0)
        plane.stop()
