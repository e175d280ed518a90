"""Kamailio from Debian as a site has it: in front of our lines (dispatcher, Record-Route) and as a registrar."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

PASSWORD = "trunk-secret"
CONFIG = """\
debug=1
log_stderror=yes
children=1
tcp_children=1
auto_aliases=no
listen=udp:127.0.0.1:{port}
listen=tcp:127.0.0.1:{port}
alias="trunk.example.ir"
mpath="/usr/lib/x86_64-linux-gnu/kamailio/modules/"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "auth.so"
loadmodule "dispatcher.so"
modparam("tm", "fr_timer", 1500)
modparam("auth", "algorithm", "{algorithm}")
modparam("registrar", "min_expires", 900)
modparam("dispatcher", "list_file", "{folder}/dispatcher.list")
modparam("dispatcher", "flags", 2)
modparam("dispatcher", "ds_ping_interval", 1)
modparam("dispatcher", "ds_probing_mode", 1)
modparam("dispatcher", "ds_probing_threshold", 1)
modparam("dispatcher", "ds_ping_latency_stats", 0)

request_route {{
    if (!mf_process_maxfwd_header("10")) {{ sl_send_reply("483", "Too Many Hops"); exit; }}
    if (is_method("CANCEL")) {{ if (t_check_trans()) {{ t_relay(); }} exit; }}
    if (has_totag()) {{
        if (loose_route()) {{ t_relay(); exit; }}
        if (is_method("ACK")) {{ if (t_check_trans()) {{ t_relay(); }} exit; }}
        sl_send_reply("404", "Not Here"); exit;
    }}
    if (is_method("OPTIONS")) {{ sl_send_reply("200", "Alive"); exit; }}
    if (is_method("REGISTER")) {{
        if (!pv_www_authenticate("trunk.example.ir", "{password}", "0")) {{
            www_challenge("trunk.example.ir", "1"); exit;
        }}
        save("location"); exit;
    }}
    if (!is_method("INVITE")) {{ sl_send_reply("405", "Not Allowed"); exit; }}
    record_route();
    if (lookup("location")) {{ t_relay(); exit; }}
    if ($rU =~ "^echo") {{ sl_send_reply("486", "Busy Here"); exit; }}
    if (!ds_select_dst("1", "4")) {{
        append_to_reply("Retry-After: 10\r\n"); sl_send_reply("503", "Nobody There"); exit;
    }}
    t_on_failure("NEXT");
    if (!t_relay() && ds_next_dst()) {{ t_relay(); }}
}}

failure_route[NEXT] {{
    if (t_is_canceled()) {{ exit; }}
    if (t_branch_timeout() || t_check_status("503|477")) {{
        if (ds_next_dst()) {{ t_on_failure("NEXT"); t_relay(); exit; }}
    }}
}}
"""


class Kamailio:
    """A running one. `said` is its log so far."""

    def __init__(self, folder: Path, port: int, process: subprocess.Popen[bytes]) -> None:
        self.folder, self.port, self._process = folder, port, process

    @property
    def said(self) -> str:
        return (self.folder / "log").read_text(errors="replace")[-3000:]

    def wait(self) -> None:
        """Until it answers."""
        end = time.monotonic() + 20
        ping = (
            "OPTIONS sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKup;rport\r\nMax-Forwards: 5\r\n"
            "From: <sip:t@127.0.0.1>;tag=t\r\nTo: <sip:127.0.0.1>\r\nCall-ID: up\r\nCSeq: 1 OPTIONS\r\n"
            "Content-Length: 0\r\n\r\n"
        )
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(0.1)
            sock.connect(("127.0.0.1", self.port))
            while True:
                assert self._process.poll() is None and time.monotonic() < end, self.said
                with contextlib.suppress(OSError):
                    sock.send(ping.encode())
                    if sock.recv(4096).startswith(b"SIP/2.0 200"):
                        return

    def stop(self) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)
        self._process.wait(10)


@contextlib.contextmanager
def running(folder: Path, lines: Sequence[str] = (), algorithm: str = "MD5") -> Iterator[Kamailio]:
    """Kamailio on a free port of 127.0.0.1. `lines`: where it sends calls, `sip:127.0.0.1:5060;transport=…`."""
    program = shutil.which("kamailio", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        if os.environ.get("PASOKH_MUST_PEERS"):
            pytest.fail("kamailio is not installed: tools/debian-packages")
        pytest.skip("kamailio is not installed: tools/debian-packages")
    folder.mkdir(parents=True, exist_ok=True)
    port = _free()
    told = CONFIG.format(folder=folder, port=port, password=PASSWORD, algorithm=algorithm)
    (folder / "kamailio.cfg").write_text(told)
    (folder / "dispatcher.list").write_text("".join(f"1 {line}\n" for line in lines))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [program, "-DD", "-E", "-f", str(folder / "kamailio.cfg"), "-m", "16", "-M", "4", "-Y", str(folder)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        one = Kamailio(folder, port, process)
        try:
            one.wait()
            yield one
        finally:
            one.stop()


def _free() -> int:
    """Free by UDP and by TCP; none that the system gives connections or the tests give voice."""
    for port in random.sample(range(10000, 20000), 200):
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                stack.enter_context(socket.socket(socket.AF_INET, kind)).bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")
