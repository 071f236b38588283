"""A registry whose store is away, or whose own files are broken."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.mesh.store import MeshLimits, Put, StoreUnavailable
from app.mesh.stores._file import FolderError
from app.mesh.stores.sqlite import SqliteAgents

NOWHERE = "redis://127.0.0.1:1/0"


async def test_without_a_folder_registering_is_to_be_tried_again_later(serve_registry: Any, body: Any) -> None:
    registry = await serve_registry(REDIS_URL=NOWHERE)
    refused = await registry.register(body())
    assert refused.status_code == 503
    assert 1 <= int(refused.headers["retry-after"]) <= 10
    assert (await registry.beat({"id": "0" * 32, "token": "t"}))["results"][0]["status"] == "ok"
    assert (await registry.discover("greeting"))["stale"] is True
    ready = await registry.http.get("/ready")
    assert (ready.status_code, ready.json()["status"]) == (200, "degraded")


async def test_with_a_folder_registrations_are_kept_and_survive_being_killed(
    start_registry: Any, make_redis: Any, body: Any, tmp_path: Path, eventually: Any
) -> None:
    redis = make_redis()
    registry = start_registry(data=tmp_path / "data", REDIS_URL=redis.url)
    async with httpx.AsyncClient(base_url=registry.url, timeout=20) as http:
        made = [(await http.post("/agents", json=body(replica=f"r{n}", healthInterval=60))) for n in range(5)]
        assert [answer.status_code for answer in made] == [202] * 5
        registry.end()
        registry.start()
        assert (await http.get("/discover?capability=greeting")).json()["total"] == 5
        redis.start()

        async def delivered() -> bool:
            return redis.cli("HLEN", "slipway:mesh:agents") == "5"

        await eventually(delivered)
        beats = [{"id": answer.json()["id"], "token": answer.json()["token"]} for answer in made]
        told = (await http.post("/heartbeats", json={"beats": beats})).json()
        assert {result["status"] for result in told["results"]} == {"ok"}


async def test_no_more_registrations_are_kept_than_may_be(serve_registry: Any, body: Any, tmp_path: Path) -> None:
    registry = await serve_registry(tmp_path / "data", REDIS_URL=NOWHERE, MCP_MESH_MAX_PENDING="3")
    answers = [await registry.register(body(replica=f"r{number}")) for number in range(5)]
    assert [answer.status_code for answer in answers] == [202, 202, 202, 503, 503]


async def test_not_even_then_does_somebody_else_take_an_agents_place(
    serve_registry: Any, body: Any, tmp_path: Path
) -> None:
    registry = await serve_registry(tmp_path / "data", REDIS_URL=NOWHERE)
    made = (await registry.register(body())).json()
    assert (await registry.register(body(endpoint="http://127.0.0.1:6666"))).status_code == 409
    own = {"authorization": f"Bearer {made['token']}"}
    assert (await registry.register(body(endpoint="http://127.0.0.1:9001"), **own)).status_code == 202
    assert (await registry.http.delete(f"/agents/{made['id']}", headers=own)).status_code == 204
    assert (await registry.discover("greeting"))["agents"] == []


async def test_a_copy_that_cannot_be_read_is_put_aside(start_registry: Any, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "registry.db").write_bytes(b"this is no database" * 1000)
    registry = start_registry(data=data, REDIS_URL=NOWHERE)
    assert "the copy of the agents cannot be read: beginning without one" in registry.events
    assert (data / "registry.unreadable").exists()


async def test_a_file_that_is_the_only_place_is_not_put_aside(tmp_path: Path) -> None:
    (tmp_path / "registry.db").write_bytes(b"this is no database" * 1000)
    with pytest.raises(FolderError, match="restore it"):
        SqliteAgents(tmp_path)
    assert (tmp_path / "registry.db").exists()


async def test_a_disk_that_fails_loses_nothing_that_was_promised(
    tmp_path: Path, record: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SqliteAgents(tmp_path, MeshLimits())
    await store.put([Put(record(replica="a"))])

    def full(_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr("app.mesh.stores._file.AgentFile.write", lambda *_: full(_))
        with pytest.raises(StoreUnavailable, match="No space left"):
            await store.put([Put(record(replica="b"))])
    assert await store.put([Put(record(replica="b"))]) == ["registered"]
    await store.close()
    again = SqliteAgents(tmp_path, MeshLimits())
    found = await again.find([record(replica="a").id, record(replica="b").id])
    assert [one.replica for one in found if one is not None] == ["a", "b"]
    await again.close()


async def test_a_registry_that_is_told_to_end_lets_its_streams_go(start_registry: Any) -> None:
    registry = start_registry()
    async with (
        httpx.AsyncClient(timeout=20) as http,
        http.stream("GET", f"{registry.url}/watch") as response,
    ):
        lines = response.aiter_lines()
        await anext(lines)
        registry.process.send_signal(signal.SIGTERM)
        async for _ in lines:
            pass
    assert await asyncio.to_thread(registry.process.wait, 20) == 0
