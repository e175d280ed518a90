"""Kannel's bearerbox and smsbox as processes of their own, for tests and figures: a client of a message centre."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Self

import pytest

CONFIG = """
group = core
admin-port = {admin}
admin-password = made-up
admin-interface = 127.0.0.1
smsbox-port = {boxes}
smsbox-interface = 127.0.0.1
log-file = {folder}/bearerbox.log
log-level = 1

group = smsc
smsc = smpp
smsc-id = pasokh
host = 127.0.0.1
port = {smpp}
smsc-username = pasokh
smsc-password = secret
system-type = vms
transceiver-mode = true
max-pending-submits = {window}

group = smsbox
bearerbox-host = 127.0.0.1
bearerbox-port = {boxes}
sendsms-port = {send}
sendsms-interface = 127.0.0.1
global-sender = 30001234
log-file = {folder}/smsbox.log
log-level = 1

group = sendsms-user
username = made
password = up
max-messages = 10
concatenation = true

group = sms-service
keyword = default
catch-all = true
max-messages = 0
get-url = "http://127.0.0.1:{web}/in?from=%p&to=%P&text=%b&coding=%c"
"""


class Kannel:
    """`with Kannel(folder, smpp, web) as box:`; texts are sent by `http://127.0.0.1:{box.send}/cgi-bin/sendsms`."""

    def __init__(self, folder: Path, smpp: int, web: int, window: int = 10) -> None:
        self.folder, self._made = folder, []  # type: ignore[var-annotated]
        self.admin, self.boxes, self.send = free(), free(), free()
        text = CONFIG.format(
            admin=self.admin,
            boxes=self.boxes,
            send=self.send,
            smpp=smpp,
            web=web,
            folder=folder,
            window=window,
            store="",
        )
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "kannel.conf").write_text(text)

    def __enter__(self) -> Self:
        self._start("bearerbox")
        listening(self.boxes)
        self._start("smsbox")
        listening(self.send)
        return self

    def _start(self, name: str) -> None:
        output = (self.folder / f"{name}.out").open("w")
        words = [f"/usr/sbin/{name}", "-v", "1", str(self.folder / "kannel.conf")]
        self._made.append(subprocess.Popen(words, stdout=output, stderr=output, cwd=self.folder))
        output.close()

    def __exit__(self, *gone: object) -> None:
        for process in reversed(self._made):
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(5)


def needed() -> None:
    """Skip without Kannel, unless peers must be there."""
    if shutil.which("bearerbox", path="/usr/sbin:/usr/bin") is None:
        (pytest.fail if os.environ.get("PASOKH_MUST_PEERS") else pytest.skip)(
            "Kannel is not installed: tools/debian-packages"
        )


def free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listening(port: int, seconds: float = 10.0) -> None:
    """Wait until somebody listens there."""
    ends = time.monotonic() + seconds
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert time.monotonic() < ends, f"nobody listens on {port}"
        time.sleep(0.02)
