"""The media plane alone under many calls: a child process with the plane, prompts and recordings; callers around it.

`python -m tests.bench.media --calls 200 --seconds 10 [--record]` prints one JSON line with the same figures as
tests.bench.callers and the plane's share of a core. No SIP; pinned to one core where there are two.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.callers import Callers, bare


async def serve(options: argparse.Namespace) -> None:
    """Play an endless tone to every caller and, with a folder, record each; then tell what it cost.

    `busy`: the loop beside the plane computes in Python, 10 ms of every 20. `lone`: no ports are shared.
    `plain`: one call of the kernel a packet.
    """
    calls, peer_port, seconds, folder = options.calls, options.serve, options.seconds, options.folder
    lone = options.lone
    import numpy as np

    from ivr.media import g711
    from ivr.media.messages import Add, Media, Play, Record
    from ivr.media.plane import Plane
    from ivr.media.wire import Plain

    plane = Plane("127.0.0.1", 0, 0, wire=Plain("127.0.0.1") if options.plain else None)
    plane.start(lambda events: None, asyncio.get_running_loop())
    tone = g711.frames((8000 * np.sin(np.arange(8000) * 2 * np.pi * 440 / 8000)).astype(np.int16))
    ports = []
    for row in range(calls):
        peer = (f"127.1.{row // 250}.{row % 250 + 1}", peer_port)
        port = plane.ports.take(row, None if lone else peer)
        assert port is not None
        ports.append(port)
        plane.post(Add(Media(row, "pcma", peer, 101, port, sought=lone)))
        plane.post(Play(row, 1, [tone] * int(seconds + 10)))
        if folder:
            plane.post(Record(row, f"{folder}/{row}.wav", 180, 60, "#"))
    print(json.dumps({"ports": ports}), flush=True)
    used, began = time.process_time(), time.monotonic()
    bursts = asyncio.get_running_loop().create_task(_bursts()) if options.busy else None
    await asyncio.to_thread(sys.stdin.readline)
    if bursts is not None:
        bursts.cancel()
    share = (time.process_time() - used) / (time.monotonic() - began)
    counts = dict(plane.counts())
    plane.stop()
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps({"core_percent": round(100 * share, 1), "resident_mb": resident, **counts}), flush=True)


async def _bursts() -> None:
    while True:
        end = time.monotonic() + 0.01
        while time.monotonic() < end:
            sum(range(200))
        await asyncio.sleep(0.01)


def measure(options: argparse.Namespace) -> dict[str, object]:
    crowd = Callers(("127.0.0.1", 9), options)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tests.bench.media", "--serve", str(crowd.port), "--core", str(options.core)]
        command += ["--calls", str(options.calls), "--seconds", str(options.seconds)]
        command += ["--folder", folder] if options.record else []
        command += [f"--{name}" for name in ("busy", "lone", "plain") if getattr(options, name)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as plane:
            assert plane.stdout is not None and plane.stdin is not None
            ports = json.loads(plane.stdout.readline())["ports"]
            figures = _listen(crowd, ports, options.seconds)
            plane.stdin.write("\n")
            plane.stdin.flush()
            figures["bare_p99_ms"] = bare(options, 2.0)["jitter_ms"]["p99"]  # type: ignore[index]
            figures["plane"] = json.loads(plane.stdout.readline())
        figures["recorded_mb"] = round(sum(file.stat().st_size for file in Path(folder).iterdir()) / 2**20, 1)
    return figures


def _listen(crowd: Callers, ports: list[int], seconds: float) -> dict[str, object]:
    start = now = time.monotonic()
    for caller, port in zip(crowd.callers, ports, strict=True):
        caller.state, caller.up_at, caller.media, caller.events = "up", now, ("127.0.0.1", port), 101
    while now < start + 1 + seconds:
        for caller in crowd.callers:
            crowd._speak(caller)
        crowd._hear_until(now + 0.02, start + 1, start + 1 + seconds)
        now = time.monotonic()
    return crowd._figures()


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the media plane alone.")
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--busy", action="store_true", help="beside a loop that computes half of the time")
    parser.add_argument("--lone", action="store_true", help="a port a call, as for callers behind translators")
    parser.add_argument("--plain", action="store_true", help="the portable sockets, a call of the kernel a packet")
    parser.add_argument("--serve", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--core", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--folder", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        os.sched_setaffinity(0, {options.core})
        asyncio.run(serve(options))
        return
    options.core = min(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    options.seed, options.keys, options.pause, options.number, options.rate, options.settle = 1, "", 1.0, "1", 40.0, 1.0
    options.every, options.hold = 1, 0.0
    print(json.dumps(measure(options)))


if __name__ == "__main__":
    main()
