"""The SMTP core: the same bytes in any split give the same events, and every line of the reply table."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.mail.smtp import Body, Close, Ended, Limits, Over, Rcpt, Reply, Say, Session, StartTls

LETTER = "From: a@example.ir\r\nSubject: سلام\r\n\r\n..نقطه\r\nمتن\r\n".encode()
BEGIN = b"EHLO c.example.ir\r\nMAIL FROM:<a@example.ir>\r\nRCPT TO:<water@agency.example.ir>\r\nDATA\r\n"


def judge(rcpt: Rcpt) -> Reply:
    if rcpt.domain not in ("agency.example.ir", ""):
        return Reply(550, "5.7.1", "Relaying denied")
    return (
        Reply(250, "2.1.5", "Ok") if rcpt.local in ("water", "postmaster") else Reply(550, "5.1.1", "No such address")
    )


def session(**given) -> Session:
    given = {"dialect": "smtp", "limits": Limits(), "can_tls": False} | given
    return Session(host="mx.example.ir", judge=judge, **given)


def play(s: Session, pieces: list[bytes], verdict: Reply | None = None) -> list:
    """Feed the pieces, giving each letter its verdict once all pieces have come, and join the bodies."""
    verdict = verdict or Reply(250, "2.0.0", "m1")
    events = s.greet()
    for piece in pieces:
        events += s.receive(piece)
    while s.phase.value == "verdict":
        n = len(s._recipients) if s.dialect == "lmtp" else 1
        events += s.verdict([verdict] * n)
    return joined(events)


def joined(events: list) -> list:
    """Pieces together; of a letter that grew too big only that it did, for how much came before depends on them."""
    out: list = []
    for event in events:
        if isinstance(event, Over):
            out = [e for e in out if not isinstance(e, Body)]
        if isinstance(event, (Body, Say)) and out and isinstance(out[-1], type(event)):
            out[-1] = type(event)(out[-1].data + event.data)
        else:
            out.append(event)
    return out


def said(events: list) -> list[str]:
    lines = b"".join(e.data for e in events if isinstance(e, Say)).decode().splitlines()
    return [" ".join(line.split()[:2]) for line in lines if line[3:4] == " "]


def answers(data: bytes, **given) -> list[str]:
    return said(play(session(**given), [data]))[1:]


STREAMS = {
    "one letter": BEGIN + LETTER.replace(b"\r\n.", b"\r\n..") + b".\r\nQUIT\r\n",
    "two pipelined": BEGIN + b"a\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<water@agency.example.ir>\r\nDATA\r\n.\r\nQUIT\r\n",
    "long line": BEGIN + b"x" * 70_000 + b"\r\nQUIT\r\n.\r\nNOOP\r\n",
    "long command": b"NOOP " + b"y" * 9000 + b"\r\nNOOP\r\nQUIT\r\n",
    "nul and eight bits": BEGIN + b"\0\xff\xc7\r\n.\r\nQUIT\r\n",
    "bare lf": BEGIN + b"ab\r\n.\ncd\r\n.\r\n",
    "bare cr": BEGIN + b"ab\r\n.\rcd\r\n.\r\n",
    "too big": BEGIN + b"z" * 3000 + b"\r\n.\r\nNOOP\r\nQUIT\r\n",
    "far too big": BEGIN + b"zz\r\n" * 2500 + b".\r\nNOOP\r\n",
    "bare lf in a command": b"NOOP\nQUIT\r\n",
    "nonsense": b"\xff\xfe\r\n\r\nMAIL\r\nDATA\r\n" * 3,
}


@pytest.mark.parametrize("name", STREAMS)
def test_any_split_gives_the_same_events(name):
    data = STREAMS[name]
    given = {"limits": Limits(size=2000, patience=2000)} if "too big" in name else {}
    whole = play(session(**given), [data])
    assert play(session(**given), [data[i : i + 1] for i in range(len(data))]) == whole
    dice = random.Random(7)
    for _ in range(30):
        cuts = sorted(dice.sample(range(len(data)), min(9, len(data) - 1)))
        pieces = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
        assert play(session(**given), pieces) == whole


def test_a_letter_comes_out_as_it_was_sent():
    events = play(session(), [STREAMS["one letter"]])
    assert [e.data for e in events if isinstance(e, Body)] == [LETTER]
    ended = next(e for e in events if isinstance(e, Ended))
    assert (ended.envelope.sender, ended.envelope.helo) == ("a@example.ir", "c.example.ir")
    assert ended.envelope.recipients == (Rcpt("water", "agency.example.ir"),)
    assert (ended.size, ended.taken) == (len(LETTER), True)
    assert isinstance(events[-1], Close)


@pytest.mark.parametrize("false_end", [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r.\r\n"])
def test_only_the_true_end_ends_data(false_end):
    smuggled = b"a" + false_end + b"MAIL FROM:<evil@example.ir>\r\nRCPT TO:<water@agency.example.ir>\r\n.\r\n"
    events = play(session(), [BEGIN, smuggled])
    assert not [e for e in events if isinstance(e, Ended)]
    assert said(events)[-1] == "521 5.5.2"
    assert isinstance(events[-1], Close)
    lmtp = play(session(dialect="lmtp"), [BEGIN.replace(b"EHLO", b"LHLO"), smuggled])
    assert len([e for e in lmtp if isinstance(e, Ended)]) == 1, "in LMTP it is content"
    assert b"evil" in b"".join(e.data for e in lmtp if isinstance(e, Body))


def test_nothing_behind_the_dot_is_looked_at_before_the_verdict():
    s = session()
    s.greet()
    s.receive(BEGIN)
    events = s.receive(b"x\r\n.\r\nQUIT\r\n")
    assert [type(e) for e in events] == [Body, Ended]
    assert s.receive(b"NOOP\r\n") == []
    after = s.verdict([Reply(451, "4.3.0", "later")])
    assert said(after) == ["451 4.3.0", "221 2.0.0"]
    assert isinstance(after[-1], Close)


def test_bytes_behind_starttls_are_never_executed():
    s = session(can_tls=True)
    events = play(s, [b"EHLO c\r\nSTARTTLS\r\nMAIL FROM:<evil@example.ir>\r\n"])
    assert said(events)[-1] == "503 5.5.1"
    assert isinstance(events[-1], Close)
    assert not any(isinstance(e, StartTls) for e in events)
    late = session(can_tls=True)
    late.receive(b"EHLO c\r\nSTARTTLS\r\n")
    assert late.receive(b"MAIL FROM:<evil@example.ir>\r\n") == [Close()]


def test_after_the_handshake_all_state_is_gone():
    s = session(can_tls=True)
    events = s.receive(b"EHLO c\r\nMAIL FROM:<a@example.ir>\r\nSTARTTLS\r\n")
    assert isinstance(events[-1], StartTls)
    s.secured()
    assert said(s.receive(b"RCPT TO:<water@agency.example.ir>\r\n")) == ["503 5.5.1"]
    assert said(s.receive(b"MAIL FROM:<a@example.ir>\r\n")) == ["503 5.5.1"]
    hello = s.receive(b"EHLO c\r\n")
    assert b"STARTTLS" not in hello[0].data
    assert said(s.receive(b"STARTTLS\r\n")) == ["503 5.5.1"]


E = b"EHLO c\r\n"
M = E + b"MAIL FROM:<a@example.ir>\r\n"
ROWS = [
    (b"NOOP\r\nRSET\r\nnoop x\r\n", ["250 2.0.0"] * 3),
    (b"VRFY x\r\n", ["252 2.0.0"]),
    (b"HELP\r\nEXPN x\r\nBDAT 5 LAST\r\nAUTH PLAIN x\r\nSTARTTLS\r\n", ["502 5.5.1"] * 5),
    (b"FOO\r\nLHLO c\r\n\r\n", ["500 5.5.1"] * 3),
    (b"MAIL FROM:<a@example.ir>\r\nRCPT TO:<water@agency.example.ir>\r\nDATA\r\n", ["503 5.5.1"] * 3),
    (
        M + b"MAIL FROM:<b@example.ir>\r\n",
        ["250 PIPELINING"[:0] or "250 ENHANCEDSTATUSCODES", "250 2.1.0", "503 5.5.1"],
    ),
    (M + b"DATA\r\n", ["250 ENHANCEDSTATUSCODES", "250 2.1.0", "503 5.5.1"]),
    (E + b"MAIL FROM:a@example.ir\r\nMAIL\r\nMAIL FROM:<a@b@c>\r\n", ["250 ENHANCEDSTATUSCODES", *["501 5.5.4"] * 3]),
    (E + b"MAIL FROM:<a@example.ir> BODY=BINARY\r\n", ["250 ENHANCEDSTATUSCODES", "501 5.5.4"]),
    (E + b"MAIL FROM:<a@example.ir> SIZE=x\r\n", ["250 ENHANCEDSTATUSCODES", "501 5.5.4"]),
    (E + b"MAIL FROM:<a@example.ir> RET=HDRS\r\n", ["250 ENHANCEDSTATUSCODES", "555 5.5.4"]),
    (E + "MAIL FROM:<آب@example.ir>\r\n".encode(), ["250 ENHANCEDSTATUSCODES", "553 5.6.7"]),
    (E + "MAIL FROM:<آب@example.ir> SMTPUTF8 BODY=8BITMIME\r\n".encode(), ["250 ENHANCEDSTATUSCODES", "250 2.1.0"]),
    (E + b"MAIL FROM:<a@example.ir> SIZE=26214401\r\n", ["250 ENHANCEDSTATUSCODES", "552 5.3.4"]),
    (M + b"RCPT TO:<x@elsewhere.ir>\r\n", ["250 ENHANCEDSTATUSCODES", "250 2.1.0", "550 5.7.1"]),
    (M + b"RCPT TO:<x@agency.example.ir>\r\n", ["250 ENHANCEDSTATUSCODES", "250 2.1.0", "550 5.1.1"]),
    (M + b"RCPT TO:<>\r\nRCPT TO:<postmaster>\r\n", ["250 ENHANCEDSTATUSCODES", "250 2.1.0", "501 5.5.4", "250 2.1.5"]),
    (M + b"RCPT TO:<water@agency.example.ir> NOTIFY=NEVER\r\n", ["250 ENHANCEDSTATUSCODES", "250 2.1.0", "555 5.5.4"]),
    (b"EHLO\r\nHELO c\r\n", ["501 5.5.4", "250 mx.example.ir"]),
    (b"QUIT\r\n", ["221 2.0.0"]),
]


@pytest.mark.parametrize("data,expected", ROWS)
def test_each_row_of_the_reply_table(data, expected):
    assert answers(data) == expected


def test_ehlo_is_unknown_in_lmtp():
    assert answers(b"EHLO c\r\n", dialect="lmtp") == ["500 5.5.1"]


def test_lmtp_gives_a_verdict_for_each_recipient():
    s = session(dialect="lmtp")
    s.receive(
        b"LHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<water@agency.example.ir>\r\nRCPT TO:<postmaster>\r\nDATA\r\nx\r\n.\r\n"
    )
    assert said(s.verdict([Reply(250, "2.0.0", "a"), Reply(451, "4.3.0", "b")])) == ["250 2.0.0", "451 4.3.0"]


def test_a_letter_too_big_is_refused_after_its_dot_and_the_next_is_taken():
    s = session(limits=Limits(size=100))
    events = play(s, [BEGIN + b"x" * 300 + b"\r\n.\r\n" + BEGIN[len(b"EHLO c.example.ir\r\n") :] + b"ok\r\n.\r\n"])
    assert [e.taken for e in events if isinstance(e, Ended)] == [False, True]
    assert said(events)[-5:] == ["552 5.3.4", "250 2.1.0", "250 2.1.5", "354 End", "250 2.0.0"]


def test_a_letter_without_end_is_forgotten_once_too_big_and_its_connection_ended_at_twice_that():
    s = session(limits=Limits(size=1000, patience=1000))
    events = s.receive(BEGIN)
    while s.phase.value != "closed":
        events += s.receive(b"y" * 98 + b"\r\n")
    kinds = [type(e) for e in joined([e for e in events if not isinstance(e, Say)])]
    assert kinds == [Over, Close]
    assert sum(len(e.data) for e in events if isinstance(e, Body)) <= 1000
    assert said(events)[-1] == "552 5.3.4"


def test_without_room_a_letter_is_put_off_at_mail():
    asked = []

    def room(size):
        asked.append(size)
        return Reply(452, "4.3.1", "Not enough room") if size > 50 else None

    s = session(room=room)
    lines = E + b"MAIL FROM:<a@b.ir> SIZE=51\r\nRCPT TO:<water@agency.example.ir>\r\nMAIL FROM:<a@b.ir> SIZE=50\r\n"
    assert said(s.receive(lines))[1:] == ["452 4.3.1", "503 5.5.1", "250 2.1.0"]
    assert asked == [51, 50]


def test_recipient_one_hundred_and_one_waits_for_another_letter():
    got = answers(M + b"RCPT TO:<water@agency.example.ir>\r\n" * 101)
    assert got[2:] == ["250 2.1.5"] * 100 + ["452 4.5.3"]


def test_twenty_errors_end_the_connection():
    events = play(session(), [b"FOO\r\n" * 30])
    assert said(events)[1:] == ["500 5.5.1"] * 20 + ["421 4.7.0"]
    assert isinstance(events[-1], Close)


def test_letter_one_thousand_and_one_ends_the_connection():
    one = b"MAIL FROM:<>\r\nRSET\r\n"
    assert answers(E + one * 3, limits=Limits(mails=2))[-1] == "421 4.7.0"


def test_a_refusal_too_many_ends_the_connection_for_good():
    one = b"MAIL FROM:<>\r\nRCPT TO:<water@agency.example.ir>\r\nDATA\r\n" + b"x" * 200 + b"\r\n.\r\n"
    s = session(limits=Limits(size=100, errors=3))
    events = play(s, [E + one * 5])
    assert said(events)[-2:] == ["552 5.3.4", "421 4.7.0"] and s.phase.value == "closed"
    assert s.receive(b"NOOP\r\n") == []
    hops = session(limits=Limits(errors=2))
    last = play(hops, [E + one * 3], Reply(554, "5.4.6", "Too many hops"))
    assert isinstance(last[-1], Close) and hops.phase.value == "closed"


WORDS = [
    E, b"LHLO c\r\n", b"MAIL FROM:<a@b.ir>\r\n", b"MAIL FROM:<> SIZE=9\r\n", b"RCPT TO:<water@agency.example.ir>\r\n",
    b"RCPT TO:<x@y>\r\n", b"DATA\r\n", b"x\r\n", b".\r\n", b"..\r\n", b"\r", b"\n", b"\0\xff", b"RSET\r\n", b"QUIT\r\n",
    b"STARTTLS\r\n", b"y" * 5000, b"MAIL FROM:<\r\n", b" \r\n",
]  # fmt: skip


@given(st.lists(st.sampled_from(WORDS), max_size=40), st.sampled_from(["smtp", "lmtp"]), st.randoms())
@settings(max_examples=300, deadline=None)
def test_whatever_comes_each_letter_has_one_verdict_and_nothing_follows_a_close(words, dialect, dice):
    s = session(dialect=dialect, limits=Limits(size=4000, errors=5), can_tls=True)
    events = list(s.greet())
    for word in words:
        cut = dice.randrange(len(word) + 1)
        for piece in (word[:cut], word[cut:]):
            events += s.receive(piece)
            if s.phase.value == "verdict" and dice.random() < 0.7:
                events += s.verdict([Reply(250, "2.0.0", "ok")] * len(s.recipients))
            if s.phase.value == "tls":
                events += s.secured()
    closes = [n for n, event in enumerate(events) if isinstance(event, Close)]
    assert len(closes) <= 1 and (not closes or closes[0] == len(events) - 1)
    assert all(not isinstance(e, Ended) or e.envelope.recipients for e in events)


PLAIN = [word for word in WORDS if word != b"STARTTLS\r\n"]  # of which the split matters, and must


@given(st.lists(st.sampled_from(PLAIN), max_size=30), st.sampled_from(["smtp", "lmtp"]), st.randoms())
@settings(max_examples=300, deadline=None)
def test_whatever_comes_any_split_gives_the_same_events(words, dialect, dice):
    data = BEGIN.replace(b"EHLO", b"LHLO" if dialect == "lmtp" else b"EHLO") + b"".join(words)
    given = {"dialect": dialect, "limits": Limits(size=3000, patience=3000, errors=6, mails=4)}
    cuts = sorted(dice.sample(range(len(data)), min(12, len(data))))
    pieces = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    assert play(session(**given), pieces) == play(session(**given), [data])


def test_too_much_and_then_a_bare_newline_is_too_much_however_it_is_split():
    limits = Limits(size=3000, patience=3000)
    data = BEGIN + b"y" * 7000 + b"\n"
    whole = play(session(limits=limits), [data])
    assert whole == play(session(limits=limits), [data[:-1], data[-1:]])
    assert [event.data[:9] for event in whole if isinstance(event, Say)][-1] == b"552 5.3.4"


def test_time_out_and_stop_say_goodbye():
    s = session()
    assert said(s.time_out()) == ["421 4.4.2"]
    assert said(session().stop()) == ["421 4.3.2"]
    open_letter = session()
    open_letter.receive(BEGIN)
    assert open_letter.stop() == []
    open_letter.receive(b"x\r\n.\r\n")
    assert said(open_letter.verdict([Reply(250, "2.0.0", "x")])) == ["250 2.0.0", "421 4.3.2"]
