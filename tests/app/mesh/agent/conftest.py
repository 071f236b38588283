"""Meshes of real processes: a registry and agents."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

MODULES = Path(__file__).parent / "modules"
PATIENCE = 90.0
"""Seconds: starting a program takes long where many others do the same."""


class Mesh:
    """Agents, the registry that they are told of, and what it knows of them."""

    def __init__(self, start: Callable[..., Any], folder: Path, url: str) -> None:
        self._start = start
        self.folder = folder
        self.url = url
        self.registry: Any = None

    def start_registry(self) -> None:
        """A registry at the mesh's address that knows nobody."""
        self.registry = self._start("registry", MCP_PORT=self.url.rpartition(":")[2])

    def agent(self, name: str, *arguments: str, **settings: str) -> Any:
        given = {
            "MCP_AGENT_NAME": name,
            "MCP_MESH_REGISTRY_URL": self.url,
            "PYTHONPATH": str(MODULES),
            "MCP_AGENT_MODULES": "handy",
            "MCP_DRAIN_SECONDS": "10",
        }
        return self._start("agent", *arguments, **{**given, **settings})

    def registered(self, **wanted: str) -> list[dict[str, Any]]:
        return httpx.get(f"{self.url}/agents", params=wanted, trust_env=False, timeout=30).json()["agents"]

    def await_registered(self, count: int, **wanted: str) -> list[dict[str, Any]]:
        return eventually(lambda: self.registered(**wanted), lambda found: len(found) == count)


def eventually(look: Callable[[], Any], right: Callable[[Any], bool], seconds: float = PATIENCE) -> Any:
    """What is seen, once it is right."""
    end = time.monotonic() + seconds
    while True:
        try:
            seen = look()
        except httpx.HTTPError as error:
            seen = error
        else:
            if right(seen):
                return seen
        if time.monotonic() > end:
            raise AssertionError(f"not in {seconds} s; last seen: {seen!r}")
        time.sleep(0.05)


def free_url() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def empty_mesh(start_slipway: Callable[..., Any], tmp_path: Path) -> Mesh:
    """Nothing runs yet."""
    return Mesh(start_slipway, tmp_path, free_url())


@pytest.fixture
def mesh(empty_mesh: Mesh) -> Mesh:
    """A registry of the test's own."""
    empty_mesh.start_registry()
    return empty_mesh


class Standing(Mesh):
    """A registry, two workers and a caller that many tests use and none hurts."""

    def __init__(self, start: Callable[..., Any], folder: Path) -> None:
        super().__init__(start, folder, free_url())
        self.start_registry()
        self.workers = [
            self.agent("worker", POD_IP="127.0.0.1", POD_NAME=f"worker-7d9-x{number}") for number in range(2)
        ]
        self.caller = self.agent("caller", MCP_AGENT_MODULES="relaying")
        self.await_registered(3)


@pytest.fixture(scope="session")
def standing(start_shared_slipway: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Standing:
    return Standing(start_shared_slipway, tmp_path_factory.mktemp("mesh"))


@pytest.fixture
def guests(standing: Standing, start_slipway: Callable[..., Any], tmp_path: Path) -> Mesh:
    """Agents that join the standing mesh for one test; their names are to be their own."""
    return Mesh(start_slipway, tmp_path, standing.url)


@pytest.fixture(name="eventually")
def eventually_fixture() -> Callable[..., Any]:
    return eventually
