"""The client of smpp.twisted3 sending as fast as its window lets it; run by that library's own interpreter.

`peer_client.py PORT COUNT WINDOW` prints texts a second.
"""

from __future__ import annotations

import sys
import time

from smpp.pdu.operations import SubmitSM  # type: ignore[import-not-found]
from smpp.twisted.client import SMPPClientTransceiver  # type: ignore[import-not-found]
from smpp.twisted.config import SMPPClientConfig  # type: ignore[import-not-found]
from twisted.internet import defer, reactor

WORDS = b"a text of forty octets or somewhat more."
PORT, COUNT, WINDOW = map(int, sys.argv[1:4])


@defer.inlineCallbacks
def run():
    config = SMPPClientConfig(host="127.0.0.1", port=PORT, username="pasokh", password="secret")
    wire = yield SMPPClientTransceiver(config, lambda wire, pdu: None).connectAndBind()
    began = time.monotonic()
    yield defer.gatherResults([send(wire, COUNT // WINDOW) for _ in range(WINDOW)])
    print(COUNT / (time.monotonic() - began), flush=True)
    reactor.stop()


@defer.inlineCallbacks
def send(wire, count):
    for _ in range(count):
        yield wire.sendDataRequest(
            SubmitSM(
                source_addr="30001234",
                destination_addr="989120000001",
                short_message=b"a text of forty octets or somewhat more.",
            )
        )


def failed(fault):
    print(fault, file=sys.stderr)
    reactor.stop()


run().addErrback(failed)
reactor.run()
