"""Debian's Dovecot on loopback, unprivileged, with a configuration of its own: any user, one password."""

from __future__ import annotations

import grp
import imaplib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import trustme

PASSWORD = "made-up-pass"
CONFIG = """
protocols = imap
listen = 127.0.0.1
base_dir = {home}/run
state_dir = {home}/state
log_path = {home}/log
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
first_valid_uid = 1
ssl = yes
ssl_cert = <{home}/both.pem
ssl_key = <{home}/both.pem
auth_mechanisms = plain
disable_plaintext_auth = no
mail_location = maildir:{home}/mail/%u
auth_failure_delay = 0
imap_capability = {capability}
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={user} gid={group} home={home}/home
}}
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {plain}
  }}
  inet_listener imaps {{
    port = {port}
  }}
}}
"""


def find() -> str | None:
    return shutil.which("dovecot") or shutil.which("dovecot", path="/usr/sbin")


class Dovecot:
    """`start` and `stop` as often as the story needs; mail stays. `less`: capabilities it must not have."""

    def __init__(self, home: Path, less: tuple[str, ...] = ()) -> None:
        self.home, self.less = home, less
        self.user = "water"  #: whose mailbox is meant
        self.port, self.plain = _free(), _free()
        self.ca = home / "ca.pem"
        self._process: subprocess.Popen[bytes] | None = None
        self._prepare()

    def _prepare(self) -> None:
        home = self.home
        for name in ("run", "state", "home", "mail"):
            (home / name).mkdir(parents=True, exist_ok=True)
        authority = trustme.CA()
        authority.issue_cert("localhost", "127.0.0.1").private_key_and_cert_chain_pem.write_to_path(
            str(home / "both.pem")
        )
        authority.cert_pem.write_to_path(str(self.ca))
        name = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        entry = pwd.getpwnam(name)
        capability = ""
        if self.less:
            words = "IMAP4rev1 LITERAL+ IDLE UIDPLUS MOVE"
            capability = " ".join(word for word in words.split() if word not in self.less)
        text = CONFIG.format(
            home=home, user=name, group=grp.getgrgid(entry.pw_gid).gr_name, password=PASSWORD, port=self.port,
            plain=self.plain, capability=capability,
        )  # fmt: skip
        (home / "dovecot.conf").write_text(text)
        if os.geteuid() == 0:
            for path in [home, *home.rglob("*")]:
                os.chown(path, entry.pw_uid, entry.pw_gid)

    def start(self) -> Dovecot:
        program = find()
        assert program is not None
        words = [program, "-F", "-c", str(self.home / "dovecot.conf")]
        if os.geteuid() == 0:
            words = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", *words]
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen(words, stdout=quiet, stderr=quiet, start_new_session=True)
        ends = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return self
            except OSError:
                assert time.monotonic() < ends, (self.home / "log").read_text()[-2000:]
                time.sleep(0.05)

    def stop(self) -> None:
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)  # told politely, it lets open sessions be for ten seconds
            self._process.wait(10)
            self._process = None

    # ---- by hand

    def hand(self) -> imaplib.IMAP4:
        """A logged-in client that is not ours."""
        client = imaplib.IMAP4("127.0.0.1", self.plain, 10)
        client.login(self.user, PASSWORD)
        return client

    def put(self, *letters: bytes, day: float | None = None) -> None:
        client = self.hand()
        for letter in letters:
            date = imaplib.Time2Internaldate(time.time() if day is None else day)
            assert client.append("INBOX", "", date, letter)[0] == "OK"
        client.logout()

    def flags(self, folder: str = "INBOX") -> list[set[str]]:
        """The flags of each letter in the folder; [] without it."""
        client = self.hand()
        try:
            if client.select(f'"{folder}"', readonly=True)[0] != "OK":
                return []
            found = client.uid("FETCH", "1:*", "(FLAGS)")[1]
            return [{f.decode() for f in imaplib.ParseFlags(line)} for line in found if isinstance(line, bytes)]
        finally:
            client.logout()

    def settings(self, **more) -> dict:
        """What `[mail.line.NAME.imap]` holds for it."""
        secret = self.home / "password"
        if not secret.exists():
            secret.write_text(PASSWORD + "\n")
        own = {"host": "127.0.0.1", "port": self.port, "user": self.user, "password_file": str(secret)}
        return own | {"ca_file": str(self.ca)} | more


def _free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
