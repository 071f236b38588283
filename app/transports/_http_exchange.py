"""One POST and its answer: JSON, unless something has to be told before the answer is ready; then an event stream."""

import asyncio
from abc import ABC, abstractmethod
from typing import Any

import msgspec
from msgspec import UNSET

from app.asgi import Receive, Send
from app.protocol.errors import INVALID_REQUEST, ProtocolError
from app.protocol.messages import encode_notification
from app.protocol.pacing import Overdue
from app.transports import _sse

PATIENCE = 15.0
"""Seconds between signs of life on a silent stream, so that no proxy closes it."""

CURIOSITY = 0.5
"""Seconds after which a running call begins to watch whether its client is still there."""

_START: dict[str, Any] = {"type": "http.response.start", "status": 200, "headers": list(_sse.HEADERS)}


async def left(receive: Receive) -> None:
    """Return once the client has closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass


class Exchange(ABC):
    """An answer that may become a stream. Quick calls never notice: only those that run for a while are watched."""

    _opening: asyncio.Task[None] | None = None
    _watcher: asyncio.Task[None] | None = None
    gone: bool = False
    """The client closed the connection."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send

    @property
    def streaming(self) -> bool:
        """Whether the answer is a stream by now."""
        return self._opening is not None

    async def open(self) -> None:
        """Make the answer a stream, if it is not one yet."""
        if self._opening is None:
            self._opening = asyncio.create_task(self._start())
        if not self._opening.done():
            await asyncio.shield(self._opening)

    async def write(self, data: bytes, *, last: bool = False) -> None:
        """Write to the stream, opening it first."""
        await self.open()
        if not self.gone:
            await self._send({"type": "http.response.body", "body": data, "more_body": not last})

    def begin_to_watch(self) -> None:
        """The call has run for a while."""
        self._watcher = asyncio.create_task(self._watch())

    def stop_watching(self) -> None:
        """The call ended."""
        if self._watcher is not None:
            self._watcher.cancel()

    @abstractmethod
    def first_event(self) -> bytes:
        """What the stream begins with."""

    @abstractmethod
    def client_left(self) -> None:
        """The client closed the connection while its call ran."""

    async def _start(self) -> None:
        await self._send(_START)
        await self._send({"type": "http.response.body", "body": self.first_event(), "more_body": True})

    async def _watch(self) -> None:
        leaving = asyncio.ensure_future(left(self._receive))
        try:
            while not (await asyncio.wait({leaving}, timeout=PATIENCE))[0]:
                await self.write(_sse.PING)
        finally:
            leaving.cancel()
        self.gone = True
        self.client_left()


class SingleExchange(Exchange):
    """A `ClientChannel` onto the answer of one POST that stands alone. A client that leaves cancels its call."""

    _task: asyncio.Task[Any] | None = None

    def watch(self) -> None:
        """The call begins, in the current task."""
        self._task = asyncio.current_task()
        _running.add(self)

    def unwatch(self) -> None:
        """The call ended."""
        _running.discard(self)
        self.stop_watching()

    def first_event(self) -> bytes:
        """Nothing in particular."""
        return _sse.PING

    def client_left(self) -> None:
        """Nobody waits for the call any more."""
        if self._task is not None:
            self._task.cancel()

    async def notify(self, method: str, params: object) -> None:
        """Send a notification: from here on the answer is a stream."""
        await self.write(_sse.message(encode_notification(method, UNSET if params is None else params)))

    async def request(self, method: str, params: object, *, timeout: float | None = None) -> msgspec.Raw:  # noqa: ARG002
        """Refused: there is no way to ask the client on this connection."""
        raise ProtocolError(INVALID_REQUEST, f"'{method}' cannot be asked of the client here.")


_running: Overdue[SingleExchange] = Overdue(CURIOSITY, SingleExchange.begin_to_watch)
