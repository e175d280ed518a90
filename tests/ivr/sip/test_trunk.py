"""Trunks on a clock moved by hand: registered, refreshed, pinged, tried in their order; challenges of every kind."""

from __future__ import annotations

import asyncio
import hashlib
import re
from dataclasses import replace

import pytest

from core.channels import TryLater
from ivr.settings import Line, Peer
from ivr.sip import message as sip
from ivr.sip.leg import SipLeg
from ivr.sip.outgoing import NotReached, Wanted
from tests.ivr.sip.still import OFFER, house

ANSWER = OFFER.replace(b"8 0 96", b"8 101").replace(b"rtpmap:96", b"rtpmap:101")


def trunk(folder, port: int = 5080, **more) -> Peer:
    secret = folder / "trunk.password"
    secret.write_text("رمزِ خط\n")
    known = {"user": "1888", "password_file": str(secret), "domain": "trunk.example.ir", "dial": True}
    return Peer(more.pop("name", "trunk"), address=f"127.0.0.1:{port}", **{**known, **more})


def digest(fields: dict[str, str], method: str, password: str = "رمزِ خط") -> str:
    """The response as RFC 7616 s 3.4.1 has it, worked out without our code."""
    kind, _, session = fields.get("algorithm", "MD5").partition("-sess")
    name = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}[kind]
    # "-sess" cannot be told from "SHA-256" by a dash alone, hence the suffix
    h = lambda text: hashlib.new(name, text.encode()).hexdigest()  # noqa: E731
    a1 = h(f"{fields['username']}:{fields['realm']}:{password}")
    if session or fields.get("algorithm", "").endswith("-sess"):
        a1 = h(f"{a1}:{fields['nonce']}:{fields['cnonce']}")
    a2 = h(f"{method}:{fields['uri']}")
    if "qop" in fields:
        return h(f"{a1}:{fields['nonce']}:{fields['nc']}:{fields['cnonce']}:{fields['qop']}:{a2}")
    return h(f"{a1}:{fields['nonce']}:{a2}")


def fields(value: str) -> dict[str, str]:
    return {key: quoted or bare for key, quoted, bare in re.findall(r'(\w+)=(?:"([^"]*)"|([^,\s]+))', value)}


CHALLENGES = [
    'realm="r", nonce="n1"', 'realm="r", nonce="n1", algorithm=MD5, qop="auth"',
    'realm="r", nonce="n1", algorithm=SHA-256, qop="auth,auth-int"', 'realm="r", nonce="n1", algorithm=SHA-512-256',
    'realm="r", nonce="n1", algorithm=MD5-sess, qop="auth"', 'realm="r", nonce="n1", algorithm=SHA-256-sess, qop=auth',
    'realm="r", nonce="n1", algorithm=SHA-512-256-sess, qop="auth", opaque="o"',
]  # fmt: skip


@pytest.mark.parametrize("challenge", CHALLENGES)
async def test_registering_answers_every_kind_of_challenge(tmp_path, challenge):
    async with house(peer=(trunk(tmp_path, register=True),)) as home, home.phone(port=5080) as registrar:
        asks = await registrar.request("REGISTER")
        assert (asks.uri, asks.get("to")) == ("sip:trunk.example.ir", "<sip:1888@trunk.example.ir>")
        assert asks.get("contact") == "<sip:1888@127.0.0.1:5060>" and asks.get("authorization") is None
        registrar.say(sip.write(sip.reply(asks, 401, [("www-authenticate", f"Digest {challenge}")], tag="r")))
        again = await registrar.request("REGISTER")
        given = fields(again.get("authorization") or "")
        assert given["response"] == digest(given, "REGISTER") and given["uri"] == "sip:trunk.example.ir"
        assert (again.seq, again.call_id) == (asks.seq + 1, asks.call_id)
        registrar.say(sip.write(sip.reply(again, 200, [("expires", "600")], tag="r")))
        assert home.line.trunks[0].registered


