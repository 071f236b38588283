"""What the tests of the registry share: registrations, running registries, and real processes of them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.mesh.checks import check_registration
from app.mesh.model import Capability, Record, Registration

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


@pytest.fixture
def eventually(until: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    return until


@pytest.fixture
async def registry(serve_registry: Any) -> Any:
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
        self.launch()
        return self.ready()

    def launch(self) -> None:
        command = [sys.executable, "-m", "app.cli", "registry", "--port", str(self.port)]
        command += [] if self.data is None else ["--data", str(self.data)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)

    def ready(self) -> Process:
        """Return when it serves."""
        assert self.process is not None
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=5) as probe:
                probe.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                if probe.recv(12):
                    return self
            time.sleep(0.05)
        raise RuntimeError(f"the registry did not start: {self.log.read_text()[-2000:]}")

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def end(self, number: signal.Signals = signal.SIGKILL) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(timeout=60)

    @property
    def events(self) -> list[str]:
        return [json.loads(line)["event"] for line in self.log.read_text().splitlines() if line.startswith("{")]


StartRegistry = Callable[..., Process]


@contextlib.contextmanager
def _starting(folder: Path) -> Iterator[StartRegistry]:
    started: list[Process] = []

    def start(*, data: Path | None = None, wait: bool = True, **settings: str) -> Process:
        process = Process(folder, len(started), settings, data)
        started.append(process)
        process.launch()
        return process.ready() if wait else process

    yield start
    for process in started:
        if process.alive:
            process.end()


@pytest.fixture
def start_registry(tmp_path: Path) -> Iterator[StartRegistry]:
    """Starts registries as processes; none outlives the test."""
    with _starting(tmp_path) as start:
        yield start


class Trio(list[Process]):
    """Three registries, each with a folder of its own, that share one Redis."""

    def __init__(self, start: StartRegistry, folder: Path, redis: Any) -> None:
        super().__init__(start(data=folder / f"data-{n}", wait=False, REDIS_URL=redis.url) for n in range(3))
        self.redis = redis
        self.restore()

    def restore(self) -> None:
        """All of it runs."""
        if self.redis.process is None:
            self.redis.start()
        self.start_registries()

    def start_registries(self) -> None:
        """Those that do not run."""
        for registry in self:
            if not registry.alive:
                registry.launch()
        for registry in self:
            registry.ready()


@pytest.fixture(scope="session")
def _trio(shared_redis: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trio]:
    folder = tmp_path_factory.mktemp("three-registries")
    redis = type(shared_redis)(folder / "redis").start()  # one that may be killed
    with _starting(folder) as start:
        yield Trio(start, folder, redis)
    redis.kill()


@pytest.fixture
def three(_trio: Trio) -> Trio:
    """The same three for many tests, all of them running. Whoever registers with them is to leave again."""
    _trio.restore()
    return _trio
