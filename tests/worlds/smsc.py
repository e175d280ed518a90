"""A made-up message centre: SMPP with faults, receipts of every kind, and telephones behind it that join parts.

`python -m tests.worlds.smsc --port 2775 [--tls]` runs it alone, with the handset page beside it. Faults are set by
method (`bind`, `submit_sm`, `deliver_sm`) and count, as with the made-up Kavenegar.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import json
import random
import signal
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web
from twisted.internet import ssl

from sms import alphabet
from sms.providers.base import Coding
from sms.providers.smpp import longtext, report, smsc
from sms.providers.smpp.events import Came
from sms.providers.smpp.pdu import Bind, Command, Data, Message, Pdu, Tag, Tlvs, encode
from sms.providers.smpp.wire import Full
from tests.worlds.ledger import Ledger
from tests.worlds.network import DELIVERED, Network, national, parts_of

PR_SET_PDEATHSIG = 1
AGAIN = 0.3  # seconds until a text that was not taken is delivered again
TOGETHER = 0.1  # seconds in which held answers are gathered before they go in any order
HELD = 12.0  # seconds until an answer comes that is too late


@dataclass(frozen=True, slots=True)
class Ways:
    """What kind of message centre it is."""

    system_id: str = "pasokh"
    password: str = "secret"
    ids: str = "plain"  #: plain; hex: answers in hexadecimal, receipts in decimal; zeros: receipts with zeros before
    receipts: str = "text"  #: text, tlv, both, none
    concat: str = "udh8"  #: how long texts of telephones are delivered
    alphabet: str = "gsm7"
    window: int = 10
    reference: bool = True  #: receipts repeat the sender's own reference
    numbers: tuple[str, ...] = ()  #: short codes whose texts go this way; none = all


@dataclass(slots=True)
class Delivery:
    """One deliver_sm that waits for its turn, or for an answer. `row`: the inbox row it carries a part of."""

    body: Message
    tlvs: Tlvs = ()
    row: int = 0
    number: int = 0


class Smsc:
    """The centre. `network` has the telephones: what they wrote and what they got lies in its ledgers."""

    def __init__(self, network: Network, folder: Path, ways: Ways) -> None:
        self.network, self.ways = network, ways
        self._beside, network.push = network.push, self.push
        self.parts = Ledger(folder / "smpp-parts.jsonl")  #: every part that was accepted
        self.taken = Ledger(folder / "smpp-taken.jsonl")  #: every part of a citizen's text that was answered 0
        self.refused: list[int] = []  #: statuses of those that were not
        self.binds: list[Bind] = []
        self._clients: list[smsc.Client] = []
        self._queue: deque[Delivery] = deque()
        self._out: dict[tuple[smsc.Client, int], Delivery] = {}
        self._held: list[Callable[[], None]] = []
        self._joined: dict[tuple[Any, ...], dict[int, bytes]] = {}
        self._last = max([0, *(int(row["id"], 16) for row in self.parts.rows)])
        self._dice = random.Random(1)
        self._closed = False
        done = {(row["row"], row["number"]) for row in self.taken.rows}
        for row in network.inbox.rows:
            if self.serves(row["receptor"]):
                self._queue += [each for each in self._carry(row) if (each.row, each.number) not in done]

    def serves(self, number: str) -> bool:
        """Does a text to `number` go this way?"""
        return not self.ways.numbers or number in self.ways.numbers

    # ------------------------------------------------------------ a citizen's thumb

    async def push(self, fields: dict[str, Any]) -> None:
        """What the network would push to a web address: a text goes by SMPP, as soon and as often as needed."""
        if "message" not in fields or not self.serves(fields["to"]):
            await self._beside(fields)
            return
        self._queue += self._carry({**fields, "sender": fields["from"], "receptor": fields["to"]})
        self._pump()

    def _carry(self, row: dict[str, Any]) -> list[Delivery]:
        pieces = longtext.pieces(
            row["message"], Coding(self.ways.alphabet), longtext.Concat(self.ways.concat), row["messageid"]
        )
        found = []
        for n, piece in enumerate(pieces, 1):
            source = "98" + row["sender"][1:] if row["sender"].startswith("09") else row["sender"]
            ton = 1 if source.startswith("98") else 0
            body = Message(
                source_ton=ton, source_npi=1, source=source, dest=row["receptor"], esm_class=piece.esm_class,
                coding=piece.coding, text=piece.text,
            )  # fmt: skip
            found.append(Delivery(body, piece.tlvs, row["messageid"], n))
        return found

    def _pump(self) -> None:
        for client in self._clients:
            while self._queue and client.session.room > 0:
                self._one(client, self._queue.popleft())

    def _one(self, client: smsc.Client, each: Delivery) -> None:
        fault = self._fault("deliver_sm") if each.row else ""
        hostile = HOSTILE.get(fault)
        if hostile is not None:
            client.raw(hostile)
        try:
            self._out[client, client.deliver(each.body, each.tlvs)] = each
        except Full:
            self._queue.appendleft(each)
        if fault == "twice":
            client.deliver(each.body, each.tlvs)
        if fault == "drop":
            client.drop()

    # ------------------------------------------------------------ the centre's side

    def asked(self, bind: Bind) -> int:
        self.binds.append(bind)
        fault = self._fault("bind")
        if fault:
            return int(fault, 0)
        if bind.system_id != self.ways.system_id:
            return 0x0F
        return 0 if bind.password == self.ways.password else 0x0E

    def bound(self, client: smsc.Client) -> None:
        self._clients.append(client)
        self._pump()

    def gone(self, client: smsc.Client) -> None:
        if client in self._clients:
            self._clients.remove(client)
        for key in [key for key in self._out if key[0] is client]:
            self._queue.append(self._out.pop(key))

    def answered(self, client: smsc.Client, seq: int, told: int) -> None:
        each = self._out.pop((client, seq), None)
        if each is None:
            return
        if told == 0:
            if each.row:
                self.taken.add(row=each.row, number=each.number)
        else:
            self.refused.append(told)
            self._soon(AGAIN, lambda: self._queue.append(each))
        self._soon(AGAIN if told else 0, self._pump)

    def submitted(self, client: smsc.Client, came: Came) -> None:
        fault = self._fault("submit_sm")
        if fault == "drop_before":
            client.drop()
        elif fault == "nack":
            client.raw(encode(Pdu(Command.GENERIC_NACK, came.seq, 0x03)))
        elif fault[:1].isdigit():
            client.answer(came.seq, int(fault, 0))
        elif came.pdu is None:
            client.answer(came.seq, 0x08)
        else:
            self._accepted(client, came, fault)

    def _accepted(self, client: smsc.Client, came: Came, fault: str) -> None:
        assert came.pdu is not None
        self._last += 1
        id_ = f"{self._last:x}" if self.ways.ids == "hex" else f"{self._last}"
        self._keep(came.pdu, id_)
        if fault == "receipt_first":
            self._receipt(client, came.pdu, self._last)
        self._answer(client, came.seq, id_, fault)
        if fault != "receipt_first":
            self._receipt(client, came.pdu, self._last, fault)
        if fault == "unbind":
            client.unbind()
        if fault in HOSTILE:
            client.raw(HOSTILE[fault])

    def _answer(self, client: smsc.Client, seq: int, id_: str, fault: str) -> None:
        """Now, in any order with others, too late, or never."""
        if fault == "drop":
            client.drop()
        elif fault == "late":
            self._soon(HELD, lambda: client.answer(seq, 0, id_))
        elif fault == "shuffle":
            if not self._held:
                self._soon(TOGETHER, self._release)
            self._held.append(lambda: client.answer(seq, 0, id_))
        elif fault not in ("lost", "unbind"):
            client.answer(seq, 0, id_)

    def _release(self) -> None:
        held, self._held = self._held, []
        self._dice.shuffle(held)
        for answer in held:
            answer()

    def _keep(self, pdu: Pdu, id_: str) -> None:
        """What the telephone gets: parts are joined, whole texts go into the ledger the journeys judge by."""
        body = pdu.body
        assert isinstance(body, Message | Data)
        octets, place = longtext.content(pdu)
        self.parts.add(id=f"{self._last:x}", told=id_, to=body.dest, number=place.number if place else 1)
        if place is not None:
            key = (body.source, body.dest, place.ref, place.width, place.total)
            joined = self._joined.setdefault(key, {})
            joined[place.number] = octets
            if len(joined) < place.total:
                return
            octets = b"".join(joined[n] for n in sorted(joined))
            del self._joined[key]
        words, _ = alphabet.text(octets, alphabet.coding(body.coding, Coding(self.ways.alphabet)))
        self.network.sent.add(
            messageid=self.network.number(), receptor=national(body.dest), sender=body.source, message=words,
            localid="", status=DELIVERED, date=self.network.now(), cost=0, parts=parts_of(words), way="smpp",
        )  # fmt: skip

    def _receipt(self, client: smsc.Client, pdu: Pdu, number: int, fault: str = "") -> None:
        body = pdu.body
        if not isinstance(body, Message) or not body.registered or self.ways.receipts == "none":
            return
        state = report.State.UNDELIVERABLE if fault == "undelivered" else report.State.DELIVERED
        told = {"hex": f"{number}", "zeros": f"{number:010}"}.get(self.ways.ids, f"{number}")
        tlvs: Tlvs = ()
        if self.ways.receipts in ("tlv", "both"):
            tlvs = ((Tag.RECEIPTED_ID, told.encode() + b"\0"), (Tag.STATE, bytes((state,))))
        mine = pdu.tlv(Tag.USER_MESSAGE_REF)
        if mine is not None and self.ways.reference:
            tlvs = (*tlvs, (Tag.USER_MESSAGE_REF, mine))
        text = b"" if self.ways.receipts == "tlv" else report.write(told, state, time.strftime("%y%m%d%H%M"))
        back = Message(
            source_ton=body.dest_ton,
            source_npi=body.dest_npi,
            source=body.dest,
            dest=body.source,
            esm_class=4,
            text=text,
        )
        self._queue.append(Delivery(back, tlvs))
        if fault == "orphan":
            self._queue.append(Delivery(back, ((Tag.RECEIPTED_ID, b"no-such-id"), (Tag.STATE, b"\2"))))
        self._soon(0, self._pump)

    def _fault(self, method: str) -> str:
        return self.network.fault(method)

    def _soon(self, after: float, do: Callable[[], None]) -> None:
        asyncio.get_running_loop().call_later(after, lambda: None if self._closed else do())

    @property
    def waiting(self) -> int:
        """Texts and receipts not taken yet."""
        return len(self._queue) + len(self._out)

    def cut(self) -> None:
        """Drop every connection."""
        for client in list(self._clients):
            client.drop()

    def close(self) -> None:
        self._closed = True
        self.cut()
        self.parts.close()
        self.taken.close()


def _hostile(**fields: Any) -> bytes:
    tlvs = fields.pop("tlvs", ())
    body = Message(source_ton=1, source="989129999999", dest="30001234", **fields)
    return encode(Pdu(Command.DELIVER_SM, 0x7000_0000 + len(fields), 0, body, tlvs))


#: octets that no good peer sends, by the fault's name
HOSTILE: dict[str, bytes] = {
    "bad_numbers": _hostile(esm_class=0x40, coding=8, text=b"\x05\x00\x03\x01\x02\x07" + "بد".encode("utf-16-be")),
    "bad_header": _hostile(esm_class=0x40, text=b"\xff\x00\x03"),
    "bad_sar": _hostile(text=b"x", tlvs=((Tag.SAR_REF, b"\0"), (Tag.SAR_TOTAL, b"\2"), (Tag.SAR_NUMBER, b"\1"))),
    "binary": _hostile(coding=4, text=bytes(range(100))),
    "no_receipt": _hostile(esm_class=4, text=b"no sense in it"),
    "cut_body": (30).to_bytes(4, "big") + b"\0\0\0\x05\0\0\0\0\x70\0\0\x63" + b"\0\1\1989120000\0\0\0"[:14],
    "unknown_command": encode(Pdu(0x0000_0103 + 0x400, 0x70000064)),
    "unknown_tlv": _hostile(text=b"tlv", tlvs=((0x1500, b"made up"),)),
    "garbage": bytes(range(255, 0, -1)),
    "megabyte": (1 << 20).to_bytes(4, "big") + b"\0\0\0\x05" + bytes(1000),
}


def listen(reactor: Any, centre: Smsc, port: int, tls: Any = None) -> Any:
    """The listening port; `.getHost().port` says which."""
    factory = smsc.factory(centre, window=centre.ways.window)
    if tls is not None:
        return reactor.listenSSL(port, factory, tls, interface="127.0.0.1")
    return reactor.listenTCP(port, factory, interface="127.0.0.1")


def certificate(folder: Path) -> tuple[Any, Path]:
    """Twisted's server context for 127.0.0.1, and the file of the authority that signed it."""
    import trustme

    authority = trustme.CA()
    made = authority.issue_cert("127.0.0.1", "localhost")
    path = folder / "smpp-ca.pem"
    authority.cert_pem.write_to_path(str(path))
    key = folder / "smpp-key.pem"
    made.private_key_and_cert_chain_pem.write_to_path(str(key))
    make: Any = ssl.DefaultOpenSSLContextFactory
    return make(str(key), str(key)), path


