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
            options = {"subprotocols": ["mcp"], "compression": None, "max_size": None, "close_timeout": 0.5, **options}
            return Socket(await stack.enter_async_context(connect(url, **options)))

        yield open_one


class RawSocket:
    """A WebSocket client that writes any bytes it is told to, well-formed or not."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, port: int) -> RawSocket:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write(
            b"GET /mcp HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Protocol: mcp\r\n\r\n" % port
        )
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head
        return cls(reader, writer)

    def frame(self, payload: bytes, *, opcode: int = 1, fin: bool = True, masked: bool = True) -> bytes:
        head = bytes([(0x80 if fin else 0) | opcode])
        mask = 0x80 if masked else 0
        size = len(payload)
        if size < 126:
            head += bytes([mask | size])
        elif size < 65536:
            head += bytes([mask | 126]) + size.to_bytes(2, "big")
        else:
            head += bytes([mask | 127]) + size.to_bytes(8, "big")
        return head + (b"\0\0\0\0" if masked else b"") + payload

    async def read_frame(self) -> tuple[int, bytes]:
        async with asyncio.timeout(10):
            opcode, size = await self.reader.readexactly(2)
            if size == 126:
                size = int.from_bytes(await self.reader.readexactly(2), "big")
            elif size == 127:
                size = int.from_bytes(await self.reader.readexactly(8), "big")
            return opcode & 0x0F, await self.reader.readexactly(size)

    async def read_message(self) -> dict[str, Any]:
        opcode, payload = await self.read_frame()
        assert opcode == 1, (opcode, payload)
        return json.loads(payload)

    async def read_close(self) -> int:
        """The code of the close frame, past whatever came before it."""
        while True:
            opcode, payload = await self.read_frame()
            if opcode == 8:
                return int.from_bytes(payload[:2], "big")

    async def read_end(self) -> None:
        """Until the server has closed the connection."""
        async with asyncio.timeout(10):
            try:
                while await self.reader.read(65536):
                    pass
            except ConnectionError:
                return


OpenRaw = Callable[[int], Awaitable[RawSocket]]


@pytest.fixture
async def open_raw() -> AsyncIterator[OpenRaw]:
    opened: list[RawSocket] = []

    async def open_one(port: int) -> RawSocket:
        opened.append(await RawSocket.open(port))
        return opened[-1]

    yield open_one
    for raw in opened:
        raw.writer.transport.abort()
