"""GET streams of sessions: what the server has to say, resumable from any event on any replica."""

from app.protocol.changes import Changes
from app.protocol.revisions import REVISIONS
from app.sessions.store import (
    Session,
    SessionStore,
    StoredEvent,
    UnknownEvent,
    UnknownSession,
    parse_event_id,
    stream_start,
)
from app.transports import _sse
from app.transports._channel import MAIN_STREAM, Switchboard
from app.transports._event_stream import EventStream, EventStreams
from app.transports._http_request import HttpRequest, bad_request
from app.transports._http_session_exchange import RETRY_MS


class SessionStreams:
    """The GET streams that this process holds."""

    def __init__(self, store: SessionStore, board: Switchboard, changes: Changes) -> None:
        self._store = store
        self._board = board
        self._streams = EventStreams(store, board, changes)

    async def serve(self, session: Session, request: HttpRequest) -> None:
        """Serve one GET: a session's main stream, or the rest of the stream that `Last-Event-ID` names."""
        name, after = MAIN_STREAM, None
        last_event = request.header(b"last-event-id")
        if last_event is not None:
            after = last_event.decode("latin-1")
            try:
                name = parse_event_id(after)[0]
            except UnknownEvent as error:
                raise bad_request(f"Last-Event-ID: {error}.") from None
        elif self._board.is_held(session.id):
            raise bad_request("This session has a stream already: close it, or resume it by Last-Event-ID.", status=409)
        try:
            stream = await self._follow(session, name, after, request)
        except UnknownEvent as error:
            raise bad_request(f"Last-Event-ID: {error}. Leave it out to begin afresh.", status=404) from None
        except UnknownSession:
            raise bad_request("This session has ended: begin a new one with 'initialize'.", status=404) from None
        first = _sse.PING
        if REVISIONS[session.revision].primed_streams:
            first = _sse.priming(after or stream_start(name), RETRY_MS)
        await stream.run(first, ((b"mcp-session-id", session.id.encode()),), _sse.retry(RETRY_MS))

    async def drain(self) -> None:
        """End every stream and tell its client to come back."""
        self._streams.end()

    async def _follow(self, session: Session, name: str, after: str | None, request: HttpRequest) -> EventStream:
        following = self._store.follow_events(session.id, name, after=after or stream_start(name))
        try:
            events = await following.__aenter__()
        except UnknownEvent:
            if after is not None:
                raise
            following = self._store.follow_events(session.id, name)
            events = await following.__aenter__()
        main = name == MAIN_STREAM
        return EventStream(self._streams, session.id, following, events, request, _render, main=main)


def _render(event: StoredEvent) -> bytes:
    return _sse.message(event.data, event.id)
