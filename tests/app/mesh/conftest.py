"""What tests of the mesh share: registries in their own event loop, and wires between programs that can be cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.cli._registry import build_registry
from app.server import bind, make_server, port_of
from app.settings import Settings


class Wire:
    """A TCP proxy on the way to a port. Cut, it passes no byte and closes nothing, as a broken network does."""

    def __init__(self, target: int) -> None:
        self.port = 0
        self.connections = 0
        self.drops: Callable[[bytes], bool] = lambda data: False
        """Whether the connection that these bytes of a client came over is torn down instead."""
        self.target = target
        self._whole = asyncio.Event()
        self._whole.set()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> Wire:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def cut(self) -> None:
        self._whole.clear()

    def mend(self) -> None:
        self._whole.set()

    async def kill(self) -> None:
        """Nothing is there any more: connections are reset, and new ones refused."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in self._tasks:
            task.cancel()
        for writer in self._writers:
            writer.transport.abort()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            await self._whole.wait()
            there, back = await asyncio.open_connection("127.0.0.1", self.target)
            self._writers.add(back)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass(reader, back, self.drops))
                group.create_task(self._pass(there, writer, lambda data: False))
        except (OSError, asyncio.CancelledError, ExceptionGroup):
            pass
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, drops: Callable[[bytes], bool]
    ) -> None:
        while data := await reader.read(65536):
            await self._whole.wait()
            if drops(data):
                raise ConnectionAbortedError
            writer.write(data)
            await writer.drain()
        with suppress(OSError):
            writer.write_eof()


MakeWire = Callable[[int], Awaitable[Wire]]


@pytest.fixture
async def make_wire() -> AsyncIterator[MakeWire]:
    """Lays wires to ports of this machine; all of them end with the test."""
    laid: list[Wire] = []

    async def lay(target: int) -> Wire:
        laid.append(await Wire(target).start())
        return laid[-1]

    yield lay
    for wire in laid:
        await wire.kill()


class Running:
    """A registry in the test's own event loop."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.port = port
        self.http = httpx.AsyncClient(base_url=self.url, timeout=60)

    async def register(self, told: dict[str, Any], **headers: str) -> httpx.Response:
        return await self.http.post("/agents", json=told, headers=headers)

    async def beat(self, *beats: dict[str, Any], **headers: str) -> dict[str, Any]:
        answer = await self.http.post("/heartbeats", json={"beats": list(beats)}, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def discover(self, capability: str, **query: Any) -> dict[str, Any]:
        answer = await self.http.get("/discover", params={"capability": capability, **query})
        assert answer.status_code == 200, answer.text
        return answer.json()


Serve = Callable[..., Awaitable[Running]]


@pytest.fixture
async def serve_registry() -> AsyncIterator[Serve]:
    """Starts a registry, with settings by their environment names; it is drained when the test ends."""
    running: list[tuple[Running, Any, asyncio.Task[None]]] = []

    async def start(data: Path | None = None, **settings: object) -> Running:
        loaded = Settings(**{"MCP_TRANSPORT": "http", "MCP_DRAIN_SECONDS": 2, **settings})
        application, lifecycle = build_registry(loaded, data)
        listener = bind("127.0.0.1", 0)
        server = make_server(application, loaded, lifecycle)
        listening = asyncio.Event()
        server.on_listening = listening.set
        task = asyncio.create_task(server.run_here(listener))
        waiter = asyncio.ensure_future(listening.wait())
        await asyncio.wait({task, waiter}, return_when=asyncio.FIRST_COMPLETED)
        waiter.cancel()
        running.append((Running(port_of(listener)), server, task))
        return running[-1][0]

    yield start
    for served, server, task in running:
        await served.http.aclose()
        if not server.should_exit:
            server.ask_to_exit()
        await task


async def _until(condition: Callable[[], bool | Awaitable[bool]], seconds: float = 60) -> None:
    """Wait for something that happens elsewhere."""
    async with asyncio.timeout(seconds):
        while True:
            held = condition()
            if await held if isinstance(held, Awaitable) else held:
                return
            await asyncio.sleep(0.02)


@pytest.fixture
def until() -> Callable[..., Awaitable[None]]:
    return _until
