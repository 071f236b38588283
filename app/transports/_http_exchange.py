"""One POST and its answer: JSON, unless something has to be told before the answer is ready; then an event stream."""

import asyncio
from typing import Any

import msgspec
from msgspec import UNSET

from app.asgi import Receive, Send
from app.protocol.errors import INVALID_REQUEST, ProtocolError
from app.protocol.messages import encode_notification
from app.protocol.pacing import Overdue
from app.transports import _sse

PATIENCE = 15.0
"""Seconds after which a silent answer becomes a stream, so that a proxy does not close it."""

CURIOSITY = 0.5
"""Seconds after which a running call begins to watch whether its client is still there."""

_START_STREAM: dict[str, Any] = {"type": "http.response.start", "status": 200, "headers": list(_sse.HEADERS)}


class Exchange:
    """A `ClientChannel` onto the answer of one POST. Requests to the client have no place on it (since 2026-07-28)."""

    __slots__ = ("_lock", "_receive", "_send", "_task", "_watcher", "gone", "streaming")

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._lock: asyncio.Lock | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._task: asyncio.Task[Any] | None = None
        self.streaming = False
        self.gone = False
        """The client closed the connection."""

    def watch(self) -> None:
        """Once the call has run for a while: cancel it if the client leaves, and keep the connection alive."""
        self._task = asyncio.current_task()
        _long.add(self)

    def unwatch(self) -> None:
        """The call ended."""
        _long.discard(self)
        if self._watcher is not None:
            self._watcher.cancel()

    def begin_to_watch(self) -> None:
        """The call has run for a while."""
        self._watcher = asyncio.create_task(self._watch())

    async def notify(self, method: str, params: object) -> None:
        """Send a notification: from here on the answer is a stream."""
        await self.write(_sse.message(encode_notification(method, UNSET if params is None else params)))

    async def request(self, method: str, params: object, *, timeout: float | None = None) -> msgspec.Raw:  # noqa: ARG002
        """Refused: there is no way to ask the client on this connection."""
        raise ProtocolError(INVALID_REQUEST, f"'{method}' cannot be asked of the client here.")

    async def write(self, data: bytes, *, last: bool = False) -> None:
        """Write to the stream, opening it first."""
        if self._lock is None:
            self._lock = asyncio.Lock()
        async with self._lock:
            if not self.streaming:
                self.streaming = True
                await self._send(_START_STREAM)
            await self._send({"type": "http.response.body", "body": data, "more_body": not last})

    async def _watch(self) -> None:
        leaving = asyncio.ensure_future(self._left())
        try:
            while not (await asyncio.wait({leaving}, timeout=PATIENCE))[0]:
                await self.write(_sse.PING)
        finally:
            leaving.cancel()
        self.gone = True
        if self._task is not None:
            self._task.cancel()

    async def _left(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass


_long: Overdue[Exchange] = Overdue(CURIOSITY, Exchange.begin_to_watch)
