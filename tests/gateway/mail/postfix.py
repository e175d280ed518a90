"""Debian's Postfix in front of us, with queue and configuration of its own on loopback; it needs root as ever.

What docs/mail.md tells people to write into main.cf is what runs here: the lines are read from there.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

DOCS = Path(__file__).resolve().parents[3] / "docs/mail.md"
HERE = """
compatibility_level = 3.6
queue_directory = {home}/queue
data_directory = {home}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file = {home}/log
maillog_file_prefixes = {home}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mx.example.ir
mydestination =
alias_maps =
smtpd_peername_lookup = no
smtp_dns_support_level = disabled
notify_classes =
queue_run_delay = 1s
minimal_backoff_time = 1s
maximal_backoff_time = 2s
transport_retry_time = 1s
"""
MASTER = """
127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


def missing() -> str | None:
    """Why it cannot run here; None when it can."""
    if not shutil.which("postfix", path="/usr/sbin:/usr/bin"):
        return "Postfix is not installed: tools/debian-packages"
    return None if os.geteuid() == 0 else "Postfix needs root"


def documented() -> str:
    """The lines of main.cf as the page gives them."""
    found = re.search(r"```ini\n# main\.cf\n(.*?)```", DOCS.read_text("utf-8"), re.DOTALL)
    assert found is not None
    return found[1]


class Postfix:
    """Takes letters on `port` and hands them on to `transport`, as documented for `agency.ir` but for this domain."""

    def __init__(self, domain: str, transport: str) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="pasokh-postfix-")
        self.home = Path(self._folder.name)
        os.chmod(self.home, 0o755)
        self.port = _free()
        for name in ("queue", "data", "etc"):
            (self.home / name).mkdir()
        shutil.chown(self.home / "data", "postfix", "postfix")
        lines = documented().replace("agency.ir", domain)
        assert "lmtp:inet:127.0.0.1:2424" in lines
        lines = lines.replace("lmtp:inet:127.0.0.1:2424", transport)
        (self.home / "etc/main.cf").write_text(HERE.format(home=self.home) + lines)
        (self.home / "etc/master.cf").write_text(MASTER.format(port=self.port))

    def start(self) -> Postfix:
        self._run("start")
        ends = time.monotonic() + 10
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1) as link:
                    assert link.recv(100).startswith(b"220")
                return self
            except OSError:
                assert time.monotonic() < ends, self.log()[-2000:]
                time.sleep(0.05)

    def _run(self, *words: str) -> str:
        done = subprocess.run(
            ["/usr/sbin/postfix", "-c", str(self.home / "etc"), *words], capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0 or words == ("stop",), done.stderr
        return done.stdout

    def stop(self) -> None:
        self._run("stop")
        self._folder.cleanup()

    def log(self) -> str:
        return (self.home / "log").read_text("utf-8", "replace")

    def queued(self) -> int:
        """Letters not handed on yet."""
        folders = ("incoming", "active", "deferred", "hold", "maildrop", "corrupt")
        return sum(path.is_file() for name in folders for path in (self.home / "queue" / name).rglob("*"))

    def hurry(self) -> None:
        """Try what waits now."""
        subprocess.run(["/usr/sbin/postqueue", "-c", str(self.home / "etc"), "-f"], check=False, timeout=30)


def _free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
