"""The line against baresip, a softphone written by others: it presses keys, speaks a file and is hung up on."""

from __future__ import annotations

import asyncio
import os
import shutil

import pytest

from ivr.leg import HungUp, PlayedOut, Pressed, RecordEnded
from ivr.media import g711
from tests.ivr.sip.house import until
from tests.ivr.sip.papers import bound, papers
from tests.ivr.sip.test_phone import office, share, tone

pytestmark = [pytest.mark.peer]
CONFIG = """
sip_listen 127.0.0.1:0
sip_cafile {authority}
audio_player aufile,{folder}/heard.wav
audio_source aufile,{folder}/say.wav
audio_alert none,none
module_path {modules}
module stdio.so
module g711.so
module aufile.so
module uuid.so
module_tmp account.so
module_app menu.so
"""
__all__ = ["papers"]
MODULES = ("/usr/lib/baresip/modules", "/usr/lib/x86_64-linux-gnu/baresip/modules")


@pytest.fixture
def baresip(tmp_path, papers) -> list[str]:
    """The command, with an account and a voice of its own in `tmp_path`."""
    found = shutil.which("baresip")
    modules = next((path for path in MODULES if os.path.isdir(path)), None)
    if found is None or modules is None:
        if os.environ.get("PASOKH_MUST_PEERS"):
            pytest.fail("baresip is not installed: tools/debian-packages")
        pytest.skip("baresip is not installed: tools/debian-packages")
    (tmp_path / "say.wav").write_bytes(g711.write_wav(tone(1000, 20)))
    (tmp_path / "config").write_text(CONFIG.format(folder=tmp_path, modules=modules, authority=papers / "ca.pem"))
    (tmp_path / "accounts").write_text("<sip:09120000000@127.0.0.1>;regint=0\n")
    return [found, "-f", str(tmp_path), "-t", "40"]


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
async def test_baresip_presses_one_speaks_and_ends_with_the_square(reactor, tmp_path, baresip, papers, transport):
    async with office(reactor, tmp_path, said=0.5, **bound(transport, papers)) as (line, events):
        uri = f"sip:1888@127.0.0.1:{line.port};transport={transport}"
        child = await asyncio.create_subprocess_exec(
            *baresip, "-e", f"/dial {uri}", stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        assert child.stdin is not None
        try:
            await until(lambda: PlayedOut(1) in events, 20)
            child.stdin.write(b"1")
            await until(lambda: Pressed("1") in events)
            await asyncio.sleep(2)  # the caller speaks for two seconds
            child.stdin.write(b"#")
            await until(lambda: events[-1] == HungUp("us"))
        finally:
            child.kill()
            await child.communicate()
        ended = next(event for event in events if isinstance(event, RecordEnded))
        assert ended.why == "key" and 1.5 < ended.seconds < 3
        assert [event for event in events if isinstance(event, Pressed)] == [Pressed("1"), Pressed("#")]
    assert share(g711.read_wav((tmp_path / "message.wav").read_bytes()), 1000) > 0.9
