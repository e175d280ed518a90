"""Transcription by a vosk model: `python -m ivr.models.vosk FOLDER`. Not heard with a real model here."""

from __future__ import annotations

import io
import json
import sys
import wave

from ivr.models import pipe

BLOCK = 4000  # frames handed over at once


def main(model: str) -> int:
    """Load the model and write down what is spoken in WAV files of 16 bits, one channel."""
    from vosk import KaldiRecognizer, Model, SetLogLevel

    SetLogLevel(-1)
    loaded = Model(model)

    def hear(lang: str, sound: bytes) -> bytes:
        with wave.open(io.BytesIO(sound)) as file:
            ear = KaldiRecognizer(loaded, file.getframerate())
            heard = []
            while block := file.readframes(BLOCK):
                if ear.AcceptWaveform(block):
                    heard.append(json.loads(ear.Result()).get("text", ""))
        heard.append(json.loads(ear.FinalResult()).get("text", ""))
        return " ".join(filter(None, heard)).encode()

    return pipe.serve("hear", hear)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
