"""Links that go out by text lead to the body's own hosts, however a stranger's is written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sms import links
from tests.sms.house import house, outbound

OURS = links.hosts(["https://portal.example.ir:8443/fa", "example.ir", ""])
STAYS = (
    "به https://portal.example.ir/t/1?x=2 بروید.",
    "https://sub.example.ir.",
    "HTTPS://EXAMPLE.IR/A",
    "www.example.ir",
    "نشانی: example.ir",
    "portal.example.ir/track",
    "info@stranger.com",
    "مادهٔ ۳.۵ و 3.5 و 12/3",
    "ساعت ۸/۳۰ و/یا ۹",
    "123-4567-8901",
    "آب.برق/گاز",
)
GOES = (
    "https://stranger.ir/x",
    "https://example.ir@stranger.ir",
    "https://example.ir:x@stranger.ir/",
    "https://stranger.ir\\@example.ir/",
    "http://example.ir.stranger.com",
    "https://notexample.ir",
    "ftp://example.ir/x",
    "http://[::1]/x",
    "http://[bad/x",
    "bit.ly/abc",
    "stranger.co.uk:80/x",
    "www.stranger.ir",
    "stranger.com",
    "t.me/abc",
    "https://دولت.ایران/x",
    "http://2130706433/",
)


def test_the_bodys_own_hosts_are_known():
    assert sorted(OURS) == ["example.ir", "portal.example.ir"]


@pytest.mark.parametrize("text", STAYS)
def test_what_is_no_stranger_stays(text):
    assert links.kept(text, OURS, "[x]") == text


@pytest.mark.parametrize("link", GOES)
def test_a_strangers_link_is_left_to_the_portal(link):
    assert links.kept(f"ببینید: {link}، سپاس.", OURS, "[x]") == "ببینید: [x]، سپاس."


@given(st.text(alphabet="a.:/@\\wir-é[]؟ ", max_size=60))
def test_whatever_is_written_has_no_stranger_left(text):
    once = links.kept(text, OURS, "-")
    assert links.kept(once, OURS, "-") == once


async def test_an_answer_goes_without_a_strangers_link_and_the_desk_is_told_before(tmp_path):
    async with house(tmp_path, link_hosts=["partner.example.com"]) as here:
        words = "فرم: https://stranger.ir/f و https://partner.example.com/g"
        await here.channel.send(outbound(text=words))
        (sent,) = here.paper().printed
        assert "stranger" not in sent.text
        assert "(نشانی در درگاه)" in sent.text
        assert "https://partner.example.com/g" in sent.text
        facts = {"code": "72940518364", "unit": "دبیرخانه"}
        assert here.channel.measure(words, facts).cut
        assert not here.channel.measure("فرم: https://partner.example.com/g", facts).cut
