"""The few words of ASGI that are ours: types, and answers that need no framework."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

import msgspec

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]
RawHeaders = Iterable[tuple[bytes, bytes]]

CALLER = "slipway.caller"
"""The key of an ASGI scope that holds the `Caller` of the request."""

_JSON = (b"content-type", b"application/json")


async def respond(
    send: Send, status: int, body: bytes, *, content_type: bytes = b"application/json", headers: RawHeaders = ()
) -> None:
    """Send one whole answer."""
    every = [(b"content-type", content_type), (b"content-length", b"%d" % len(body)), *headers]
    await send({"type": "http.response.start", "status": status, "headers": every})
    await send({"type": "http.response.body", "body": body})


async def respond_json(send: Send, status: int, value: object, *, headers: RawHeaders = ()) -> None:
    """Send a value as JSON that nobody should cache."""
    await respond(send, status, msgspec.json.encode(value), headers=((b"cache-control", b"no-store"), *headers))


def protocol_error(code: int, message: str) -> bytes:
    """A JSON-RPC error that answers no particular request."""
    return msgspec.json.encode({"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": message}})


async def refuse_websocket(scope: Scope, receive: Receive, send: Send, status: int, message: str) -> None:
    """Answer a WebSocket handshake with an HTTP status instead."""
    await receive()
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close", "code": 1008, "reason": message[:100]})
        return
    await send({"type": "websocket.http.response.start", "status": status, "headers": [_JSON]})
    await send({"type": "websocket.http.response.body", "body": protocol_error(-32600, message)})


class LazyApp:
    """An ASGI application that is imported and built when it is first asked for, off the event loop."""

    def __init__(self, build: Callable[[], ASGIApp]) -> None:
        self._build = build
        self._built: ASGIApp | None = None
        self._building = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._built is None:
            async with self._building:
                if self._built is None:
                    self._built = await asyncio.to_thread(self._build)
        await self._built(scope, receive, send)
