"""Bare JSON-RPC at `/messages`: one request, one answer, no session. What `curl` needs, and no more."""

import msgspec
from msgspec import UNSET

from app.asgi import ASGIApp, Receive, Scope, Send
from app.protocol.calls import Call
from app.protocol.dispatcher import Dispatcher
from app.protocol.envelope import required_meta, speaks_stateless, stateless_revision
from app.protocol.errors import INVALID_REQUEST, PARSE_ERROR, ProtocolError
from app.protocol.messages import InvalidMessage, Message, decode_message
from app.protocol.params import Params
from app.protocol.revisions import NEWEST, NEWEST_WITH_HANDSHAKE, Revision
from app.transports._http_request import (
    Disconnected,
    HttpError,
    HttpRequest,
    bad_request,
    check_content_type,
    send_empty,
    send_error,
    send_json,
)

_ALLOWED = ((b"allow", b"POST"),)
_STATUS = {PARSE_ERROR: 400, INVALID_REQUEST: 400}


class BareMessages:
    """Answers a POST. One that names a session in its query is passed on to `with_session` (HTTP+SSE)."""

    def __init__(
        self, dispatcher: Dispatcher, *, max_body_bytes: int = 4 * 1024 * 1024, with_session: ASGIApp | None = None
    ) -> None:
        self._dispatcher = dispatcher
        self._max_body_bytes = max_body_bytes
        self._with_session = with_session

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request."""
        if self._with_session is not None and b"session_id=" in scope["query_string"]:
            await self._with_session(scope, receive, send)
            return
        try:
            await self._serve(HttpRequest(scope, receive, send))
        except HttpError as error:
            await send_error(send, error)
        except Disconnected:
            return

    async def _serve(self, request: HttpRequest) -> None:
        if request.scope["method"] != "POST":
            await send_empty(request.send, 405, _ALLOWED)
            return
        check_content_type(request)
        try:
            message = decode_message(await request.body(self._max_body_bytes))
        except InvalidMessage as error:
            raise HttpError(400, error, error.request_id) from None
        if message.is_notification:
            await send_empty(request.send, 202)
            return
        if message.id is UNSET or message.method is UNSET:
            raise bad_request("There is no session here that a response could belong to.")
        try:
            call = self._call(message, request)
        except ProtocolError as error:
            raise HttpError(_STATUS.get(error.code, 200), error, message.id) from None
        answer = await self._dispatcher.answer(call)
        await send_json(request.send, _STATUS.get(call.failed, 200), answer)

    def _call(self, message: Message, request: HttpRequest) -> Call:
        method = message.method if message.method is not UNSET else ""
        params = None if message.params is UNSET else message.params
        revision, decoded = self._revision(method, params)
        return Call(
            id=message.id if message.id is not UNSET else 0,
            method=method,
            params=params,
            revision=revision,
            session=None,
            caller=request.caller,
            channel=_NoChannel(),
            trace=request.trace(decoded),
            decoded=decoded,
        )

    def _revision(self, method: str, params: msgspec.Raw | None) -> tuple[Revision, Params | None]:
        if not speaks_stateless(method, params):
            return NEWEST_WITH_HANDSHAKE, None
        if method == "subscriptions/listen":
            raise ProtocolError(INVALID_REQUEST, "A subscription is a stream: open it at /mcp.")
        decoded = self._dispatcher.decode(method, params, NEWEST)
        return stateless_revision(required_meta(decoded).version or ""), decoded


class _NoChannel:
    """One answer is all there is: what is said before it is not heard."""

    __slots__ = ()

    async def notify(self, method: str, params: object) -> None:  # noqa: ARG002
        return

    async def request(self, method: str, params: object, *, timeout: float | None = None) -> msgspec.Raw:  # noqa: ARG002
        raise ProtocolError(INVALID_REQUEST, f"'{method}' cannot be asked of a client without a session: use /mcp.")
