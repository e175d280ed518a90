"""The media plane in a process of its own: what a death of either side leaves, and how the next one goes on."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ivr.media import g711, record
from ivr.media.apart import RESTS, ROOT, Apart
from ivr.media.messages import Add, Drop, Dropped, Event, Lost, Media, Play, Record, RunsOut
from tests.ivr.media.made_up import rtp, tone
from tests.ivr.media.test_plane import Phone, until


@pytest.fixture
def phone():
    phone = Phone()
    yield phone
    phone.sock.close()


@pytest.fixture
async def apart(request):
    events: list[Event] = []
    apart = Apart("127.0.0.1", 0, 0, **getattr(request, "param", {}))
    apart.start(events.extend, asyncio.get_running_loop())
    yield apart, events
    apart.stop()
    assert not apart.alive


async def heard(apart: Apart, row: int, phone: Phone, events: list[Event]) -> int:
    """A call that has heard something; its port."""
    port = apart.ports.take(row, phone.address)
    assert port is not None
    apart.post(Add(Media(row, "pcma", phone.address, 101, port, sought=False)))
    apart.post(Play(row, row, [tone(0.1)]))
    await until(lambda: RunsOut(row, row) in events)
    return port


async def spoken(apart: Apart, row: int, phone: Phone, port: int, path: Path) -> None:
    """Three seconds spoken, of which two are in the spool."""
    apart.post(Record(row, str(path), 60, 50, "#"))
    sound = tone(3.0).pcma
    for number in range(150):
        phone.sock.sendto(rtp(number, 160 * number, sound[160 * number :][:160]), ("127.0.0.1", port))
        await asyncio.sleep(0.02)
    await until(lambda: path.exists() and path.stat().st_size > 2 * g711.RATE)


@pytest.mark.slow
async def test_a_dead_child_loses_its_calls_not_their_recordings_and_another_takes_the_next(apart, phone, tmp_path):
    apart, events = apart
    port = await heard(apart, 1, phone, events)
    path = tmp_path / "a.wav"
    await spoken(apart, 1, phone, port, path)
    before = apart.pid
    os.kill(before, signal.SIGKILL)
    await until(lambda: Lost(1) in events)
    apart.post(Drop(1))  # what a leg does about it
    await until(lambda: Dropped(1, 0, 0, 0, 0) in events)
    assert record.recover(path) >= 1.9
    assert apart.ports.out == 0
    await until(lambda: apart.alive and apart.pid != before)
    await heard(apart, 2, phone, events)
    assert apart.counts()["restarts"] == 1


@pytest.mark.slow
@pytest.mark.parametrize("apart", [{"silent": 4.0}], indirect=True)
async def test_a_child_that_falls_silent_is_killed(apart, phone):
    apart, events = apart
    await heard(apart, 1, phone, events)
    os.kill(apart.pid, signal.SIGSTOP)
    await until(lambda: Lost(1) in events)


async def test_while_none_runs_no_port_is_given_and_a_drop_is_answered(apart, phone, monkeypatch):
    apart, events = apart
    monkeypatch.setattr("ivr.media.apart.RESTS", (60.0,))
    await heard(apart, 1, phone, events)
    os.kill(apart.pid, signal.SIGKILL)
    await until(lambda: Lost(1) in events)
    assert (apart.alive, apart.ports.take(2, phone.address), apart.ports.take(3)) == (False, None, None)
    apart.post(Drop(1))
    await until(lambda: isinstance(events[-1], Dropped))


def test_it_waits_longer_after_each_death():
    assert list(RESTS) == sorted(RESTS)
    assert RESTS[0] == 0


PARENT = """
import asyncio, sys
from ivr.media.apart import Apart
from ivr.media.messages import Add, Media, Record

async def main():
    apart = Apart("127.0.0.1", 0, 0)
    apart.start(lambda events: None, asyncio.get_running_loop())
    peer = ("127.0.0.1", int(sys.argv[1]))
    port = apart.ports.take(1, peer)
    apart.post(Add(Media(1, "pcma", peer, 101, port, sought=False)))
    apart.post(Record(1, sys.argv[2], 60, 50, "#"))
    print(port, apart.pid, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.mark.slow
async def test_the_child_of_a_killed_program_finishes_its_recordings_and_ends(phone, tmp_path):
    path = tmp_path / "a.wav"
    words = [sys.executable, "-c", PARENT, str(phone.address[1]), str(path)]
    parent = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True)  # noqa: ASYNC220 - it is waited for
    assert parent.stdout is not None
    port, child = map(int, (await asyncio.to_thread(parent.stdout.readline)).split())
    await until(lambda: len(phone.listen()) >= 3)
    sound = tone(0.6).pcma
    for number in range(30):
        phone.sock.sendto(rtp(number, 160 * number, sound[160 * number :][:160]), ("127.0.0.1", port))
    count = len(phone.listen())
    await until(lambda: len(phone.listen()) >= count + 5)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    await until(lambda: not Path(f"/proc/{child}").exists() or _is_dead(child))
    assert path.read_bytes()[g711.HEADER :] == sound  # all of it, not only what had been spooled


def _is_dead(pid: int) -> bool:
    """A zombie that nobody has waited for counts."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
