"""An operator's place at the telephone: on duty, pause and its reason, who is ringing; leads listen and whisper."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from aiohttp import web

from core.permissions import Permission, allowed
from web import forms
from web.console.phone import telephone
from web.forms import Bad, Choice
from web.visit import Visit

REASONS = ("rest", "meal", "prayer", "meeting", "other")
PAGE = "/console/phone/operators"
AGAIN, TALKING = "5", "30"  # seconds till the page looks anew: for who waits; for who chooses where a caller goes


@dataclass(frozen=True, slots=True)
class Changed:
    """What the operator does now."""

    do: Annotated[str, Choice(("on", "pause", "off"))]
    reason: Annotated[str, Choice(REASONS)] = "other"


async def show(visit: Visit) -> web.StreamResponse:
    """One's own duty, who rings, colleagues and queues."""
    panel, login = telephone(visit), visit.actor.login
    desk = panel.operators
    mine = next((one for one in desk.duties() if one.login == login), None)
    page = visit.page(
        "console/operators.html",
        mine=mine, ringing=desk.pop_up(login), colleagues=[one for one in desk.duties() if one.login != login],
        waiting=[(_queue(visit, one), count) for one, count in desk.waiting().items()],
        reasons=REASONS, names=_names(visit),
        talks=lambda one: desk.pop_up(one) is not None, hears=lambda right, one: _hears(visit, right, one),
        nothing="none" in visit.request.query,
        places=[(place, _place(visit, place)) for place in desk.places()],
    )  # fmt: skip
    leads = visit.may(Permission.LISTEN) and any(one.duty != "off" for one in desk.duties())
    if leads or (mine is not None and mine.duty != "off"):
        page.headers["Refresh"] = TALKING if mine is not None and mine.duty == "talking" else AGAIN
    return page


async def change(visit: Visit) -> web.StreamResponse:
    """On duty, into a pause, off duty. A talk goes on to its end first."""
    read = forms.read(Changed, visit.form)
    if isinstance(read, Bad):
        raise web.HTTPUnprocessableEntity
    desk, login = telephone(visit).operators, visit.actor.login
    if read.do == "on":
        desk.come(login)
    elif read.do == "pause":
        desk.pause(login, read.reason)
    else:
        desk.go(login)
    raise web.HTTPSeeOther(PAGE)


async def pass_on(visit: Visit) -> web.StreamResponse:
    """Send the caller one talks with to a queue or a unit."""
    done = telephone(visit).operators.pass_on(visit.actor.login, visit.form.get("to"))
    raise web.HTTPSeeOther(PAGE if done else f"{PAGE}?none=1")


async def listen(visit: Visit) -> web.StreamResponse:
    """Have one's own telephone rung and hear a colleague's talk."""
    return await _listen(visit, whisper=False)


async def whisper(visit: Visit) -> web.StreamResponse:
    """The same, and be heard by the colleague alone."""
    return await _listen(visit, whisper=True)


async def _listen(visit: Visit, whisper: bool) -> web.StreamResponse:
    operator = visit.form.get("operator")
    if not _hears(visit, Permission.WHISPER if whisper else Permission.LISTEN, operator):
        raise web.HTTPForbidden
    done = telephone(visit).operators.listen(visit.actor.login, operator, whisper)
    raise web.HTTPSeeOther(PAGE if done else f"{PAGE}?none=1")


def _hears(visit: Visit, right: Permission, operator: str) -> bool:
    """A lead hears the operators of units they lead, nobody else's."""
    member = visit.parts.config.staff.get(operator)
    rights = visit.site.agency.rights
    return member is not None and allowed(visit.actor, right, member.unit, rights, now=visit.now())


def _place(visit: Visit, place: str) -> str:
    units = visit.parts.config.units
    if any(unit.slug == place for unit in units):
        return str(units.name(place, visit.lang))
    return _queue(visit, place)


def _queue(visit: Visit, name: str) -> str:
    return visit.t("console.phone.queue_named", name=telephone(visit).operators.roster.named(name, visit.lang))


def _names(visit: Visit) -> dict[str, str]:
    """Names of those who answer, in the page's language."""
    staff: Any = visit.parts.config.staff
    return {
        login: member.name.get(visit.lang) or next(iter(member.name.values()), login) for login, member in staff.items()
    }
