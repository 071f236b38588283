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
from app.transports._http_exchange import Exchange

RETRY_MS = 1_000
PATIENT = 1.0
"""Seconds after which a running call's answer becomes a stream, so that its client can resume it from then on."""


class SessionExchange(Exchange):
    """A `ClientChannel` onto the answer of one POST. A client that leaves does not cancel its call."""

    _channel: SessionChannel | None = None
    _stream: str = ""

    def __init__(self, board: Switchboard, session_id: str, revision: Revision, receive: Receive, send: Send) -> None:
        super().__init__(receive, send)
        self._board = board
        self._session_id = session_id
        self._revision = revision

    def watch(self) -> None:
        """The call begins."""
        _running.add(self)

    def unwatch(self) -> None:
        """The call ended."""
        _running.discard(self)
        self.stop_watching()

    def begin_to_watch(self) -> None:
        """The call has run for a while: from here on its client could resume it."""
        super().begin_to_watch()
        if self._opening is None:
            self._opening = asyncio.create_task(self._start())

    def first_event(self) -> bytes:
        """From where to resume, where the revision knows of that."""
        if self._revision.primed_streams:
            return _sse.priming(stream_start(self._events()), RETRY_MS)
        return _sse.PING

    def client_left(self) -> None:
        """The call goes on: the client can fetch its answer from the session's log."""

    async def notify(self, method: str, params: object) -> None:
        """Send a notification: from here on the answer is a stream."""
        await self.open()
        await self._log().notify(method, params)

    async def request(self, method: str, params: object, *, timeout: float | None = None) -> msgspec.Raw:
        """Ask the client on this stream; its answer comes in by a POST of its own, at any replica."""
        await self.open()
        return await self._log().request(method, params, timeout=timeout)

    async def answer(self, answer: bytes, *, last: bool = True) -> None:
        """Send an answer on the stream; the last one ends it."""
        await self.open()
        await self._log().send(answer, last=last)

    async def end(self) -> None:
        """End the stream without an answer."""
        await self.write(b"", last=True)

    def _events(self) -> str:
        if not self._stream:
            self._stream = f"r{secrets.token_hex(8)}"
        return self._stream

    def _log(self) -> SessionChannel:
        if self._channel is None:
            self._channel = self._board.channel(self._session_id, self._events(), self._deliver)
        return self._channel

    async def _deliver(self, event: StoredEvent) -> None:
        await self.write(_sse.message(event.data, event.id), last=event.last)


_running: Overdue[SessionExchange] = Overdue(PATIENT, SessionExchange.begin_to_watch)
