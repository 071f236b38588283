"""One POST of a session and its answer: JSON, or a stream of events that the client can resume on any replica."""

import asyncio
import secrets

import msgspec

from app.asgi import Receive, Send
from app.protocol.pacing import Overdue
from app.protocol.revisions import Revision
from app.sessions.store import StoredEvent, stream_start
from app.transports import _sse
from app.transports._channel import SessionChannel, Switchboard
from app.transports._http_exchange import PATIENCE

RETRY_MS = 1_000
PATIENT = 1.0
"""Seconds after which a running call's answer becomes a stream, so that its client can resume it from then on."""


class SessionExchange:
    """A `ClientChannel` onto the answer of one POST. A client that leaves does not cancel its call."""

    __slots__ = (
        "_board",
        "_channel",
        "_headers",
        "_lock",
        "_receive",
        "_revision",
        "_send",
        "_session_id",
        "_stream",
        "_watcher",
        "gone",
        "streaming",
    )

    def __init__(self, board: Switchboard, session_id: str, revision: Revision, receive: Receive, send: Send) -> None:
        self._board = board
        self._session_id = session_id
        self._revision = revision
        self._receive = receive
        self._send = send
        self._channel: SessionChannel | None = None
        self._stream = ""
        self._lock: asyncio.Lock | None = None
        self._watcher: asyncio.Task[None] | None = None
        self.streaming = False
        self.gone = False

    def watch(self) -> None:
        """Begin to care for the connection once the call has run for a while."""
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
        await self.open()
        await self._events().notify(method, params)

    async def request(self, method: str, params: object, *, timeout: float | None = None) -> msgspec.Raw:
        """Ask the client on this stream; its answer comes in by a POST of its own, at any replica."""
        await self.open()
        return await self._events().request(method, params, timeout=timeout)

    async def open(self) -> None:
        """Make the answer a stream, if it is not one yet."""
        if self.streaming:
            return
        if self._lock is None:
            self._lock = asyncio.Lock()
        async with self._lock:
            if self.streaming:
                return
            await self._send({"type": "http.response.start", "status": 200, "headers": list(_sse.HEADERS)})
            first = _sse.PING
            if self._revision.primed_streams:
                self._events()
                first = _sse.priming(stream_start(self._stream), RETRY_MS)
            await self._send({"type": "http.response.body", "body": first, "more_body": True})
            self.streaming = True

    async def answer(self, answer: bytes, *, last: bool = True) -> None:
        """Send an answer on the stream; the last one ends it."""
        await self._events().send(answer, last=last)

    async def release(self) -> None:
        """End the connection, not the stream: the client was given what it takes to resume it."""
        if not self._revision.primed_streams or self.gone:
            return
        await self.open()
        self.gone = True
        await self._send({"type": "http.response.body", "body": _sse.retry(RETRY_MS)})

    async def end(self) -> None:
        """End the stream without an answer."""
        if self.gone:
            return
        await self._send({"type": "http.response.body", "body": b""})

    def _events(self) -> SessionChannel:
        if self._channel is None:
            self._stream = f"r{secrets.token_hex(8)}"
            self._channel = self._board.channel(self._session_id, self._stream, self._deliver)
        return self._channel

    async def _deliver(self, event: StoredEvent) -> None:
        if not self.gone:
            body = _sse.message(event.data, event.id)
            await self._send({"type": "http.response.body", "body": body, "more_body": not event.last})

    async def _watch(self) -> None:
        await self.open()
        leaving = asyncio.ensure_future(self._left())
        try:
            while not (await asyncio.wait({leaving}, timeout=PATIENCE))[0]:
                await self._send({"type": "http.response.body", "body": _sse.PING, "more_body": True})
        finally:
            leaving.cancel()
        self.gone = True

    async def _left(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass


_long: Overdue[SessionExchange] = Overdue(PATIENT, SessionExchange.begin_to_watch)
