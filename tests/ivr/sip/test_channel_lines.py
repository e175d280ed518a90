"""The phone channel with lines of every transport, from their tables to the sockets."""

from __future__ import annotations

from ivr import channel
from tests.ivr.sip.house import Phone, until
from tests.ivr.sip.test_connections import papers, wired
from tests.ivr.test_channel import gear

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
