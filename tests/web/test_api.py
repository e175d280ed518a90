"""The API: typed in, typed out, errors with a stable code, one description of it all."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_asyncio

from core import codes, people
from tests.web.conftest import Site

TEXT = "چراغ کوچهٔ هشتم خاموش است."


@pytest_asyncio.fixture
async def token(site: Site) -> str:
    """The director's, with all that a program may."""
    return await people.add_token(site.store, "director", ["tickets.read", "tickets.write", "contents"])


async def call(site: Site, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any, Any]:
    answer = await site.client.request(method, "/api/v1" + path, json=body, headers=headers)
    return answer.status, await answer.json(content_type=None), answer.headers


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def create(site: Site, **more: Any) -> dict[str, Any]:
    status, made, _ = await call(site, "POST", "/tickets", {"kind": "request", "text": TEXT} | more)
    assert status == 201, made
    return dict(made)


async def test_a_ticket_is_made_tracked_answered_and_read(site: Site, token: str):
    made = await create(site)
    assert codes.ok(made["code"])
    status, page, _ = await call(site, "GET", "/tickets?view=all", **bearer(token))
    assert status == 200
    number, version = page["tickets"][0]["id"], page["tickets"][0]["version"]
    status, sent, _ = await call(
        site, "POST", f"/tickets/{number}/messages", {"text": "فردا درست می‌شود.", "version": version}, **bearer(token)
    )
    assert status == 201, sent
    status, shown, _ = await call(site, "POST", "/track", {"code": made["code"]})
    assert (status, shown["state"], shown["messages"]) == (200, "answered", [])
    status, whole, _ = await call(site, "POST", "/track", {"code": made["code"], "proof": made["pin"]})
    assert [one["text"] for one in whole["messages"]] == [TEXT, "فردا درست می‌شود."]
    status, read, _ = await call(site, "GET", f"/tickets/{number}", **bearer(token))
    assert (status, read["state"]) == (200, "answered")


async def test_an_idempotency_key_gets_the_first_receipt(site: Site):
    body = {"kind": "request", "text": TEXT}
    first = await call(site, "POST", "/tickets", body, **{"Idempotency-Key": "k1"})
    again = await call(site, "POST", "/tickets", body, **{"Idempotency-Key": "k1"})
    assert first[1]["code"] == again[1]["code"]
    assert (first[1]["first"], again[1]["first"]) == (True, False)


async def test_who_guesses_an_idempotency_key_is_told_nobody_elses_code_and_pin(site: Site):
    mine = await call(site, "POST", "/tickets", {"kind": "request", "text": TEXT}, **{"Idempotency-Key": "1"})
    other = await call(site, "POST", "/tickets", {"kind": "request", "text": "سخنی دیگر"}, **{"Idempotency-Key": "1"})
    assert other[0] == 201
    assert (other[1]["first"], other[1]["same_id"]) == (True, False)
    assert other[1]["code"] != mine[1]["code"]


@pytest.mark.parametrize(
    ("body", "status", "code", "field"),
    [
        ({"kind": "request"}, 422, "rule", "text"),
        ({"kind": "misconduct", "text": TEXT}, 422, "rule", "kind"),
        ({"kind": "request", "text": 5}, 422, "rule", "text"),
        ({"kind": "request", "text": "آب"}, 422, "rule", "text"),
        ({"kind": "request", "text": TEXT, "colour": "red"}, 422, "rule", "colour"),
        ({"kind": "request", "text": TEXT, "answer_by": "sms"}, 422, "rule", "phone"),
        ({"kind": "request", "text": TEXT, "phone": "خانه"}, 422, "rule", "phone"),
        ({"kind": "request", "text": TEXT, "unit": "no-such-unit"}, 422, "rule", "unit"),
        ([1, 2], 400, "shape", None),
    ],
)
async def test_wrong_bodies_are_problems_that_name_the_field(
    site: Site, body: Any, status: int, code: str, field: str | None
):
    got, problem, headers = await call(site, "POST", "/tickets", body)
    assert (got, problem["code"]) == (status, code)
    assert headers["Content-Type"].startswith("application/problem+json")
    assert field is None or field in problem["errors"]


