"""Answers to challenges, checked against the examples of the RFCs."""

from __future__ import annotations

from ivr.sip import digest

RFC7616 = (
    'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=%s, '
    'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
)
CNONCE = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"


def given(algorithms):
    return digest.answer(
        [RFC7616 % name for name in algorithms], "Mufasa", "Circle of Life", "GET", "/dir/index.html", CNONCE
    )


def test_the_examples_of_rfc_7616():
    assert 'response="8ca523f5e9506fed4657c9700eebdbec"' in (given(["MD5"]) or "")
    sha = 'response="753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"'
    assert sha in (given(["SHA-256"]) or "")


def test_the_strongest_is_chosen_whatever_the_order():
    assert "algorithm=SHA-256" in (given(["MD5", "SHA-256"]) or "")


def test_an_old_challenge_without_qop():
    value = digest.answer(['Digest realm="r", nonce="n"'], "u", "p", "INVITE", "sip:1@x")
    assert value is not None and "qop=" not in value and "algorithm" not in value


def test_what_cannot_be_answered_is_none():
    for challenge in ("Basic realm=r", 'Digest realm="r", nonce="n", algorithm=FOO', 'Digest realm="r"', "",
                      'Digest realm="r", nonce="n", qop="auth-int"'):  # fmt: skip
        assert digest.answer([challenge], "u", "p", "INVITE", "sip:1@x") is None
