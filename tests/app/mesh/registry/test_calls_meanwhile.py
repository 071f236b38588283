"""Calls between agents while a third of them dies, and with them registries, their store, or the way to them."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from app.mesh.agent.calling import Mesh
from app.mesh.agent.directory import Directory
from app.mesh.agent.finding import Finder
from app.mesh.agent.membership import Membership
from app.mesh.agent.metrics import AgentMetrics
from app.mesh.agent.peers import Peers
from app.mesh.model import Capability, Dependency, Registration

INTERVAL = 10.0
"""Seconds between heartbeats, within which every call is to be answered."""
AGENTS, DEAD = 9, 3


@dataclass
class Fleet:
    """Agents that speak, one that calls them, and the Service by which they reach the registries."""

    three: Any
    front: Any
    doomed: list[Any]
    last_breath: Any
    """The way of the doomed ones' heartbeats."""
    mesh: Mesh
    join: Callable[[], Any]

    def serve_by(self, place: int) -> None:
        """The Service leads to another registry."""
        self.front.target = self.three[place].port

    async def states(self, place: int = 1) -> dict[str, str]:
        """The state of each agent by where it is, as one of the registries knows it."""
        directory = Directory(self.three[place].url)
        try:
            found, _ = await directory.discover(Dependency("echo"), None)
            return {one.endpoint: one.state for one in found or ()}
        finally:
            await directory.close()


@pytest.fixture
async def fleet(three: Any, serve: Any, make_wire: Any, eventually: Any) -> AsyncIterator[Fleet]:
    server, front, cut_off = await serve(), await make_wire(three[0].port), await make_wire(three[0].port)
    async with AsyncExitStack() as stack:

        async def join(way: Any) -> Any:
            """One more agent, whose heartbeats go by a way."""
            directory, wire = Directory(way.url), await make_wire(server.port)
            told = Registration("speaker", "", wire.url, (Capability("echo"),), health_interval=INTERVAL)
            member = Membership(directory, lambda: told, lambda: 0.0, pod=f"pod-{wire.port}")
            stack.push_async_callback(directory.close)
            stack.push_async_callback(member.leave)
            await member.start()
            return wire

        wires = [await join(cut_off if place < DEAD else front) for place in range(AGENTS)]
        directory, peers = Directory(front.url), Peers()
        stack.push_async_callback(directory.close)
        stack.push_async_callback(peers.close)
        finder = Finder(directory, service=None, fresh=0.5)
        mesh = Mesh(finder, peers, retries=lambda: 3, metrics=AgentMetrics())
        made = Fleet(three, front, wires[:DEAD], cut_off, mesh, lambda: join(front))
        for place in range(3):

            async def all_known(place: int = place) -> bool:
                return len(await made.states(place)) == AGENTS

            await eventually(all_known)
        await mesh.call("echo", {"text": "hi"})
        yield made
        three.restore()
        for way in (front, cut_off):  # all of them leave the registries
            way.target = three[0].port
            way.mend()


async def one_registry(fleet: Fleet) -> None:
    fleet.three[0].end(signal.SIGKILL)
    fleet.serve_by(1)


async def all_registries(fleet: Fleet) -> None:
    for registry in fleet.three:
        registry.end(signal.SIGKILL)


async def the_store(fleet: Fleet) -> None:
    fleet.three.redis.kill()


async def the_network(fleet: Fleet) -> None:
    fleet.front.cut()


@pytest.mark.parametrize("fails", [one_registry, all_registries, the_store, the_network])
async def test_every_call_is_answered_by_an_agent_that_lives_and_none_of_these_is_lost(
    fleet: Fleet, eventually: Any, fails: Any
) -> None:
    living = set(await fleet.states()) - {wire.url for wire in fleet.doomed}
    assert len(living) == AGENTS - DEAD
    await fails(fleet)
    fleet.last_breath.cut()
    for wire in fleet.doomed:
        await wire.kill()
    loop = asyncio.get_running_loop()
    until = loop.time() + 2.5  # what the caller knows is stale after half a second
    calls = 0
    while loop.time() < until:
        began = loop.time()
        assert "hi" in str(await fleet.mesh.call("echo", {"text": "hi"}, timeout=INTERVAL))
        assert loop.time() - began < INTERVAL
        calls += 1
    assert calls > DEAD
    successor = await fleet.join()
    fleet.three.restore()
    fleet.front.mend()

    async def joined() -> bool:
        states = await fleet.states()
        assert {states.get(endpoint) for endpoint in living} == {"healthy"}, states  # none is lost, none flaps
        return states.get(successor.url) == "healthy"

    await eventually(joined)
    assert "hi" in str(await fleet.mesh.call("echo", {"text": "hi"}, timeout=INTERVAL))
