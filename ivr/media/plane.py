"""The media plane: all calls' RTP in a thread of its own, on one 20 ms clock. Only values go in and out.

`ivr.media.apart` is the same in a process of its own.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from ivr.media import mmsg
from ivr.media.messages import Command, Drop, Event
from ivr.media.ports import Ports, Seats
from ivr.media.record import Spool
from ivr.media.rows import TICK, Rows
from ivr.media.wire import Plain, Wire

log = logging.getLogger(__name__)

LATE = 0.060  # seconds; a tick later than this skips ahead instead of sending a burst
NICE = -10  # root, CAP_SYS_NICE or a limit (LimitNICE=) may set it
SWITCH = 0.0005  # seconds the interpreter lets another thread run before the tick (5 ms by default: p99 25 ms)


class Plane:
    """`ports` gives the RTP ports; `post` takes commands from any thread; events come in batches, once a tick.

    `first_port` 0 draws any free even port. `least_free` is the share of the disk below which nothing is recorded.
    `wire`: the sockets; left out, those that cost least here. `seats`: the ports, where they are given out elsewhere.
    """

    def __init__(
        self, host: str, first_port: int, last_port: int, least_free: float = 0.0, wire: Wire | None = None,
        seats: Seats | None = None,
    ) -> None:  # fmt: skip
        self.ports = Ports(host, first_port, last_port)
        self._seats = seats or self.ports
        self._commands: deque[Command] = deque()
        self._spoken: deque[Event] = deque()
        self._spool = Spool(self._spoken.append, least_free)
        self._wire = wire or _best(host)
        self._rows = Rows(self._wire, self._spool, self._seats)
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._on_events: Callable[[Sequence[Event]], None] = lambda events: None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._late = 0.0
        self._ticks = 0

    def start(
        self, on_events: Callable[[Sequence[Event]], None], loop: asyncio.AbstractEventLoop | None = None
    ) -> None:
        """Begin ticking; `on_events` is called in `loop`; where there is none, in the plane's own threads."""
        sys.setswitchinterval(SWITCH)
        self._on_events, self._loop = on_events, loop
        self._spool.start()
        self._thread = threading.Thread(target=self._run, name="pasokh-media", daemon=True)
        self._thread.start()

    def post(self, command: Command) -> None:
        """Have `command` done at the next tick."""
        self._commands.append(command)

    def stop(self) -> None:
        """Drop every call, finish the recordings on disk and end both threads. Their last events still come."""
        self._stopping = True
        if self._thread is not None:
            self._thread.join()

    @property
    def alive(self) -> bool:
        """Is the clock running?"""
        return self._thread is not None and self._thread.is_alive()

    def counts(self) -> Mapping[str, int]:
        """Calls, ports out, ticks, worst lateness (µs, since last asked), packets by fate, keys, skipped ticks."""
        worst, self._late = self._late, 0.0
        shown = {"calls": len(self._rows.calls), "ports": self._seats.out, "ticks": self._ticks}
        return {**shown, "late_us": int(worst * 1e6), **self._rows.counts}

    def _run(self) -> None:
        _go_first()
        due = time.monotonic()
        try:
            while not self._stopping:
                due = self._tick(due)
                time.sleep(max(0.0, due - time.monotonic()))
        finally:
            self._close()

    def _tick(self, due: float) -> float:
        """One tick, due at `due`; returns when the next one is."""
        now = time.monotonic()
        late = now - due
        skipped = int(late / TICK) if late > LATE else 0
        if skipped:
            log.warning("media clock late", extra={"ms": int(late * 1000)})
        self._late, self._ticks = max(self._late, late), self._ticks + 1
        self._obey(now)
        self._deliver(self._rows.tick(now, skipped, time.time()))
        return due + (1 + skipped) * TICK

    def _obey(self, now: float) -> None:
        while self._commands:
            self._rows.obey(self._commands.popleft(), now)

    def _deliver(self, events: list[Event]) -> None:
        while self._spoken:
            events.append(self._spoken.popleft())
        if not events:
            return
        if self._loop is None:
            self._on_events(tuple(events))
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._on_events, tuple(events))

    def _close(self) -> None:
        now = time.monotonic()
        self._obey(now)
        for row in list(self._rows.calls):
            self._rows.obey(Drop(row), now)
        self._wire.shut()
        self._spool.stop()
        self._deliver([])


def _best(host: str) -> Wire:
    return mmsg.Mmsg(host) if mmsg.available(host) else Plain(host)


def _go_first() -> None:
    """Ask the scheduler to prefer this thread: on one core it would wait for others' whole slices else."""
    for way in (_by_turns, _nicer):
        try:
            way()
        except (OSError, AttributeError):  # not permitted, or not on this system
            continue
        return
    log.info("media clock runs at the common priority")


def _by_turns() -> None:
    """Before everything that is not real time; root, CAP_SYS_NICE or a limit (LimitRTPRIO=) may."""
    os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(os.sched_get_priority_min(os.SCHED_RR)))


def _nicer() -> None:
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)  # Linux: of this thread alone
