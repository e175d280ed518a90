"""The media plane in a process of its own: nothing that computes in ours can hold its clock up. See docs/why.md.

The same as `ivr.media.plane.Plane` to whoever uses it. Ports are given out here, sockets are the child's. Over one pair
of sockets go lists of commands one way, lists of events, counts and log records the other. The child (`aside`) finishes
its recordings and ends when our end is shut, whatever shut it; should it end by itself or fall silent, its calls are
told `Lost`, what it had spooled is found in the spool, and another one starts.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ivr.media.messages import Add, Command, Counted, Drop, Dropped, Event, Found, Lost
from ivr.media.ports import Ports

log = logging.getLogger(__name__)
ROOT = Path(__file__).parents[2]
SILENT = 10.0  # seconds without a word (it tells its counts twice a second) till it is killed
LEAVING = 10.0  # seconds it may take to finish its recordings when we stop
RESTS = (0.0, 1.0, 5.0, 30.0)  # seconds before a start after so many deaths in a row; the last one repeats
LONG = 60.0  # seconds it must have lived for the next death to be the first again

Told = Callable[[Sequence[Event]], None]


class Apart:
    """`ports` gives the RTP ports; `post` takes commands from the loop's thread; events come there in batches.

    `first_port` 0 draws any free even port. `least_free` is the share of the disk below which nothing is recorded.
    `plain`: the portable sockets, whatever the system has. `silent`: seconds without a word till the child is killed.
    """

    def __init__(
        self, host: str, first_port: int, last_port: int, least_free: float = 0.0, plain: bool = False,
        silent: float = SILENT,
    ) -> None:  # fmt: skip
        self.ports = Ports(host, first_port, last_port)
        self._words, self._silent = [host, str(least_free), str(int(plain))], silent
        self._rows: set[int] = set()
        self._on_events: Told = lambda events: None
        self._loop: asyncio.AbstractEventLoop
        self._child: _Child | None = None
        self._late = 0
        self._deaths = 0
        self._restart: asyncio.TimerHandle | None = None
        self._stopping = False

    def start(self, on_events: Told, loop: asyncio.AbstractEventLoop) -> None:
        """Start the child; `on_events` is called in `loop`, whose thread this must be."""
        self._on_events, self._loop = on_events, loop
        self._begin()

    def post(self, command: Command) -> None:
        """Have `command` done at the next tick."""
        match command:
            case Add(media):
                self._rows.add(media.row)
            case Drop(row) if self._child is None:
                self._loop.call_soon(self._heard, [Dropped(row, 0, 0, 0, 0)])
        if self._child is not None:
            self._child.commands.put(command)

    def stop(self) -> None:
        """Drop every call, finish the recordings on disk, end the child. Their last events still come."""
        self._stopping = True
        if self._restart is not None:
            self._loop.call_soon_threadsafe(self._restart.cancel)
        if self._child is not None:
            self._child.stop()

    @property
    def alive(self) -> bool:
        """Is the clock running?"""
        return self._child is not None and self._child.alive

    @property
    def pid(self) -> int | None:
        """The child's, for whoever weighs it."""
        return self._child.process.pid if self._child is not None else None

    def counts(self) -> Mapping[str, int]:
        """As the child told them last, half a second ago at most; `restarts`: of the child."""
        told: dict[str, int] = dict(self._child.counts) if self._child is not None else {}
        worst, self._late = self._late, 0
        return {"calls": 0, "ticks": 0, **told, "late_us": worst, "ports": self.ports.out, "restarts": self._deaths}

    # ---- inside, all in the loop's thread

    def _begin(self) -> None:
        self._restart = None
        self._child = _Child(self._words, self._tell, self._silent)
        self.ports.shut = False

    def _tell(self, child: _Child, told: list[Event | Counted | Found] | None) -> None:
        """From the reading thread: what the child says, None at its end."""
        if not self._loop.is_closed():
            work = partial(self._ended, child) if told is None else partial(self._heard, told)
            self._loop.call_soon_threadsafe(work)

    def _heard(self, told: Sequence[Event | Counted | Found]) -> None:
        events: list[Event] = []
        for each in told:
            match each:
                case Counted(late_us=late):
                    self._late = max(self._late, late)
                    continue
                case Found(row, source):
                    self.ports.known(row, source)
                    continue
                case Dropped(row):
                    self._rows.discard(row)
                    self.ports.give(row)
            events.append(each)
        if events:
            self._on_events(tuple(events))

    def _ended(self, child: _Child) -> None:
        """It is gone. Unless we asked for it: every call is lost, and another child takes the next ones."""
        if self._stopping or child is not self._child:
            return
        self._child, self.ports.shut = None, True
        self._deaths = 1 if child.lived() > LONG else self._deaths + 1
        log.error("media plane ended", extra={"status": child.process.returncode, "calls": len(self._rows)})
        self._restart = self._loop.call_later(RESTS[min(self._deaths, len(RESTS)) - 1], self._begin)
        self._on_events(tuple(Lost(row) for row in sorted(self._rows)))


class _Child:
    """One running child: its process, and the two threads that write to it and read from it."""

    def __init__(
        self, words: Sequence[str], tell: Callable[[_Child, list[Event | Counted | Found] | None], None], silent: float
    ) -> None:
        self.commands: queue.SimpleQueue[Command | None] = queue.SimpleQueue()  #: None: the last one
        self.counts: Mapping[str, int] = {}
        self._tell, self._silent = tell, silent
        self._began = time.monotonic()
        ours, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ivr.media.aside", str(theirs.fileno()), *words],
                pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, cwd=ROOT,
            )  # fmt: skip
        self._link = Connection(ours.detach())
        self._writing = threading.Thread(target=self._write, name="pasokh-media-out", daemon=True)
        self._reading = threading.Thread(target=self._read, name="pasokh-media-in", daemon=True)
        self._writing.start()
        self._reading.start()

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def lived(self) -> float:
        """Seconds since its start."""
        return time.monotonic() - self._began

    def stop(self) -> None:
        """Have it finish, and wait for its last word."""
        self.commands.put(None)
        self._reading.join(LEAVING)
        self.process.kill()
        self._reading.join()

    def _write(self) -> None:
        """Commands to the child, as many at once as wait; None is the last one."""
        while True:
            some = [self.commands.get()]
            while not self.commands.empty():
                some.append(self.commands.get())
            try:
                self._link.send(some)
            except OSError:  # it is gone, as the reading thread tells
                return
            if None in some:
                return

    def _read(self) -> None:
        with contextlib.suppress(EOFError, OSError):  # its end is told below
            while self._link.poll(self._silent):
                self._sort(self._link.recv())
        self.process.kill()  # silent, or gone already
        self.process.wait()
        self.commands.put(None)
        self._writing.join()
        self._link.close()
        self._tell(self, None)

    def _sort(self, told: list[Any]) -> None:
        for each in told:
            if isinstance(each, logging.LogRecord):
                logging.getLogger(each.name).handle(each)
            elif isinstance(each, Counted):
                self.counts = each.counts
        self._tell(self, [each for each in told if not isinstance(each, logging.LogRecord)])
