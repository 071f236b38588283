"""The page and the REST part, on a listening server."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import schemathesis
from fastapi import FastAPI

from app.toolsets import ToolsetRegistry, tool
from app.web.api import About
from app.web.assets import assets
from app.web.site import build_site


@tool
async def greet(name: str) -> str:
    """Say hello."""
    return f"hello {name}"


def site() -> FastAPI:
    registry = ToolsetRegistry()
    registry.add(greet)
    about = About(service="test", version="1", toolsets=["t"], stores={"sessions": "memory"}, wants_token=False)
    return build_site(registry, about)


def test_the_page_and_what_it_needs_are_served_under_a_strict_policy(start_slipway: Any) -> None:
    slipway = start_slipway(MCP_SERVICE_NAME="harbour")
    with httpx.Client(base_url=slipway.url) as client:
        page = client.get("/")
        assert page.status_code == 200
        assert "<h1>harbour</h1>" in page.text
        assert f"slipway call {slipway.url}/mcp echo text=hello" in page.text
        policy = page.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'")
        assert "unsafe" not in policy
        assert page.headers["x-content-type-options"] == "nosniff"
        assert client.get("/page/site.py").status_code == 404
        assert client.get("/page/..%2f..%2fsettings.py").status_code == 404
        assert client.get("/api/status").json()["service"] == "harbour"
        assert {"name", "description"} == set(client.get("/api/tools").json()[0])
        missing = client.get("/nothing")
        assert (missing.status_code, missing.json()["error"]) == (
            404,
            "there is nothing at /nothing: MCP is at /mcp, the page at /",
        )


def test_the_page_names_the_scheme_that_a_proxy_tells(start_slipway: Any) -> None:
    slipway = start_slipway()
    page = httpx.get(f"{slipway.url}/", headers={"x-forwarded-proto": "https"})
    assert slipway.url.replace("http://", "https://") + "/mcp" in page.text


def test_a_map_has_a_page_under_the_same_policy_and_only_by_a_proper_name(start_slipway: Any) -> None:
    slipway = start_slipway(MCP_TOOLSETS="platform,map")
    with httpx.Client(base_url=slipway.url) as client:
        page = client.get("/map/team.1-a_b")
        assert page.status_code == 200
        assert 'data-session="team.1-a_b"' in page.text
        assert page.headers["content-security-policy"] == client.get("/").headers["content-security-policy"]
        for wrong in ("<script>", "a b", "x" * 129, "%00"):
            assert client.get(f"/map/{wrong}").status_code == 404
        assert client.get("/map", follow_redirects=True).url.path == "/map/default"
        assert 'href="map/default"' in client.get("/").text


def test_without_the_toolset_there_is_no_map_and_the_page_says_what_is_missing(start_slipway: Any) -> None:
    slipway = start_slipway()
    answer = httpx.get(f"{slipway.url}/map/default")
    assert (answer.status_code, answer.json()["error"]) == (404, "there are no maps here: add map to MCP_TOOLSETS")
    assert "map/default" not in httpx.get(f"{slipway.url}/").text
    assert httpx.get(f"{slipway.url}/events").status_code == 404


def test_with_tokens_the_pages_frame_is_open_and_everything_in_it_is_not(start_slipway: Any) -> None:
    token = "0123456789abcdef"
    slipway = start_slipway(MCP_TOOLSETS="platform,map", MCP_AUTH_TOKENS=token)
    with httpx.Client(base_url=slipway.url) as client:
        for path in ("/", "/map/default", f"/page/{assets()['map.js'].path}"):
            assert client.get(path).status_code == 200
        assert "add_marker" not in client.get("/").text
        for path in ("/parts/tools", "/events", "/api/live", "/api/status", "/api/tools"):
            assert client.get(path).status_code == 401
        assert client.get("/api/live", headers={"authorization": f"Bearer {token}"}).status_code == 200


def test_who_called_what_is_told_the_newest_first(start_slipway: Any) -> None:
    slipway = start_slipway()
    with httpx.Client(base_url=slipway.url) as client:
        info = {"name": "<b>client", "version": "1"}
        hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": info}
        headers = {"accept": "application/json, text/event-stream"}
        begun = client.post("/mcp", json=request("initialize", hello), headers=headers)
        headers |= {"mcp-session-id": begun.headers["mcp-session-id"], "mcp-protocol-version": "2025-11-25"}
        client.post("/mcp", json={"jsonrpc": "2.0", "method": "notifications/initialized"}, headers=headers)
        client.post("/mcp", json=request("tools/call", {"name": "echo", "arguments": {"text": "x"}}), headers=headers)
        client.post("/mcp", json=request("no/such", {}), headers=headers)
        client.post("/messages", json=request("tools/list", {}))
        live = client.get("/api/live").json()
    told = [(call["what"], call["client"], call["failed"]) for call in live["calls"]]
    assert told == [
        ("tools/list", "?", False),
        ("no/such", "<b>client", True),
        ("echo", "<b>client", False),
        ("initialize", "?", False),
    ]
    assert [(seen["client"], seen["revision"], seen["calls"]) for seen in live["sessions"]] == [
        ("<b>client", "2025-11-25", 2)
    ]
    assert live["running"] == 0


def request(method: str, params: dict[str, Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}


async def test_the_fragment_has_the_tools() -> None:
    transport = httpx.ASGITransport(app=site())
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        assert 'data-tool="greet"' in (await client.get("/parts/tools")).text


schema = schemathesis.openapi.from_asgi("/openapi.json", site())


@pytest.mark.filterwarnings("default")
@schema.parametrize()
def test_the_rest_part_does_what_its_schema_says(case: Any) -> None:
    case.call_and_validate()
