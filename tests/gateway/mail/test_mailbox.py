"""Mailboxes of Debian's Dovecot: taken once, marked only after the receipt, never expunged, never in one's way."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from core.channels import Gear, HintKind, Trust
from core.errors import Busy
from gateway.mail import address
from gateway.mail.channel import make
from gateway.mail.imap import Mark, Session, Unfit, _mark_by, _quoted
from gateway.mail.settings import LineSettings, Mailbox
from tests.gateway.mail import dovecot
from tests.gateway.mail.conftest import UNITS, say
from tests.gateway.mail.program import Program

pytestmark = pytest.mark.peer
YESTERDAY = datetime.now(UTC).date() - timedelta(days=1)
NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[tuple[str, ...], dovecot.Dovecot]]:
    """Running servers by the capabilities they lack."""
    if dovecot.find() is None:
        if os.environ.get("PASOKH_MUST_PEERS"):
            pytest.fail("Dovecot is not installed: tools/debian-packages")
        pytest.skip("Dovecot is not installed: tools/debian-packages")
    made: dict[tuple[str, ...], dovecot.Dovecot] = {}
    with tempfile.TemporaryDirectory(prefix="pasokh-dovecot-") as name:
        os.chmod(name, 0o755)
        try:
            for n, less in enumerate([(), ("MOVE", "IDLE")]):
                (Path(name) / str(n)).mkdir()
                made[less] = dovecot.Dovecot(Path(name) / str(n), less).start()
            yield made
        finally:
            for each in made.values():
                each.stop()


@pytest.fixture
def server(servers, request, monkeypatch) -> dovecot.Dovecot:
    """One of them, with a mailbox of the test's own."""
    monkeypatch.setattr("gateway.mail.imap.TICK", 0.1)
    monkeypatch.setattr("gateway.mail.watch.AGAIN", (0.2,))
    found = servers[getattr(request, "param", ())]
    found.user = f"user{next(NUMBERS)}"
    return found


@pytest.fixture
async def watch(reactor, tmp_path, door, server):
    """`await watch(…settings of the line…, imap={…})` starts a channel that looks into the mailbox."""
    opened = []

    async def start(imap=None, keys=None, **given):
        box = Mailbox(**server.settings(**({"since": YESTERDAY, "poll_s": 0.2} | (imap or {}))))
        line = LineSettings("agency.example.ir", "imap", imap=box, workers=1, disk_free=0.0, **given)
        extra = {"units": UNITS} | ({"mail_keys": keys} if keys else {})
        channel = make(Gear("mail", {"box": line}, say, str(tmp_path), reactor, extra=extra))
        await channel.start(door)
        opened.append(channel)
        return channel

    yield start
    for channel in opened:
        await channel.stop(1)


async def until(true, seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.05)


def letter(n: int | str, to: str = "water@agency.example.ir", more: str = "") -> bytes:
    return (
        f"Return-Path: <sara@mailbox.example>\r\n{more}From: sara@mailbox.example\r\nTo: {to}\r\n"
        f"Subject: letter {n}\r\n"
        f"Message-ID: <{n}@mailbox.example>\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nآب قطع است {n}\r\n"
    ).encode()


async def test_what_lies_in_the_mailbox_becomes_tickets_and_moves_and_what_comes_is_seen_at_once(watch, door, server):
    server.put(letter(1), letter(2))
    server.put(letter("old"), day=time.time() - 10 * 365 * 86_400)
    channel = await watch()
    await until(lambda: len(door.taken) == 2)
    await until(lambda: len(server.flags("Processed")) == 2)
    server.put(letter(3))  # the session idles by now, or will
    await until(lambda: len(door.taken) == 3)
    await until(lambda: len(server.flags("Processed")) == 3)
    assert [m.text for m in door.taken] == [f"آب قطع است {n}" for n in (1, 2, 3)]
    assert {m.to for m in door.taken} == {("water@agency.example.ir",)}
    assert [m.facts["envelope_from"] for m in door.taken] == ["sara@mailbox.example"] * 3
    assert len(server.flags()) == 1, "what is older than `since` stays where it is"
    assert not any("\\Seen" in flags or "\\Deleted" in flags for flags in server.flags("Processed") + server.flags())
    assert channel.health() == "up"
    begun = time.monotonic()
    await channel.stop(1)
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize("server", [("MOVE", "IDLE")], indirect=True)
async def test_a_server_without_move_and_idle_is_polled_and_letters_get_a_keyword(watch, door, server):
    server.put(letter(1))
    await watch()
    await until(lambda: any("PasokhTaken" in flags for flags in server.flags()))
    server.put(letter(2))
    await until(lambda: len([1 for flags in server.flags() if "PasokhTaken" in flags]) == 2)
    assert len(door.taken) == 2 and server.flags("Processed") == []
    assert not any("\\Seen" in flags or "\\Deleted" in flags for flags in server.flags())


