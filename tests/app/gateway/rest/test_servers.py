"""Servers over REST."""

import asyncio
import json

import httpx
import pytest

from app.gateway.rest import Access
from app.protocol.calls import Caller

TIME = {"name": "time", "type": "uv", "package": "mcp-server-time"}


async def test_a_server_is_started_looked_at_and_stopped(api):
    made = await api.post("/servers?wait=5", json=TIME)
    assert (made.status_code, made.headers["location"]) == (201, "/servers/time")
    assert made.json()["phase"] == "ready"
    assert made.json()["tools"] == 2
    assert [server["id"] for server in (await api.get("/servers")).json()] == ["time"]
    assert (await api.get("/servers/time")).json()["package"] == "mcp-server-time@1"
    assert (await api.delete("/servers/time")).status_code == 204
    assert (await api.get("/servers")).json() == []


async def test_the_same_again_is_200_and_changes_nothing(api, yard):
    await api.post("/servers?wait=5", json=TIME)
    again = await api.post("/servers", json=TIME)
    assert (again.status_code, again.json()["phase"]) == (200, "ready")
    assert yard.launcher.started == ["time"]


async def test_another_spec_is_409_and_says_what_differs(api):
    await api.post("/servers", json=TIME)
    refused = await api.post("/servers", json={**TIME, "args": ["--local-timezone=UTC"]})
    assert (refused.status_code, refused.headers["content-type"]) == (409, "application/problem+json")
    assert refused.json()["problems"] == [
        {
            "field": "args",
            "value": "['--local-timezone=UTC']",
            "remedy": "was asked for, and nothing runs",
        }
    ]
    replaced = await api.post("/servers?wait=5", json={**TIME, "args": ["--local-timezone=UTC"], "replace": True})
    assert (replaced.status_code, replaced.json()["phase"]) == (200, "ready")


async def test_what_is_wrong_is_422_with_field_value_and_remedy(api):
    refused = await api.post("/servers", json={"name": "x", "port": "many", "typo": 1})
    assert refused.status_code == 422
    assert {found["field"] for found in refused.json()["problems"]} == {"port", "typo"}
    refused = await api.post("/servers", json={"name": "x", "package": "a b", "type": "npx"})
    assert refused.json()["problems"][0]["value"] == "'a b'"
    refused = await api.post("/servers", content=b"{", headers={"content-type": "application/json"})
    assert refused.status_code == 422


async def test_secrets_are_never_shown_back(api):
    secret = "hunter2-hunter2"
    given = {
        **TIME,
        "environment": {"API_KEY": secret},
        "args": ["--token", secret, f"--api-key={secret}", f"postgresql://u:{secret}@db/x"],
    }
    made = await api.post("/servers?wait=5", json=given)
    assert made.json()["spec"]["environment"] == {"API_KEY": "(hidden)"}
    for answer in (made, await api.get("/servers"), await api.post("/servers", json={**given, "args": []})):
        assert secret not in answer.text
    wrong = await api.post("/servers", json={**TIME, "environment": {"API_KEY": [secret]}})
    assert wrong.status_code == 422
    assert secret not in wrong.text


async def test_a_request_sent_twice_with_one_key_is_answered_once(api, yard):
    headers = {"idempotency-key": "k1"}
    first, second = await asyncio.gather(*(api.post("/servers", json=TIME, headers=headers) for _ in range(2)))
    assert (first.status_code, second.status_code) == (201, 201)
    other = await api.post("/servers", json={**TIME, "name": "other"}, headers=headers)
    assert other.status_code == 422
    assert "was used for another request" in other.json()["detail"]
    api.caller = Caller("bob")
    assert (await api.post("/servers", json={**TIME, "name": "other"}, headers=headers)).status_code == 201


async def test_a_change_is_waited_for(api, yard, until):
    yard.launcher.held.add("time")
    await api.post("/servers", json=TIME)
    await until(lambda: "time" in yard.launcher.running)
    made = (await api.get("/servers/time?wait=0.01")).json()
    assert made["phase"] == "starting"
    waiting = asyncio.create_task(api.get(f"/servers/time?after={made['revision']}&wait=5"))
    await asyncio.sleep(0)
    yard.launcher.say("time", "running")
    assert (await waiting).json()["revision"] > made["revision"]
    assert (await api.get("/servers/time?wait=5")).json()["phase"] == "ready"


