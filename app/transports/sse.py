"""HTTP+SSE as of 2024-11-05: a stream at /sse that names an endpoint, and messages that are posted there.

The stream is the session's main stream, so it may be at one replica and the posts at others. Each event carries an
id of the form `<session id>.<sequence>`: a client that comes back with it as `Last-Event-ID`, as every EventSource
does by itself, goes on in the same session where it was.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import parse_qs

from msgspec import UNSET

from app.asgi import Receive, Scope, Send
from app.protocol.dispatcher import Dispatcher
from app.protocol.errors import ProtocolError
from app.protocol.messages import InvalidMessage, Message, decode_message, encode_error, is_batch
from app.protocol.revisions import REVISIONS
from app.sessions.store import (
    Session,
    SessionStore,
    StoredEvent,
    StoreUnavailable,
    UnknownEvent,
    UnknownSession,
    new_session_id,
)
from app.transports import _sse
from app.transports._channel import MAIN_STREAM, Switchboard
from app.transports._http_request import (
    Disconnected,
    HttpError,
    HttpRequest,
    bad_request,
    send_empty,
    send_error,
)
from app.transports._news import SessionNews
from app.transports._session_calls import Calls, messages_of, put, unavailable

PATIENCE = 15.0
"""Seconds of silence after which a comment is sent, so that proxies keep the stream open."""

RETRY_MS = 1_000
_ANSWER_PATIENCE = 60.0  # an answer that has nowhere else to go waits for the store to come back
_REVISION = "2024-11-05"
_GONE = "This session does not exist or has ended: open a new stream at /sse."


class SseTransport:
    """Serves both endpoints: a GET opens a stream, a POST with `session_id` in its query brings messages."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        store: SessionStore,
        board: Switchboard,
        *,
        messages_path: str = "/messages",
        max_body_bytes: int = 4 * 1024 * 1024,
    ) -> None:
        self._calls = Calls(dispatcher, store, board)
        self._store = store
        self._board = board
        self._changes = dispatcher.changes
        self._messages_path = messages_path
        self._max_body_bytes = max_body_bytes
        self._streams: dict[str, _Stream] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request."""
        try:
            request = HttpRequest(scope, receive, send)
            match scope["method"]:
                case "GET":
                    await self._open(request, scope)
                case "POST":
                    await self._post(request, scope)
                case _:
                    await send_empty(send, 405, ((b"allow", b"GET, POST"),))
        except HttpError as error:
            await send_error(send, error)
        except StoreUnavailable as error:
            again = ((b"retry-after", b"%d" % error.retry_after),)
            await send_error(send, HttpError(503, unavailable(error), None, again))
        except Disconnected:
            return

    async def drain(self) -> None:
        """Refuse new calls; once those that run are answered, end the streams so that their clients come back."""
        await self._calls.drain()
        for stream in tuple(self._streams.values()):
            stream.end()

    async def _open(self, request: HttpRequest, scope: Scope) -> None:
        resumed = _resumed(request, scope)
        if resumed is None:
            session = Session(id=new_session_id(), revision=_REVISION, owner=request.caller.subject)
            await self._store.create(session)
            after = 0
        else:
            session = await self._session(resumed[0], request)
            after = resumed[1]
        try:
            async with self._store.follow_events(session.id, MAIN_STREAM, after=f"{MAIN_STREAM}:{after}") as events:
                stream = _Stream(self._store, session.id, events, request)
                endpoint = f"{scope.get('root_path', '')}{self._messages_path}?session_id={session.id}"
                await stream.start(endpoint)
                await self._serve(session, stream)
        except UnknownEvent as error:
            raise bad_request(f"Last-Event-ID: {error}. Leave it out to begin afresh.", status=404) from None
        except UnknownSession:
            raise bad_request(_GONE, status=404) from None

    async def _serve(self, session: Session, stream: _Stream) -> None:
        earlier = self._streams.get(session.id)
        if earlier is not None:
            earlier.end()
        self._streams[session.id] = stream
        if self._calls.draining:
            stream.end()
        try:
            with self._changes.listen(SessionNews(session, self._board.channel(session.id))):
                await stream.run()
        finally:
            if self._streams.get(session.id) is stream:
                del self._streams[session.id]
        current = await self._store.load(session.id)
        if current is not None and current.client_info is None:
            await self._store.end(session.id)  # nobody ever spoke to it

    async def _post(self, request: HttpRequest, scope: Scope) -> None:
        session_id = parse_qs(scope["query_string"].decode("latin-1")).get("session_id", [""])[0]
        if not session_id:
            raise bad_request("session_id is missing: post to the address that the stream at /sse named first.")
        if request.headers.get(b"content-type", b"").split(b";")[0].strip().lower() != b"application/json":
            raise bad_request("Content-Type is not application/json: send that.", status=415)
        body = await request.body(self._max_body_bytes)
        session = await self._session(session_id, request)
        self._store.touch(session.id)
        try:
            messages = messages_of(body, REVISIONS[session.revision]) if is_batch(body) else [decode_message(body)]
            for message in messages:
                await self._take(message, session, request)
        except InvalidMessage as error:
            raise HttpError(400, error, error.request_id) from None
        except ProtocolError as error:
            raise HttpError(503 if self._calls.draining else 400, error) from None
        await send_empty(request.send, 202)

    async def _take(self, message: Message | InvalidMessage, session: Session, request: HttpRequest) -> None:
        channel = self._board.channel(session.id)
        if isinstance(message, InvalidMessage):
            await put(channel, encode_error(message.request_id, message))
        elif not message.is_request:
            await self._calls.take_in(message, session)
        elif message.method == "initialize" and session.client_info is None:
            answer, accepted = await self._calls.handshake(message, session, request.caller, request.trace(), channel)
            if accepted:
                await self._store.save(session)
            await put(channel, answer)
        else:
            work = self._calls.answer(message, session, request.caller, request.trace(), channel, _ANSWER_PATIENCE)
            try:
                self._calls.start(session.id, work)
            except ProtocolError as error:
                raise HttpError(503, error, None if message.id is UNSET else message.id) from None

    async def _session(self, session_id: str, request: HttpRequest) -> Session:
        session = await self._store.load(session_id)
        if session is None or session.owner != request.caller.subject:
            raise bad_request(_GONE, status=404)
        return session


class _Stream:
    """One open stream: writes what its session's main stream brings until the client leaves or it is ended."""

    __slots__ = ("_ended", "_events", "_request", "_session_id", "_store", "_task")

    def __init__(
        self, store: SessionStore, session_id: str, events: AsyncIterator[StoredEvent], request: HttpRequest
    ) -> None:
        self._store = store
        self._session_id = session_id
        self._events = events
        self._request = request
        self._task: asyncio.Task[object] | None = None
        self._ended = False

    async def start(self, endpoint: str) -> None:
        """Send the head and name the endpoint."""
        await self._request.send({"type": "http.response.start", "status": 200, "headers": list(_sse.HEADERS)})
        first = b"event: endpoint\r\nretry: %d\r\ndata: %b\r\n\r\n" % (RETRY_MS, endpoint.encode())
        await self._write(first)

    async def run(self) -> None:
        """Write until the client leaves, the session ends, or `end` is called."""
        self._task = asyncio.current_task()
        leaving = asyncio.create_task(self._left())
        try:
            if not self._ended:
                await self._write_events()
        except asyncio.CancelledError:
            if self._task is None or not self._ended:
                raise
            self._task.uncancel()
        finally:
            gone = leaving.done()
            leaving.cancel()
        if not gone:
            await self._request.send({"type": "http.response.body", "body": b""})

    def end(self) -> None:
        """End the stream; its client comes back by itself."""
        if not self._ended:
            self._ended = True
            if self._task is not None:
                self._task.cancel()

    async def _write_events(self) -> None:
        while True:
            try:
                async with asyncio.timeout(PATIENCE):
                    event = await anext(self._events)
            except TimeoutError:
                self._store.touch(self._session_id)
                await self._write(_sse.PING)
            except (StopAsyncIteration, UnknownEvent):
                return
            else:
                await self._write(_sse.message(event.data, f"{self._session_id}.{event.sequence}"))

    async def _write(self, data: bytes) -> None:
        await self._request.send({"type": "http.response.body", "body": data, "more_body": True})

    async def _left(self) -> None:
        while (await self._request.receive())["type"] != "http.disconnect":
            pass
        self.end()


def _resumed(request: HttpRequest, scope: Scope) -> tuple[str, int] | None:
    """The session and the last event that a client comes back with."""
    last = request.header(b"last-event-id")
    if last is None:
        last = parse_qs(scope["query_string"].decode("latin-1")).get("last_event_id", [""])[0].encode()
    if not last:
        return None
    session_id, dot, digits = last.decode("latin-1").partition(".")
    if not dot or not digits.isascii() or not digits.isdigit() or len(digits) > 15:
        raise bad_request("Last-Event-ID is not the id of an event of this stream: leave it out to begin afresh.")
    return session_id, int(digits)
