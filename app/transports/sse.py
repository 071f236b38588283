"""HTTP+SSE as of 2024-11-05: a stream at /sse that names an endpoint, and messages that are posted there.

The stream is the session's main stream, so it may be at one replica and the posts at others. Each event carries an
id of the form `<session id>.<sequence>`: a client that comes back with it as `Last-Event-ID`, as every EventSource
does by itself, goes on in the same session where it was.
"""

from __future__ import annotations

from contextlib import suppress
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
from app.transports._event_stream import EventStream, EventStreams
from app.transports._http_request import (
    Disconnected,
    HttpError,
    HttpRequest,
    bad_request,
    send_empty,
    send_error,
)
from app.transports._session_calls import Calls, messages_of, put, unavailable

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
        self._streams = EventStreams(store, board, dispatcher.changes)
        self._messages_path = messages_path
        self._max_body_bytes = max_body_bytes

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
        self._streams.end()

    async def _open(self, request: HttpRequest, scope: Scope) -> None:
        session, after = await self._begin_or_resume(request, scope)
        session_id = session.id
        following = self._streams.store.follow_events(session_id, MAIN_STREAM, after=f"{MAIN_STREAM}:{after}")
        try:
            events = await following.__aenter__()
        except UnknownEvent as error:
            raise bad_request(f"Last-Event-ID: {error}. Leave it out to begin afresh.", status=404) from None
        except UnknownSession:
            raise bad_request(_GONE, status=404) from None

        def render(event: StoredEvent) -> bytes:
            return _sse.message(event.data, f"{session_id}.{event.sequence}")

        endpoint = f"{scope.get('root_path', '')}{self._messages_path}?session_id={session_id}"
        first = b"event: endpoint\r\nretry: %d\r\ndata: %b\r\n\r\n" % (RETRY_MS, endpoint.encode())
        stream = EventStream(self._streams, session_id, following, events, request, render, main=True)
        try:
            await stream.run(first)
        finally:
            await self._forget_unused(session_id)

    async def _begin_or_resume(self, request: HttpRequest, scope: Scope) -> tuple[Session, int]:
        resumed = _resumed(request, scope)
        if resumed is not None:
            return await self._session(resumed[0], request), resumed[1]
        session = Session(id=new_session_id(), revision=_REVISION, owner=request.caller.subject)
        await self._store.create(session)
        return session, 0

    async def _forget_unused(self, session_id: str) -> None:
        with suppress(StoreUnavailable):
            session = await self._store.load(session_id)
            if session is not None and session.client_info is None:
                await self._store.end(session_id)  # nobody ever spoke to it

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
            told = request.caller, request.trace(), channel, _ANSWER_PATIENCE
            try:
                self._calls.start(session.id, lambda: self._calls.answer(message, session, *told))
            except ProtocolError as error:
                raise HttpError(503, error, None if message.id is UNSET else message.id) from None

    async def _session(self, session_id: str, request: HttpRequest) -> Session:
        session = await self._store.load(session_id)
        if session is None or session.owner != request.caller.subject:
            raise bad_request(_GONE, status=404)
        return session


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
