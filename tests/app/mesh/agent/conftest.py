"""A mesh of real processes: a registry and agents."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

MODULES = Path(__file__).parent / "modules"


class Mesh:
    """One registry, the agents that are told of it, and what they know of each other."""

    def __init__(self, start: Callable[..., Any], folder: Path) -> None:
        self._start = start
        self.folder = folder
        self.registry = start("registry")
        self.url = self.registry.url

    def agent(self, name: str, *arguments: str, **settings: str) -> Any:
        given = {
            "MCP_AGENT_NAME": name,
            "MCP_MESH_REGISTRY_URL": self.url,
            "PYTHONPATH": str(MODULES),
            "MCP_AGENT_MODULES": "handy",
            "MCP_DRAIN_SECONDS": "10",
        }
        return self._start("agent", *arguments, **{**given, **settings})

    def restart_registry(self) -> None:
        """A registry at the same place that knows nobody."""
        self.registry = self._start("registry", MCP_PORT=self.url.rpartition(":")[2])

    def registered(self, **wanted: str) -> list[dict[str, Any]]:
        return httpx.get(f"{self.url}/agents", params=wanted, trust_env=False).json()["agents"]

    def await_registered(self, count: int, **wanted: str) -> list[dict[str, Any]]:
        return eventually(lambda: self.registered(**wanted), lambda found: len(found) == count)


def eventually(look: Callable[[], Any], right: Callable[[Any], bool], seconds: float = 20) -> Any:
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
        time.sleep(0.02)


@pytest.fixture
def mesh(start_slipway: Callable[..., Any], tmp_path: Path) -> Mesh:
    return Mesh(start_slipway, tmp_path)


@pytest.fixture(name="eventually")
def eventually_fixture() -> Callable[..., Any]:
    return eventually
