"""Which kind of line a table of the settings asks for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ivr.settings import AnyLine, Extension
from ivr.sip.wire import MediaPlane

if TYPE_CHECKING:
    from ivr.sip.line import SipLine
    from ivr.sip.pyvoip_line import ExtensionLine


def open_line(
    reactor: Any,
    name: str,
    settings: AnyLine,
    plane: MediaPlane,
    on_call: Callable[[Any], None],
    is_busy: Callable[[], bool],
) -> SipLine | ExtensionLine:
    """A line that listens. Raises OSError or ValueError with a sentence naming the setting."""
    made: SipLine | ExtensionLine = _kind(name, settings)(reactor, name, settings, plane, on_call, is_busy=is_busy)
    made.start()
    return made


def _kind(name: str, settings: AnyLine) -> Any:
    if not isinstance(settings, Extension):
        from ivr.sip.line import SipLine  # imports the reactor

        return SipLine
    try:
        from ivr.sip.pyvoip_line import ExtensionLine
    except ModuleNotFoundError:
        raise ValueError(f"phone.line.{name}.kind: pyVoIP is not installed; install pasokh[pyvoip]") from None
    return ExtensionLine
