"""Any number of lines of three kinds, as configuration: what is wrong is told with file, line and remedy."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from config import positions
from config.faults import Faults
from core.channels import Gear
from gateway.mail.channel import make
from tests.gateway.mail.conftest import UNITS, say

BOX = 'host = "mail.example.ir"\nuser = "water"\npassword_file = "/x"\nsince = 2026-11-24\n'
GOOD = f"""
[mail.line.outside]
domain = "example.ir"
port = 25
certificate = "chain.pem"
proxy = ["10.0.0.7"]
[mail.line.postfix]
kind = "lmtp"
socket = "/run/pasokh/lmtp"
domain = "example.ir"
[mail.line.front]
kind = "lmtp"
domain = "example.ir"
port = 2424
peer_allow = ["10.0.0.0/8"]
[mail.line.box]
kind = "imap"
domain = "example.ir"
[mail.line.box.imap]
{BOX}
"""


def channel(text: str, folder: Path, reactor=None):
    document = positions.parse(text, "lines.toml")
    extra = {"units": UNITS, "where": document.at("mail")}
    return make(Gear("mail", document.data["mail"], say, str(folder), reactor, extra=extra))


def test_lines_of_all_kinds_are_read(tmp_path):
    lines = channel(GOOD, tmp_path)._lines
    assert [(name, line.kind) for name, line in lines.items()] == [
        ("outside", "smtp"), ("postfix", "lmtp"), ("front", "lmtp"), ("box", "imap"),
    ]  # fmt: skip
    assert lines["box"].imap.since.isoformat() == "2026-11-24"


LINE = '[mail.line.a]\ndomain = "example.ir"\n'
WRONG = [
    (LINE + 'kind = "pop3"\n', "bad-value", "'smtp', 'lmtp', 'imap'"),
    ("[mail.line.a]\nport = 25\n", "missing-key", "mail.line.a.domain"),
    (LINE + "prot = 25\n", "unknown-key", "port"),
    (LINE + 'proxy = ["10.0.0.300"]\n', "bad-network", "10.0.0.300"),
    (LINE + 'peer_allow = ["everybody"]\n', "bad-network", "everybody"),
    (LINE + 'socket = "/run/x"\n', "bad-value", "lmtp"),
    (LINE + 'key = "x.pem"\n', "bad-value", "certificate"),
    (LINE + 'kind = "imap"\n', "missing-key", "[mail.line.a.imap]"),
    (LINE + "[mail.line.a.imap]\n" + BOX, "bad-value", 'belongs to kind = "imap"'),
    (LINE + 'kind = "imap"\n[mail.line.a.imap]\n' + BOX.replace("since = 2026-11-24", ""), "missing-key", "since"),
    (LINE + 'kind = "imap"\n[mail.line.a.imap]\n' + BOX + "idle_s = 600\n", "out-of-range", "540"),
    (LINE + 'kind = "imap"\n[mail.line.a.imap]\n' + BOX + 'tls = "none"\n', "bad-value", "in clear"),
    (LINE + '[mail.scan]\naddress = "clamd"\n', "bad-address", "unix:/path"),
    (LINE + '[mail.line.b]\ndomain = "example.ir"\n', "taken", "mail.line.b listens where mail.line.a does"),
]


@pytest.mark.parametrize("text,word,remedy", WRONG, ids=[f"{word} {n}" for n, (_, word, _) in enumerate(WRONG)])
def test_each_fault_has_its_word_its_line_and_a_remedy(text, word, remedy, tmp_path):
    with pytest.raises(Faults) as raised:
        channel(text, tmp_path)
    (fault,) = raised.value.faults
    assert fault.word == word and remedy in fault.remedy
    assert fault.file == "lines.toml" and fault.line > 0


async def test_smtp_and_lmtp_lines_run_side_by_side(reactor, tmp_path, door):
    path = tmp_path / "lmtp"
    mail = channel(
        f'[mail.line.a]\ndomain = "agency.example.ir"\nport = 0\ndisk_free = 0.0\n'
        f'[mail.line.b]\nkind = "lmtp"\nsocket = "{path}"\ndomain = "agency.example.ir"\ndisk_free = 0.0\n',
        tmp_path,
        reactor,
    )
    await mail.start(door)
    try:
        one = await asyncio.open_connection("127.0.0.1", mail.port("a"))
        two = await asyncio.open_unix_connection(str(path))
        for (reader, writer), hello in ((one, "EHLO"), (two, "LHLO")):
            writer.write(
                f"{hello} c\r\nMAIL FROM:<a@b.ir>\r\nRCPT TO:<water@agency.example.ir>\r\nDATA\r\n"
                f"From: a@b.ir\r\n\r\n{hello}\r\n.\r\nQUIT\r\n".encode()
            )
            assert b"250 2.0.0 Ok, queued as" in await asyncio.wait_for(reader.read(), 20)
            writer.close()
            await writer.wait_closed()
    finally:
        await mail.stop(1)
    assert [(m.line, m.text) for m in door.taken] == [("a", "EHLO"), ("b", "LHLO")]


async def test_a_place_that_is_taken_is_named_and_nothing_stays_open(reactor, tmp_path, door):
    one = channel('[mail.line.a]\ndomain = "example.ir"\nport = 0\n', tmp_path, reactor)
    await one.start(door)
    try:
        other = channel(
            f'[mail.line.x]\ndomain = "example.ir"\nport = 0\n'
            f'[mail.line.a]\ndomain = "example.ir"\nport = {one.port()}\n',
            tmp_path,
            reactor,
        )
        with pytest.raises(OSError, match=r"mail\.line\.a\.port: 127\.0\.0\.1:\d+ is taken"):
            await other.start(door)
        assert other.pids() == [] and other._listeners == {}
    finally:
        await one.stop(1)
