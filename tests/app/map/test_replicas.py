"""One map on two replicas: real processes on one real Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def replicas(start_slipway: Callable[..., Any], shared_redis: Any) -> tuple[Any, Any]:
    settings = {"REDIS_URL": shared_redis.url, "MCP_TOOLSETS": "map", "MCP_DRAIN_SECONDS": "2"}
    return start_slipway(**settings), start_slipway(**settings)


async def test_two_hundred_writers_on_two_replicas_lose_no_marker(replicas, client):
    a, b = replicas
    bases = [(a, b)[number % 2].url for number in range(200)]
    added = await asyncio.gather(*(client.call(url, "add_marker", latitude=0, longitude=0) for url in bases))
    ids = {one["marker"]["id"] for one in added}
    assert len(ids) == 200
    assert {one["version"] for one in added} == set(range(1, 201))
    for replica in replicas:
        state = await client.call(replica.url, "get_state")
        assert {marker["id"] for marker in state["markers"]} == ids


async def test_edits_of_one_marker_on_both_replicas_merge(replicas, client):
    a, b = replicas
    await client.call(a.url, "add_marker", id="ship", latitude=0, longitude=0)
    edits = [(a, {"label": "Ship"}), (b, {"latitude": 10, "longitude": 20}), (a, {"color": "#123456"})]
    await asyncio.gather(*(client.call(where.url, "update_marker", id="ship", **change) for where, change in edits))
    marker = (await client.call(b.url, "get_state"))["markers"][0]
    assert (marker["label"], marker["latitude"], marker["longitude"], marker["color"]) == ("Ship", 10, 20, "#123456")


async def test_who_watches_one_replica_sees_what_is_drawn_on_the_other(replicas, client, applied):
    a, b = replicas
    stream = await client.watch(a.url)
    state = (await stream.next()).data
    point = {"type": "Point", "coordinates": [180, -90]}
    await client.call(b.url, "add_marker", id="m", latitude=1, longitude=2)
    await client.call(b.url, "add_layer", id="l", name="Layer", geojson=point)
    await client.call(a.url, "remove_marker", id="m")
    for event in await stream.until(3):
        state = applied(state, event)
    assert state["markers"] == {}
    assert state["layers"]["l"]["geojson"] == point


async def test_a_stream_goes_on_at_the_other_replica_when_its_own_is_killed(replicas, client, applied):
    a, b = replicas
    await client.call(a.url, "add_marker", id="m", latitude=1, longitude=2)
    first = await (await client.watch(a.url)).next()
    a.process.kill()
    a.wait()
    await client.call(b.url, "update_marker", id="m", label="after")
    missed = await (await client.watch(b.url, first.id)).next()
    assert (missed.name, missed.data) == ("patch", {"version": 2, "markers": {"m": {"label": "after"}}})


async def test_the_state_is_one_hash_under_the_name_of_its_session(replicas, client, shared_redis):
    await client.call(replicas[0].url, "add_marker", id="m", latitude=1, longitude=2)
    key = f"map_state:{client.session}"
    assert shared_redis.cli("type", key) == "hash"
    assert shared_redis.cli("hget", key, "marker:m:longitude") == "2.0"
    assert 0 < int(shared_redis.cli("ttl", key)) <= 86_400


async def test_a_client_of_one_replica_is_told_that_the_resource_changed_on_the_other(replicas, client):
    a, b = replicas
    uri = f"map://state/{client.session}"
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    listen = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "subscriptions/listen",
        "params": {"notifications": {"resourceSubscriptions": [uri]}, "_meta": meta},
    }
    headers = {
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": "2026-07-28",
        "mcp-method": "subscriptions/listen",
    }
    async with client.http.stream("POST", f"{a.url}/mcp", json=listen, headers=headers) as response:
        lines = response.aiter_lines()
        async with asyncio.timeout(10):
            async for line in lines:
                if "acknowledged" in line:
                    await client.call(b.url, "add_marker", latitude=1, longitude=2)
                if "notifications/resources/updated" in line:
                    assert uri in line
                    return
    pytest.fail("the stream ended without the news")


async def test_a_redis_that_is_away_is_told_by_tools_streams_and_readiness(start_slipway, redis_server, client):
    slipway = start_slipway(REDIS_URL=redis_server.url, MCP_TOOLSETS="map")
    await client.call(slipway.url, "add_marker", latitude=1, longitude=2)
    redis_server.kill()
    request = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "get_state", "arguments": {}}}
    answer = (await client.http.post(f"{slipway.url}/messages", json=request)).json()
    assert answer["result"]["isError"] is True
    assert "does not answer: try again" in answer["result"]["content"][0]["text"]
    assert (await client.http.get(f"{slipway.url}/events")).status_code == 503
    ready = (await client.http.get(f"{slipway.url}/ready")).json()
    assert (ready["status"], ready["dependencies"]["map"]) == ("degraded", "unavailable")
