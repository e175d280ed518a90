"""The voice of a language: a model's where the settings name one and it answers, else espeak-ng's. Kept alike."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from ivr.child import Child, NoAnswer
from ivr.leg import Run
from ivr.media import g711
from ivr.speech import Speech, level

log = logging.getLogger(__name__)


PROGRAM = "ivr.models.piper"


class Voices:
    """Says texts (`ivr.sounds.Speaking`). `models`: language → its model, and a name that changes with it."""

    def __init__(self, speech: Speech, models: Mapping[str, tuple[Child, str]]) -> None:
        self._speech, self._models = speech, models

    async def say(self, text: str, lang: str, keep: bool = True) -> Run:
        """`text` as whole frames. Raises NoVoice where neither model nor espeak-ng can say it."""
        if lang not in self._models or not text.strip():
            return await self._speech.say(text, lang, keep)
        child, name = self._models[lang]
        kept = await self._speech.kept(text, name) if keep else None
        if kept is not None:
            return kept
        try:
            run = await asyncio.to_thread(_framed, await child.ask("say", lang, text.encode()))
        except (NoAnswer, g711.NotSound):
            log.warning("speech model did not answer; espeak-ng speaks", extra={"lang": lang})
            return await self._speech.say(text, lang, keep)
        if keep:
            await self._speech.keep(text, name, run)
        return run

    async def close(self) -> None:
        """End the models."""
        for child, _ in self._models.values():
            await child.close()


def _framed(wav: bytes) -> Run:
    return g711.frames(level(g711.read_wav(wav)))
