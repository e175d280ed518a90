"""Answers by two persons: one writes and submits, another approves (then it goes out) or sends it back with a note.

What is approved is what was submitted, on the ticket as it was read: a word of the citizen meanwhile makes it stale.
Each raises NotFound, NotAllowed, Stale, WrongState, WrongInput, and Guarded("same_person") for one's own draft.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy import Connection, RowMapping

from core import drafts, replies
from core.access import actor, check, enter, may
from core.errors import NotAllowed, WrongInput, WrongState
from core.messages import write
from core.model import KeptFile, State, Way
from core.office import Office, of
from core.permissions import Permission
from core.replies import Words
from core.schema import file
from core.showing import kept
from core.states import move
from core.store import Store
from core.text import clean
from core.turn import turn
from core.views import Actor

LONGEST = 1000  # characters of a note with which a draft is sent back


async def submit(
    store: Store, who: Actor, number: int, version: int | None, text: str, channel: str | None = None,
    files: Sequence[KeptFile] = (), ref: str | None = None,
) -> int:  # fmt: skip
    """Write an answer that waits for a second person; returns the draft's id once it is on disk.

    The same (author, ref, text) again returns the first draft's id.
    """
    words = Words(replies.checked(text, files), channel, tuple(files), ref, "submit", None)
    return await store.write(_submit, of(store), who, number, version, words)


async def approve(store: Store, who: Actor, number: int, version: int | None) -> int:
    """Let the waiting answer go out, as it was submitted; returns the message's id. It can be taken back for ten
    seconds by `replies.unsend`, and waits again then."""
    return await store.write(_approve, of(store), who, number, version)


async def send_back(store: Store, who: Actor, number: int, version: int | None, text: str) -> int:
    """Back to its writer with a note (1 to 1,000 characters); returns the ticket's version."""
    text = clean(text).strip()
    if not 0 < len(text) <= LONGEST:
        raise WrongInput("text", "too_long" if text else "empty")
    return await store.write(_send_back, of(store), who, number, version, text)


async def take_back(store: Store, who: Actor, number: int, version: int | None) -> int:
    """The writer wants to write on; returns the ticket's version."""
    return await store.write(_take_back, of(store), who, number, version)


def _submit(s: Connection, office: Office, who: Actor, number: int, version: int | None, words: Words) -> int:
    row = enter(s, office, who, number)
    known, marks = replies.known_before(s, who, number, words)
    if known is not None:
        return known
    row = enter(s, office, who, number, version)
    check(office, who, row, "submit")
    move(State(row["state"]), "submit")
    drafts.another_person(s, row, who.staff)
    way = replies.way_out(s, row, words.channel, office.calls_back)[0]  # a way that leads nowhere is told now
    now = office.clock.now()
    draft, seq = write(
        s, row, now, way=Way.NOTE, channel=who.channel, author=who.staff, text=words.text, files=words.files,
        marks=[*marks, drafts.WAITS], meta={"channel": words.channel},
    )  # fmt: skip
    turn(
        s, row, "submit", actor(who), now, office.calendar(row["unit"]), data={"message": draft, "channel": way},
        text=words.text, changes={"seq": seq},
    )  # fmt: skip
    replies.remember(s, who, number, words, draft, now)
    return draft


def _approve(s: Connection, office: Office, who: Actor, number: int, version: int | None) -> int:
    row, draft = _entered(s, office, who, number, version, "reply")
    drafts.another_person(s, row, who.staff)
    words = Words(draft["text"], draft["meta"].get("channel"), _files(s, draft["id"]), None, "reply", None)
    drafts.settle(s, row, drafts.APPROVED)
    meta = {"author": draft["author"], "approved_by": who.staff, "draft": draft["id"]}
    return replies.deliver(s, office, who, row, words, (), draft["author"], meta)


def _send_back(s: Connection, office: Office, who: Actor, number: int, version: int | None, text: str) -> int:
    row, draft = _entered(s, office, who, number, version, "resume")
    now = office.clock.now()
    drafts.settle(s, row, drafts.RETURNED)
    note, seq = write(s, row, now, way=Way.NOTE, channel=who.channel, author=who.staff, text=text)
    turn(
        s, row, "resume", actor(who), now, office.calendar(row["unit"]), kind="send_back",
        data={"message": note, "draft": draft["id"]}, text=text, changes={"seq": seq, "assignee": draft["author"]},
    )  # fmt: skip
    return int(row["version"]) + 1


def _take_back(s: Connection, office: Office, who: Actor, number: int, version: int | None) -> int:
    row = enter(s, office, who, number, version)
    move(State(row["state"]), "resume")
    if row["state"] != State.APPROVAL:
        raise WrongState("nothing waits for approval")
    draft = drafts.waiting(s, number)
    if draft["author"] != who.staff or not may(office, who, Permission.SUBMIT, row):
        raise NotAllowed("take_back")
    drafts.settle(s, row, drafts.TAKEN_BACK)
    turn(
        s, row, "resume", actor(who), office.clock.now(), office.calendar(row["unit"]), kind="take_back",
        data={"draft": draft["id"]}, changes={"assignee": who.staff},
    )  # fmt: skip
    return int(row["version"]) + 1


def _entered(
    s: Connection, office: Office, who: Actor, number: int, version: int | None, event: str
) -> tuple[RowMapping, RowMapping]:
    """The locked ticket and the draft that waits on it, if `who` may decide about it."""
    row = enter(s, office, who, number, version)
    if row["state"] != State.APPROVAL:
        raise WrongState("nothing waits for approval")
    check(office, who, row, event)
    drafts.other_person(s, who, row)
    return row, drafts.waiting(s, number)


def _files(s: Connection, draft: int) -> tuple[KeptFile, ...]:
    ask = sa.select(file).where(file.c.message == draft, file.c.state == "kept").order_by(file.c.id)
    return tuple(kept(row) for row in s.execute(ask).mappings())
