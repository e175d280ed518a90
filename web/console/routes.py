"""The console's route table."""

from __future__ import annotations

from core.permissions import Permission
from web.auth import PUBLIC, SIGNED_IN, session
from web.console import (
    approvals,
    deeds,
    home,
    letters,
    lines,
    mail,
    me,
    notice,
    operators,
    out,
    phone,
    prompts,
    queue,
    signin,
    ticket,
    walkin,
)
from web.routes import Route, get, post
from web.uploads import Limits

READ = session(Permission.READ)
FILES = Limits(many=10)

SETTINGS = session(Permission.SETTINGS)

ROUTES: list[Route] = [
    get("/console/login", signin.show, PUBLIC),
    post("/console/login", signin.enter, PUBLIC),
    post("/console/login/second", signin.second, PUBLIC),
    get("/console/me", me.show, SIGNED_IN),
    post("/console/me/factor", me.begin, SIGNED_IN),
    post("/console/me/confirm", me.confirm, SIGNED_IN),
    post("/console/logout", signin.leave, SIGNED_IN),
    get("/console", home.show, SIGNED_IN),
    get("/console/", home.show, SIGNED_IN),
    get("/console/queue", queue.show, READ),
    get("/console/find", queue.find, READ),
    get("/console/approvals", approvals.show, session(Permission.APPROVE)),
    get("/console/new", walkin.show, session(Permission.WALK_IN)),
    post("/console/new", walkin.send, session(Permission.WALK_IN), Limits()),
    get("/console/out", out.show, READ),
    post("/console/out/{row:[0-9]{1,18}}/resend", out.resend, session(Permission.REPLY)),
    post("/console/out/{row:[0-9]{1,18}}/by-hand", out.by_hand, session(Permission.REPLY)),
    get("/console/lines", lines.show, SETTINGS),
    post("/console/lines/{channel:[a-z]+}/{line}/pause", lines.pause, SETTINGS),
    post("/console/lines/{channel:[a-z]+}/{line}/resume", lines.resume, SETTINGS),
    get("/console/mail", mail.show, SETTINGS),
    post("/console/mail/{line}/trial", mail.trial, SETTINGS),
    get("/console/phone", phone.show, SETTINGS),
    post("/console/phone/reload", phone.reload, SETTINGS),
    get("/console/phone/menu/{name}", phone.menu, SETTINGS),
    get("/console/phone/simulator", phone.simulator, SETTINGS),
    get("/console/phone/prompts", prompts.show, SETTINGS),
    post("/console/phone/prompts", prompts.permit, SETTINGS),
    post("/console/phone/prompts/withdraw", prompts.withdraw, SETTINGS),
    get("/console/phone/sound/{lang}/{key}", prompts.sound, SETTINGS),
    get("/console/phone/calls", phone.calls, session(Permission.CALLS)),
    get("/console/phone/operators", operators.show, session(Permission.CALLS)),
    post("/console/phone/operators", operators.change, session(Permission.CALLS)),
    post("/console/phone/operators/pass", operators.pass_on, session(Permission.CALLS)),
    post("/console/phone/operators/listen", operators.listen, session(Permission.LISTEN)),
    post("/console/phone/operators/whisper", operators.whisper, session(Permission.WHISPER)),
    get("/console/phone/notice", notice.show, session(Permission.NOTICES)),
    post("/console/phone/notice", notice.announce, session(Permission.NOTICES)),
    post("/console/phone/mended", notice.mended, session(Permission.NOTICES)),
    get("/console/letters", letters.show, READ),
    get("/console/unreadable", letters.unreadable, READ),
    get("/console/letters/{id:[0-9]{1,18}}/raw", letters.raw, READ),
    post("/console/letters/{id:[0-9]{1,18}}/accept", letters.accept, session(Permission.REPLY)),
    post("/console/letters/{id:[0-9]{1,18}}/split", letters.split, session(Permission.SPLIT)),
    post("/console/letters/{id:[0-9]{1,18}}/receipt", letters.receipt, session(Permission.REPLY)),
    post("/console/letters/{id:[0-9]{1,18}}/retry", letters.retry, session(Permission.NOTE)),
    get("/console/letters/listed/{id:[0-9]{1,18}}/raw", letters.loose_raw, session(Permission.REVIEW)),
    post("/console/letters/listed/{id:[0-9]{1,18}}/take", letters.take_up, session(Permission.REVIEW)),
    get("/console/file/{key}", ticket.file, READ),
    get("/console/t/{id:[0-9]{1,18}}", ticket.show, READ),
    get("/console/t/{id:[0-9]{1,18}}/slip", walkin.slip, session(Permission.WALK_IN)),
    post("/console/t/{id:[0-9]{1,18}}/reply", ticket.reply, READ, FILES),
    post("/console/t/{id:[0-9]{1,18}}/measure", ticket.measure, READ, FILES),
    post("/console/t/{id:[0-9]{1,18}}/unsend", ticket.unsend, READ),
    post("/console/t/{id:[0-9]{1,18}}/{deed:[a-z_]+}", deeds.do, READ),
]
