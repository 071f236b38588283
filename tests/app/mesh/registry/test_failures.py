"""Registries as real processes on a real Redis: what is killed, and what agents and callers see of it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

CAPABILITY = "greeting"
UNHEARD = 5.5
"""Seconds: longer than an agent that beats each second would live without being heard."""


class Agents:
    """Agents that beat as real ones do: on whichever registry answers."""

    def __init__(self, urls: list[str], body: Callable[..., dict[str, Any]], count: int) -> None:
        self.urls = urls
        self.bodies = [body(name=f"agent-{number % 10}", replica=f"replica-{number}") for number in range(count)]
        self.known: list[dict[str, Any]] = []
        self.told: set[str] = set()
        self.statuses: list[int] = []
        self.http = httpx.AsyncClient(timeout=30)
        self.alive: set[int] = set(range(count))
        self._beating: asyncio.Task[None] | None = None
        self._turn = 0

    async def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Ask one registry, and another where it does not answer."""
        for _ in range(3 * len(self.urls)):
            self._turn += 1
            with contextlib.suppress(httpx.TransportError):
                return await self.http.request(method, self.urls[self._turn % len(self.urls)] + path, **options)
            await asyncio.sleep(0.05)
        raise AssertionError("no registry answers")

    async def register(self) -> None:
        async def one(told: dict[str, Any]) -> dict[str, Any]:
            while True:
                answer = await self.ask("POST", "/agents", json=told)
                if answer.status_code != 503:
                    assert answer.status_code in (200, 201, 202), answer.text
                    return answer.json()
                await asyncio.sleep(0.3)

        self.known += await asyncio.gather(*(one(told) for told in self.bodies))

    def begin(self) -> None:
        self._beating = asyncio.create_task(self._beat())

    async def _beat(self) -> None:
        while True:
            beats = [{"id": self.known[at]["id"], "token": self.known[at]["token"]} for at in sorted(self.alive)]
            for start in range(0, len(beats), 20):
                with contextlib.suppress(AssertionError):
                    answer = await self.ask("POST", "/heartbeats", json={"beats": beats[start : start + 20]})
                    self.statuses.append(answer.status_code)
                    if answer.status_code == 200:
                        self.told.update(result["status"] for result in answer.json()["results"])
            await asyncio.sleep(0.5)

    async def leave(self) -> None:
        """Every registry is as it was before."""
        if self._beating is not None:
            self._beating.cancel()
        for one in self.known:
            await self.ask("DELETE", f"/agents/{one['id']}", headers={"authorization": f"Bearer {one['token']}"})
        await self.all_are({})

    async def states(self, url: str) -> dict[str, int]:
        counts: dict[str, int] = {}
        cursor: dict[str, str] = {}
        while True:
            page = (await self.http.get(f"{url}/agents", params={"limit": 1000, **cursor})).json()
            for agent in page["agents"]:
                counts[agent["state"]] = counts.get(agent["state"], 0) + 1
            if "nextCursor" not in page:
                return counts
            cursor = {"cursor": page["nextCursor"]}

    async def all_are(self, expected: dict[str, int], seconds: float = 60) -> None:
        """Wait until every registry that answers says so."""
        deadline = time.monotonic() + seconds
        while True:
            found = [await self.states(url) for url in self.urls]
            if all(states == expected for states in found):
                return
            assert time.monotonic() < deadline, found
            await asyncio.sleep(0.1)


@pytest.fixture
async def agents(body: Callable[..., dict[str, Any]], three: Any) -> AsyncIterator[Callable[..., Agents]]:
    made: list[Agents] = []

    def make(registries: list[Any], count: int = 40) -> Agents:
        made.append(Agents([registry.url for registry in registries], body, count))
        return made[-1]

    yield make
    for one in made:
        one.urls = [registry.url for registry in three]
        await one.leave()
        await one.http.aclose()


async def test_any_registry_may_be_killed_and_no_agent_notices(three: Any, agents: Any) -> None:
    fleet = agents(three)
    await fleet.register()
    fleet.begin()
    await fleet.all_are({"healthy": 40})
    three[0].end(signal.SIGKILL)
    fleet.urls = [registry.url for registry in three[1:]]
    until = time.monotonic() + UNHEARD
    while time.monotonic() < until:
        await fleet.all_are({"healthy": 40}, 0)
        await asyncio.sleep(0.2)
    assert fleet.told == {"ok"}
    three.start_registries()
    fleet.urls = [registry.url for registry in three]
    await fleet.all_are({"healthy": 40})


