"""sipp as a telephone: it presses keys by INFO and speaks by RTP, at times set before, without listening."""

from __future__ import annotations

import itertools
import re
import subprocess
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ivr.media import g711

SCENARIO = Path(__file__).parent / "message.xml"
PRESS = """\
<send retrans="500"><![CDATA[

INFO sip:[service]@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:09120000002@[local_ip]:[local_port]>;tag=[pid]t[call_number]
To: <sip:[service]@[remote_ip]:[remote_port]>[peer_tag_param]
Call-ID: [call_id]
CSeq: {seq} INFO
Max-Forwards: 70
Content-Type: application/dtmf-relay
Content-Length: [len]

Signal={key}
Duration=160
]]></send>
  <recv response="200" />"""


def leave_message(folder: Path, uri: str, voice: npt.NDArray[np.int16], lead: float) -> None:
    """Call `uri`, press 1 and 0, wait `lead` seconds, speak, press # and 3, hang up. Fails with sipp's own words."""
    octets = g711.frames(voice).pcma
    (folder / "voice.pcma").write_bytes(octets)
    times = {"LEAD": lead * 1000, "SPEAK": len(octets) / 8 + 300}
    story = SCENARIO.read_text().replace("AUDIO", str(folder / "voice.pcma"))
    for word, ms in times.items():
        story = story.replace(f'"{word}"', f'"{ms:.0f}"')
    seq = itertools.count(2)
    story = re.sub("PRESS:(.)", lambda found: PRESS.format(seq=next(seq), key=found[1]), story)
    (folder / "story.xml").write_text(story)
    service, _, host = uri.removeprefix("sip:").partition("@")
    done = subprocess.run(
        ["sipp", "-sf", "story.xml", "-i", "127.0.0.1", "-nostdin", "-m", "1", "-s", service, "-trace_err",
         "-error_file", "errors", host],
        cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=90,
    )  # fmt: skip
    errors = folder / "errors"
    assert done.returncode == 0, (done.stderr[-2000:], errors.read_text() if errors.exists() else "")
