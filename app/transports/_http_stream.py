"""GET streams of sessions: what the server has to say, resumable from any event on any replica."""

import asyncio
from collections.abc import AsyncIterator

from app.asgi import Send
from app.protocol.changes import Changes
from app.protocol.revisions import REVISIONS
from app.sessions.store import (
    Session,
    SessionStore,
    StoredEvent,
    StoreUnavailable,
    UnknownEvent,
    UnknownSession,
    parse_event_id,
    stream_start,
)
from app.transports import _sse
from app.transports._channel import MAIN_STREAM, Switchboard
from app.transports._http_exchange import PATIENCE, left
from app.transports._http_request import HttpRequest, bad_request
from app.transports._http_session_exchange import RETRY_MS
from app.transports._news import SessionNews


class SessionStreams:
    """The GET streams that this process holds."""

    def __init__(self, store: SessionStore, board: Switchboard, changes: Changes) -> None:
        self._store = store
        self._board = board
        self._changes = changes
        self._main: dict[str, asyncio.Future[None]] = {}
        self._open: set[asyncio.Future[None]] = set()
        self._draining = False

    async def serve(self, session: Session, request: HttpRequest) -> None:
        """Serve one GET: a session's main stream, or the rest of the stream that `Last-Event-ID` names."""
        stream, after = MAIN_STREAM, None
        last_event = request.header(b"last-event-id")
        if last_event is not None:
            after = last_event.decode("latin-1")
            try:
                stream = parse_event_id(after)[0]
            except UnknownEvent as error:
                raise bad_request(f"Last-Event-ID: {error}.") from None
        elif session.id in self._main:
            raise bad_request("This session has a stream already: close it, or resume it by Last-Event-ID.", status=409)
        try:
            await self._follow(session, stream, after, request)
        except UnknownEvent as error:
            raise bad_request(f"Last-Event-ID: {error}. Leave it out to begin afresh.", status=404) from None
        except UnknownSession:
            raise bad_request("This session has ended: begin a new one with 'initialize'.", status=404) from None

    async def drain(self) -> None:
        """End every stream and tell its client to come back."""
        self._draining = True
        for stop in tuple(self._open):
            _stop(stop)

    async def _follow(self, session: Session, stream: str, after: str | None, request: HttpRequest) -> None:
        following = self._store.follow_events(session.id, stream, after=after or stream_start(stream))
        try:
            events = await following.__aenter__()
        except UnknownEvent:
            if after is not None:
                raise
            following = self._store.follow_events(session.id, stream)
            events = await following.__aenter__()
        try:
            await self._serve(session, stream, after, events, request)
        finally:
            await following.__aexit__(None, None, None)

    async def _serve(
        self,
        session: Session,
        stream: str,
        after: str | None,
        events: AsyncIterator[StoredEvent],
        request: HttpRequest,
    ) -> None:
        stop = asyncio.get_running_loop().create_future()
        if self._draining:
            stop.set_result(None)
        self._open.add(stop)
        headers = [*_sse.HEADERS, (b"mcp-session-id", session.id.encode())]
        await request.send({"type": "http.response.start", "status": 200, "headers": headers})
        first = _sse.PING
        if REVISIONS[session.revision].primed_streams:
            first = _sse.priming(after or stream_start(stream), RETRY_MS)
        await request.send({"type": "http.response.body", "body": first, "more_body": True})
        try:
            if stream != MAIN_STREAM:
                await self._pump(session, events, stop, request)
                return
            earlier = self._main.get(session.id)
            if earlier is not None:
                _stop(earlier)
            self._main[session.id] = stop
            try:
                with self._changes.listen(SessionNews(session, self._board.channel(session.id))):
                    await self._pump(session, events, stop, request)
            finally:
                if self._main.get(session.id) is stop:
                    del self._main[session.id]
        finally:
            self._open.discard(stop)

    async def _pump(
        self,
        session: Session,
        events: AsyncIterator[StoredEvent],
        stop: asyncio.Future[None],
        request: HttpRequest,
    ) -> None:
        writing = asyncio.create_task(_write(events, request.send))
        leaving = asyncio.create_task(left(request.receive))
        tasks: set[asyncio.Future[None]] = {writing, leaving, stop}
        try:
            while not (await asyncio.wait(tasks, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED))[0]:
                self._store.touch(session.id)
                await request.send({"type": "http.response.body", "body": _sse.PING, "more_body": True})
        finally:
            gone = leaving.done()
            writing.cancel()
            leaving.cancel()
            await asyncio.wait({writing, leaving})
        if not gone:
            await request.send({"type": "http.response.body", "body": _sse.retry(RETRY_MS)})


def _stop(stop: asyncio.Future[None]) -> None:
    if not stop.done():
        stop.set_result(None)


async def _write(events: AsyncIterator[StoredEvent], send: Send) -> None:
    try:
        async for event in events:
            body = _sse.message(event.data, event.id)
            await send({"type": "http.response.body", "body": body, "more_body": True})
    except (UnknownEvent, StoreUnavailable):
        return  # the stream ends; the client comes back and is told what is possible then
