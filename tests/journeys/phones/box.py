"""pyVoIP as a telephone, in a process of its own: it calls, hears for a while, speaks a file, hears on, hangs up.

`python -m tests.journeys.phones.box sip:1888@127.0.0.1:5060 SAY.wav HEARD.wav SPEAKS-AT SECONDS`; it cannot press keys.
pyVoIP keeps audio as 8 bits unsigned inside.
"""

from __future__ import annotations

import socket
import sys
import threading
import time
from pathlib import Path

import numpy as np
from pyVoIP.VoIP import CallState, VoIPCall, VoIPPhone

from ivr.media import g711

FRAME = 160  # samples, 20 ms


def main(uri: str, say: str, heard: str, speaks_at: str, seconds: str) -> None:
    service, _, host = uri.removeprefix("sip:").partition("@")
    server, _, port = host.partition(":")
    phone = VoIPPhone(server, int(port), "09120000004", "", myIP="127.0.0.1", sipPort=_free(), rtpPortLow=52000,
                      rtpPortHigh=52998)  # fmt: skip
    phone.sip.register = phone.sip.deregister = lambda: True  # there is no registrar
    phone.start()
    try:
        call = phone.call(service)
        _wait(call, CallState.ANSWERED, 15)
        print("answered", flush=True)
        threading.Timer(float(speaks_at), _speak, [call, Path(say).read_bytes()]).start()
        Path(heard).write_bytes(g711.write_wav(_hear(call, float(seconds))))
        print(f"ended {call.state.value}" if call.state is CallState.ENDED else "still up", flush=True)
        if call.state is CallState.ANSWERED:
            call.hangup()
    finally:
        phone.stop()


def _speak(call: VoIPCall, wav: bytes) -> None:
    linear = (g711.read_wav(wav).astype(int) // 256 + 128).astype(np.uint8)
    call.write_audio(linear.tobytes())


def _hear(call: VoIPCall, seconds: float) -> np.ndarray:
    found = []
    end = time.monotonic() + seconds
    while time.monotonic() < end and call.state is CallState.ANSWERED:
        found.append(np.frombuffer(call.read_audio(FRAME, blocking=True), np.uint8))
    return ((np.concatenate(found).astype(int) - 128) * 256).astype(np.int16)


def _wait(call: VoIPCall, state: CallState, seconds: float) -> None:
    end = time.monotonic() + seconds
    while call.state is not state:
        if time.monotonic() > end:
            raise SystemExit(f"not {state}: {call.state}")
        time.sleep(0.02)


def _free() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        asked.bind(("127.0.0.1", 0))
        return int(asked.getsockname()[1])


if __name__ == "__main__":
    main(*sys.argv[1:])