def test_how_letters_are_marked_by_what_a_server_can():
    box = Mailbox("h", "u", "f", YESTERDAY)
    rich = SimpleNamespace(untagged_responses={"PERMANENTFLAGS": [b"(\\Seen \\*)"]})
    poor = SimpleNamespace(untagged_responses={"PERMANENTFLAGS": [b"(\\Seen \\Deleted)"]})
    assert _mark_by(box, {"MOVE"}, poor) is Mark.MOVE
    assert _mark_by(box, set(), rich) is Mark.KEYWORD
    assert _mark_by(box, set(), poor) is Mark.SEEN
    assert _mark_by(Mailbox("h", "u", "f", YESTERDAY, processed=""), {"MOVE"}, rich) is Mark.KEYWORD
    assert _quoted('a"b') == '"a\\"b"' and _quoted("رسیده").isascii()


async def test_one_bad_letter_is_a_ticket_with_its_raw_and_blocks_no_other(watch, door, server):
    take = door.take

    async def bad(message):
        if message.subject == "letter bad" and not message.unreadable:
            raise RuntimeError("cannot be stored")
        return await take(message)

    door.take = bad
    server.put(letter(1), letter("bad"), letter(2))
    await watch(imap={"idle_s": 0.2})
    await until(lambda: len(server.flags("Processed")) == 3)
    assert [m.subject for m in door.taken] == ["letter 1", "letter 2", "letter bad"]
    assert door.taken[2].unreadable and b"Message-ID: <bad@" in door.taken[2].raw


async def test_while_the_store_is_busy_or_broken_nothing_is_marked_and_then_all_are_tickets(
    watch, door, server, monkeypatch
):
    monkeypatch.setattr("gateway.mail.watch.BUSY", 0.2)
    door.fault = Busy(1)
    server.put(letter(1), letter(2))
    channel = await watch(imap={"idle_s": 0.2})
    await until(lambda: door.begun.is_set())
    door.fault = RuntimeError("the store is broken")
    await until(lambda: sum(channel._watches["box"]._untaken.values()) >= 8)
    assert len(server.flags()) == 2 and server.flags("Processed") == [] and door.taken == []
    door.fault = None
    await until(lambda: len(server.flags("Processed")) == 2)
    assert [(m.subject, m.unreadable) for m in door.taken] == [("letter 1", False), ("letter 2", False)]


async def test_one_too_big_is_a_ticket_from_its_headers(watch, door, server):
    server.put(letter(1) + b"x" * 100_000 + b"\r\n", letter(2))
    await watch(size=65_536)
    await until(lambda: len(server.flags("Processed")) == 2)
    big = door.taken[0]
    assert (big.subject, big.contact.value) == ("letter 1", "sara@mailbox.example")
    assert big.text == say("mail.too_big", "fa") and door.taken[1].text == "آب قطع است 2"


async def test_tokens_and_the_servers_judgement_count(watch, door, server):
    keys = address.new_keys()
    local = address.mint(keys, address.Purpose.FEEDBACK, 5, 2)
    judged = "Authentication-Results: mail.example.ir; dmarc=pass header.from=mailbox.example\r\n"
    server.put(letter(1, "someone@elsewhere.ir", f"Delivered-To: {local}@agency.example.ir\r\n{judged}"))
    server.put(letter(2, "list@elsewhere.ir"))
    await watch(keys=keys, authserv_id="mail.example.ir", imap={"to": "roads"})
    await until(lambda: len(door.taken) == 2)
    first, second = door.taken
    assert [(h.kind, h.value) for h in first.hints] == [(HintKind.TICKET, "5")]
    assert (first.trust, second.trust) == (Trust.PASS, Trust.NONE)
    assert second.to == ("roads@agency.example.ir",)


