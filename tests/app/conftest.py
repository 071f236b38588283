"""What the tests of the program share: real Redis servers on free ports."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


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
