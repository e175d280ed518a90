"""A message centre made of smpp.twisted3, run by the interpreter of that library's own environment.

Prints its port. Every text is taken, comes back from its recipient as a text of theirs, and gets a receipt.
"""

from __future__ import annotations

import itertools
import sys

from smpp.pdu.operations import DeliverSM  # type: ignore[import-not-found]
from smpp.pdu.pdu_types import CommandStatus, EsmClass, EsmClassMode, EsmClassType  # type: ignore[import-not-found]
from smpp.twisted.config import SMPPServerConfig  # type: ignore[import-not-found]
from smpp.twisted.protocol import DataHandlerResponse  # type: ignore[import-not-found]
from smpp.twisted.server import IAuthenticatedSMPP, SMPPServerFactory  # type: ignore[import-not-found]
from twisted.cred.credentials import IUsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.cred.portal import IRealm, Portal
from twisted.internet import defer, reactor
from zope.interface import implementer

NUMBERS = itertools.count(1)
ECHO = "--quiet" not in sys.argv


@implementer(IRealm)
class Realm:
    def requestAvatar(self, name, mind, *interfaces):
        return IAuthenticatedSMPP, name, lambda: None


class Checker:
    credentialInterfaces = (IUsernamePassword,)

    def requestAvatarId(self, given):
        right = (given.username, given.password) == ("pasokh", "secret")
        return defer.succeed(given.username) if right else defer.fail(UnauthorizedLogin())


def take(system_id, wire, pdu):
    number = b"%d" % next(NUMBERS)
    if ECHO:
        reactor.callLater(0.05, answer, wire, pdu, number)
    return DataHandlerResponse(CommandStatus.ESME_ROK, message_id=number)


def answer(wire, pdu, number):
    ends = {"source_addr": pdu.params["destination_addr"], "destination_addr": pdu.params["source_addr"]}
    text = pdu.params["short_message"]
    wire.sendDataRequest(
        DeliverSM(**ends, short_message=text, data_coding=pdu.params["data_coding"], esm_class=pdu.params["esm_class"])
    )
    receipt = EsmClass(EsmClassMode.DEFAULT, EsmClassType.SMSC_DELIVERY_RECEIPT)
    told = b"id:%s sub:001 dlvrd:001 submit date:2611241200 done date:2611241200 stat:DELIVRD err:000 text:" % number
    wire.sendDataRequest(DeliverSM(**ends, short_message=told, esm_class=receipt))


def main():
    config = SMPPServerConfig(msgHandler=take, systems={"pasokh": {"max_bindings": 3}})
    port = reactor.listenTCP(0, SMPPServerFactory(config, Portal(Realm(), [Checker()])), interface="127.0.0.1")
    print(port.getHost().port, flush=True)
    reactor.run()


if __name__ == "__main__":
    main()
