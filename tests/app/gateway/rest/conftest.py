"""The REST API over a manager whose servers do what the test says."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from yard import Yard, make_yard, until

from app.asgi import CALLER
from app.gateway.manager.manager import Manager
from app.gateway.rest import Access, Rest
from app.gateway.templates import Templates
from app.protocol.calls import Caller

__all__ = ["until"]


@pytest.fixture
async def yard() -> AsyncIterator[Yard]:
    async with make_yard() as made:
        yield made


class Api(httpx.AsyncClient):
    """A client of the API, as `caller`."""

    manager: Manager
    rest: Rest
    caller = Caller("ann")


@pytest.fixture
async def api(yard: Yard) -> AsyncIterator[Api]:
    manager = await yard.manager()
    rest = Rest(manager, Templates(), access=Access())
    site = rest.site("gateway", "1")

    async def with_caller(scope, receive, send):
        scope[CALLER] = client.caller
        await site(scope, receive, send)

    async with Api(transport=httpx.ASGITransport(with_caller), base_url="http://gateway") as client:
        client.manager, client.rest = manager, rest
        yield client
