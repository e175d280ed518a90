"""The one loop: asyncio owns it (uvloop where installed), Twisted is its guest. Nothing else may install a reactor."""

from __future__ import annotations

import asyncio
import gc
from typing import Any


def new() -> asyncio.AbstractEventLoop:
    """A uvloop where it is installed, else asyncio's own."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


_guest: Any = None


def guest(loop: asyncio.AbstractEventLoop) -> Any:
    """Twisted's reactor on `loop`; once a process, so a second call returns the first."""
    global _guest
    if _guest is None:
        from twisted.internet import asyncioreactor

        asyncioreactor.install(loop)  # type: ignore[no-untyped-call]
        from twisted.internet import reactor

        reactor.startRunning(installSignalHandlers=False)
        _guest = reactor
    return _guest


def current() -> Any:
    """The guest, once there is one; None for those who only look at the configuration."""
    return _guest


def stop_guest() -> None:
    """Stop Twisted's threads; its ports are closed one by one by those who opened them.

    `fireSystemEvent("shutdown")` would stop the loop under `asyncio.run`, so it is not used.
    """
    if _guest is None:
        return
    pool = getattr(_guest, "threadpool", None)
    if pool is not None:
        pool.stop()


def freeze() -> None:
    """After start: a full collection over the imports would stall live calls by 60 ms."""
    gc.collect()
    gc.freeze()
