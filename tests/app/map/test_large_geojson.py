"""Ten megabytes of GeoJSON: refused where it is found to be too much, with what to do, and nothing else suffers."""

from __future__ import annotations

import asyncio
import json

import pytest


@pytest.fixture(scope="module")
def ten_megabytes() -> bytes:
    line = {"type": "LineString", "coordinates": [[step / 10_000, 0.1234] for step in range(600_000)]}
    arguments = {"name": "n", "geojson": line, "map_session": "large"}
    params = {"name": "add_layer", "arguments": arguments}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()
    assert len(body) > 10 * 1024 * 1024
    return body


async def test_a_body_beyond_the_servers_limit_is_refused_by_its_announced_length(server, client, ten_megabytes):
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    head = "POST /messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: "
    writer.write(f"{head}{len(ten_megabytes)}\r\n\r\n".encode())
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"4194304 bytes" in answer
    assert (await client.call(server.http, "get_state"))["version"] == 0


async def test_where_the_server_takes_it_the_tool_says_how_much_a_layer_may_have(serve, client, ten_megabytes):
    server = await serve(MCP_TOOLSETS="map", MCP_MAX_BODY_BYTES=16 * 1024 * 1024)
    answer = await client.http.post(
        f"{server.http}/messages", content=ten_megabytes, headers={"content-type": "application/json"}
    )
    result = answer.json()["result"]
    assert result["isError"] is True
    assert "1048576 is the most: simplify it" in result["content"][0]["text"]
    assert (await client.call(server.http, "get_state", map_session="large"))["layers"] == []