async def test_the_strongest_challenge_is_answered():
    from ivr.sip.digest import answer

    offered = [f'Digest realm="r", nonce="n", algorithm={name}' for name in ("MD5", "SHA-512-256", "SHA-256")]
    assert fields(answer(offered, "u", "p", "INVITE", "sip:x") or "")["algorithm"] == "SHA-512-256"
    assert fields(answer([offered[0], 'Digest realm="r", nonce="n", algorithm=FOO'], "u", "p", "A", "b") or "")


async def registered(registrar, seconds: float = 2.0, **more):
    asks = await registrar.request("REGISTER", seconds)
    registrar.say(sip.write(sip.reply(asks, 200, [("contact", f"{asks.get('contact')};expires=600")], tag="r")))
    return asks


async def test_a_registration_is_refreshed_at_half_of_what_was_granted(tmp_path):
    async with house(peer=(trunk(tmp_path, register=True),)) as home, home.phone(port=5080) as registrar:
        first = await registered(registrar)
        began = home.now
        second = await registrar.request("REGISTER", 400)
        assert 269 < home.now - began < 302 and (second.call_id, second.seq) == (first.call_id, first.seq + 1)


async def test_a_nonce_that_grew_stale_is_answered_once_more_then_it_is_a_failure(tmp_path, caplog):
    async with house(peer=(trunk(tmp_path, register=True),)) as home, home.phone(port=5080) as registrar:
        for nonce, stale in (("n1", ""), ("n2", ", stale=true"), ("n3", ", stale=TRUE")):
            asks = await registrar.request("REGISTER")
            value = f'Digest realm="r", nonce="{nonce}", qop="auth"{stale}'
            registrar.say(sip.write(sip.reply(asks, 401, [("www-authenticate", value)], tag="r")))
        await home.skip(5)
        assert not asking(registrar) and not home.line.trunks[0].registered
        assert any("not registered" in record.message for record in caplog.records)
        assert 'nonce="n2"' in (asks.get("authorization") or "")


async def test_a_wrong_password_is_not_tried_over_and_over(tmp_path):
    async with house(peer=(trunk(tmp_path, register=True),)) as home, home.phone(port=5080) as registrar:
        for _ in range(2):
            asks = await registrar.request("REGISTER")
            challenge = [("www-authenticate", 'Digest realm="r", nonce="n"')]
            registrar.say(sip.write(sip.reply(asks, 401, challenge, tag="r")))
        await drop_pings(registrar)
        began = home.now
        await registrar.request("REGISTER", 60)
        assert 23 < home.now - began < 37


def asking(phone) -> bool:
    """Whether a REGISTER waits to be read."""
    return any(data.startswith(b"REGISTER") for data in phone.home.sent[phone.peer])


async def drop_pings(phone) -> None:
    """Answer what OPTIONS wait to be read."""
    while phone.home.sent[phone.peer]:
        message = await phone.hear()
        if isinstance(message, sip.Request) and message.method == "OPTIONS":
            phone.say(sip.write(sip.reply(message, 200)))


async def test_an_interval_too_brief_is_made_longer(tmp_path):
    async with house(peer=(trunk(tmp_path, register=True),)) as home, home.phone(port=5080) as registrar:
        asks = await registrar.request("REGISTER")
        assert asks.get("expires") == "600"
        registrar.say(sip.write(sip.reply(asks, 423, [("min-expires", "3600")], tag="r")))
        again = await registrar.request("REGISTER")
        assert again.get("expires") == "3600"
        registrar.say(sip.write(sip.reply(again, 423, [("min-expires", "100")], tag="r")))
        await home.skip(5)
        assert not asking(registrar) and not home.line.trunks[0].registered


async def test_failures_are_tried_again_after_30_seconds_doubling_to_10_minutes(tmp_path):
    async with house(peer=(trunk(tmp_path, register=True),)) as home, home.phone(port=5080) as registrar:
        waits, last = [], None
        while len(waits) < 7:
            message = await registrar.hear(800)
            assert isinstance(message, sip.Request)
            status = 503 if message.method == "REGISTER" else 200
            registrar.say(sip.write(sip.reply(message, status, tag="r")))
            if message.method == "REGISTER":
                waits += [home.now - last] if last else []
                last = home.now
        for wait, wanted in zip(waits, (30, 60, 120, 240, 480, 600, 600), strict=True):
            assert 0.79 * wanted < wait < 1.21 * wanted + 0.2


