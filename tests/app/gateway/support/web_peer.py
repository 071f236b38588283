"""An HTTP server that writes the bytes it is told to, well-formed or not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

PATIENCE = 20


@dataclass
class Request:
    """One request, and the connection that it came on."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    connection: int
    writer: asyncio.StreamWriter

    @property
    def message(self) -> dict[str, Any]:
        return json.loads(self.body)

    def write(self, data: bytes) -> None:
        self.writer.write(data)

    def reply(self, status: int = 200, body: object = b"", **headers: str) -> None:
        """A whole answer; what is not bytes becomes JSON."""
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
            headers = {"content_type": "application/json", **headers}
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        self.write(b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n%b\r\n%b" % (status, len(body), lines.encode(), body))

    def answer(self, result: object = None, **headers: str) -> None:
        """The JSON-RPC answer."""
        self.reply(200, self.result(result), **headers)

    def result(self, result: object = None) -> dict[str, Any]:
        return {"jsonrpc": "2.0", "id": self.message["id"], "result": {} if result is None else result}

    def refuse(self, status: int, code: int, message: str = "no", **members: Any) -> None:
        error = {"code": code, "message": message, **members}
        self.reply(status, {"jsonrpc": "2.0", "id": self.message["id"], "error": error})

    def stream(self, **headers: str) -> None:
        """Begin an event stream."""
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        self.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n")
        self.write(lines.encode() + b"\r\n")

    def event(self, data: object = b"", event_id: str | None = None, retry: int | None = None) -> None:
        text = data if isinstance(data, bytes) else json.dumps(data).encode()
        event = b"" if event_id is None else b"id: %b\n" % event_id.encode()
        event += b"" if retry is None else b"retry: %d\n" % retry
        self.chunk(event + b"data: " + text + b"\n\n")

    def chunk(self, data: bytes) -> None:
        self.write(b"%x\r\n%b\r\n" % (len(data), data))

    def finish(self) -> None:
        """End the stream, and keep the connection."""
        self.write(b"0\r\n\r\n")

    def close(self) -> None:
        self.writer.close()


Handle = Callable[[Request], Awaitable[None]]


class WebPeer:
    """Listens on a free port; `handle` is called with each request, one after the other on a connection."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.connections = 0
        self.handle: Handle | None = None
        self._waiting: asyncio.Queue[Request] = asyncio.Queue()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/mcp"

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Refuse connections, and break those that are open."""
        if self._server is not None:
            self._server.close()
            for writer in tuple(self._writers):
                writer.transport.abort()
            if self._tasks:
                await asyncio.wait(self._tasks)
            self._server = None

    async def next(self, method: str | None = None) -> Request:
        """The next request that nobody handled; of those with a message, that of the method."""
        async with asyncio.timeout(PATIENCE):
            while True:
                request = await self._waiting.get()
                if method is None or (request.body and request.message.get("method") == method):
                    return request

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.set_name("test serves")
        self.connections += 1
        number = self.connections
        self._writers.add(writer)
        try:
            while True:
                await self._take(await self._read(reader, writer, number))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> Request:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split(" ")
        pairs = [line.partition(":") for line in head[1:] if line]
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        assert len(headers) == len(pairs), "a header is there twice"
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        return Request(method, target, headers, body, number, writer)

    async def _take(self, request: Request) -> None:
        self.requests.append(request)
        if self.handle is not None:
            await self.handle(request)
        else:
            self._waiting.put_nowait(request)


async def legacy(request: Request, session: str | None = "s-1") -> bool:
    """Be a server of the older era; whether the request was one that makes it one."""
    if request.method == "GET":
        request.reply(405)
    elif request.method == "DELETE":
        request.reply(204)
    elif "id" not in request.message or "method" not in request.message:
        request.reply(202)
    elif request.message["method"] == "server/discover":
        request.reply(400, {"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": "no session"}})
    elif request.message["method"] == "initialize":
        headers = {} if session is None else {"mcp_session_id": session}
        hello = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": {"name": "w"}}
        request.answer(hello, **headers)
    else:
        return False
    return True


async def stateless(request: Request, capabilities: object = None) -> bool:
    """Be one of the newer era."""
    if request.method != "POST":
        request.reply(405)
    elif request.message["method"] == "server/discover":
        able = {"tools": {}} if capabilities is None else capabilities
        request.answer({"supportedVersions": ["2026-07-28"], "capabilities": able})
    else:
        return False
    return True
