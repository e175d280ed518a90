"""The `kavenegar` client made safe: time-outs, one session, scrubbed errors, and a hand to cut a call that hangs.

The stock client has no time-out at all, puts the key into its errors and loses the return code.
"""

from __future__ import annotations

import json
import logging
import threading
from typing import Any

import requests
from kavenegar import KavenegarAPI
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPSConnection
from urllib3.connectionpool import HTTPSConnectionPool

from sms.providers.base import Ambiguous, ProviderDown

TIMES = (3.0, 10.0)  # seconds to connect, between two reads
MOST = 8 << 20  # octets of an answer
_current = threading.local()


def _without_addresses(record: logging.LogRecord) -> bool:
    """The key stands in the path, and urllib3 writes each path down when it debugs."""
    return record.levelno > logging.DEBUG


logging.getLogger("urllib3.connectionpool").addFilter(_without_addresses)


class Line:
    """The call a thread has under way; `cut` shuts its socket from outside, for drips that no time-out ends."""

    def __init__(self) -> None:
        self.connection: HTTPSConnection | None = None
        self.cut_off = False

    def cut(self) -> None:
        self.cut_off = True
        sock = getattr(self.connection, "sock", None)
        if sock is not None:
            try:
                sock.shutdown(2)
            except OSError:
                return  # it ended by itself meanwhile


class _Connection(HTTPSConnection):
    def request(self, *args: Any, **kwargs: Any) -> None:
        line: Line | None = getattr(_current, "line", None)
        if line is not None:
            line.connection = self
        super().request(*args, **kwargs)


class _Pool(HTTPSConnectionPool):
    ConnectionCls = _Connection


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"https": _Pool}


class Client(KavenegarAPI):  # type: ignore[misc]
    """Used from threads: `under(line)` first, then any method of the stock client. Answers `(status, entries)`."""

    def __init__(self, key: str, host: str, ca_file: str | None, workers: int, proxy: str | None = None) -> None:
        super().__init__(key)
        self.host = host
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = ca_file or True
        if proxy is not None:
            self.session.proxies = {"https": proxy}
        self.session.mount("https://", _Adapter(pool_connections=1, pool_maxsize=workers, max_retries=0))

    def __repr__(self) -> str:
        return "Client(kavenegar)"

    __str__ = __repr__

    def ask(self, scope: str, method: str, form: dict[str, Any]) -> tuple[int, Any]:
        """Any method, by the stock client's own name where it has one."""
        return self._request(scope, method, form)

    def close(self) -> None:
        """Drop all connections."""
        self.session.close()

    def _request(self, action: str, method: str, params: dict[str, Any] | None = None) -> tuple[int, Any]:
        """POST a form; the return code stands in the body *and* as HTTP status, so the body is read first."""
        url = f"https://{self.host}/{self.version}/{self.apikey}/{action}/{method}.json"
        answer = self._post(url, params or {})
        try:
            body = json.loads(answer)
            return int(body["return"]["status"]), body.get("entries")
        except (ValueError, KeyError, TypeError):
            raise Ambiguous("unreadable answer") from None

    def _post(self, url: str, form: dict[str, Any]) -> bytes:
        try:
            with self.session.post(url, headers=self.headers, data=form, timeout=TIMES, stream=True) as response:
                self.session.cookies.clear()
                return _body(response)
        except (requests.exceptions.ConnectTimeout, requests.exceptions.SSLError):
            raise ProviderDown("no connection") from None
        except requests.exceptions.ConnectionError as e:
            raise (ProviderDown("no connection") if _never_left(e) else Ambiguous("connection lost")) from None
        except requests.exceptions.RequestException:
            raise Ambiguous("no answer") from None


def _body(response: requests.Response) -> bytes:
    taken = b""
    for piece in response.iter_content(65536):
        taken += piece
        if len(taken) > MOST:
            raise Ambiguous("answer too long")
    return taken


def _never_left(error: requests.exceptions.ConnectionError) -> bool:
    """Was the request certainly not sent? Name resolution, refusal and TLS fail before the first octet."""
    text = repr(error)
    return "NewConnectionError" in text or "NameResolutionError" in text or "SSLError" in text


def under(line: Line) -> None:
    """From now on this thread's calls can be cut through `line`."""
    _current.line = line