async def test_stopping_un_registers(tmp_path):
    async with house(peer=(trunk(tmp_path, register=True),)) as home, home.phone(port=5080) as registrar:
        await registered(registrar)
        leaving = asyncio.ensure_future(home.line.leave(5))
        last = await registrar.request("REGISTER")
        assert last.get("expires") == "0"
        registrar.say(sip.write(sip.reply(last, 200, tag="r")))
        await leaving
        await home.skip(400)
        assert await registrar.silence(0)


async def test_three_pings_without_answer_and_a_peer_is_down_until_it_answers(tmp_path):
    async with house(peer=(trunk(tmp_path),)) as home, home.phone(port=5080) as far:
        [ours] = home.line.trunks
        ping = await far.request("OPTIONS", 2)
        assert ping.uri == "sip:trunk.example.ir"
        far.say(sip.write(sip.reply(ping, 405)))  # any answer is life
        await home.skip(61)
        assert ours.up
        await home.skip(62)
        assert not ours.up
        home.sent[far.peer].clear()
        fresh = await far.request("OPTIONS", 31)
        while fresh.via.branch == ping.via.branch:
            fresh = await far.request("OPTIONS", 31)
        far.say(sip.write(sip.reply(fresh, 200)))
        assert ours.up


async def test_a_peer_that_is_full_counts_as_missing(tmp_path):
    async with house(peer=(trunk(tmp_path),)) as home, home.phone(port=5080) as far:
        for _ in range(4):
            far.say(sip.write(sip.reply(await far.request("OPTIONS", 40), 503)))
        await home.skip(31)
        assert not home.line.trunks[0].up


# ---------------------------------------------------------------- calls by trunks


async def test_the_next_trunk_is_tried_where_the_first_is_in_trouble(tmp_path):
    both = (trunk(tmp_path, 5080, name="one"), trunk(tmp_path, 5090, name="two"))
    async with house(peer=both) as home, home.phone(port=5080) as one, home.phone(port=5090) as two:
        task = asyncio.ensure_future(home.line.dial("+982133330000"))
        invite = await one.request("INVITE")
        assert invite.uri == "sip:+982133330000@trunk.example.ir"
        assert (invite.get("from") or "").startswith("<sip:1888@trunk.example.ir>")
        one.say(sip.write(sip.reply(invite, 503, tag="x")))
        second = await two.request("INVITE")
        two.say(sip.write(sip.reply(second, 200, [("contact", "<sip:far@127.0.0.1:5090>")], ANSWER, "far")))
        leg = await task
        assert isinstance(leg, SipLeg) and home.plane.ports.out == 1
        leg.hang_up()


async def test_a_busy_number_is_not_tried_elsewhere_and_trouble_everywhere_is_for_later(tmp_path):
    both = (trunk(tmp_path, 5080, name="one"), trunk(tmp_path, 5090, name="two"))
    async with house(peer=both) as home, home.phone(port=5080) as one, home.phone(port=5090) as two:
        task = asyncio.ensure_future(home.line.dial("+982133330000"))
        one.say(sip.write(sip.reply(await one.request("INVITE"), 486, tag="x")))
        result = await task
        assert isinstance(result, NotReached) and result.outcome == TryLater("busy")
        task = asyncio.ensure_future(home.line.dial("+982133330000"))
        for far in (one, two):
            far.say(sip.write(sip.reply(await far.request("INVITE"), 500, tag="x")))
        result = await task
        assert isinstance(result, NotReached) and result.outcome == TryLater("sip 500")


async def test_a_trunk_that_is_down_is_tried_last(tmp_path):
    both = (trunk(tmp_path, 5080, name="one"), trunk(tmp_path, 5090, name="two"))
    async with house(peer=both) as home, home.phone(port=5090) as two:
        home.line.trunks[0].up = False
        task = asyncio.ensure_future(home.line.dial("+982133330000"))
        two.say(sip.write(sip.reply(await two.request("INVITE"), 404, tag="x")))
        assert isinstance(await task, NotReached)


