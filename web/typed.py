"""The typed layer of the API: an operation takes a Call and a Struct and gives a Struct; OpenAPI 3.1 comes of it."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_type_hints

import msgspec
from aiohttp import web

from core import permissions
from core.errors import NotFound
from core.views import Actor
from web import auth, csrf, problem
from web.auth import Access, By
from web.routes import Route
from web.uploads import octets
from web.visit import Visit

JSON = ("application/json",)
TokenOwner = Callable[[Visit, str], Awaitable[Actor | None]]


@dataclass(frozen=True, slots=True)
class Call:
    """One call of an operation: the visit, whose token it was, the parts of the path, the query."""

    visit: Visit
    actor: Actor | None
    path: Mapping[str, str]
    query: Mapping[str, str]


class Refused(Exception):
    """An operation's own refusal: status, stable code, fault words by field."""

    def __init__(self, status: int, code: str = "", errors: Mapping[str, str] | None = None, wait: float = 0) -> None:
        super().__init__(code)
        self.status, self.code, self.errors = status, code, dict(errors or {})
        self.wait = wait


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter of the query or a header."""

    name: str
    where: str  #: query or header
    about: str
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})


@dataclass(frozen=True, slots=True)
class Operation:
    """One line of the API."""

    method: str
    path: str
    view: Callable[..., Awaitable[Any]]
    access: Access
    status: int
    errors: Sequence[int]
    params: Sequence[Param]
    body: type[msgspec.Struct] | None
    result: Any


@dataclass(slots=True)
class Api:
    """Collects operations, mounts them, describes them."""

    title: str
    version: str
    owner: TokenOwner
    operations: list[Operation] = field(default_factory=list)

    def op(
        self,
        method: str,
        path: str,
        *,
        access: Access,
        status: int = 200,
        errors: Sequence[int] = (),
        params: Sequence[Param] = (),
    ) -> Callable[[Callable[..., Awaitable[Any]]], Callable[..., Awaitable[Any]]]:
        """Register `async def view(call[, body: Struct]) -> Struct`; its annotations are the schema."""

        def keep(view: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
            hints = get_type_hints(view)
            names = list(inspect.signature(view).parameters)
            body = hints[names[1]] if len(names) > 1 else None
            self.operations.append(Operation(method, path, view, access, status, errors, params, body, hints["return"]))
            return view

        return keep

    def routes(self, prefix: str) -> list[Route]:
        """The operations below `prefix`, as routes."""
        return [Route(op.method, prefix + op.path, self._view(op), op.access) for op in self.operations]

    def spec(self, prefix: str) -> dict[str, Any]:
        """The OpenAPI 3.1 document."""
        kinds = [kind for op in self.operations for kind in (op.body, op.result) if kind is not None]
        schemas, parts = msgspec.json.schema_components(
            [*kinds, problem.Problem], ref_template="#/components/schemas/{name}"
        )
        known = dict(zip([*kinds, problem.Problem], schemas, strict=True))
        paths: dict[str, dict[str, Any]] = {}
        for op in self.operations:
            paths.setdefault(prefix + op.path, {})[op.method.lower()] = _describe(op, known)
        return {
            "openapi": "3.1.0",
            "info": {"title": self.title, "version": self.version, "license": {"name": "AGPL-3.0-or-later"}},
            "paths": paths,
            "components": {"schemas": parts, "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        }

    def _view(self, op: Operation) -> Callable[[Visit], Awaitable[web.StreamResponse]]:
        async def view(visit: Visit) -> web.StreamResponse:
            try:
                return await self._call(op, visit)
            except Refused as no:
                headers = {"Retry-After": str(int(no.wait) + 1)} if no.wait else {}
                if no.status == 401:
                    headers["WWW-Authenticate"] = "Bearer"
                return problem.response(no.status, no.code, errors=no.errors, headers=headers)

        return view

    async def _call(self, op: Operation, visit: Visit) -> web.StreamResponse:
        actor = await self._actor(op, visit)
        call = Call(visit, actor, dict(visit.request.match_info), dict(visit.request.query))
        result = await (op.view(call, await _body(op, visit)) if op.body is not None else op.view(call))
        return web.Response(body=msgspec.json.encode(result), status=op.status, content_type="application/json")

    async def _actor(self, op: Operation, visit: Visit) -> Actor | None:
        if op.access.by is not By.TOKEN:
            if visit.request.cookies and auth.origin(visit.request, csrf.origins(visit)) is not auth.Origin.OURS:
                raise Refused(403, "csrf")
            return None
        given = auth.bearer(visit.request)
        actor = await self.owner(visit, given) if given else None
        if actor is None:
            raise Refused(401)
        if op.access.scope and actor.scopes is not None and op.access.scope not in actor.scopes:
            raise Refused(403, "scope")
        return actor


async def _body(op: Operation, visit: Visit) -> Any:
    request = visit.request
    if request.content_type not in JSON:
        raise Refused(415)
    raw = await octets(request)
    try:
        plain = whole(msgspec.json.decode(raw))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise Refused(400) from fault
    if not isinstance(plain, dict):
        raise Refused(400)
    try:
        return msgspec.convert(plain, op.body)
    except msgspec.ValidationError as fault:
        raise Refused(422, "rule", _named(str(fault))) from fault


def whole(value: Any) -> Any:
    """`3.0` is an integer to JSON Schema: whole numbers written with a point become integers."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [whole(one) for one in value]
    if isinstance(value, dict):
        return {name: whole(one) for name, one in value.items()}
    return value


def _named(fault: str) -> dict[str, str]:
    """msgspec's sentence as field → word: the path behind `$.`, or the field it says is missing."""
    if "missing required field" in fault:
        return {fault.split("`")[1]: "empty"}
    if "unknown field" in fault:
        return {fault.split("`")[1]: "unknown"}
    where = fault.rsplit("`$.", 1)[-1].rstrip("`") if "`$." in fault else "body"
    return {where: "shape"}


def _describe(op: Operation, known: Mapping[Any, Any]) -> dict[str, Any]:
    summary = (inspect.getdoc(op.view) or "").split("\n", 1)[0]
    answer: dict[str, Any] = {
        str(op.status): {"description": summary, "content": {"application/json": {"schema": known[op.result]}}}
    }
    failure = {"schema": known[problem.Problem]}
    for status in sorted(
        {400, 405, 413, 415, 429, 500, 503, *op.errors} if op.body else {405, 429, 500, 503, *op.errors}
    ):
        answer[str(status)] = {
            "description": problem.TITLES[status],
            "content": {"application/problem+json": failure},
        }
    described: dict[str, Any] = {"summary": summary, "operationId": op.view.__name__, "responses": answer}
    if op.params or "{" in op.path:
        described["parameters"] = [*_path_params(op.path), *map(_param, op.params)]
    if op.body is not None:
        described["requestBody"] = {"required": True, "content": {"application/json": {"schema": known[op.body]}}}
    if op.access.by is By.TOKEN:
        described["security"] = [{"token": []}]
    return described


def _path_params(path: str) -> list[dict[str, Any]]:
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]


def _param(param: Param) -> dict[str, Any]:
    return {"name": param.name, "in": param.where, "description": param.about, "schema": dict(param.schema)}


def ticket_id(call: Call) -> int:
    """The number in the path; anything else is no ticket."""
    text = call.path["id"]
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise NotFound
    return int(text)


def allowed(call: Call, permission: str) -> None:
    """Raises Refused(403) unless the token's owner holds `permission` somewhere."""
    rights = call.visit.site.agency.rights
    if call.actor is None or not permissions.units_of(call.actor, permission, rights, assigned=True):
        raise Refused(403)
