"""RFC 4475, all 49: what a server without registrar does with each. Why it differs from the RFC: docs/phone.md."""

from __future__ import annotations

from pathlib import Path

import pytest

from ivr.sip import message as sip
from ivr.sip.message import Reject
from ivr.sip.transaction import Peer
from tests.ivr.sip.still import house, settle

SOURCE = Peer("127.0.0.1", 5099)
ROOT = Path(__file__).parents[3]

# The final answer; "taken": a response that is read and matches nothing of ours; "dropped": no answer is possible
OUTCOMES: dict[str, int | str] = {
    # valid, s 3.1.1
    "wsinv": 481, "intmeth": 501, "esc01": 200, "escnull": 405, "esc02": 501, "lwsdisp": 200, "longreq": 200,
    "dblreq": 405, "semiuri": 200, "transports": 200, "mpart01": 405, "unreason": "taken", "noreason": "taken",
    # invalid, s 3.1.2
    "badinv01": 400, "clerr": 400, "ncl": 400, "scalar02": 400, "scalarlg": "dropped", "quotbal": 400, "ltgtruri": 400,
    "lwsruri": 400, "lwsstart": 400, "trws": 400, "escruri": 400, "baddate": 200, "regbadct": 405, "badaspec": 400,
    "baddn": 200, "badvers": 505, "mismatch01": 400, "mismatch02": 400, "bigcode": "dropped",
    # transactions, s 3.2
    "badbranch": 200,
    # application, s 3.3
    "insuf": "dropped", "unkscm": 416, "novelsc": 416, "unksm2": 405, "bext01": 420, "invut": 415, "regaut01": 405,
    "multi01": 400, "mcl01": 400, "bcast": "taken", "zeromf": 483, "cparam01": 405, "cparam02": 405, "regescrt": 405,
    "sdp01": 406,
    # older versions, s 3.4
    "inv2543": 200,
}  # fmt: skip


@pytest.mark.parametrize(("name", "outcome"), OUTCOMES.items())
async def test_each_torture_has_its_outcome(test_data, name, outcome):
    data = (test_data / "rfc4475" / f"{name}.dat").read_bytes()
    async with house() as home:
        home.line.feed(data, SOURCE)
        await settle()
        answers = [answer for sent in home.sent.values() for answer in sent]
        assert all(answer.startswith(b"SIP/2.0 ") for answer in answers)
        final = [status for status in (int(answer[8:11]) for answer in answers) if status >= 200]
        assert final == ([outcome] if isinstance(outcome, int) else [])
        assert home.line.counts["noise"] == (outcome == "dropped")
        if outcome in ("taken", "dropped"):
            assert isinstance(sip.read(data), Reject) is (outcome == "dropped")
        assert len(home.legs) == (outcome == 200 and data.startswith(b"INVITE"))


def test_all_49_are_here_and_in_the_table_of_the_docs(test_data):
    names = {file.stem for file in (test_data / "rfc4475").glob("*.dat")}
    assert names == set(OUTCOMES) and len(names) == 49
    page = (ROOT / "docs" / "phone.md").read_text(encoding="utf-8")
    rows = dict(row.split("|")[1:3] for row in page.splitlines() if row.startswith("| `"))
    told = {name.strip(" `"): said.strip() for name, said in rows.items()}
    for name, outcome in OUTCOMES.items():
        assert told.get(name, "").partition(" ")[0] == str(outcome), name


async def test_a_branch_that_is_only_the_cookie_tells_no_two_requests_apart(test_data):
    data = (test_data / "rfc4475" / "badbranch.dat").read_bytes()
    async with house() as home:
        for call in (b"one", b"two"):
            home.line.feed(data.replace(b"badbranch.", call), SOURCE)
        await settle()
        answers = [sip.read(answer) for sent in home.sent.values() for answer in sent]
        assert {answer.call_id[:3] for answer in answers} == {"one", "two"}
