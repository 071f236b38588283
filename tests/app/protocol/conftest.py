"""A dispatcher without any transport, and calls for it."""

import json
from typing import Any

import msgspec
import pytest

from app.protocol.calls import ANONYMOUS, Call
from app.protocol.content import Implementation
from app.protocol.dispatcher import Dispatcher
from app.protocol.listings import ListPolicy
from app.protocol.revisions import REVISIONS
from app.sessions.store import Session
from app.toolsets import ToolsetRegistry

META = "io.modelcontextprotocol/"


class Heard:
    """A channel that remembers what was said on it."""

    def __init__(self) -> None:
        self.notifications: list[tuple[str, Any]] = []

    async def notify(self, method: str, params: object) -> None:
        self.notifications.append((method, msgspec.to_builtins(params)))

    async def request(self, method: str, params: object, *, timeout: float | None = None) -> msgspec.Raw:
        raise AssertionError("nobody is asked here")


class Desk:
    """Asks a dispatcher and reads its answers."""

    def __init__(self, registry: ToolsetRegistry, *, page_size: int = 1000) -> None:
        self.registry = registry
        self.dispatcher = Dispatcher(
            registry, Implementation(name="desk", version="1"), policy=ListPolicy(page_size=page_size)
        )
        self.heard = Heard()

    async def ask(self, method: str, params: Any = None, *, revision: str = "2026-07-28", session: Any = None) -> Any:
        """The answer to one request, decoded."""
        found = REVISIONS[revision]
        params = dict(params or {})
        if found.stateless:
            capabilities = params.pop("capabilities", {})
            params["_meta"] = {META + "protocolVersion": revision, META + "clientCapabilities": capabilities}
        call = Call(
            id=1,
            method=method,
            params=msgspec.Raw(json.dumps(params).encode()),
            revision=found,
            session=session,
            caller=ANONYMOUS,
            channel=self.heard,
        )
        self.call = call
        return json.loads(await self.dispatcher.answer(call))

    async def result(self, method: str, params: Any = None, **options: Any) -> Any:
        """The result; fails where there is an error."""
        answer = await self.ask(method, params, **options)
        assert "result" in answer, answer
        return answer["result"]


@pytest.fixture
def desk():
    """Makes a desk of tools, prompts and resources."""

    def make(*offers: Any, page_size: int = 1000) -> Desk:
        registry = ToolsetRegistry()
        registry.add(*offers)
        return Desk(registry, page_size=page_size)

    return make


@pytest.fixture
def session():
    """A session of the older era that has been initialized."""
    return Session(id="s", revision="2025-11-25", client_capabilities={}, initialized=True)
