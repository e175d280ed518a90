"""The model's end of the pipe: reads questions, gives them to a function, writes answers; ends with its input."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import BinaryIO

Answer = Callable[[str, bytes], bytes]  # language, what was asked → the answer


def serve(do: str, answer: Answer) -> int:
    """Answer questions of the kind `do` until the input ends. What the model prints goes to standard error."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return loop(sys.stdin.buffer, out, do, answer)


def loop(asked: BinaryIO, told: BinaryIO, do: str, answer: Answer) -> int:
    """The same over any two streams."""
    while line := asked.readline():
        head = json.loads(line)
        data = asked.read(int(head["bytes"]))
        try:
            if head.get("do") != do:
                raise ValueError(f"this model does {do} only")
            found, error = answer(str(head.get("lang", "")), data), ""
        except Exception as fault:  # noqa: BLE001 - one text it cannot say must not end the model
            found, error = b"", f"{type(fault).__name__}: {fault}"
        told.write(json.dumps({"bytes": len(found), "error": error}).encode() + b"\n" + found)
        told.flush()
    return 0
