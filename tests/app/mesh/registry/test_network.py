"""The network between agents and the registry, cut and mended: agents as they are, bytes that do not arrive."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from app.mesh.agent.directory import Directory
from app.mesh.agent.membership import Membership
from app.mesh.model import Capability, Registration

INTERVAL = 1.5
Join = Callable[..., Awaitable[list[Membership]]]


@pytest.fixture
async def join() -> AsyncIterator[Join]:
    """Lets agents join the registry at an address."""
    members: list[Membership] = []
    directories: list[Directory] = []

    async def some(url: str, count: int) -> list[Membership]:
        directories.append(directory := Directory(url))
        for _ in range(count):
            place = len(members)
            told = Registration(
                name=f"agent-{place % 3}",
                replica="",
                endpoint=f"http://127.0.0.1:{9000 + place}",
                capabilities=(Capability("greeting"),),
                health_interval=INTERVAL,
            )
            members.append(Membership(directory, lambda told=told: told, lambda: 0.0, pod=f"pod-{place}"))
            await members[-1].start()
        return members[-count:]

    yield some
    for member in members:
        await member.leave()
    for directory in directories:
        await directory.close()


async def agents(registry: Any) -> dict[str, str]:
    """The state of each agent by its id."""
    found = (await registry.http.get("/agents?limit=1000")).json()["agents"]
    return {agent["id"]: agent["state"] for agent in found}


async def registered(registry: Any) -> float:
    text = (await registry.http.get("/metrics")).text
    (line,) = [one for one in text.splitlines() if 'registrations_total{outcome="registered"}' in one]
    return float(line.rpartition(" ")[2])


async def test_a_network_that_is_cut_loses_no_agent_however_many_are_behind_it(
    registry: Any, make_wire: Any, join: Join, eventually: Any
) -> None:
    wire = await make_wire(registry.port)
    await join(wire.url, 10)

    async def all_healthy() -> bool:
        return list((await agents(registry)).values()) == ["healthy"] * 10

    await eventually(all_healthy)
    known = set(await agents(registry))
    wire.cut()
    until = asyncio.get_running_loop().time() + 5 * INTERVAL + 2  # longer than one alone would live
    while asyncio.get_running_loop().time() < until:
        states = await agents(registry)
        assert set(states) == known
        assert "gone" not in states.values()
        assert (await registry.discover("greeting"))["total"] == 10
        await asyncio.sleep(0.2)
    assert "degraded" in states.values()
    wire.mend()
    await eventually(all_healthy)
    assert set(await agents(registry)) == known
    assert await registered(registry) == 10  # none had to begin anew


async def test_those_behind_a_cut_are_found_no_more_and_the_others_never_flap(
    registry: Any, make_wire: Any, join: Join, eventually: Any
) -> None:
    wire = await make_wire(registry.port)
    await join(registry.url, 9)

    async def healthy(count: int) -> bool:
        return list((await agents(registry)).values()).count("healthy") == count

    await eventually(lambda: healthy(9))
    near = set(await agents(registry))
    await join(wire.url, 2)
    await eventually(lambda: healthy(11))
    known = set(await agents(registry))
    wire.cut()

    async def far_gone() -> bool:
        states = await agents(registry)
        assert {states[agent] for agent in near} == {"healthy"}
        return {states[agent] for agent in known - near} == {"gone"}

    await eventually(far_gone)
    assert (await registry.discover("greeting"))["total"] == 9
    wire.mend()
    await eventually(lambda: healthy(11))
    assert set(await agents(registry)) == known
