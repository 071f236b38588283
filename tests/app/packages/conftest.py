"""A registry of the tests' own, and what asks it."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent / "support"))
from package_registry import Registry, server_of, tarball, wheel

from app.packages.asking import AskLimits
from app.packages.registries import Registries, Source
from app.packages.shelf import Shelf
from app.resilience.http import HttpClient


@pytest.fixture
def make_tarball() -> Callable[..., bytes]:
    return tarball


@pytest.fixture
def make_wheel() -> Callable[..., tuple[str, bytes]]:
    return wheel


@pytest.fixture
def registry() -> Iterator[Registry]:
    """A registry of the test's own."""
    served = Registry()
    server = server_of(served)
    served.url = f"http://127.0.0.1:{server.server_address[1]}/"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield served
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def registries(registry: Registry) -> Registries:
    return Registries(npm=registry.url, indexes=[Source(registry.index)])


MakeShelf = Callable[..., Shelf]


@pytest.fixture
async def make_shelf(registries: Registries) -> AsyncIterator[MakeShelf]:
    """Makes a shelf on the registry; its connections are closed when the test ends."""
    client = HttpClient("slipway/test")

    def make(**limits: Any) -> Shelf:
        return Shelf(client, registries, limits=AskLimits(**{"timeout": 5.0, **limits}))

    yield make
    await client.close()


@pytest.fixture
def shelf(make_shelf: MakeShelf) -> Shelf:
    return make_shelf()


@pytest.fixture
def client_environment(registry: Registry, tmp_path: Path) -> dict[str, str]:
    """What npm and uv are run with: the registry of the test, and caches of their own."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "npm_config_registry": registry.url,
        "npm_config_cache": str(tmp_path / "npm-cache"),
        "npm_config_fetch_retries": "0",
        "UV_DEFAULT_INDEX": registry.index,
        "UV_CACHE_DIR": str(tmp_path / "uv-cache"),
    }
