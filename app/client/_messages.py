"""What every way to a server has in common: messages, errors, and the promise of an answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, cast

import msgspec

JsonObject = dict[str, Any]
Handler = Callable[[JsonObject], Awaitable[JsonObject | None]]
"""Is given each message that the server sends on its own; returns the answer to a request, None to a notification."""

encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class ClientError(Exception):
    """The server cannot be reached, or what it sends is not MCP; the message says which and what to try."""


class RemoteError(Exception):
    """The server answered with a JSON-RPC error."""

    def __init__(self, code: int, message: str, data: object = None, *, http_status: int | None = None) -> None:
        super().__init__(f"{message} ({code})")
        self.code = code
        self.message = message
        self.data = data
        self.http_status = http_status


class Link(Protocol):
    """A connection that carries messages."""

    async def open(self) -> None:
        """Connect; raises ClientError."""
        ...

    async def request(self, message: JsonObject) -> JsonObject:
        """Send a request and return its result; raises RemoteError or ClientError."""
        ...

    async def notify(self, message: JsonObject) -> None:
        """Send a notification, or the answer to a request of the server's."""
        ...

    def agreed(self, revision: str) -> None:
        """From now on messages belong to this protocol revision."""
        ...

    async def close(self) -> None:
        """End the connection and what belongs to it."""
        ...


def decode(data: bytes | str) -> Any:
    """JSON, or ClientError."""
    try:
        return _decode(data)
    except (msgspec.DecodeError, ValueError):
        shown = data[:80] if isinstance(data, str) else data[:80].decode("utf-8", "replace")
        raise ClientError(f"the server sent {shown!r}, which is not JSON: is this an MCP server's address?") from None


def result_of(message: JsonObject, *, http_status: int | None = None) -> JsonObject:
    """The result of a response; raises RemoteError for an error."""
    error: Any = message.get("error")
    if isinstance(error, dict):
        told = cast("JsonObject", error)
        code, text = told.get("code"), str(told.get("message", ""))
        raise RemoteError(code if isinstance(code, int) else 0, text, told.get("data"), http_status=http_status)
    result: Any = message.get("result")
    if not isinstance(result, dict):
        said = error if isinstance(error, str) else message.get("detail")
        if isinstance(said, str) and said:  # no JSON-RPC, but words: what answers at addresses beside MCP
            raise ClientError(f"the server says: {said[:300]}")
        raise ClientError("the server's answer has neither a result nor an error")
    return cast("JsonObject", result)


class Pending:
    """Requests that wait for their answers on a connection that carries many."""

    def __init__(self, handler: Handler, reply: Callable[[JsonObject], Awaitable[None]]) -> None:
        self._handler = handler
        self._reply = reply
        self._waiting: dict[object, asyncio.Future[JsonObject]] = {}
        self._answering: set[asyncio.Task[None]] = set()
        self._ended: Exception | None = None

    def expect(self, request_id: object) -> asyncio.Future[JsonObject]:
        if self._ended is not None:
            raise self._ended
        future: asyncio.Future[JsonObject] = asyncio.get_running_loop().create_future()
        self._waiting[request_id] = future
        return future

    def take(self, message: JsonObject) -> None:
        """Bring a message from the server to whoever waits for it."""
        if "method" in message:
            task = asyncio.create_task(self._answer(message))
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)
            return
        future = self._waiting.pop(message.get("id"), None)
        if future is not None and not future.done():
            future.set_result(message)

    def end(self, error: Exception) -> None:
        """Nothing more will come."""
        self._ended = error
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(error)
        self._waiting.clear()
        for task in self._answering:
            task.cancel()

    async def _answer(self, message: JsonObject) -> None:
        answer = await self._handler(message)
        if answer is not None:
            await self._reply(answer)