async def test_what_is_no_json_is_400_and_another_type_415_and_a_big_one_413(site: Site):
    async def post(data: bytes, kind: str) -> int:
        return (await site.client.post("/api/v1/tickets", data=data, headers={"Content-Type": kind})).status

    assert await post(b"{", "application/json") == 400
    assert await post(b"\xff\xfe", "application/json") == 400
    assert await post(b"[" * 50_000, "application/json") == 400
    assert await post(b"a=b", "text/plain") == 415
    assert await post(b'{"text": "' + b"x" * 66_000 + b'"}', "application/json") == 413


async def test_a_wrong_method_is_405_and_says_which_are_right(site: Site):
    status, problem, headers = await call(site, "DELETE", "/tickets")
    assert (status, problem["code"]) == (405, "method")
    assert "POST" in headers["Allow"]


async def test_tokens_are_asked_for_and_their_scopes_hold(site: Site):
    assert (await call(site, "GET", "/tickets"))[0] == 401
    assert (await call(site, "GET", "/tickets", **bearer("pk_wrong")))[0] == 401
    reader = await people.add_token(site.store, "director", ["tickets.read"])
    made = await create(site)
    path = f"/tickets/{made['id']}/messages"
    status, problem, _ = await call(site, "POST", path, {"text": "سلام", "version": 1}, **bearer(reader))
    assert (status, problem["code"]) == (403, "scope")


async def test_another_units_ticket_is_404_and_a_stale_version_409(site: Site, token: str):
    made = await create(site, unit="public-relations")
    stranger = await people.add_token(site.store, "desk", ["tickets.read", "tickets.write"])
    assert (await call(site, "GET", f"/tickets/{made['id']}", **bearer(stranger)))[0] == 404
    assert (await call(site, "GET", "/tickets/0x1", **bearer(token)))[0] == 404
    path = f"/tickets/{made['id']}/messages"
    status, problem, _ = await call(site, "POST", path, {"text": "سلام", "version": 99}, **bearer(token))
    assert (status, problem["code"]) == (409, "stale")


async def test_a_whole_number_with_a_point_is_an_integer(site: Site, token: str):
    made = await create(site)
    _, page, _ = await call(site, "GET", f"/tickets/{made['id']}", **bearer(token))
    data = b'{"text": "\xd8\xb3\xd9\x84\xd8\xa7\xd9\x85", "way": "note", "version": %d.0}' % page["version"]
    answer = await site.client.post(
        f"/api/v1/tickets/{made['id']}/messages",
        data=data,
        headers={"Content-Type": "application/json"} | bearer(token),
    )
    assert answer.status == 201


async def test_an_unknown_code_is_404_a_broken_one_422(site: Site):
    assert (await call(site, "POST", "/track", {"code": codes.new()}))[0] == 404
    status, problem, _ = await call(site, "POST", "/track", {"code": "12345678900"})
    assert (status, problem["errors"]) == (422, {"code": "check"})


async def test_too_many_calls_a_minute_are_429_with_a_time(site: Site, token: str):
    statuses = []
    for _ in range(601):
        status, _, headers = await call(site, "GET", "/tickets?limit=1", **bearer(token))
        statuses.append(status)
    assert statuses[:600] == [200] * 600
    assert statuses[600] == 429
    assert int(headers["Retry-After"]) >= 1


async def test_the_description_names_every_operation_twice(site: Site):
    spec = await (await site.client.get("/openapi.json")).json()
    assert spec == await (await site.client.get("/api/v1/openapi.json")).json()
    assert spec["openapi"].startswith("3.1")
    assert set(spec["paths"]) == {
        "/api/v1/tickets", "/api/v1/track", "/api/v1/tickets/{id}", "/api/v1/tickets/{id}/messages",
        "/api/v1/tickets/{id}/drafts", "/api/v1/tickets/{id}/approval",
    }  # fmt: skip
    for path in spec["paths"].values():
        for operation in path.values():
            assert operation["summary"]
            for name, answer in operation["responses"].items():
                assert int(name) < 400 or "application/problem+json" in answer["content"]