async def test_32_seconds_of_silence_lead_to_the_next_trunk(tmp_path):
    both = (trunk(tmp_path, 5080, name="one"), trunk(tmp_path, 5090, name="two"))
    async with house(peer=both) as home, home.phone(port=5080) as one, home.phone(port=5090) as two:
        task = asyncio.ensure_future(home.line.dial("+982133330000", ring=60))
        await one.request("INVITE")
        assert (await two.request("INVITE", 40)).method == "INVITE"
        task.cancel()


async def test_only_listed_destinations_are_ever_dialled(tmp_path):
    quiet = Peer("quiet", allow=("127.0.0.1/32",))
    beside = Peer("beside", allow=("127.0.0.0/8",), address="127.0.0.1:5090", dial=True)  # its own address alone
    for peers in ((quiet,), (trunk(tmp_path, dial=False),), (quiet, beside)):
        async with house(peer=peers) as home:
            for far in (("127.0.0.1", 5080), ("192.0.2.9", 5060)):
                result = await home.line.call(Wanted("sip:1@x", far))
                assert isinstance(result, NotReached) and result.status == 403
            if beside not in peers:
                assert isinstance(await home.line.dial("1"), NotReached)
            assert home.line.counts["not_listed"] == 2 and home.plane.ports.out == 0
            assert not any(data.startswith(b"INVITE") for sent in home.sent.values() for data in sent)


async def test_a_peer_that_is_not_asked_whether_it_lives_never_gets_options_and_is_dialled(tmp_path):
    async with house(peer=(trunk(tmp_path, ping=False),)) as home, home.phone(port=5080) as far:
        await home.skip(200)
        assert not home.sent[far.peer] and home.line.trunks[0].up
        task = asyncio.ensure_future(home.line.dial("111"))
        assert (await far.request("INVITE")).uri == "sip:111@trunk.example.ir"
        task.cancel()


async def test_two_realms_are_both_answered(tmp_path):
    async with house(peer=(trunk(tmp_path),)) as home, home.phone(port=5080) as far:
        task = asyncio.ensure_future(home.line.dial("+982133330000"))
        first = await far.request("INVITE")
        challenge = [("proxy-authenticate", 'Digest realm="proxy", nonce="a"')]
        far.say(sip.write(sip.reply(first, 407, challenge, tag="x")))
        second = await far.request("INVITE")
        far.say(sip.write(sip.reply(second, 401, [("www-authenticate", 'Digest realm="uas", nonce="b"')], tag="y")))
        third = await far.request("INVITE")
        for name, realm in (("proxy-authorization", "proxy"), ("authorization", "uas")):
            given = fields(third.get(name) or "")
            assert given["realm"] == realm and given["response"] == digest(given, "INVITE")
        task.cancel()


# ---------------------------------------------------------------- other settings while it runs


async def test_a_trunk_that_stays_is_left_alone_and_one_that_goes_is_un_registered(tmp_path):
    stays, goes = trunk(tmp_path, 5080, name="one", register=True), trunk(tmp_path, 5090, name="two", register=True)
    async with house(peer=(stays, goes)) as home, home.phone(port=5080) as one, home.phone(port=5090) as two:
        await registered(one)
        await registered(two)
        first = home.line.trunks[0]
        home.line.renew(Line(peer=(stays, replace(stays, name="three", address="127.0.0.1:5099"))))
        assert home.line.trunks[0] is first and first.registered and not asking(one)
        assert (await two.request("REGISTER")).get("expires") == "0"
        async with home.phone(port=5099) as three:
            await registered(three)
        assert [each.registered for each in home.line.trunks] == [True, True]


async def test_another_password_for_the_same_account_registers_anew_without_leaving(tmp_path):
    peer = trunk(tmp_path, register=True)
    async with house(peer=(peer,)) as home, home.phone(port=5080) as far:
        await registered(far)
        (tmp_path / "trunk.password").write_text("نو\n")
        home.line.renew(Line(peer=(peer,)))
        assert (await registered(far)).get("expires") == "600" and home.line.trunks[0].registered
        (tmp_path / "trunk.password").unlink()
        with pytest.raises(OSError, match="password_file"):
            home.line.renew(Line(peer=(peer,)))
        assert home.line.trunks[0].registered