async def test_all_registries_killed_at_once_come_back_with_every_agent(three: Any, agents: Any) -> None:
    fleet = agents(three)
    await fleet.register()
    fleet.begin()
    await fleet.all_are({"healthy": 40})
    for registry in three:
        registry.end(signal.SIGKILL)
    await asyncio.sleep(UNHEARD)
    three.start_registries()
    await fleet.all_are({"healthy": 40})
    assert fleet.told == {"ok"}


async def test_while_redis_is_away_reads_go_on_and_nobody_is_told_to_register_again(
    three: Any, agents: Any, body: Any
) -> None:
    fleet = agents(three)
    await fleet.register()
    fleet.begin()
    await fleet.all_are({"healthy": 40})
    three.redis.kill()
    late = body(name="late", replica="late-0")
    until = time.monotonic() + UNHEARD
    registered = await fleet.http.post(f"{fleet.urls[0]}/agents", json=late)
    fleet.known.append(registered.json())
    assert (registered.status_code, registered.json()["buffered"]) == (202, True)
    while time.monotonic() < until:
        for url in fleet.urls:
            found = await fleet.http.get(f"{url}/discover", params={"capability": CAPABILITY})
            assert found.status_code == 200
            assert found.json()["total"] >= 40
        await asyncio.sleep(0.2)
    stale = await fleet.http.get(f"{fleet.urls[1]}/discover", params={"capability": CAPABILITY})
    assert stale.json()["stale"] is True
    assert int(stale.headers["slipway-stale"]) >= 1
    three.redis.start()  # with nothing in it
    until = time.monotonic() + UNHEARD
    while time.monotonic() < until:
        for url in fleet.urls:
            states = await fleet.states(url)
            assert states.get("healthy", 0) >= 40, states
        await asyncio.sleep(0.2)
    for url in fleet.urls:
        assert (await fleet.http.get(f"{url}/agents", params={"name": "late"})).json()["agents"] != []
    assert fleet.told == {"ok"}
    assert set(fleet.statuses) == {200}


async def test_registries_restarted_while_redis_is_away_serve_their_copy(three: Any, agents: Any) -> None:
    fleet = agents(three)
    await fleet.register()
    fleet.begin()
    await fleet.all_are({"healthy": 40})
    await asyncio.sleep(1)  # what a copy is written within
    three.redis.kill()
    for registry in three:
        registry.end(signal.SIGKILL)
    three.start_registries()
    await fleet.all_are({"healthy": 40})
    three.redis.start()
    until = time.monotonic() + UNHEARD
    while time.monotonic() < until:
        await fleet.all_are({"healthy": 40}, 0)
        await asyncio.sleep(0.2)
    assert fleet.told == {"ok"}


async def test_a_frozen_redis_holds_no_reader_up(three: Any, agents: Any) -> None:
    fleet = agents(three)
    await fleet.register()
    fleet.begin()
    await fleet.all_are({"healthy": 40})
    three.redis.freeze()
    try:
        slowest = 0.0
        until = time.monotonic() + UNHEARD
        while time.monotonic() < until:
            for url in fleet.urls:
                began = time.monotonic()
                found = await fleet.http.get(f"{url}/discover", params={"capability": CAPABILITY})
                slowest = max(slowest, time.monotonic() - began)
                assert found.json()["total"] == 40
            await asyncio.sleep(0.1)
    finally:
        three.redis.thaw()
    assert slowest < 3.0  # the store's own patience is a second; a busy machine has some, too
    until = time.monotonic() + UNHEARD
    while time.monotonic() < until:
        await fleet.all_are({"healthy": 40}, 0)
        await asyncio.sleep(0.2)
    assert fleet.told == {"ok"}


async def test_a_third_of_the_agents_dying_at_once_is_seen_and_the_rest_stay(three: Any, agents: Any) -> None:
    fleet = agents(three)
    await fleet.register()
    fleet.begin()
    await fleet.all_are({"healthy": 40})
    fleet.alive -= set(range(0, 40, 3))
    dead = 40 - len(fleet.alive)
    await fleet.all_are({"healthy": 40 - dead, "gone": dead})
    found = (await fleet.http.get(f"{fleet.urls[0]}/discover", params={"capability": CAPABILITY})).json()
    assert found["total"] == 40 - dead
    fleet.alive = set(range(40))  # the network is back
    await fleet.all_are({"healthy": 40})
    assert fleet.told == {"ok"}
