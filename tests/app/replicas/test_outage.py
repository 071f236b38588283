"""What clients see while Redis is away, and when it is back."""

from __future__ import annotations

import asyncio
import time

import pytest

META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}
SOON = 5.0


@pytest.fixture
def replica(start_slipway, redis_server):
    return start_slipway(REDIS_URL=redis_server.url, MCP_TOOLSETS="platform,conformance", MCP_DRAIN_SECONDS="2")


async def stateless_call(web, url: str):
    params = {"name": "echo", "arguments": {"text": "x"}, "_meta": META}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    headers = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "echo"}
    return await web.client.post(url, json=body, headers={"Accept": web.headers["Accept"], **headers})


@pytest.mark.parametrize("way", ["killed", "frozen"])
async def test_http_sessions_get_a_retryable_error_and_the_rest_goes_on(replica, redis_server, web, way) -> None:
    url = f"{replica.url}/mcp"
    await web.initialize(url)
    redis_server.kill() if way == "killed" else redis_server.freeze()
    async with asyncio.timeout(15):
        # A frozen Redis is noticed by its silence; until then what is cached is right.
        while (refused := await web.call(url, 1, "echo", text="x")).status_code == 200:
            pass
    for request_id in range(3):
        began = time.monotonic()
        refused = await web.call(url, request_id, "echo", text="x")
        assert time.monotonic() - began < SOON
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) > 0
        assert refused.json()["error"]["code"] == -31000
        assert (await stateless_call(web, url)).json()["result"]["content"][0]["text"] == "x"
    assert (await web.client.get(f"{replica.url}/ready")).status_code == 200

    if way == "killed":
        redis_server.start()  # with nothing in it: the session is lost, and its client is told so
        expected = 404
    else:
        redis_server.thaw()
        expected = 200
    async with asyncio.timeout(15):
        while (answer := await web.call(url, 9, "echo", text="x")).status_code == 503:
            pass
    assert answer.status_code == expected
    web.session_id = ""
    await web.initialize(url)
    assert (await web.call(url, 10, "echo", text="x")).status_code == 200


async def test_a_new_session_is_refused_soon_and_made_later(replica, redis_server, web) -> None:
    url = f"{replica.url}/mcp"
    redis_server.kill()
    params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    began = time.monotonic()
    refused = await web.post(url, id=0, method="initialize", params=params)
    assert time.monotonic() - began < SOON
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, -31000)
    redis_server.start()
    async with asyncio.timeout(15):
        while (await web.post(url, id=0, method="initialize", params=params)).status_code == 503:
            pass


async def test_a_websocket_stays_open_through_an_outage(replica, redis_server, open_socket) -> None:
    socket = await open_socket(f"ws://127.0.0.1:{replica.port}/mcp")
    await socket.initialize()
    assert (await socket.call(1, "echo", text="x"))["id"] == 1
    redis_server.freeze()
    async with asyncio.timeout(15):
        while "error" not in (answer := await socket.call("during", "echo", text="x")):
            pass
    assert answer["error"]["code"] == -31000
    assert answer["error"]["data"]["retryAfter"] > 0
    redis_server.thaw()
    async with asyncio.timeout(15):
        while "result" not in (await socket.call("after", "echo", text="x")):
            pass


async def test_an_sse_stream_stays_open_through_an_outage_and_goes_on(replica, redis_server, open_sse) -> None:
    sse = await open_sse(replica.url)
    await sse.initialize()
    await sse.call(1, "echo", text="x")
    redis_server.freeze()
    message = {"jsonrpc": "2.0", "id": 2, "method": "ping"}
    url = f"{replica.url}{sse.endpoint}"
    async with asyncio.timeout(15):
        while (answer := await sse.web.client.post(url, json=message)).status_code == 202:
            message["id"] += 1
            await asyncio.sleep(0.05)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, -31000)
    redis_server.thaw()
    async with asyncio.timeout(15):
        while (
            await sse.web.client.post(f"{replica.url}{sse.endpoint}", json=message | {"id": "z"})
        ).status_code != 202:
            pass
        while (await sse.receive())["id"] != "z":
            pass


async def test_a_server_starts_without_its_redis_and_serves_sessions_once_it_is_there(
    start_slipway, make_redis, web
) -> None:
    redis = make_redis()
    replica = start_slipway(REDIS_URL=redis.url, MCP_TOOLSETS="platform")
    url = f"{replica.url}/mcp"
    assert (await stateless_call(web, url)).status_code == 200
    redis.start()
    params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    async with asyncio.timeout(15):
        while (await web.post(url, id=0, method="initialize", params=params)).status_code == 503:
            pass
