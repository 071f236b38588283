"""What the tests of the program share: real Redis servers, and the program itself, on free ports."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "support"))
from stream_clients import open_raw, open_socket, open_sse, web

from app.cli._wiring import build_application
from app.server import Server, bind, make_server, port_of
from app.settings import Settings

__all__ = ["open_raw", "open_socket", "open_sse", "web"]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class RedisServer:
    """One `redis-server` process that can be stopped, frozen, killed and started again on its port."""

    def __init__(self, folder: Path, *options: str, port: int | None = None, sentinel: bool = False) -> None:
        self.port = port or free_port()
        self.folder = folder
        self.options = options
        self.sentinel = sentinel
        self.process: subprocess.Popen[bytes] | None = None
        self.ping = ["redis-cli", "-p", str(self.port), "ping"]

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> RedisServer:
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.sentinel:
            configuration = self.folder / "sentinel.conf"
            command = ["redis-server", str(configuration), "--sentinel"]
        else:
            command = ["redis-server", "--port", str(self.port), "--save", "", "--appendonly", "no"]
            command += ["--dir", str(self.folder), "--bind", "127.0.0.1", *self.options]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + 15
        while True:
            # "NOAUTH" is an answer too.
            answer = subprocess.run(self.ping, capture_output=True, text=True, timeout=10)
            if "PONG" in answer.stdout or "NOAUTH" in answer.stdout:
                return self
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"redis-server did not start: {(self.folder / 'log').read_text()[-2000:]}")
            time.sleep(0.02)

    def cli(self, *command: str) -> str:
        return subprocess.run(
            [*self.ping[:-1], *command], capture_output=True, text=True, check=True, timeout=10
        ).stdout.strip()

    def freeze(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGCONT)
                self.process.kill()
            self.process.wait(timeout=10)
            self.process = None


@pytest.fixture(scope="session")
def _needs_redis() -> None:
    if shutil.which("redis-server") is None:
        remedy = "redis-server is not on PATH: install it (Debian: apt-get install redis-server redis-sentinel)"
        if os.environ.get("CI") == "true":
            pytest.fail(remedy)
        pytest.skip(remedy)


MakeRedis = Callable[..., RedisServer]


@pytest.fixture
def make_redis(_needs_redis: None, tmp_path: Path) -> Iterator[MakeRedis]:
    """Starts Redis servers that are gone when the test ends."""
    servers: list[RedisServer] = []

    def make(*options: str, port: int | None = None, sentinel_configuration: str | None = None) -> RedisServer:
        folder = tmp_path / f"redis-{len(servers)}"
        server = RedisServer(folder, *options, port=port, sentinel=sentinel_configuration is not None)
        if sentinel_configuration is not None:
            folder.mkdir(parents=True)
            text = f"port {server.port}\nbind 127.0.0.1\ndir {folder}\n{sentinel_configuration}"
            (folder / "sentinel.conf").write_text(text)
        servers.append(server)
        return server

    yield make
    for server in servers:
        server.kill()


@pytest.fixture
def redis_server(make_redis: MakeRedis) -> RedisServer:
    """A running Redis of the test's own."""
    return make_redis().start()


@pytest.fixture(scope="session")
def shared_redis(_needs_redis: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A running Redis for tests that neither stop it nor mind what others left in it."""
    server = RedisServer(tmp_path_factory.mktemp("redis")).start()
    yield server
    server.kill()


def clean_environment(**settings: str) -> dict[str, str]:
    """Our environment without what would configure the program, and with what the test wants."""
    ours = ("MCP_", "REDIS_", "MONGODB_", "PROMETHEUS_")
    return {**{name: value for name, value in os.environ.items() if not name.startswith(ours)}, **settings}


class Slipway:
    """One running `slipway`; `lines` are what it logged."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self.log = log
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    def await_listening(self) -> None:
        deadline = time.monotonic() + 90
        while self.process.poll() is None and time.monotonic() < deadline:
            for line in self.lines:
                if line.get("event") == "serving":
                    self.port = int(str(line["address"]).rpartition(":")[2].partition("/")[0])
                    # The socket listens before the workers do; an answer is what shows that one serves.
                    with socket.create_connection(("127.0.0.1", self.port), timeout=20) as probe:
                        probe.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                        probe.recv(1)
                    return
            time.sleep(0.02)
        raise RuntimeError(f"slipway did not start: {self.log.read_text()[-2000:]}")

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def wait(self, timeout: float = 30) -> int:
        return self.process.wait(timeout=timeout)


StartSlipway = Callable[..., Slipway]


@contextlib.contextmanager
def _starting(folder: Path) -> Iterator[StartSlipway]:
    started: list[Slipway] = []

    def start(*command: str, **settings: str) -> Slipway:
        log = folder / f"slipway-{len(started)}.log"
        environment = clean_environment(**{"MCP_TRANSPORT": "http", "MCP_PORT": "0", **settings})
        with log.open("wb") as out:
            program = [sys.executable, "-m", "app.cli", *command]
            process = subprocess.Popen(program, env=environment, stdout=out, stderr=out)
        slipway = Slipway(process, log)
        started.append(slipway)
        slipway.await_listening()
        return slipway

    yield start
    for slipway in started:
        if slipway.process.poll() is None:
            slipway.process.terminate()
            try:
                slipway.wait(10)
            except subprocess.TimeoutExpired:
                slipway.process.kill()
                slipway.wait()


@pytest.fixture
def start_slipway(tmp_path: Path) -> Iterator[StartSlipway]:
    """Starts `slipway` over sockets on a free port, with settings as in `MCP_WORKERS="2"`; none outlives the test.

    Other roles are started by their command: `start_slipway("registry", "--data", folder)`.
    """
    with _starting(tmp_path) as start:
        yield start


@pytest.fixture(scope="session")
def start_shared_slipway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartSlipway]:
    """The same for a `slipway` that many tests use and none ends."""
    with _starting(tmp_path_factory.mktemp("slipway")) as start:
        yield start


class Served:
    """A server that listens on a port of this machine, in the test's own event loop."""

    def __init__(self, server: Server, port: int) -> None:
        self.server = server
        self.port = port

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws(self) -> str:
        return f"ws://127.0.0.1:{self.port}/mcp"


Serve = Callable[..., Awaitable[Served]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Starts the whole application, with settings by their environment names; it is drained when the test ends."""
    running: list[tuple[Served, asyncio.Task[None]]] = []

    async def start(**settings: object) -> Served:
        values = {"MCP_TRANSPORT": "http", "MCP_TOOLSETS": "platform,conformance", "MCP_DRAIN_SECONDS": 2, **settings}
        loaded = Settings(**values)
        application, lifecycle = build_application(loaded)
        listener = bind("127.0.0.1", 0)
        server = make_server(application, loaded, lifecycle)
        listening = asyncio.Event()
        server.on_listening = listening.set
        task = asyncio.create_task(server.run_here(listener))
        served = Served(server, port_of(listener))
        running.append((served, task))
        await asyncio.wait({task, asyncio.ensure_future(listening.wait())}, return_when=asyncio.FIRST_COMPLETED)
        return served

    yield start
    for served, task in running:
        if not served.server.should_exit:
            served.server.ask_to_exit()
        await task
    gc.unfreeze()  # a server of the test's own process need not keep what the test made
