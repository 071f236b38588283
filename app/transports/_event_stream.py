"""An open stream of server-sent events: light while nothing happens, for there may be many of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

from app.protocol.changes import Changes
from app.sessions.store import SessionStore, StoredEvent, StoreUnavailable, UnknownEvent
from app.transports import _sse
from app.transports._channel import Switchboard
from app.transports._http_request import HttpRequest
from app.transports._news import SessionNews

PATIENCE = 15.0
"""Seconds after which a quiet stream gets a comment, so that proxies keep it open."""

Following = AbstractAsyncContextManager[AsyncIterator[StoredEvent]]
Render = Callable[[StoredEvent], bytes]


class EventStreams:
    """The streams that one transport holds in this process."""

    def __init__(self, store: SessionStore, board: Switchboard, changes: Changes) -> None:
        self.store = store
        self.board = board
        self.changes = changes
        self._open: dict[EventStream, None] = {}
        self._pulse: asyncio.TimerHandle | None = None
        self._ended = False

    def end(self) -> None:
        """End every stream, those that open later too: their clients come back, to another replica."""
        self._ended = True
        for stream in tuple(self._open):
            stream.end()

    async def opened(self, stream: EventStream) -> None:
        """A stream begins. A session has one main stream: an earlier one, here or elsewhere, ends."""
        self._open[stream] = None
        if stream.news is not None:
            await self.board.hold(stream.session_id, stream.end)
            self.changes.attach(stream.news)
        if self._ended:
            stream.end()
        if self._pulse is None:
            self._pulse = asyncio.get_running_loop().call_later(PATIENCE, self._beat)

    def closed(self, stream: EventStream) -> None:
        """A stream ended."""
        self._open.pop(stream, None)
        news = stream.news
        if news is not None:
            self.board.let_go(stream.session_id, stream.end, lambda: self.changes.detach(news))

    def _beat(self) -> None:
        self._pulse = None
        for stream in self._open:
            self.store.touch(stream.session_id)
            stream.beat()
        if self._open:
            self._pulse = asyncio.get_running_loop().call_later(PATIENCE, self._beat)


class EventStream:
    """Writes the events of one stream of a session until they end, the client leaves, or it is told to end."""

    __slots__ = (
        "_ended",
        "_events",
        "_following",
        "_pinging",
        "_quiet",
        "_render",
        "_request",
        "_streams",
        "_task",
        "news",
        "session_id",
    )

    def __init__(
        self,
        streams: EventStreams,
        session_id: str,
        following: Following,
        events: AsyncIterator[StoredEvent],
        request: HttpRequest,
        render: Render,
        *,
        main: bool,
    ) -> None:
        """`events` is what entering `following` gave; the stream leaves it at its end."""
        self._streams = streams
        self.session_id = session_id
        self.news = SessionNews(streams.board.channel(session_id)) if main else None
        self._following = following
        self._events = events
        self._request = request
        self._render = render
        self._task: asyncio.Task[object] | None = None
        self._pinging: asyncio.Task[None] | None = None
        self._ended = False
        self._quiet = True

    async def run(self, first: bytes, headers: tuple[tuple[bytes, bytes], ...] = (), farewell: bytes = b"") -> None:
        """Serve the whole answer, from its head to `farewell`, which a client that left does not get."""
        self._task = asyncio.current_task()
        leaving: asyncio.Task[None] | None = None
        try:
            await self._streams.opened(self)
            head = [*_sse.HEADERS, *headers]
            await self._request.send({"type": "http.response.start", "status": 200, "headers": head})
            await self.write(first)
            leaving = asyncio.create_task(self._left())
            async for event in self._events:
                self._quiet = False
                await self.write(self._render(event))
        except asyncio.CancelledError:
            if not self._ended or self._task is None:
                raise
            self._task.uncancel()
        except (UnknownEvent, StoreUnavailable):
            pass  # the client comes back and is told what is possible then
        finally:
            self._ended = True
            self._streams.closed(self)
            gone = leaving is not None and leaving.done()
            for task in (leaving, self._pinging):
                if task is not None:
                    task.cancel()
            await self._following.__aexit__(None, None, None)
        if not gone:
            await self._request.send({"type": "http.response.body", "body": farewell})

    async def write(self, data: bytes) -> None:
        """Write a part of the answer."""
        await self._request.send({"type": "http.response.body", "body": data, "more_body": True})

    def end(self) -> None:
        """End the stream; its client comes back by itself."""
        if not self._ended:
            self._ended = True
            if self._task is not None:
                self._task.cancel()

    def beat(self) -> None:
        """Send a comment if nothing was written since the last beat."""
        if self._quiet and (self._pinging is None or self._pinging.done()):
            self._pinging = asyncio.create_task(self.write(_sse.PING))
        self._quiet = True

    async def _left(self) -> None:
        while (await self._request.receive())["type"] != "http.disconnect":
            pass
        self.end()
