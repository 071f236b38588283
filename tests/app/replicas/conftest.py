"""Two replicas: real processes that share one real Redis, and no affinity."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest


@dataclass
class Replicas:
    a: object
    b: object

    @property
    def mcp(self) -> tuple[str, str]:
        return f"{self.a.url}/mcp", f"{self.b.url}/mcp"

    @property
    def ws(self) -> tuple[str, str]:
        return tuple(f"ws://127.0.0.1:{replica.port}/mcp" for replica in (self.a, self.b))

    def kill_a(self) -> None:
        self.a.process.kill()
        self.a.wait()


def _settings(redis_url: str) -> dict[str, str]:
    return {"REDIS_URL": redis_url, "MCP_TOOLSETS": "platform,conformance", "MCP_DRAIN_SECONDS": "2"}


@pytest.fixture
def start_replicas(start_slipway) -> Callable[[str], Replicas]:
    """Starts two replicas on the Redis at a URL."""

    def start(redis_url: str) -> Replicas:
        return Replicas(start_slipway(**_settings(redis_url)), start_slipway(**_settings(redis_url)))

    return start


@pytest.fixture
def mortal_replicas(start_replicas, shared_redis) -> Replicas:
    """Two replicas that the test may kill."""
    return start_replicas(shared_redis.url)


@pytest.fixture(scope="session")
def replicas(start_shared_slipway, shared_redis) -> Replicas:
    """Two replicas that outlive the test."""
    settings = _settings(shared_redis.url)
    return Replicas(start_shared_slipway(**settings), start_shared_slipway(**settings))
