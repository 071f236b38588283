"""Streamable HTTP since 2026-07-28: each POST stands alone."""

import asyncio

from msgspec import UNSET

from app.protocol.calls import Call
from app.protocol.dispatcher import Dispatcher
from app.protocol.envelope import required_meta, stateless_revision, unsupported
from app.protocol.errors import HTTP_STATUS, ProtocolError
from app.protocol.headers import check_params, check_routing
from app.protocol.messages import Message
from app.protocol.params import CallToolParams, Params
from app.protocol.revisions import NEWEST, REVISIONS, Revision
from app.transports import _sse
from app.transports._http_exchange import SingleExchange
from app.transports._http_request import HttpError, HttpRequest, bad_request, send_empty, send_json


class StatelessHttp:
    """Answers POSTs that speak a revision without a handshake."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher

    async def post(self, message: Message, request: HttpRequest) -> None:
        """Answer one POST."""
        if message.is_notification:
            version = (request.header(b"mcp-protocol-version") or b"").decode("latin-1")
            revision = REVISIONS.get(version)
            if revision is None or not revision.stateless:
                raise HttpError(400, unsupported(version))
            await send_empty(request.send, 202)
            return
        if message.id is UNSET or message.method is UNSET:
            raise bad_request(
                "Responses cannot be sent to this server: answers to it go into the request they are for."
            )
        raw = None if message.params is UNSET else message.params
        try:
            params = self._dispatcher.decode(message.method, raw, NEWEST)
            revision = self._check(message.method, params, request)
        except ProtocolError as error:
            raise HttpError(HTTP_STATUS.get(error.code, 400), error, message.id) from None
        exchange = SingleExchange(request.receive, request.send)
        call = Call(
            id=message.id,
            method=message.method,
            params=raw,
            revision=revision,
            session=None,
            caller=request.caller,
            channel=exchange,
            trace=request.trace(params),
            decoded=params,
        )
        exchange.watch()
        try:
            answer = await self._dispatcher.answer(call)
        except asyncio.CancelledError:
            if exchange.gone:
                return
            raise
        finally:
            exchange.unwatch()
        if exchange.streaming:
            await exchange.write(_sse.message(answer), last=True)
        else:
            await send_json(request.send, HTTP_STATUS.get(call.failed, 200), answer)

    def _check(self, method: str, params: Params, request: HttpRequest) -> Revision:
        version = required_meta(params).version or ""
        check_routing(request.headers, version, method, params)
        revision = stateless_revision(version)
        if isinstance(params, CallToolParams):
            rules = self._dispatcher.mirrored(params.name)
            if rules:
                check_params(rules, None if params.arguments is UNSET else params.arguments, request.scope["headers"])
        return revision
