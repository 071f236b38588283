"""The page and the REST part, on a listening server."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import schemathesis
from fastapi import FastAPI

from app.toolsets import ToolsetRegistry, tool
from app.web.site import About, build_site


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
        assert client.get("/page/page.css").headers["content-type"] == "text/css; charset=utf-8"
        assert client.get("/page/page.js").headers["content-type"] == "text/javascript; charset=utf-8"
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


async def test_the_fragment_has_the_tools() -> None:
    transport = httpx.ASGITransport(app=site())
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        assert 'data-tool="greet"' in (await client.get("/page/tools")).text


schema = schemathesis.openapi.from_asgi("/openapi.json", site())


@pytest.mark.filterwarnings("default")
@schema.parametrize()
def test_the_rest_part_does_what_its_schema_says(case: Any) -> None:
    case.call_and_validate()
