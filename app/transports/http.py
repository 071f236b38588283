"""Streamable HTTP: both eras of the protocol on one endpoint, as one ASGI application."""

from msgspec import UNSET

from app.asgi import Receive, Scope, Send
from app.protocol.dispatcher import Dispatcher
from app.protocol.envelope import speaks_stateless, unsupported
from app.protocol.messages import InvalidMessage, Message, decode_message, is_batch
from app.protocol.revisions import REVISIONS
from app.sessions.store import SessionStore
from app.transports._channel import Switchboard
from app.transports._http_request import (
    Disconnected,
    HttpError,
    HttpRequest,
    Negotiation,
    bad_request,
    check_post,
    send_empty,
    send_error,
)
from app.transports._http_stateful import StatefulHttp
from app.transports._http_stateless import StatelessHttp

DEFAULT_MAX_BODY = 4 * 1024 * 1024
_ALLOWED = ((b"allow", b"GET, POST, DELETE"),)
_STATELESS = frozenset(name.encode() for name, revision in REVISIONS.items() if revision.stateless)


class StreamableHttp:
    """The MCP endpoint. Host, Origin and tokens are checked before it; the caller is in the scope."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        store: SessionStore,
        board: Switchboard,
        *,
        max_body_bytes: int = DEFAULT_MAX_BODY,
    ) -> None:
        self._stateless = StatelessHttp(dispatcher)
        self._stateful = StatefulHttp(dispatcher, store, board)
        self._max_body_bytes = max_body_bytes
        self._negotiation = Negotiation()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request."""
        try:
            request = HttpRequest(scope, receive, send)
            if scope["method"] == "POST":
                await self._post(request)
            else:
                await self._serve(request)
        except HttpError as error:
            await send_error(send, error)
        except Disconnected:
            return

    async def drain(self) -> None:
        """Tell the clients of open GET streams to come back, to another replica, and let them go."""
        await self._stateful.drain()

    async def _serve(self, request: HttpRequest) -> None:
        method: str = request.scope["method"]
        if method == "GET":
            if not self._negotiation.accepts(request)[1]:
                raise bad_request("Accept must name text/event-stream.", status=406)
            await self._stateful.get(request)
        elif method == "DELETE":
            await self._stateful.delete(request)
        else:
            await send_empty(request.send, 405, _ALLOWED)

    async def _post(self, request: HttpRequest) -> None:
        check_post(request, self._negotiation)
        body = await request.body(self._max_body_bytes)
        version = request.header(b"mcp-protocol-version")
        if version not in _STATELESS and is_batch(body):
            await self._stateful.post_batch(body, request)
            return
        try:
            message = decode_message(body)
        except InvalidMessage as error:
            raise HttpError(400, error, error.request_id) from None
        if version in _STATELESS or self._is_stateless(message, version):
            await self._stateless.post(message, request)
        else:
            await self._stateful.post(message, request)

    def _is_stateless(self, message: Message, version: bytes | None) -> bool:
        """Whether the body speaks a revision without a handshake although the header does not say so."""
        method = message.method
        if method is not UNSET and speaks_stateless(method, None if message.params is UNSET else message.params):
            return True
        if version is not None and version.decode("latin-1") not in REVISIONS:
            request_id = None if message.id is UNSET else message.id
            raise HttpError(400, unsupported(version.decode("latin-1")), request_id)
        return False
