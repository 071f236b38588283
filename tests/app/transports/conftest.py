"""Clients of the streaming transports, small enough to see through."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect

INITIALIZE = {
    "protocolVersion": "2025-11-25",
    "capabilities": {"elicitation": {}, "sampling": {}},
    "clientInfo": {"name": "test", "version": "1"},
}


class Socket:
    """A WebSocket client that counts what it receives, as one that wants to come back must."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.session_id = connection.response.headers["mcp-session-id"]
        self.received = 0

    async def send(self, **message: Any) -> None:
        await self.connection.send(json.dumps({"jsonrpc": "2.0", **message}))

    async def receive(self) -> dict[str, Any]:
        async with asyncio.timeout(10):
            message = json.loads(await self.connection.recv())
        self.received += 1
        return message

    async def request(self, request_id: object, method: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
        await self.send(id=request_id, method=method, **({} if params is None else {"params": params}))
        return await self.receive()

    async def call(self, request_id: object, tool: str, **arguments: Any) -> dict[str, Any]:
        return await self.request(request_id, "tools/call", {"name": tool, "arguments": arguments})

    async def initialize(self, **changes: Any) -> dict[str, Any]:
        answer = await self.request(0, "initialize", INITIALIZE | changes)
        await self.send(method="notifications/initialized")
        return answer

    async def closed(self) -> tuple[int, str]:
        async with asyncio.timeout(10):
            await self.connection.wait_closed()
        return self.connection.close_code, self.connection.close_reason

    def drop(self) -> None:
        """Go without a word, as a cut cable does."""
        self.connection.transport.abort()


OpenSocket = Callable[..., Awaitable[Socket]]


@pytest.fixture
async def open_socket() -> AsyncIterator[OpenSocket]:
    async with AsyncExitStack() as stack:

        async def open_one(url: str, **options: Any) -> Socket:
            options = {"subprotocols": ["mcp"], "compression": None, "max_size": None, **options}
            return Socket(await stack.enter_async_context(connect(url, **options)))

        yield open_one
