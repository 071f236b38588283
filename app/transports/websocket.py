"""MCP over WebSocket at /mcp, subprotocol `mcp`: both eras, one message a text frame. See docs/websocket.md."""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qs

from app.asgi import Message, Receive, Scope, Send
from app.protocol.dispatcher import Dispatcher
from app.protocol.errors import UNAVAILABLE, ProtocolError
from app.sessions.store import Session, SessionStore, StoreUnavailable, UnknownEvent, UnknownSession, new_session_id
from app.transports._channel import MAIN_STREAM, Switchboard
from app.transports._http_request import HttpError, HttpRequest, bad_request, send_error
from app.transports._session_calls import Calls, unavailable
from app.transports._websocket_connection import RESTART, Connection

SUBPROTOCOL = "mcp"
_TOUCH_EVERY = 20.0
_GONE = "This session does not exist or has ended: connect without session_id and begin with 'initialize'."


class WebSocketTransport:
    """Serves WebSocket connections. Host, Origin and tokens are checked before it; the caller is in the scope."""

    def __init__(self, dispatcher: Dispatcher, store: SessionStore, board: Switchboard) -> None:
        self._calls = Calls(dispatcher, store, board)
        self._store = store
        self._connections: dict[Connection, None] = {}
        self._toucher: asyncio.TimerHandle | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, from its handshake to its end."""
        await receive()
        request = HttpRequest(scope, receive, send)
        try:
            subprotocol = _subprotocol(scope)
            session, after = await self._resumed(request)
        except HttpError as error:
            await send_error(_handshake(scope, send), error)
            return
        except StoreUnavailable as error:
            again = ((b"retry-after", b"%d" % error.retry_after),)
            await send_error(_handshake(scope, send), HttpError(503, unavailable(error), None, again))
            return
        connection_id = new_session_id() if session is None else session.id
        headers = [(b"mcp-session-id", connection_id.encode())]
        await send({"type": "websocket.accept", "subprotocol": subprotocol, "headers": headers})
        connection = Connection(self._calls, connection_id, request.caller, request.trace(), send)
        if session is not None:
            await connection.attach(session, after)
        await self._serve(connection, receive)

    async def drain(self) -> None:
        """Refuse new calls; once those that run are answered, close so that clients connect again."""
        await self._calls.drain()
        closing = [connection.close(RESTART, "connect again with the session id") for connection in self._connections]
        await asyncio.gather(*closing)

    async def _serve(self, connection: Connection, receive: Receive) -> None:
        self._connections[connection] = None
        self._touch_soon()
        try:
            while True:
                message = await receive()
                if message["type"] == "websocket.disconnect":
                    return
                text: str | None = message.get("text")
                if text is None:
                    await connection.refuse_binary()
                else:
                    await connection.take(text.encode())
        finally:
            del self._connections[connection]
            await connection.leave()

    async def _resumed(self, request: HttpRequest) -> tuple[Session | None, int | None]:
        """The session that the client comes back to, and how many of its messages it has."""
        if self._calls.draining:
            problem = ProtocolError(UNAVAILABLE, "This server is shutting down: connect again.", {"retryAfter": 1})
            raise HttpError(503, problem, None, ((b"retry-after", b"1"),))
        query = parse_qs(request.scope["query_string"].decode("latin-1"))
        session_id = _either(request, b"mcp-session-id", query, "session_id")
        last = _either(request, b"last-event-id", query, "last_event_id")
        if session_id is None:
            if last is not None:
                raise bad_request("last_event_id is there without session_id: send both, or none.")
            return None, None
        if last is not None and (not last.isascii() or not last.isdigit() or len(last) > 15):
            raise bad_request(f"last_event_id is '{last[:40]}': send the number of messages received in the session.")
        session = await self._store.load(session_id)
        if session is None or session.owner != request.caller.subject:
            raise bad_request(_GONE, status=404)
        self._store.touch(session.id)
        if last is None:
            return session, None
        try:
            await self._store.read_after(session.id, f"{MAIN_STREAM}:{last}")
        except UnknownEvent as error:
            raise bad_request(f"last_event_id: {error}.", status=404) from None
        except UnknownSession:
            raise bad_request(_GONE, status=404) from None
        return session, int(last)

    def _touch_soon(self) -> None:
        if self._toucher is None:
            self._toucher = asyncio.get_running_loop().call_later(_TOUCH_EVERY, self._touch)

    def _touch(self) -> None:
        """A session lives as long as its connection does."""
        self._toucher = None
        for connection in self._connections:
            if connection.has_session:
                self._store.touch(connection.id)
        if self._connections:
            self._touch_soon()


def _subprotocol(scope: Scope) -> str | None:
    offered: list[str] = scope.get("subprotocols", [])
    if offered and SUBPROTOCOL not in offered:
        raise bad_request(f"Sec-WebSocket-Protocol lacks '{SUBPROTOCOL}': offer it, or no subprotocol at all.")
    return SUBPROTOCOL if offered else None


def _either(request: HttpRequest, header: bytes, query: dict[str, list[str]], name: str) -> str | None:
    value = request.header(header)
    return value.decode("latin-1") if value is not None else query.get(name, [None])[0]


def _handshake(scope: Scope, send: Send) -> Send:
    """Lets an HTTP answer stand in for the acceptance of a WebSocket."""
    if "websocket.http.response" not in (scope.get("extensions") or {}):

        async def close(message: Message) -> None:
            if message["type"] == "http.response.body":
                await send({"type": "websocket.close", "code": 1008, "reason": "the handshake was refused"})

        return close

    async def respond(message: Message) -> None:
        await send({**message, "type": f"websocket.{message['type']}"})

    return respond
