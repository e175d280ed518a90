"""Following a ticket: its state for the code; with a second proof its words, and what the citizen may do."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from aiohttp import web

from core.channels import Act, Answer, Asker, Inbound
from core.errors import Guarded, Locked, NotFound, WrongInput, WrongState
from web import auth, files, forms
from web.forms import Bad, Choice, Code, Proof, Text, Word
from web.portal.new import files_of
from web.visit import Visit

PASS_LIFE = 30 * 60 * 1000  # ms a proof need not be typed again
LENGTHS = {Act.ADD: (1, 5000), Act.OBJECT: (5, 2000)}


@dataclass(frozen=True, slots=True)
class Look:
    """The tracking form."""

    code: Annotated[str, Code()]
    proof: Annotated[str | None, Proof()] = None


@dataclass(frozen=True, slots=True)
class Deed:
    """What a citizen does with a ticket."""

    act: Annotated[str, Choice(("add", "accept", "object", "withdraw"))]
    ref: Annotated[str, Word(64)]
    text: Annotated[str, Text(5000)] = ""


async def show(visit: Visit) -> web.StreamResponse:
    """The empty form."""
    return _form(visit, {}, {}, 200)


async def look(visit: Visit) -> web.StreamResponse:
    """State for the code, contents with proof. An unknown code and a wrong proof get the same page."""
    read = forms.read(Look, visit.form)
    if isinstance(read, Bad):
        return _form(visit, read.echo, read.errors, 422)
    try:
        answer = await _ask(visit, read.code, read.proof)
    except Locked as locked:
        return _waiting(_form(visit, forms.echo(Look, visit.form), {"form": "locked"}, 429), locked)
    if answer is None or (read.proof and not answer.proven):
        return _form(visit, forms.echo(Look, visit.form), {"form": "not_found"}, 422)
    return _ticket(visit, answer, read.proof)


async def act(visit: Visit) -> web.StreamResponse:
    """Add, accept, object or withdraw, with the pass of a page where proof was given."""
    opened = visit.site.signer.fresh("pass", visit.form.get("pass"), visit.now(), PASS_LIFE)
    if opened is None:
        return _form(visit, {}, {"form": "pass"}, 422, words=visit.form.get("text"))
    code, proof = opened.value
    answer = await _ask(visit, code, proof)
    if answer is None or not answer.proven:
        return _form(visit, {}, {"form": "not_found"}, 422, words=visit.form.get("text"))
    read = forms.read(Deed, visit.form)
    errors = dict(read.errors) if isinstance(read, Bad) else _rules(visit, read)
    if errors or isinstance(read, Bad):
        return _ticket(visit, answer, proof, 422, errors=errors)
    return await _do(visit, read, answer, proof)


async def file(visit: Visit) -> web.StreamResponse:
    """A file of the ticket, for the holder of a pass."""
    opened = visit.site.signer.fresh("pass", visit.form.get("pass"), visit.now(), PASS_LIFE)
    if opened is None:
        return _form(visit, {}, {"form": "pass"}, 422)
    answer = await _ask(visit, *opened.value)
    wanted = visit.form.get("key")
    kept = next((one for word in (answer.words if answer else ()) for one in word.files if one.key == wanted), None)
    if kept is None:
        raise web.HTTPNotFound
    return await files.serve(visit, kept)


async def _do(visit: Visit, deed: Deed, answer: Answer, proof: str) -> web.StreamResponse:
    message = Inbound(
        channel="web",
        ref=deed.ref,
        text=deed.text,
        act=Act(deed.act),
        code=answer.code,
        proof=proof,
        lang=visit.lang,
        files=files_of(visit) if deed.act == "add" else (),
    )
    try:
        await visit.parts.door.take(message)
    except (WrongState, Guarded) as no:
        return _ticket(visit, answer, proof, 409, errors={deed.act: no.word})
    except WrongInput as wrong:
        return _ticket(visit, answer, proof, 422, errors={"text": wrong.word})
    except NotFound:
        return _form(visit, {}, {"form": "not_found"}, 422, words=deed.text)
    after = await _ask(visit, answer.code, proof)
    return _ticket(visit, after or answer, proof, done=deed.act)


async def _ask(visit: Visit, code: str, proof: str | None) -> Answer | None:
    asker = Asker("web", auth.bucket(visit.peer), proof=proof)
    return await visit.parts.door.answer_for(code, asker)


def _rules(visit: Visit, deed: Deed) -> dict[str, str]:
    low, high = LENGTHS.get(Act(deed.act), (0, 5000))
    if visit.form.faults:
        return {"files": visit.form.faults[0]}
    if len(deed.text) < low and not (deed.act == "add" and visit.form.files):
        return {deed.act: "short" if deed.text else "empty"}
    return {deed.act: "long"} if len(deed.text) > high else {}


def _ticket(
    visit: Visit,
    answer: Answer,
    proof: str | None,
    status: int = 200,
    errors: Mapping[str, str] | None = None,
    done: str = "",
) -> web.Response:
    token = visit.site.signer.sign("pass", [answer.code, proof], visit.now()) if answer.proven else ""
    return visit.page(
        "portal/ticket.html",
        status,
        answer=answer,
        token=token,
        ref=secrets.token_hex(16) if not errors else visit.form.get("ref") or secrets.token_hex(16),
        errors=errors or {},
        done=done,
        tried=visit.form.get("act"),
        words=visit.form.get("text") if errors else "",
        can=sorted(answer.can),
    )


def _form(
    visit: Visit, values: Mapping[str, str], errors: Mapping[str, str], status: int, words: str = ""
) -> web.Response:
    return visit.page("portal/track.html", status, values=values, errors=errors, words=words)


def _waiting(response: web.Response, locked: Locked) -> web.Response:
    response.headers["Retry-After"] = str(round(locked.after) + 1)
    return response
