"""The `kavenegar` client made safe: time-outs, one session, scrubbed errors, and its return codes kept.

The stock client has no time-out at all, puts the key into its errors and loses the return code.
"""

from __future__ import annotations

from typing import Any

from kavenegar import KavenegarAPI

from sms.providers import wire
from sms.providers.base import Ambiguous


class Client(KavenegarAPI):  # type: ignore[misc]
    """Used from the threads of `wire.Calls`. Answers `(status, entries)` to any method of the stock client."""

    def __init__(self, key: str, host: str, ca_file: str | None, workers: int, proxy: str | None = None) -> None:
        super().__init__(key)
        self.host = host
        self.session = wire.session(ca_file, workers, proxy)

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
        body = wire.as_json(wire.fetch(self.session, "POST", url, headers=self.headers, data=params or {}))
        try:
            return int(body["return"]["status"]), body.get("entries")
        except (ValueError, KeyError, TypeError):
            raise Ambiguous("unreadable answer") from None
