"""The map server in use: clients outside the cluster, by name, over TLS, through the ingress."""

import asyncio
import json

import httpx
import pytest
from engine.plugins.kube.client import ApiError
from mcp import Client as OfficialClient
from usage.clients import PLACE

from app.client import Client

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("stack", "outside")]

SPACE = "mcp-map-server"
HOST = "mcp-map.your-domain.com"
HTTPS, WSS = f"https://{HOST}/mcp", f"wss://{HOST}/mcp"


@pytest.fixture(scope="module")
def stack(running):
    return running.stack("map-server")


@pytest.mark.parametrize(("mode", "revision"), [("auto", "2026-07-28"), ("legacy", "2025-11-25")])
async def test_the_official_client_calls_through_the_ingress_with_a_certificate_of_acme(mode, revision):
    async with OfficialClient(HTTPS, mode=mode) as client:
        assert client.protocol_version == revision
        assert "add_marker" in {tool.name for tool in (await client.list_tools()).tools}
        assert not (await client.call_tool("add_marker", PLACE)).is_error


async def test_a_websocket_goes_through_the_ingress_over_tls():
    async with Client(WSS, timeout=20) as client:
        assert "add_marker" in {tool["name"] for tool in await client.list_tools()}
        assert not (await client.call_tool("add_marker", PLACE)).get("isError")


async def test_events_come_through_the_ingress_while_their_stream_goes_on():
    """Were they held back until the answer is whole, the first would never come: this answer does not end."""
    async with (
        asyncio.timeout(60),
        httpx.AsyncClient(base_url=f"https://{HOST}") as client,
        client.stream("GET", "/sse") as stream,
    ):
        lines = stream.aiter_lines()
        endpoint = await _data(lines)
        hello = {"protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": {"name": "events", "version": "1"}}
        for message in (
            {"id": 1, "method": "initialize", "params": hello},
            {"method": "notifications/initialized"},
            {"id": 2, "method": "tools/list"},
        ):
            assert (await client.post(endpoint, json={"jsonrpc": "2.0", **message})).status_code == 202
            if "id" in message:
                answer = json.loads(await _data(lines))
                assert (answer["id"], "result" in answer) == (message["id"], True), answer
        assert not stream.is_closed


async def _data(lines) -> str:
    """The next event's, which is one line here."""
    async for line in lines:
        if line.startswith("data: "):
            return line.removeprefix("data: ")
    raise AssertionError("the stream ended")


def test_an_unencrypted_call_is_sent_on_to_tls():
    answer = httpx.get(f"http://{HOST}/mcp", follow_redirects=False)
    assert answer.status_code in (301, 302, 307, 308)
    assert answer.headers["location"].startswith("https://")


def test_a_certificate_of_nobody_trusted_is_refused(monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(f"https://{HOST}/health")


def test_what_the_namespace_does_not_allow_is_denied(cluster):
    container = {"name": "it", "image": "slipway:1", "securityContext": {"privileged": True}}
    metadata = {"name": "intruder", "namespace": SPACE}
    intruder = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}}
    with pytest.raises(ApiError, match="violates PodSecurity"):
        cluster.apply(intruder, "somebody")
