"""The child of `ivr.media.apart`: `python -m ivr.media.aside FD HOST LEAST_FREE PLAIN` is a media plane alone."""

from __future__ import annotations

import logging
import queue
import signal
import sys
import threading
import time
from collections import OrderedDict
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any

from ivr.leg import Run
from ivr.media.latch import Address
from ivr.media.messages import Command, Counted, Found, Play
from ivr.media.plane import Plane
from ivr.media.wire import Plain

EACH = 0.5  # seconds between two tellings of the counts
SHELF = 16 * 2**20  # octets of sounds remembered, so that a prompt many play lies in memory once


class Aside:
    """The plane's surroundings where no loop is: commands come by `link`, all that is told leaves by it."""

    def __init__(self, link: Connection, host: str, least_free: float, plain: bool) -> None:
        self._link = link
        self._out: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._sounds: OrderedDict[Run, Run] = OrderedDict()
        self._octets = 0
        self.plane = Plane(host, 0, 0, least_free, Plain(host) if plain else None, seats=self)

    # ---- the ports, as the plane's rows ask for them: those are given out at the other end

    out = 0

    def give(self, row: int) -> None:
        """The Dropped that follows says so."""

    def known(self, row: int, source: Address) -> None:
        self._out.put(Found(row, source))

    # ---- running

    def run(self) -> None:
        """Until the other end says so, or is gone."""
        writing = threading.Thread(target=self._write, name="pasokh-media-out")
        writing.start()
        self.plane.start(self._tell)
        try:
            while self._obey():
                self._count()
        finally:
            self.plane.stop()
            self._count()
            self._out.put(None)
            writing.join()

    def tell(self, record: logging.LogRecord) -> None:
        """A line of the log, to be written by the other end."""
        self._out.put(record)

    def _tell(self, events: Any) -> None:
        for event in events:
            self._out.put(event)

    def _count(self) -> None:
        counts = dict(self.plane.counts())
        self._out.put(Counted(counts, counts["late_us"]))

    def _obey(self) -> bool:
        """Commands for half a second; False once there are no more to come."""
        until = time.monotonic() + EACH
        while (left := until - time.monotonic()) > 0:
            if not self._link.poll(left):
                return self.plane.alive
            try:
                some = self._link.recv()
            except (EOFError, OSError):
                return False
            for command in some:
                if command is None:
                    return False
                self.plane.post(self._shared(command))
        return self.plane.alive

    def _shared(self, command: Command) -> Command:
        """The same, with the sounds that are here already."""
        if not isinstance(command, Play):
            return command
        return replace(command, runs=[self._shelved(run) for run in command.runs])

    def _shelved(self, run: Run) -> Run:
        if run in self._sounds:
            self._sounds.move_to_end(run)
            return self._sounds[run]
        self._sounds[run] = run
        self._octets += len(run.pcma) + len(run.pcmu)
        while self._octets > SHELF:
            old, _ = self._sounds.popitem(last=False)
            self._octets -= len(old.pcma) + len(old.pcmu)
        return run

    def _write(self) -> None:
        last = False
        while not last:
            some = [self._out.get()]
            while not self._out.empty():
                some.append(self._out.get())
            last = some[-1] is None
            try:
                self._link.send(some[:-1] if last else some)
            except OSError:  # nobody reads any more
                return


class _Told(logging.Handler):
    def __init__(self, aside: Aside) -> None:
        super().__init__()
        self._aside = aside

    def emit(self, record: logging.LogRecord) -> None:
        record.msg, record.args, record.exc_info = record.getMessage(), (), None
        self._aside.tell(record)


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):  # said to the whole family: we end with our parent
        signal.signal(number, signal.SIG_IGN)
    descriptor, host, least_free, plain = sys.argv[1:]
    aside = Aside(Connection(int(descriptor)), host, float(least_free), plain == "1")
    logging.basicConfig(level=logging.INFO, handlers=[_Told(aside)], force=True)
    aside.run()


if __name__ == "__main__":
    main()
