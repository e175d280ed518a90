"""baresip as a telephone without a screen or a sound card: it speaks a file, keeps what it hears, obeys by TCP."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from ivr.media import g711

CONFIG = """\
module_path /usr/lib/baresip/modules
module g711.so
module aufile.so
module sndfile.so
module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen 127.0.0.1:{port}
sip_listen {at}
audio_source aufile,{folder}/quiet.wav
snd_path {folder}
"""
ACCOUNT = "<sip:{number}@127.0.0.1>;regint=0;audio_codecs=PCMA/8000/1\n"


QUIET = np.zeros(8000 * 90, np.int16)


class Baresip:
    """A running baresip with one account, listening `at` HOST:PORT; all its files lie in `folder`."""

    def __init__(self, folder: Path, number: str, at: str = "127.0.0.1:0") -> None:
        folder.mkdir()
        port = _free_port()
        self.folder = folder
        (folder / "quiet.wav").write_bytes(g711.write_wav(QUIET))
        (folder / "config").write_text(CONFIG.format(port=port, folder=folder, at=at))
        (folder / "accounts").write_text(ACCOUNT.format(number=number))
        (folder / "contacts").write_text("")
        self.log = (folder / "log").open("w+")
        self.process = subprocess.Popen(
            ["baresip", "-f", str(folder)], stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT
        )
        self._wire = _reach(port)
        self._left = b""

    def __enter__(self) -> Baresip:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._wire.close()
        self.process.terminate()
        self.process.wait(10)
        self.log.close()

    def do(self, command: str, params: str = "") -> str:
        """One command; what it answered. Fails when it was refused."""
        data = json.dumps({"command": command, "params": params, "token": command}).encode()
        self._wire.sendall(b"%d:%s," % (len(data), data))
        answer = self.hear(lambda said: said.get("response") and said.get("token") == command)
        assert answer["ok"], (command, answer, self.said())
        return str(answer["data"])

    def hear(self, wanted: Any, seconds: float = 20.0) -> dict[str, Any]:
        """The next thing it tells for which `wanted` holds."""
        self._wire.settimeout(seconds)
        while True:
            said = self._one()
            if wanted(said):
                return said

    def event(self, kind: str, seconds: float = 20.0) -> dict[str, Any]:
        return self.hear(lambda said: said.get("event") and said.get("type") == kind, seconds)

    def press(self, keys: str) -> None:
        for key in keys:
            self.do("sndcode", key)

    def speak(self, samples: npt.NDArray[np.int16]) -> None:
        """Speak, then be quiet: at the end of a file it would hang up."""
        wav = self.folder / "say.wav"
        wav.write_bytes(g711.write_wav(np.concatenate([samples, QUIET])))
        self.do("ausrc", f"aufile,{wav}")

    def heard(self) -> bytes:
        """The WAV of what was heard; complete once the call is over."""
        [found] = self.folder.glob("dump-*-dec.wav")
        return found.read_bytes()

    def said(self) -> str:
        self.log.flush()
        return Path(self.log.name).read_text(errors="replace")[-4000:]

    def _one(self) -> dict[str, Any]:
        """One netstring of JSON."""
        while True:
            length, colon, rest = self._left.partition(b":")
            if colon and len(rest) > int(length):
                self._left = rest[int(length) + 1 :]
                found: dict[str, Any] = json.loads(rest[: int(length)])
                return found
            more = self._wire.recv(65536)
            assert more, f"baresip is gone: {self.said()}"
            self._left += more


def _free_port() -> int:
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return int(asked.getsockname()[1])


def _reach(port: int) -> socket.socket:
    end = time.monotonic() + 20
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), 5)
        except OSError:
            assert time.monotonic() < end, "baresip does not listen"
            time.sleep(0.05)
