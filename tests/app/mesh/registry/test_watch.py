"""`/watch`: in order, resumable, summed up for who reads slowly, let go by a registry that drains."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from app.mesh.model import State
from app.mesh.registry.watch import Event, Hub

Told = tuple[str, str, dict[str, Any]]


@asynccontextmanager
async def watching(url: str, query: str = "", **headers: str) -> AsyncIterator[AsyncIterator[Told]]:
    async with (
        httpx.AsyncClient(timeout=20) as http,
        http.stream("GET", f"{url}/watch{query}", headers=headers) as response,
    ):
        assert response.status_code == 200
        yield events(response)


async def events(response: httpx.Response) -> AsyncIterator[Told]:
    name = place = ""
    async for line in response.aiter_lines():
        key, _, value = line.partition(": ")
        if key == "event":
            name = value
        elif key == "id":
            place = value
        elif key == "data":
            yield name, place, json.loads(value)


async def take(stream: AsyncIterator[Told], count: int) -> list[Told]:
    async with asyncio.timeout(15):
        return [await anext(stream) for _ in range(count)]


async def test_every_kind_of_change_is_told(registry: Any, body: Any) -> None:
    async with watching(registry.url) as stream:
        ((ready, _, _),) = await take(stream, 1)
        made = (await registry.register(body())).json()
        own = {"authorization": f"Bearer {made['token']}"}
        await registry.register(body(capabilities=[{"name": "parting"}]), **own)
        told = await take(stream, 3)
        beat = {"id": made["id"], "token": made["token"]}
        await registry.beat(beat)
        await registry.beat(beat)
        told += await take(stream, 1)
        await registry.http.delete(f"/agents/{made['id']}", headers=own)
        told += await take(stream, 1)
    assert ready == "ready"
    assert [name for name, _, _ in told] == ["registered", "changed", "degraded", "recovered", "deregistered"]
    assert {data["id"] for _, _, data in told} == {made["id"]}
    assert told[0][2]["capabilities"] == ["greeting"]
    assert told[2][2]["state"] == "degraded"


async def test_who_watches_one_capability_hears_of_no_other(registry: Any, body: Any) -> None:
    async with watching(registry.url, "?capability=greeting") as stream:
        await take(stream, 1)
        parting = body(replica="x", capabilities=[{"name": "parting"}], healthInterval=60)
        other = (await registry.register(parting)).json()
        made = (await registry.register(body(healthInterval=60))).json()
        ((_, _, first),) = await take(stream, 1)
        assert first["id"] == made["id"]
        own = {"authorization": f"Bearer {other['token']}"}
        await registry.register(body(replica="x", healthInterval=60), **own)
        # One that stops to offer it is told of too.
        await registry.register(parting, **own)
        told = await take(stream, 2)
    assert [(name, data["id"]) for name, _, data in told] == [("changed", other["id"])] * 2


async def test_who_comes_back_gets_what_it_missed(registry: Any, body: Any) -> None:
    async with watching(registry.url) as stream:
        await registry.register(body(healthInterval=60))
        place = (await take(stream, 2))[-1][1]
    for number in range(3):
        await registry.register(body(replica=f"r{number}", healthInterval=60))
    async with watching(registry.url, **{"last-event-id": place}) as stream:
        told = await take(stream, 3)
    assert [data["replica"] for _, _, data in told] == ["r0", "r1", "r2"]


async def test_who_was_away_for_too_long_is_told_to_look_anew(registry: Any, body: Any) -> None:
    await registry.register(body())
    async with watching(registry.url, **{"last-event-id": "of-another-time"}) as stream:
        ((name, place, _),) = await take(stream, 1)
    assert name == "reset"
    assert place


async def test_a_place_is_understood_by_another_replica(
    serve_registry: Any, redis_server: Any, body: Any, eventually: Any
) -> None:
    one = await serve_registry(REDIS_URL=redis_server.url)
    other = await serve_registry(REDIS_URL=redis_server.url)
    async with watching(one.url) as stream:
        await one.register(body(healthInterval=60))
        place = (await take(stream, 2))[-1][1]
    await one.register(body(replica="b", healthInterval=60))
    async with watching(other.url, **{"last-event-id": place}) as stream:
        ((name, _, data),) = await take(stream, 1)
    assert (name, data["replica"]) == ("registered", "b")


def event(place: int, kind: str, agent: str, state: State = State.HEALTHY) -> Event:
    return Event(f"e-{place}", kind, agent, state)


@pytest.mark.parametrize(
    ("kinds", "seen"),
    [
        (["registered", "changed", "degraded"], ["registered"]),
        (["registered", "gone"], []),
        (["registered", "deregistered"], []),
        (["degraded", "recovered"], []),
        (["degraded", "gone"], ["gone"]),
        (["changed", "recovered"], ["changed"]),
        (["gone", "registered"], ["registered"]),
    ],
)
async def test_what_a_slow_reader_missed_of_one_agent_is_one_event(kinds: list[str], seen: list[str]) -> None:
    hub = Hub()
    with hub.watch(None, "") as watcher:
        for place, kind in enumerate(kinds):
            hub.tell(event(place, kind, "a"))
        hub.tell(event(99, "registered", "b"))
        taken = await watcher.next()
    assert taken is not None
    assert [one.kind for one in taken if one.agent == "a"] == seen
    assert taken[-1].agent == "b"


async def test_a_reader_that_never_reads_costs_a_bounded_amount() -> None:
    hub = Hub()
    with hub.watch(None, "") as watcher:
        for place in range(30_000):
            hub.tell(event(place, "registered", f"agent-{place}"))
        assert await watcher.next() == []


async def test_a_registry_that_drains_ends_its_streams() -> None:
    hub = Hub()
    with hub.watch(None, "") as watcher:
        waiting = asyncio.create_task(watcher.next())
        await asyncio.sleep(0)
        await hub.end()
        assert await waiting is None
