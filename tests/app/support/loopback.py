"""A server on this machine that answers what a test has recorded: right, wrong, slow, huge, or not at all."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit


@dataclass
class Request:
    """What came, as far as tests look at it."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]


@dataclass
class Reply:
    """What is answered; `head` replaces the headers' whole text."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    head: bytes | None = None


Act = Callable[[Request, asyncio.StreamWriter], Awaitable[None]]
Behaviour = Reply | Act | Callable[[Request], Reply]


def as_json(value: object, status: int = 200, **headers: str) -> Reply:
    return Reply(status, json.dumps(value).encode(), {"content-type": "application/json", **headers})


class Loopback:
    """Answers paths as `routes` says, any other with 404; `asked` is what came."""

    def __init__(self) -> None:
        self.routes: dict[str, Behaviour] = {}
        self.asked: list[Request] = []
        self.port = 0
        self.scheme = "http"
        self.connections = 0
        self.server_names: list[str | None] = []

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def paths(self) -> list[str]:
        return [request.path for request in self.asked]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
                while True:
                    await self._answer(await _request(reader), writer)
                    await writer.drain()
        finally:
            writer.close()

    async def _answer(self, request: Request, writer: asyncio.StreamWriter) -> None:
        self.asked.append(request)
        behaviour = self.routes.get(request.path, Reply(404, b"{}"))
        if not isinstance(behaviour, Reply):
            made = behaviour(request, writer) if asyncio.iscoroutinefunction(behaviour) else behaviour(request)
            if not isinstance(made, Reply):
                await made
                return
            behaviour = made
        headers = {"content-length": str(len(behaviour.body)), **behaviour.headers}
        lines = [f"HTTP/1.1 {behaviour.status} X", *(f"{name}: {value}" for name, value in headers.items())]
        head = behaviour.head if behaviour.head is not None else ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        writer.write(head + behaviour.body)


async def _request(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    target = urlsplit(head[0].split(" ")[1])
    headers = dict(line.lower().split(": ", 1) for line in head[1:] if ": " in line)
    return Request(target.path, dict(parse_qsl(target.query, keep_blank_values=True)), headers)


@asynccontextmanager
async def loopback(tls: ssl.SSLContext | None = None) -> AsyncIterator[Loopback]:
    """A running one; its connections end with it."""
    upstream = Loopback()
    running: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        running.add(asyncio.ensure_future(upstream.serve(reader, writer)))

    if tls is not None:
        upstream.scheme = "https"
        tls.sni_callback = lambda _socket, name, _context: upstream.server_names.append(name)
    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    upstream.port = server.sockets[0].getsockname()[1]
    try:
        yield upstream
    finally:
        server.close()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def hang(_request: Request, _writer: asyncio.StreamWriter) -> None:
    """Never answers."""
    await asyncio.Event().wait()


async def hang_up(_request: Request, writer: asyncio.StreamWriter) -> None:
    """Closes the connection instead of answering."""
    writer.close()
    raise ConnectionError


async def endless(_request: Request, writer: asyncio.StreamWriter) -> None:
    """Answers without end."""
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n")
    while True:
        writer.write(b"a" * 65536)
        await writer.drain()
