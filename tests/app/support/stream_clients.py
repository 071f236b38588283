"""Clients of the streaming transports, small enough to see through."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import httpx
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


class EventStream:
    """An open stream of server-sent events. Whatever it read, `last_id` is what to come back with."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.last_id: str | None = None
        self._lines = response.aiter_lines()

    async def event(self) -> tuple[str, str, str | None]:
        """The next event: its name, its data and its id. Comments and empty events are passed over."""
        name, data, event_id = "message", "", None
        async with asyncio.timeout(15):
            async for line in self._lines:
                field, _, value = line.partition(":")
                value = value.removeprefix(" ")
                if field == "event":
                    name = value
                elif field == "data":
                    data += value
                elif field == "id":
                    event_id = self.last_id = value
                elif not line and data:
                    return name, data, event_id
        raise EOFError("the stream ended")

    async def message(self) -> dict[str, Any]:
        return json.loads((await self.event())[1])

    async def close(self) -> None:
        await self.response.aclose()


class Web:
    """An HTTP client of one session, which may speak to any replica."""

    def __init__(self) -> None:
        self.client = httpx.AsyncClient(timeout=20, limits=httpx.Limits(max_connections=None))
        self.session_id = ""

    @property
    def headers(self) -> dict[str, str]:
        own = {"Accept": "application/json, text/event-stream"}
        return {**own, "Mcp-Session-Id": self.session_id} if self.session_id else own

    async def post(self, url: str, **message: Any) -> httpx.Response:
        return await self.client.post(url, json={"jsonrpc": "2.0", **message}, headers=self.headers)

    async def initialize(self, url: str, **changes: Any) -> None:
        answer = await self.post(url, id=0, method="initialize", params=INITIALIZE | changes)
        assert answer.status_code == 200, answer.text
        self.session_id = answer.headers["mcp-session-id"]
        assert (await self.post(url, method="notifications/initialized")).status_code == 202

    async def call(self, url: str, request_id: object, tool: str, **arguments: Any) -> httpx.Response:
        params = {"name": tool, "arguments": arguments, "_meta": {"progressToken": "p"}}
        return await self.post(url, id=request_id, method="tools/call", params=params)

    async def open(self, method: str, url: str, **options: Any) -> EventStream:
        """A stream; it is an error when it is none."""
        options["headers"] = {**self.headers, **options.pop("headers", {})}
        response = await self.client.send(self.client.build_request(method, url, **options), stream=True)
        if response.status_code != 200:
            await response.aread()
            raise httpx.HTTPStatusError(response.text, request=response.request, response=response)
        return EventStream(response)


@pytest.fixture
async def web() -> AsyncIterator[Web]:
    one = Web()
    yield one
    await one.client.aclose()


class Sse:
    """A client of HTTP+SSE: one stream, and posts to where it says."""

    def __init__(self, web: Web, base: str) -> None:
        self.web = web
        self.base = base
        self.stream: EventStream | None = None
        self.endpoint = ""

    async def open(self, base: str | None = None) -> None:
        last = {"Last-Event-ID": self.stream.last_id} if self.stream is not None and self.stream.last_id else {}
        self.stream = await self.web.open("GET", f"{base or self.base}/sse", headers=last)
        name, self.endpoint, _ = await self.stream.event()
        assert name == "endpoint"

    async def post(self, base: str | None = None, **message: Any) -> None:
        answer = await self.web.post(f"{base or self.base}{self.endpoint}", **message)
        assert answer.status_code == 202, answer.text

    async def receive(self) -> dict[str, Any]:
        assert self.stream is not None
        return await self.stream.message()

    async def request(self, request_id: object, method: str, params: object = None, base: str | None = None) -> Any:
        await self.post(base, id=request_id, method=method, **({} if params is None else {"params": params}))
        return await self.receive()

    async def call(self, request_id: object, tool: str, base: str | None = None, **arguments: Any) -> Any:
        return await self.request(request_id, "tools/call", {"name": tool, "arguments": arguments}, base)

    async def initialize(self, base: str | None = None) -> dict[str, Any]:
        answer = await self.request(0, "initialize", INITIALIZE | {"protocolVersion": "2024-11-05"}, base)
        await self.post(base, method="notifications/initialized")
        return answer


OpenSse = Callable[[str], Awaitable[Sse]]


@pytest.fixture
async def open_sse() -> AsyncIterator[OpenSse]:
    clients: list[Web] = []

    async def open_one(base: str) -> Sse:
        clients.append(Web())
        sse = Sse(clients[-1], base)
        await sse.open()
        return sse

    yield open_one
    for client in clients:
        await client.client.aclose()
