"""HTTP to providers from threads: time-outs, one session, errors without addresses, a hand to cut a call that hangs.

A time-out between two reads never ends a server that drips; so whoever waits shuts the socket after a deadline.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPSConnection
from urllib3.connectionpool import HTTPSConnectionPool

from sms.providers.base import Ambiguous, ProviderDown

T = TypeVar("T")

DEADLINE = 20.0  # seconds a whole call may take
CUT = 5.0  # seconds a cut call may still take to come back
TIMES = (3.0, 10.0)  # seconds to connect, between two reads
MOST = 8 << 20  # octets of an answer
_current = threading.local()


def _without_addresses(record: logging.LogRecord) -> bool:
    """The key stands in the path, and urllib3 writes each path down when it debugs."""
    return record.levelno > logging.DEBUG


def hush() -> None:
    """From now on no address is written down, whoever asks by `requests` in this process."""
    logging.getLogger("urllib3.connectionpool").addFilter(_without_addresses)


hush()


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


class Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"https": _Pool}


def session(ca_file: str | None, workers: int, proxy: str | None = None) -> requests.Session:
    """One session: no retries, nothing from the environment, as many connections as threads."""
    made = requests.Session()
    made.trust_env = False
    made.verify = ca_file or True
    if proxy is not None:
        made.proxies = {"https": proxy}
    made.mount("https://", Adapter(pool_connections=1, pool_maxsize=workers, max_retries=0))
    return made


def fetch(over: requests.Session, method: str, url: str, **more: Any) -> bytes:
    """The body of an answer, whatever its status. Raises ProviderDown when the request certainly never left,
    Ambiguous for anything else; neither tells the address."""
    try:
        with over.request(method, url, timeout=TIMES, stream=True, **more) as response:
            over.cookies.clear()
            return _body(response)
    except (requests.exceptions.ConnectTimeout, requests.exceptions.SSLError):
        raise ProviderDown("no connection") from None
    except requests.exceptions.ConnectionError as e:
        raise (ProviderDown("no connection") if _never_left(e) else Ambiguous("connection lost")) from None
    except requests.exceptions.RequestException:
        raise Ambiguous("no answer") from None


def as_json(body: bytes) -> Any:
    """A JSON answer. Raises Ambiguous when it is none."""
    try:
        return json.loads(body)
    except ValueError:
        raise Ambiguous("unreadable answer") from None


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


class Calls:
    """Calls in a small pool of threads, each cut off after the deadline."""

    def __init__(self, name: str, workers: int) -> None:
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix=f"sms-{name}")

    async def run(self, call: Callable[..., T], *args: Any, deadline: float | None = None) -> T:
        """`call(*args)` in a thread. Raises what it raises, and Ambiguous when it had to be cut."""
        line = Line()
        running = asyncio.get_running_loop().run_in_executor(self._pool, self._under, line, call, args)
        done, _ = await asyncio.wait({running}, timeout=DEADLINE if deadline is None else deadline)
        if not done:
            line.cut()
            await asyncio.wait({running}, timeout=CUT)
        if line.cut_off:
            running.add_done_callback(lambda f: f.cancelled() or f.exception())
            raise Ambiguous("no whole answer in time")
        return running.result()

    def _under(self, line: Line, call: Callable[..., T], args: tuple[Any, ...]) -> T:
        under(line)
        return call(*args)

    def stop(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