async def test_an_unknown_server_is_404(api):
    for method, path in (
        ("GET", "/servers/none"),
        ("DELETE", "/servers/none"),
        ("GET", "/servers/none/logs"),
        ("GET", "/servers/none/logs?follow=true"),
        ("GET", "/servers/none/health"),
        ("GET", "/templates/none"),
    ):
        answer = await api.request(method, path)
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json"), path


async def test_the_protocol_of_a_server_that_is_not_served_is_told_in_words(api, yard, until):
    unknown = await api.post("/servers/none/mcp", json={})
    assert (unknown.status_code, "there is no server 'none'" in unknown.json()["detail"]) == (404, True)
    yard.launcher.held.add("time")
    await api.post("/servers", json=TIME)
    await until(lambda: "time" in yard.launcher.running)
    early = await api.post("/servers/time/mcp", json={})
    assert (early.status_code, early.json()["detail"]) == (503, "time is starting: try again once it is ready")


async def test_health_is_503_when_the_server_does_not_answer(api, yard):
    await api.post("/servers?wait=5", json=TIME)
    assert (await api.get("/servers/time/health")).json()["healthy"] is True
    yard.upstreams["time"][0].refusal = "it was lost"
    sick = await api.get("/servers/time/health")
    assert (sick.status_code, sick.json()["reason"]) == (503, "it was lost")


async def test_logs_are_read_and_followed(api, yard):
    await api.post("/servers?wait=5", json=TIME)
    yard.launcher.words["time"] = ["one", "two", "three"]
    assert (await api.get("/servers/time/logs?lines=2")).json() == {"id": "time", "lines": ["two", "three"]}
    followed = await api.get("/servers/time/logs?follow=true")
    assert followed.headers["content-type"].startswith("text/event-stream")
    data = [json.loads(line[6:]) for line in followed.text.splitlines() if line.startswith("data: ")]
    assert data == [{"line": "one"}, {"line": "two"}, {"line": "three"}, {}]


async def test_reading_and_changing_need_their_scopes(api):
    api.caller = Caller("reader", frozenset({"servers:read"}))
    refused = await api.post("/servers", json=TIME)
    assert (refused.status_code, "servers:write" in refused.json()["detail"]) == (403, True)
    assert (await api.get("/servers")).status_code == 200
    api.caller = Caller("writer", frozenset({"servers:write"}))
    assert (await api.post("/servers", json=TIME)).status_code == 201
    assert (await api.get("/servers")).status_code == 200
    api.caller = Caller("other", frozenset({"tools"}))
    assert (await api.get("/servers")).status_code == 403
    assert (await api.delete("/servers/time")).status_code == 403


async def test_where_nothing_may_be_changed_reading_goes_on(api):
    site = api.rest.site("gateway", "1")
    site.state.access = Access(read_only="set MCP_AUTH_TOKENS to change servers here")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(site), base_url="http://g") as client:
        refused = await client.post("/servers", json=TIME)
        assert (refused.status_code, refused.json()["detail"]) == (403, "set MCP_AUTH_TOKENS to change servers here")
        assert (await client.get("/servers")).status_code == 200


async def test_templates_are_listed_searched_and_shown(api):
    every = (await api.get("/templates")).json()
    assert len(every) >= 20
    found = (await api.get("/templates?search=filesystem")).json()
    assert found[0]["name"] == "filesystem"
    assert "allowedPaths" in found[0]["required"]
    assert (await api.get("/templates/filesystem")).json()["type"] == "npx"


@pytest.mark.parametrize("path", ["/docs"])
async def test_the_documentation_fetches_nothing_from_elsewhere(api, path):
    page = await api.get(path)
    assert page.status_code == 200
    assert "POST /servers" in page.text
    assert "http://" not in page.text
    assert "https://" not in page.text
    assert "<script" not in page.text


async def test_openapi_documents_every_endpoint(api):
    document = (await api.get("/openapi.json")).json()
    assert set(document["paths"]) == {
        "/servers",
        "/servers/{server}",
        "/servers/{server}/logs",
        "/servers/{server}/health",
        "/templates",
        "/templates/{name}",
    }
    assert "ProblemView" in document["components"]["schemas"]