async def test_a_letter_that_cannot_be_marked_is_not_taken_again(watch, door, server, monkeypatch):
    tried = []

    def refused(self, uid):
        tried.append(uid)
        raise Unfit("MOVE: NO")

    monkeypatch.setattr(Session, "mark", refused)
    server.put(letter(1))
    await watch(imap={"idle_s": 0.2})
    await until(lambda: len(tried) >= 4)
    assert len(door.taken) == 1


@pytest.mark.slow
async def test_out_of_reach_for_too_long_is_an_alarm_and_it_comes_back_by_itself(watch, door, server, caplog):
    channel = await watch(imap={"down_s": 0.5})
    await until(lambda: channel._watches["box"]._session is not None)
    server.stop()
    await until(lambda: channel.health() == "down")
    await until(lambda: "out of reach for too long" in caplog.text)
    server.start()
    server.put(letter(1))
    await until(lambda: len(door.taken) == 1, 30)
    assert channel.health() == "up"


async def test_starttls_is_used_and_an_unknown_certificate_is_not_spoken_to(watch, door, server, caplog):
    server.put(letter(1))
    await watch(imap={"port": server.plain, "tls": "starttls"})
    await until(lambda: len(server.flags("Processed")) == 1)
    await watch(imap={"ca_file": ""})
    await until(lambda: "SSLCertVerificationError" in str([vars(r).get("kind") for r in caplog.records]))
    assert len(door.taken) == 1


async def test_an_access_token_is_shown_as_xoauth2(tmp_path):
    heard = []

    async def provider(reader, writer) -> None:
        writer.write(b"* OK ready\r\n")
        while line := await reader.readline():
            tag, verb, *_ = line.split()
            if verb == b"AUTHENTICATE":
                writer.write(b"+ \r\n")
                heard.append((line.split()[2], base64.b64decode(await reader.readline())))
                writer.write(tag + b" NO expired\r\n")
            else:
                writer.write(b"* CAPABILITY IMAP4rev1 AUTH=XOAUTH2\r\n" if verb == b"CAPABILITY" else b"* BYE\r\n")
                writer.write(tag + b" OK done\r\n")
        writer.close()

    (tmp_path / "token").write_text("made.up.token\n")
    async with await asyncio.start_server(provider, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        box = Mailbox("127.0.0.1", "water", str(tmp_path / "token"), YESTERDAY, port=port, tls="none", login="xoauth2")
        with pytest.raises(Unfit, match="expired"):
            await asyncio.to_thread(Session, box)
    assert heard == [(b"XOAUTH2", b"user=water\x01auth=Bearer made.up.token\x01\x01")]


async def test_a_folder_that_cannot_be_made_is_said_and_nothing_is_taken(watch, server, door):
    server.put(letter(1))
    channel = await watch(imap={"processed": "a..b"})
    await until(lambda: channel.ways_in()[0].state == "down")
    assert "folder a..b cannot be made" in channel.ways_in()[0].why
    assert door.taken == []


async def test_a_wrong_password_stops_nothing_else(watch, server, tmp_path, caplog):
    (tmp_path / "wrong").write_text("nonsense\n")
    channel = await watch(imap={"password_file": str(tmp_path / "wrong")})
    await until(lambda: "a mailbox refused us" in caplog.text)
    assert "nonsense" not in caplog.text and channel.health() == "up"


@pytest.mark.slow
def test_killed_between_the_commit_and_the_mark_nothing_is_lost_and_nothing_is_twice(server, tmp_path):
    server.put(letter(1, "x@example.ir"), letter(2, "y@example.ir"), letter(3, "z@example.ir"))
    lines = "\n".join(f"{key} = {json.dumps(value)}" for key, value in server.settings().items())
    program = Program(
        tmp_path / "data",
        f'[mail.line.box]\nkind = "imap"\ndomain = "example.ir"\nworkers = 1\n'
        f"[mail.line.box.imap]\nsince = {YESTERDAY.isoformat()}\n{lines}\n",
    )
    for _ in range(2):  # the first letter's commit, then the kill; the second start takes it again
        assert program.start("--die-before-mark").ended() == -signal.SIGKILL
        assert len(server.flags()) == 3
        assert program.tickets() == {"letter 1": 1}
    program.start()
    ends = time.monotonic() + 60
    while len(server.flags("Processed")) < 3:
        assert time.monotonic() < ends
        time.sleep(0.1)
    program.stop()
    assert program.tickets() == {"letter 1": 1, "letter 2": 1, "letter 3": 1}
