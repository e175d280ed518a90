"""Speech by a piper voice: `python -m ivr.models.piper VOICE.onnx`. Not heard with a real voice here."""

from __future__ import annotations

import io
import sys
import wave

from ivr.models import pipe


def main(model: str) -> int:
    """Load the voice and say what is asked, as WAV of 16 bits at the voice's own rate."""
    from piper import PiperVoice

    voice = PiperVoice.load(model)

    def say(lang: str, text: bytes) -> bytes:
        sound = io.BytesIO()
        with wave.open(sound, "wb") as file:
            voice.synthesize_wav(text.decode(), file)
        return sound.getvalue()

    return pipe.serve("say", say)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
