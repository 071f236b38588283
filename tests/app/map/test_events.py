"""`/events`: a map's changes as they are made, resumed where a client left off."""

from __future__ import annotations

import asyncio
import json

import pytest

from app.sessions.store import StoreUnavailable
from app.toolsets.map.memory import MemoryMapStore
from app.toolsets.map.model import Edit, encoded
from app.toolsets.map.rooms import Rooms
from app.web.map_events import MapEvents


async def test_a_stream_begins_with_the_map_and_goes_on_with_each_change(server, client):
    await client.call(server.http, "add_marker", id="a", latitude=1, longitude=2)
    stream = await client.watch(server.http)
    assert stream.response.headers["content-type"] == "text/event-stream"
    assert "no-transform" in stream.response.headers["cache-control"]
    first = await stream.next()
    assert (first.name, list(first.data["markers"])) == ("state", ["a"])
    await client.call(server.http, "update_marker", id="a", label="moved\n\ndata: x")
    told = await stream.next()
    assert (told.name, told.data) == ("patch", {"version": 2, "markers": {"a": {"label": "moved\n\ndata: x"}}})


async def test_a_client_that_comes_back_gets_what_it_missed_as_one_patch(server, client):
    await client.call(server.http, "add_marker", id="a", latitude=1, longitude=2)
    seen = (await (await client.watch(server.http)).next()).id
    await client.call(server.http, "remove_marker", id="a")
    await client.call(server.http, "add_marker", id="b", latitude=1, longitude=2)
    told = await (await client.watch(server.http, seen)).next()
    assert told.name == "patch"
    assert told.data["version"] == 3
    assert told.data["markers"]["a"] is None
    assert told.data["markers"]["b"]["latitude"] == 1


@pytest.mark.parametrize("last", ["nonsense", "0.0", "ffffffff.1", "1" * 5000, "a.b.c", "é"])
async def test_a_place_that_is_not_known_gets_the_whole_map_and_no_error(server, client, last):
    await client.call(server.http, "add_marker", latitude=1, longitude=2)
    assert (await (await client.watch(server.http, last.encode())).next()).name == "state"


@pytest.mark.parametrize(
    "query", ["session_id=a%20b", "session_id=<script>", "session_id=" + "x" * 129, "session_id=%00"]
)
async def test_a_name_that_no_map_has_is_refused(server, client, query):
    answer = await client.http.get(f"{server.http}/events?{query}")
    assert answer.status_code == 400
    assert "session_id is not a map's name" in answer.json()["error"]


async def test_other_methods_are_refused(server, client):
    answer = await client.http.post(f"{server.http}/events")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")


async def test_without_a_session_it_is_the_default_map(server, client):
    await client.call(server.http, "add_marker", latitude=1, longitude=2, map_session="default")
    async with client.http.stream("GET", f"{server.http}/events") as response:
        async for line in response.aiter_lines():
            if line.startswith("data: "):
                assert json.loads(line[6:])["version"] == 1
                return


async def test_a_stream_ends_when_the_server_drains_so_that_its_client_goes_elsewhere(server, client):
    stream = await client.watch(server.http)
    await stream.next()
    server.server.ask_to_exit()
    assert await stream.next() is None


async def test_a_client_that_reads_slowly_gets_fewer_events_and_the_same_map(server, client):
    """While it reads nothing, the socket fills up; what comes after that waits as one patch."""
    rounds = 60
    line = {"type": "LineString", "coordinates": [[step / 10_000, 0] for step in range(20_000)]}
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1024)
    try:
        writer.write(f"GET /events?session_id={client.session} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        await reader.readuntil(b"event: state")
        for _ in range(rounds):
            await client.call(server.http, "add_layer", id="l", name="n", geojson=line)
            last = await client.call(server.http, "remove_layer", id="l")
        events, tail = 0, b""
        async with asyncio.timeout(30):
            while f'"version":{last["version"]},"layers":{{"l":null}}'.encode() not in tail:
                got = await reader.read(65_536)
                events += (tail[-12:] + got).count(b"event: patch\n")
                tail = tail[-200:] + got
        assert 0 < events < rounds
    finally:
        writer.close()


class Wire:
    """An ASGI client that takes what it is sent only when it is told to."""

    def __init__(self) -> None:
        self.sent: list[dict] = []
        self.leave = asyncio.Event()
        self.got = asyncio.Event()

    async def receive(self) -> dict:
        await self.leave.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict) -> None:
        self.sent.append(message)
        self.got.set()

    async def until(self, part: bytes) -> None:
        async with asyncio.timeout(10):
            while part not in b"".join(message.get("body", b"") for message in self.sent):
                self.got.clear()
                await self.got.wait()

    @property
    def scope(self) -> dict:
        return {"type": "http", "method": "GET", "path": "/events", "query_string": b"session_id=m", "headers": []}


async def test_silence_is_broken_by_comments():
    wire = Wire()
    serving = asyncio.create_task(
        MapEvents(Rooms(MemoryMapStore()), patience=0.01)(wire.scope, wire.receive, wire.send)
    )
    await wire.until(b": still here\n\n: still here\n\n")
    wire.leave.set()
    await serving


async def test_a_client_that_leaves_leaves_nothing_behind():
    wire, rooms = Wire(), Rooms(MemoryMapStore())
    serving = asyncio.create_task(MapEvents(rooms)(wire.scope, wire.receive, wire.send))
    await wire.until(b"event: state")
    wire.leave.set()
    await serving
    assert rooms._rooms == {}
    assert wire.sent[-1].get("more_body") is True  # nobody is there for an end


async def test_a_client_that_takes_nothing_is_let_go(monkeypatch):
    monkeypatch.setattr("app.event_stream._STALLED", 0.01)
    store = MemoryMapStore()
    wire, rooms = Wire(), Rooms(store)

    async def send(message: dict) -> None:
        await wire.send(message)
        if b"event: state" in message.get("body", b""):
            await asyncio.Event().wait()

    async with asyncio.timeout(10):
        await MapEvents(rooms)(wire.scope, wire.receive, send)
    assert rooms._rooms == {}


async def test_a_store_that_is_away_is_said_at_once_and_waited_for_later(monkeypatch):
    store = MemoryMapStore()
    rooms, changes = Rooms(store), store.changes
    away = True

    async def sometimes(*args: object) -> object:
        if away:
            raise StoreUnavailable("gone")
        return await changes(*args)

    monkeypatch.setattr(store, "changes", sometimes)
    wire = Wire()
    await MapEvents(rooms)(wire.scope, wire.receive, wire.send)
    assert wire.sent[0]["status"] == 503
    assert (b"retry-after", b"2") in wire.sent[0]["headers"]

    away = False
    monkeypatch.setattr("app.toolsets.map.rooms._RETRY", 0.01)
    wire = Wire()
    serving = asyncio.create_task(MapEvents(rooms)(wire.scope, wire.receive, wire.send))
    await wire.until(b"event: state")
    away = True
    await store.edit("m", Edit("put", "view", "view", encoded({"latitude": 1, "longitude": 2, "zoom": 3})))
    away = False
    await wire.until(b'"zoom":3')
    wire.leave.set()
    await serving
