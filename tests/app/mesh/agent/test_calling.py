"""Calls to agents that fail: who is asked instead, how often, and who is left alone."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from app.mesh.agent.calling import Mesh, NobodyThere, TookTooLong
from app.mesh.agent.directory import Directory
from app.mesh.agent.finding import Candidate, Finder
from app.mesh.agent.membership import Membership
from app.mesh.agent.metrics import AgentMetrics
from app.mesh.agent.peers import Peers
from app.mesh.model import Capability, Dependency, Registration


class Known:
    """A finder that always knows the same agents."""

    def __init__(self, *endpoints: str, timeout: float = 60) -> None:
        self.found = [Candidate(endpoint, f"agent-{place}", timeout) for place, endpoint in enumerate(endpoints)]
        self.asked = 0

    async def candidates(self, need: Dependency, *, anew: bool = False) -> list[Candidate]:
        self.asked += 1
        return self.found


MakeMesh = Callable[..., Mesh]


@pytest.fixture
async def make_mesh() -> AsyncIterator[MakeMesh]:
    every: list[Peers] = []

    def make(known: Any, retries: int = 3) -> Mesh:
        every.append(Peers())
        return Mesh(known, every[-1], retries=lambda: retries, metrics=AgentMetrics())

    yield make
    for peers in every:
        await peers.close()


@pytest.fixture
def nowhere() -> str:
    """An address at which nobody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize("retries", [0, 2])
async def test_the_only_agent_is_tried_as_often_as_it_may_be_and_no_more(
    make_mesh: MakeMesh, nowhere: str, retries: int
) -> None:
    known = Known(nowhere)
    with pytest.raises(NobodyThere, match="could not be asked of agent-0"):
        await make_mesh(known, retries).call("echo", {"text": "hi"})
    assert known.asked == retries + 1


async def test_the_call_goes_to_another_agent_where_one_is_not_there(
    make_mesh: MakeMesh, nowhere: str, serve: Any
) -> None:
    server = await serve()
    mesh = make_mesh(Known(nowhere, f"http://127.0.0.1:{server.port}"))
    for _ in range(10):
        assert "hi" in str(await mesh.call("echo", {"text": "hi"}))


async def test_an_agent_that_fails_five_times_in_a_row_is_left_alone(
    make_mesh: MakeMesh, serve: Any, make_wire: Any
) -> None:
    server = await serve()
    good, bad = await make_wire(server.port), await make_wire(server.port)
    calls = 0

    def counted(data: bytes) -> bool:
        nonlocal calls
        calls += b'"tools/call"' in data
        return b'"tools/call"' in data

    bad.drops = counted
    mesh = make_mesh(Known(good.url, bad.url))
    failed = 0
    for _ in range(60):
        try:
            await mesh.call("echo", {"text": "hi"})
        except NobodyThere:
            failed += 1
    assert 0 < failed == calls <= 5


async def test_a_call_that_may_be_repeated_survives_what_one_that_may_not_does_not(
    make_mesh: MakeMesh, serve: Any, make_wire: Any
) -> None:
    server = await serve()
    good, bad = await make_wire(server.port), await make_wire(server.port)
    bad.drops = lambda data: b'"tools/call"' in data
    mesh = make_mesh(Known(good.url, bad.url))
    for _ in range(10):
        assert "hi" in str(await mesh.call("echo", {"text": "hi"}, repeatable=True))
    alone = make_mesh(Known(bad.url))
    with pytest.raises(NobodyThere):
        await alone.call("echo", {"text": "hi"})


async def test_a_network_that_is_cut_costs_a_call_its_own_time_and_no_more(
    make_mesh: MakeMesh, serve: Any, make_wire: Any
) -> None:
    server = await serve()
    wire = await make_wire(server.port)
    mesh = make_mesh(Known(wire.url))
    assert "hi" in str(await mesh.call("echo", {"text": "hi"}))
    wire.cut()
    began = asyncio.get_running_loop().time()
    with pytest.raises(TookTooLong):
        await mesh.call("echo", {"text": "hi"}, timeout=0.5)
    assert asyncio.get_running_loop().time() - began < 10
    wire.mend()
    assert "hi" in str(await mesh.call("echo", {"text": "hi"}, timeout=60))


async def test_when_a_third_of_the_agents_are_killed_every_call_finds_one_that_lives(
    make_mesh: MakeMesh, serve: Any, serve_registry: Any, make_wire: Any, until: Any
) -> None:
    server, registry = await serve(), await serve_registry()
    wires = [await make_wire(server.port) for _ in range(10)]
    directory = Directory(registry.url)
    members = [membership(directory, wire.url, f"pod-{place}") for place, wire in enumerate(wires)]
    for member in members:
        await member.start()
    need = Dependency("echo")
    finder = Finder(directory, service=None)

    async def all_known() -> bool:
        return len(await finder.candidates(need, anew=True)) == 10

    await until(all_known)
    mesh = make_mesh(finder)
    for wire in wires[:3]:
        await wire.kill()
    for _ in range(60):  # the registry still knows all of them
        assert "hi" in str(await mesh.call("echo", {"text": "hi"}))
    for member in members:
        await member.leave()
    await directory.close()


def membership(directory: Directory, endpoint: str, pod: str) -> Membership:
    told = Registration("speaker", "", endpoint, (Capability("echo"),), health_interval=60)
    return Membership(directory, lambda: told, lambda: 0.0, pod=pod)


async def test_when_a_third_of_the_agents_fall_silent_each_costs_one_call(
    make_mesh: MakeMesh, serve: Any, make_wire: Any
) -> None:
    server = await serve()
    wires = [await make_wire(server.port) for _ in range(9)]
    mesh = make_mesh(Known(*(wire.url for wire in wires)))
    while not all(wire.connections for wire in wires):
        await mesh.call("echo", {"text": "hi"})
    for wire in wires[:3]:
        wire.cut()
    failed = 0
    for _ in range(40):
        try:
            await mesh.call("echo", {"text": "hi"}, timeout=2)
        except TookTooLong:
            failed += 1
    assert failed <= 3
