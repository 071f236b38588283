"""Everyone at once: five thousand agents register with three registries that share one Redis."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

HERD = 5_000
CONNECTIONS = 90


class Connection:
    """One request after the other, as cheap as can be."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def open(self) -> Connection:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def post(self, path: str, value: object) -> tuple[int, str, bytes]:
        body = json.dumps(value).encode()
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
        self._writer.write(head.encode() + body)
        told = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower()
        size = int(told.partition("content-length:")[2].partition("\r\n")[0])
        return int(told[9:12]), told, await self._reader.readexactly(size)

    def close(self) -> None:
        self._writer.close()


async def test_a_herd_is_taken_whole_and_nobody_else_waits_for_it(
    serve_registry: Any, redis_server: Any, body: Any, tmp_path: Path, eventually: Any
) -> None:
    registries = [await serve_registry(tmp_path / f"data-{n}", REDIS_URL=redis_server.url) for n in range(3)]
    before = (await registries[0].register(body(name="old", healthInterval=60))).json()
    told: set[str] = set()
    refused = 0

    async def some(place: int) -> None:
        nonlocal refused
        connection = await Connection(registries[place % 3].port).open()
        for number in range(place, HERD, CONNECTIONS):
            agent = body(name=f"agent-{number % 50}", replica=f"r{number}", healthInterval=60)
            while True:
                status, head, answer = await connection.post("/agents", agent)
                if status == 201:
                    told.add(json.loads(answer)["id"])
                    break
                assert status == 503
                assert "retry-after:" in head
                refused += 1
                await asyncio.sleep(0.2)
        connection.close()

    async def go_on() -> set[str]:
        """An agent that was there before, and beats on every registry meanwhile."""
        connections = [await Connection(registry.port).open() for registry in registries]
        beat = {"beats": [{"id": before["id"], "token": before["token"]}]}
        statuses: set[str] = set()
        while not herd.done():
            for connection in connections:
                _, _, answer = await connection.post("/heartbeats", beat)
                statuses.add(json.loads(answer)["results"][0]["status"])
            await asyncio.sleep(0.05)
        for connection in connections:
            connection.close()
        return statuses

    herd = asyncio.gather(*(some(place) for place in range(CONNECTIONS)))
    assert await go_on() == {"ok"}
    await herd
    assert len(told) == HERD
    for registry in registries:

        async def knows_all(registry: Any = registry) -> bool:
            return (await registry.discover("greeting"))["total"] == HERD + 1

        await eventually(knows_all)