# ---------------------------------------------------------------- alone


async def run(options: argparse.Namespace) -> None:
    """Serve until told to stop."""
    from gateway import loop
    from tests.worlds.handset import Handset

    reactor = loop.guest(asyncio.get_running_loop())
    folder: Path = options.dir
    network = Network(folder / "sms", "made-up-key")
    ways = Ways(options.system_id, options.password, options.ids, options.receipts, options.concat)
    centre = Smsc(network, folder / "sms", ways)
    context, authority = certificate(folder) if options.tls else (None, None)
    port = listen(reactor, centre, options.port, context)
    app = web.Application()
    app.add_routes(Handset(network, options.short_code).routes())
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", options.world).start()
    pages = f"http://127.0.0.1:{runner.addresses[0][1]}"
    told = {"ready": True, "smpp": f"127.0.0.1:{port.getHost().port}", "handset": f"{pages}/handset"}
    print(json.dumps({**told, "ca": str(authority or "")}), flush=True)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
    port.stopListening()
    centre.close()
    await runner.cleanup()
    await network.close()
    loop.stop_guest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dir", type=Path, required=True, help="folder that remembers texts and parts")
    parser.add_argument("--port", type=int, default=2775, help="SMPP, 0 = any free one")
    parser.add_argument("--world", type=int, default=8081, help="port of the handset page, 0 = any free one")
    parser.add_argument("--tls", action="store_true", help="SMPP over TLS; `ca` in the JSON line is its authority")
    parser.add_argument("--short-code", default="30001234", help="short code shown on the handset page")
    parser.add_argument("--system-id", default="pasokh")
    parser.add_argument("--password", default="secret")
    parser.add_argument("--ids", choices=["plain", "hex", "zeros"], default="plain")
    parser.add_argument("--receipts", choices=["text", "tlv", "both", "none"], default="text")
    parser.add_argument("--concat", choices=["udh8", "udh16", "sar", "payload"], default="udh8")
    parser.add_argument("--with-parent", action="store_true", help="end when the starting process ends")
    options = parser.parse_args()
    if options.with_parent:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    options.dir.mkdir(parents=True, exist_ok=True)
    asyncio.run(run(options))


if __name__ == "__main__":
    main()
