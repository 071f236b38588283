"""One connection: a request is written, and its answer is read into whoever waits for it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Final, cast

import httptools

from app.gateway.upstreams.http.events import Event, EventParser, EventTooLarge

_MAX_HEADER_BYTES: Final = 64 * 1024
_LINGER: Final = 2.0
"""Seconds for a stream to end by itself once nobody reads it, so that its connection can be used again."""


class Broken(Exception):
    """The exchange came to nothing. `begun` tells whether anything of an answer had come."""

    def __init__(self, message: str, *, begun: bool = False) -> None:
        super().__init__(message)
        self.begun = begun


class Head:
    """What matters of an answer before its body."""

    __slots__ = ("allow", "content_type", "encoding", "keep_alive", "length", "location", "session", "status")

    def __init__(self) -> None:
        self.status = 0
        self.content_type = b""
        self.session: bytes | None = None
        self.location: bytes | None = None
        self.encoding = b""
        self.keep_alive: bytes | None = None
        self.length: bytes | None = None

    @property
    def is_stream(self) -> bool:
        """Whether server-sent events follow."""
        return self.content_type.startswith(b"text/event-stream") and self.status == 200


class Exchange:
    """Who waits for an answer; told as it comes, in the middle of reading, so nothing here may wait."""

    __slots__ = ("connection", "events")

    def __init__(self) -> None:
        self.connection: Connection | None = None
        self.events: EventParser | None = None
        """Of a stream: it knows the last id and how long to wait before a reconnection."""

    def began(self, head: Head) -> None:
        """The answer begins."""

    def event(self, event: Event) -> None:
        """An event of a stream."""

    def answered(self, head: Head, body: bytes) -> None:
        """All of it is there; of a stream, there is no body."""

    def failed(self, error: Broken) -> None:
        """It will not come, or not to its end."""

    def leave(self) -> None:
        """Nobody waits any longer: the connection is closed, unless the answer is over."""
        if self.connection is not None:
            self.connection.drop()
            self.connection = None

    def release(self) -> None:
        """What was waited for is there: the stream has a moment to end."""
        if self.connection is not None:
            self.connection.linger()
            self.connection = None


class Connection(asyncio.Protocol):
    """Speaks HTTP/1.1, one exchange at a time."""

    def __init__(
        self, idle: Callable[[Connection], None], closed: Callable[[Connection], None], max_bytes: int
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._became_idle = idle
        self._closed = closed
        self._max = max_bytes
        self._transport: asyncio.Transport | None = None
        self._exchange: Exchange | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._head = Head()
        self._body: list[bytes] = []
        self._size = 0
        self._header_bytes = 0
        self._events: EventParser | None = None
        self._begun = False
        self._headers_done = False
        self._complete = False
        self._keep = False
        self._lingering: asyncio.TimerHandle | None = None
        self.served = 0
        self.idle_since = 0.0

    @property
    def alive(self) -> bool:
        """Whether a request can be written."""
        return self._transport is not None and not self._transport.is_closing()

    @property
    def kept_for(self) -> float | None:
        """The seconds for which the server says it keeps an idle connection."""
        for part in (self._head.keep_alive or b"").split(b","):
            name, _, value = part.strip().partition(b"=")
            if name == b"timeout" and value.isdigit():
                return float(value[:6])
        return None

    def send(self, request: bytes, exchange: Exchange) -> None:
        """Write a request; its exchange is told the rest."""
        if self._transport is None:
            raise RuntimeError("the connection was not made")
        self._exchange = exchange
        self._head = Head()
        self._begun = self._headers_done = self._complete = False
        exchange.connection = self
        self.served += 1
        self._transport.write(request)

    def drop(self) -> None:
        """Close, and tell nobody."""
        self._exchange = None
        self._stop_lingering()
        if self._transport is not None:
            self._transport.abort()

    def close_now(self) -> None:
        """Close, and tell whoever waits."""
        self._fail("it was let go")

    def linger(self) -> None:
        """Tell nobody of what still comes; be idle when it ends soon, else close."""
        if self._exchange is not None:
            self._exchange = None
            if not self._complete:
                self._lingering = self._loop.call_later(_LINGER, self.drop)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        opened: socket.socket | None = transport.get_extra_info("socket")
        if opened is not None:  # a peer that vanished is noticed in the end, even where nothing is sent
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_lingering()
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.connection = None
            if self._headers_done and self._head.length is None and exc is None and not self._complete:
                self._finish(exchange)  # its end is the end of the connection
            else:
                exchange.failed(Broken("it closed the connection before it had answered", begun=self._begun))
        self._closed(self)

    def data_received(self, data: bytes) -> None:
        exchange = self._exchange
        if exchange is None and self._lingering is None:
            self.drop()  # nobody asked
            return
        self._begun = True
        if not self._headers_done:
            self._header_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if self._complete:
                self._keep = False
                self._completed()
            else:
                self._fail(_cause(error))
            return
        if not self._headers_done and self._header_bytes > _MAX_HEADER_BYTES:
            self._fail("its headers are too long")
        elif self._complete:
            self._completed()

    def on_message_begin(self) -> None:
        if self._complete:
            self._keep = False
            raise _Refused("it answers what was not asked")  # what it answered before stands

    def on_header(self, name: bytes, value: bytes) -> None:
        head = self._head
        match name.lower():
            case b"content-type":
                head.content_type = value.strip().lower()
            case b"mcp-session-id":
                head.session = value.strip()
            case b"content-length" | b"transfer-encoding":
                head.length = value
            case b"content-encoding":
                head.encoding = value.strip().lower()
            case b"location":
                head.location = value.strip()
            case b"keep-alive":
                head.keep_alive = value
            case _:
                pass

    def on_headers_complete(self) -> None:
        head = self._head
        head.status = self._parser.get_status_code()
        if head.status < 200:
            if head.status == 101:
                raise _Refused("it answers in another protocol")
            return
        self._headers_done = True
        self._header_bytes = 0
        if head.encoding not in (b"", b"identity"):
            raise _Refused(f"its answer is encoded as {head.encoding[:40]!r}, which was not asked for")
        self._events = EventParser(self._max) if head.is_stream else None
        if self._exchange is not None:
            self._exchange.events = self._events
            self._exchange.began(head)

    def on_body(self, body: bytes) -> None:
        exchange = self._exchange
        if exchange is None:
            return
        if self._events is None:
            self._size += len(body)
            if self._size > self._max:
                raise _Refused(f"its answer has more than the {self._max} bytes that are taken")
            self._body.append(body)
            return
        try:
            events = self._events.feed(body)
        except EventTooLarge as error:
            raise _Refused(f"its answer has {error}") from None
        for event in events:
            exchange.event(event)
            if self._exchange is None:
                break

    def on_message_complete(self) -> None:
        if self._headers_done:
            self._complete = True
            self._keep = self._parser.should_keep_alive()
        else:
            self._head = Head()  # 1xx: the answer itself follows

    def _completed(self) -> None:
        self._stop_lingering()
        exchange, self._exchange = self._exchange, None
        reusable = self._keep and self.alive
        if exchange is not None:
            exchange.connection = None
        head, body = self._head, b"".join(self._body)
        self._body.clear()
        self._size = 0
        if reusable:
            self.idle_since = self._loop.time()
            self._became_idle(self)
        elif self._transport is not None:
            self._transport.close()
        if exchange is not None:
            exchange.answered(head, body)

    def _finish(self, exchange: Exchange) -> None:
        self._complete = True
        body = b"".join(self._body)
        self._body.clear()
        exchange.answered(self._head, body)

    def _fail(self, message: str) -> None:
        exchange, self._exchange = self._exchange, None
        self.drop()
        if exchange is not None:
            exchange.connection = None
            exchange.failed(Broken(message, begun=True))

    def _stop_lingering(self) -> None:
        if self._lingering is not None:
            self._lingering.cancel()
            self._lingering = None


class _Refused(Exception):
    """Stops the parser: the answer will not be taken."""


def _cause(error: BaseException) -> str:
    context = error.__context__
    if isinstance(context, _Refused):
        return str(context)
    return "its answer is not HTTP as it should be"
