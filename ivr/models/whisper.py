"""Transcription by faster-whisper: `python -m ivr.models.whisper FOLDER`. Not heard with a real model here."""

from __future__ import annotations

import io
import sys

from ivr.models import pipe


def main(model: str) -> int:
    """Load the model from its folder, never from the net, and write down what is spoken."""
    from faster_whisper import WhisperModel

    loaded = WhisperModel(model, device="cpu", compute_type="int8", local_files_only=True)

    def hear(lang: str, sound: bytes) -> bytes:
        parts, _ = loaded.transcribe(io.BytesIO(sound), language=lang or None)
        return " ".join(part.text.strip() for part in parts).encode()

    return pipe.serve("hear", hear)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
