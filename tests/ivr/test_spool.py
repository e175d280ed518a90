"""The spool's own looks: whatever lies there, the recordings beside it are found."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from core.channels import Act
from ivr.spool import Note, Spool, message

NOTE = Note("a" * 32, 1, "main", number="+989120000001", asserted=True)


def laid(spool: Spool, note: Note) -> None:
    Path(spool.begin(note)).write_bytes(b"RIFF")


def test_a_recording_that_is_taken_while_one_looks_hides_no_other(tmp_path: Path):
    spool = Spool(tmp_path / "spool")
    laid(spool, NOTE)
    (spool.folder / "taken-1.wav").symlink_to("nowhere")  # listed, and gone when it is looked at
    assert spool.left() == [NOTE]


def test_a_note_with_words_nobody_knows_is_still_a_message_of_its_caller(tmp_path: Path):
    spool = Spool(tmp_path / "spool")
    laid(spool, replace(NOTE, act="follow", kind="nonsense", code="123", pin="1"))
    (found,) = spool.left()
    assert found == NOTE
    assert message(found, lambda key, lang, **facts: key, None).act is Act.NEW
    (spool.folder / f"{NOTE.ref}.json").write_text(json.dumps([1]))
    assert [one.call for one in spool.left()] == [NOTE.call]
