"""What the tests of the registry share: registrations, running registries, and real processes of them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.cli._registry import build_registry
from app.mesh.checks import check_registration
from app.mesh.model import Capability, Record, Registration
from app.server import bind, make_server, port_of
from app.settings import Settings

TOKEN = "a-token-of-the-tests-that-is-long-enough"


def make_record(name: str = "hello", replica: str = "hello-0", **changes: Any) -> Record:
    owner, token = changes.pop("owner", ""), changes.pop("token", TOKEN)
    told = Registration(
        name=name,
        replica=replica,
        endpoint=changes.pop("endpoint", "http://127.0.0.1:9000"),
        capabilities=changes.pop("capabilities", (Capability("greeting", "1.2.0"),)),
        **changes,
    )
    return check_registration(told, owner=owner, token=token, now=1000.0)


def make_body(name: str = "hello", replica: str = "hello-0", **changes: Any) -> dict[str, Any]:
    body = {
        "name": name,
        "replica": replica,
        "endpoint": "http://127.0.0.1:9000",
        "capabilities": [{"name": "greeting", "version": "1.2.0"}],
        "healthInterval": 1,
    }
    return {**body, **changes}


@pytest.fixture
def record() -> Callable[..., Record]:
    """Makes what a store keeps."""
    return make_record


@pytest.fixture
def body() -> Callable[..., dict[str, Any]]:
    """Makes what `POST /agents` takes."""
    return make_body


async def until(condition: Callable[[], bool | Awaitable[bool]], seconds: float = 60) -> None:
    """Wait for something that happens elsewhere."""
    async with asyncio.timeout(seconds):
        while True:
            held = condition()
            if await held if isinstance(held, Awaitable) else held:
                return
            await asyncio.sleep(0.02)


@pytest.fixture
def eventually() -> Callable[..., Awaitable[None]]:
    return until


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


@pytest.fixture
async def registry(serve_registry: Serve) -> Running:
    """A registry that keeps everything in memory."""
    return await serve_registry()


class Process:
    """A `slipway registry` of its own."""

    def __init__(self, folder: Path, number: int, settings: dict[str, str], data: Path | None) -> None:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            self.port = listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / f"registry-{number}.log"
        self.data = data
        ours = ("MCP_", "REDIS_", "MONGODB_", "PROMETHEUS_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        self.environment = {**kept, "REGISTRY_ID": f"registry-{number}", "MCP_DRAIN_SECONDS": "2", **settings}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Process:
        command = [sys.executable, "-m", "app.cli", "registry", "--port", str(self.port)]
        command += [] if self.data is None else ["--data", str(self.data)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=5) as probe:
                probe.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                if probe.recv(12):
                    return self
            time.sleep(0.05)
        raise RuntimeError(f"the registry did not start: {self.log.read_text()[-2000:]}")

    def end(self, number: signal.Signals = signal.SIGKILL) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(timeout=60)

    @property
    def events(self) -> list[str]:
        return [json.loads(line)["event"] for line in self.log.read_text().splitlines() if line.startswith("{")]


StartRegistry = Callable[..., Process]


@pytest.fixture
def start_registry(tmp_path: Path) -> Iterator[StartRegistry]:
    """Starts registries as processes; none outlives the test."""
    started: list[Process] = []

    def start(*, data: Path | None = None, **settings: str) -> Process:
        process = Process(tmp_path, len(started), settings, data)
        started.append(process)
        return process.start()

    yield start
    for process in started:
        if process.process is not None and process.process.poll() is None:
            process.end()
