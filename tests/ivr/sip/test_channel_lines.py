"""The phone channel with lines of every transport, from their tables to the sockets."""

from __future__ import annotations

from dataclasses import replace

import pytest

import config as configuration
from config.faults import Faults
from core.channels import Gear
from ivr import channel
from tests.ivr.sip.house import OFFER, Phone, until
from tests.ivr.sip.papers import papers
from tests.ivr.sip.test_connections import wired
from tests.ivr.test_channel import MAILBOX, gear

__all__ = ["papers"]


async def test_a_line_of_three_transports_answers_on_each_and_says_which_peer_is_silent(
    opened, reactor, tmp_path, papers
):
    _, _, door = opened
    (tmp_path / "password").write_text("x\n")
    trunk = {"name": "trunk", "address": "127.0.0.1:9", "user": "1888", "register": True, "dial": True,
             "password_file": str(tmp_path / "password")}  # fmt: skip
    table = {"bind": [f"{each}:127.0.0.1:0" for each in ("udp", "tcp", "tls")], "rtp": "0",
             "cert": str(papers / "cert.pem"), "key": str(papers / "key.pem"),
             "peer": [trunk, {"name": "loopback", "allow": ["127.0.0.0/8"]}]}  # fmt: skip
    (tmp_path / "phone").mkdir()
    ours = channel.make(gear(tmp_path / "phone", reactor, {"line": {"main": table}}))
    await ours.start(door)
    try:
        [line] = ours._lines
        with Phone(line.port) as phone:
            phone.say(phone.make("OPTIONS"))
            assert (await phone.final()).status == 200
        for transport in ("tcp", "tls"):
            async with wired(line.open_port(transport), transport, papers) as phone:
                phone.say(phone.make("OPTIONS", call=transport))
                assert (await phone.final()).status == 200
        await until(lambda: ours.health() == "up, without trunk")
    finally:
        await ours.stop(0)


LINES = """
[phone.line.main]
bind = ["udp:127.0.0.1:0"]
rtp = "0"
numbers = { "1888" = "mailbox" }
[[phone.line.main.peer]]
name = "loopback"
allow = ["127.0.0.1/32"]
"""


async def test_peers_numbers_and_limits_are_read_again_while_calls_go_on(opened, reactor, tmp_path, caplog):
    _, _, door = opened
    folder = tmp_path / "site"
    (folder / "menus").mkdir(parents=True)
    (folder / "menus" / "mailbox.toml").write_text(MAILBOX)
    place = folder / "lines.toml"

    def written(text: str) -> Gear:
        place.write_text(text)
        site = configuration.read(site=folder)
        where = site.documents["lines.toml"].at("phone")
        made = gear(tmp_path / "phone", reactor, site.lines["phone"], where=where, menus_folder=str(site.menus_folder))
        return replace(made, extra={**made.extra, "reread": lambda: configuration.read(site=folder)})

    (tmp_path / "phone").mkdir()
    ours = channel.make(written(LINES))
    await ours.start(door)
    try:
        with Phone(ours.ports["main"]) as phone, Phone(ours.ports["main"], "127.0.0.2") as other:
            tag = await phone.connect()
            other.say(other.make("OPTIONS"))
            assert await other.silence()
            place.write_text(LINES.replace("127.0.0.1/32", "127.0.0.0/8").replace('"1888"', '"1999"'))
            await ours.reload()
            other.say(other.make("OPTIONS"))
            assert (await other.final()).status == 200
            other.say(other.make("INVITE", OFFER, call="b"))
            assert (await other.final()).status == 404
            place.write_text(LINES.replace('"127.0.0.1/32"', '"here"'))
            with pytest.raises(Faults, match=r"lines\.toml:8: bad-value"):
                await ours.reload()
            other.say(other.make("OPTIONS", call="c"))
            assert (await other.final()).status == 200
            place.write_text(LINES.replace("udp:127.0.0.1:0", "udp:127.0.0.1:5099"))
            await ours.reload()
            assert any("at the next start" in record.message for record in caplog.records)
            phone.say(phone.make("BYE", to_tag=tag, seq=2, branch="bye"))
            assert (await phone.final()).status == 200
    finally:
        await ours.stop(0)
