"""Registries that ask each other: whose an answer is, and peers that are dead, slow, broken, or ask back."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "support"))
from loopback import Loopback, Reply, as_json, hang, loopback


@pytest.fixture
async def peer() -> AsyncIterator[Loopback]:
    """A registry that answers what the test wants."""
    async with loopback() as running:
        yield running


async def federated(registry: Any, capability: str = "greeting", **query: Any) -> dict[str, Any]:
    answer = await registry.http.get("/federation", params={"capability": capability, **query})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_what_peers_have_is_found_and_marked_with_whose_it_is(serve_registry: Any, body: Any) -> None:
    far = await serve_registry()
    near = await serve_registry(MCP_MESH_PEERS=f"far={far.url}")
    here = await serve_registry(MCP_MESH_PEERS=f"near={near.url}")
    for registry, name in ((far, "far-agent"), (near, "near-agent"), (here, "own-agent")):
        await registry.register(body(name=name, healthInterval=60))
    found = await federated(here)
    assert {agent["name"]: agent.get("origin") for agent in found["agents"]} == {
        "own-agent": None,
        "near-agent": "near",
        "far-agent": "near/far",
    }
    assert [(state["name"], state["status"]) for state in found["peers"]] == [("near", "ok")]
    assert (await here.discover("greeting"))["total"] == 1  # a plain lookup stays at home


async def test_registries_that_ask_each_other_in_a_circle_come_to_an_end(
    serve_registry: Any, body: Any, start_registry: Any
) -> None:
    one = start_registry()
    two = await serve_registry(MCP_MESH_PEERS=f"one={one.url}")
    one.end()
    one.environment["MCP_MESH_PEERS"] = f"two={two.url},self={one.url}"
    one.start()
    await two.register(body(healthInterval=60))
    began = time.monotonic()
    found = await federated(two)
    assert [agent["name"] for agent in found["agents"]] == ["hello"]
    assert time.monotonic() - began < 5


async def test_a_peer_that_is_away_or_not_understood_only_lacks_its_agents(
    serve_registry: Any, body: Any, peer: Loopback
) -> None:
    here = await serve_registry(MCP_MESH_PEERS=f"broken={peer.url},dead=http://127.0.0.1:1")
    await here.register(body(healthInterval=60))
    for number, reply in enumerate(
        (Reply(body=b"<html>"), as_json({"agents": "many"}), as_json({}, 500), Reply(302, headers={"location": "/x"}))
    ):
        peer.routes["/federation"] = reply
        found = await federated(here, limit=number + 1)
        assert len(found["agents"]) == 1
        states = {state["name"]: state["status"] for state in found["peers"]}
        assert states["broken"] in ("not understood", "resting")
        assert states["dead"] in ("away", "resting")


async def test_a_slow_peer_holds_nobody_up_for_long_and_is_then_left_alone(
    serve_registry: Any, body: Any, peer: Loopback
) -> None:
    peer.routes["/federation"] = hang
    here = await serve_registry(MCP_MESH_PEERS=f"slow={peer.url}")
    await here.register(body(healthInterval=60))
    for limit in (1, 2, 3):
        began = time.monotonic()
        found = await federated(here, limit=limit)
        assert len(found["agents"]) == 1
        assert time.monotonic() - began < 4
    began = time.monotonic()
    assert (await federated(here, limit=4))["peers"] == [{"name": "slow", "status": "resting"}]
    assert time.monotonic() - began < 1


async def test_a_peer_that_sends_too_much_is_not_read_to_the_end(
    serve_registry: Any, body: Any, peer: Loopback
) -> None:
    peer.routes["/federation"] = Reply(body=json.dumps({"agents": ["x" * 1000] * 6000}).encode())
    here = await serve_registry(MCP_MESH_PEERS=f"large={peer.url}")
    found = await federated(here)
    assert found["peers"] == [{"name": "large", "status": "not understood"}]


async def test_one_question_is_asked_once_however_many_ask_it(serve_registry: Any, body: Any, peer: Loopback) -> None:
    peer.routes["/federation"] = as_json({"agents": []})
    here = await serve_registry(MCP_MESH_PEERS=f"peer={peer.url}", MCP_MESH_PEER_TOKEN="of-the-peer-0123456789")
    await asyncio.gather(*(federated(here) for _ in range(20)))
    assert len(peer.asked) == 1
    assert peer.asked[0].headers["authorization"].lower() == "bearer of-the-peer-0123456789"


async def test_a_question_that_has_been_here_is_answered_with_nothing(serve_registry: Any, body: Any) -> None:
    here = await serve_registry()
    await here.register(body(healthInterval=60))
    own = (await federated(here))["registry"]
    answer = await here.http.get("/federation?capability=greeting", headers={"slipway-via": f"other, {own}"})
    assert answer.json()["agents"] == []
