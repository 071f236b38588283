"""Answers to POSTs and GETs of Streamable HTTP, and what they mean for the request that waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
from msgspec import Raw

from app.gateway.upstream import UpstreamFailure, UpstreamUnavailable
from app.gateway.upstreams import wire
from app.gateway.upstreams.calls import RunningCall
from app.gateway.upstreams.conversation import Conversation
from app.gateway.upstreams.http.connection import Broken, Exchange, Head
from app.gateway.upstreams.http.events import Event
from app.gateway.upstreams.link import NotSpoken, Refused, SessionEnded
from app.protocol.errors import INTERNAL_ERROR

_SHOWN = 300
_SESSION_WORDS = (b"session", b"not initialized")
_LEGACY_ERROR = -32000
_MOVED = (307, 308)


class Cut(Exception):
    """The stream or the connection ended before the answer."""

    def __init__(self, message: str, *, begun: bool) -> None:
        super().__init__(message)
        self.begun = begun


class Moved(Exception):
    """The server says that it is elsewhere."""


class CallExchange(Exchange):
    """Brings what comes on one answer to the request that it belongs to."""

    __slots__ = ("_call", "_conversation", "_has_session", "session")

    def __init__(self, call: RunningCall, conversation: Conversation, *, has_session: bool) -> None:
        super().__init__()
        self._call = call
        self._conversation = conversation
        self._has_session = has_session
        self.session: bytes | None = None
        """The session that the answer opens."""

    @property
    def last_id(self) -> bytes | None:
        """From where the stream can be resumed."""
        return None if self.events is None else self.events.id

    @property
    def retry(self) -> float | None:
        """How long the server wants to be left alone before that."""
        return None if self.events is None else self.events.retry

    def began(self, head: Head) -> None:
        self.session = head.session

    def event(self, event: Event) -> None:
        if event.name == b"message":
            self._conversation.take(event.data, self._call)

    def answered(self, head: Head, body: bytes) -> None:
        call = self._call
        if call.over:
            return
        if head.is_stream:
            call.fail(Cut("it ended the stream before it had answered", begun=True))
        elif head.status == 200:
            self._conversation.take(body, call)
            if not call.over:
                shown = body[:_SHOWN].decode("utf-8", "replace")
                call.fail(UpstreamFailure(INTERNAL_ERROR, f"The server answered something else: {shown!r}."))
        elif head.status in _MOVED and head.location:
            call.fail(Moved(head.location.decode("latin-1")))
        else:
            call.fail(refusal(head, body, call.number, has_session=self._has_session))

    def failed(self, error: Broken) -> None:
        self._call.fail(Cut(str(error), begun=error.begun))


class ListenExchange(Exchange):
    """A stream on which the server says what belongs to no request; `done` has the status of the answer."""

    __slots__ = ("_take", "done")

    def __init__(self, take: Callable[[bytes], None]) -> None:
        super().__init__()
        self._take = take
        self.done: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def event(self, event: Event) -> None:
        if event.name == b"message":
            self._take(event.data)

    def answered(self, head: Head, body: bytes) -> None:  # noqa: ARG002
        if not self.done.done():
            # A whole answer where a stream was asked for: there is none to be had here.
            self.done.set_result(head.status if head.is_stream or head.status != 200 else 405)

    def failed(self, error: Broken) -> None:
        if not self.done.done():
            self.done.set_result(200 if error.begun else 0)


class _Message(msgspec.Struct):
    error: Raw
    id: int | str | None = None


_decode = msgspec.json.Decoder(_Message).decode


def refusal(head: Head, body: bytes, number: int, *, has_session: bool) -> Exception:
    """What an answer with another status than 200 means."""
    status = head.status
    if status == 404 and has_session:
        return SessionEnded("its session has ended", unsent=True)
    if status in (401, 403):
        return Refused(f"it refuses us with status {status}: give it the headers that it wants, as Authorization")
    try:
        message = _decode(body)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        message = None
    if message is not None and message.id in (number, None):
        failure = wire.failure(message.error)
        lowered = failure.message.lower().encode()
        vague = status == 400 and has_session and message.id is None and failure.code == _LEGACY_ERROR
        if vague and any(word in lowered for word in _SESSION_WORDS):
            return SessionEnded("its session has ended", unsent=True)
        return failure
    shown = body[:_SHOWN].decode("utf-8", "replace").strip()
    told = f"it answered with status {status}" + (f": {shown}" if shown else "")
    if status == 429 or 300 <= status < 400:
        return Refused(told)
    if status >= 500:
        return NotSpoken(told, another=False) if status in (500, 501) else UpstreamUnavailable(told)
    return NotSpoken(f"{told} (is this the address of an MCP server?)", another=True)
