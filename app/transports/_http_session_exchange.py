"""One POST of a session and its answer: JSON, or a stream of events that the client can resume on any replica."""

import asyncio
import secrets

import msgspec
from msgspec import UNSET

from app.asgi import Receive, Send
from app.protocol.errors import UNAVAILABLE, ProtocolError
from app.protocol.messages import encode_notification
from app.protocol.pacing import Overdue
from app.protocol.revisions import Revision
from app.sessions.store import StoredEvent, StoreUnavailable, TooManySessions, UnknownSession, stream_start
from app.transports import _sse
from app.transports._channel import SessionChannel, Switchboard
from app.transports._http_exchange import Exchange

RETRY_MS = 1_000
PATIENT = 1.0
"""Seconds after which a running call's answer becomes a stream, so that its client can resume it from then on."""


def unavailable(error: StoreUnavailable) -> ProtocolError:
    """What a client is told while sessions cannot be reached: that, and how soon to try again."""
    what = "too many sessions are open" if isinstance(error, TooManySessions) else "sessions cannot be reached"
    message = f"For the moment {what}: send the same request again in {error.retry_after} s."
    return ProtocolError(UNAVAILABLE, message, {"retryAfter": error.retry_after})


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
        await self._send_event(encode_notification(method, UNSET if params is None else params))

    async def request(self, method: str, params: object, *, timeout: float | None = None) -> msgspec.Raw:
        """Ask the client on this stream; its answer comes in by a POST of its own, at any replica."""
        await self.open()
        try:
            return await self._log().request(method, params, timeout=timeout)
        except StoreUnavailable as error:
            raise unavailable(error) from None

    async def answer(self, answer: bytes, *, last: bool = True) -> None:
        """Send an answer on the stream; the last one ends it."""
        await self._send_event(answer, last=last)

    async def _send_event(self, data: bytes, *, last: bool = False) -> None:
        """Log an event and send it. While the log cannot be reached, a client that is there still gets it."""
        await self.open()
        try:
            await self._log().send(data, last=last)
        except (StoreUnavailable, UnknownSession):
            await self.write(_sse.message(data), last=last)

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
