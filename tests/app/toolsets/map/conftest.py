"""Maps for the tests: each store on its own, and tools that are called as a client would."""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
import pytest

from app.protocol.calls import ANONYMOUS, Call
from app.protocol.context import CallContext
from app.protocol.methods.tools import run_tool
from app.protocol.params import Meta
from app.protocol.revisions import NEWEST
from app.toolsets import ToolsetRegistry, load
from app.toolsets.map.memory import MemoryMapStore
from app.toolsets.map.model import MapLimits
from app.toolsets.map.redis import RedisMapStore
from app.toolsets.map.service import Maps
from app.toolsets.map.store import MapStore

MakeStore = Callable[..., Awaitable[MapStore]]
CallTool = Callable[..., Awaitable[Any]]


@pytest.fixture(params=["memory", "redis"])
async def make_store(request: pytest.FixtureRequest) -> AsyncIterator[MakeStore]:
    """Makes stores; those of one test in Redis share it, as replicas do."""
    made: list[MapStore] = []
    url = request.getfixturevalue("shared_redis").url if request.param == "redis" else ""

    async def make(**limits: Any) -> MapStore:
        bounds = MapLimits(**limits)
        store = RedisMapStore(url, bounds) if url else MemoryMapStore(bounds)
        made.append(store)
        await store.start()
        return store

    yield make
    for store in made:
        await store.close()


@pytest.fixture
async def store(make_store: MakeStore) -> MapStore:
    """A store with the usual limits."""
    return await make_store()


@pytest.fixture
def name() -> str:
    """A map's name that no other test uses."""
    return f"map-{secrets.token_hex(8)}"


@pytest.fixture
def maps() -> Maps:
    """Maps in memory."""
    return Maps(MemoryMapStore(MapLimits(max_layer_bytes=64 * 1024)), MapLimits(max_layer_bytes=64 * 1024))


@pytest.fixture
def registry(maps: Maps) -> ToolsetRegistry:
    """The toolset, on those maps."""
    return load(["map"], given=[maps])


class Wrong(Exception):
    """A tool error: what the client's model is told."""


@pytest.fixture
def call_tool(registry: ToolsetRegistry) -> CallTool:
    """Calls a tool as a client does, with JSON: `await call_tool("add_marker", latitude=1)`. Raises `Wrong`."""

    async def call(name: str, /, raw: bytes | None = None, **arguments: Any) -> Any:
        tool = registry.tool(name)
        assert tool is not None
        context = CallContext(Call("1", "tools/call", None, NEWEST, None, ANONYMOUS, None), Meta())
        sent = msgspec.Raw(json.dumps(arguments).encode() if raw is None else raw)
        result = await run_tool(tool, sent, context)
        if result.is_error is True:
            raise Wrong(result.content[0].text)
        return json.loads(bytes(result.structured_content))

    call.Wrong = Wrong
    return call
