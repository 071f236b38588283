"""The ASGI application: lets requests in, finds who serves a path, and keeps all else off the way of a call."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Literal

from app.asgi import CALLER, ASGIApp, Message, Receive, Scope, Send, protocol_error, refuse_websocket, respond
from app.lifecycle import Lifecycle
from app.protocol.errors import INVALID_REQUEST, UNAVAILABLE
from app.security.guard import Guard, Refusal
from app.telemetry.metrics import Metrics

logger = logging.getLogger("slipway.application")

Find = Callable[[Literal["http", "websocket"], str], ASGIApp | None]
"""What serves a path that comes and goes while the program runs."""

_DRAINING = "this server is shutting down: connect again"


def _nothing_more(_kind: str, _path: str) -> None:
    return None


class Application:
    """Routes by exact path, then as `find` says. `site` answers the rest: the page, the REST routes and the 404s.

    No token is asked for at the paths `public` and at those that begin with one of `public_under`.
    """

    def __init__(
        self,
        *,
        http: Mapping[str, ASGIApp],
        websocket: Mapping[str, ASGIApp],
        public: frozenset[str],
        public_under: tuple[str, ...] = (),
        site: ASGIApp,
        find: Find = _nothing_more,
        guard: Guard,
        lifecycle: Lifecycle,
        metrics: Metrics,
        on_start: Sequence[Callable[[], Awaitable[None]]] = (),
        on_stop: Sequence[Callable[[], Awaitable[None]]] = (),
    ) -> None:
        self._http = dict(http)
        self._websocket = dict(websocket)
        self._public = public
        self._public_under = public_under
        self._site = site
        self._find = find
        self._guard = guard
        self._lifecycle = lifecycle
        self._metrics = metrics
        self._on_start = on_start
        self._on_stop = on_stop

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "http":
            await self._serve_http(scope, receive, send)
        elif kind == "websocket":
            await self._serve_websocket(scope, receive, send)
        else:
            await self._live(receive, send)

    async def _serve_http(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        preflight = scope["method"] == "OPTIONS"
        public = preflight or path in self._public or path.startswith(self._public_under)
        try:
            admitted = self._guard.admit(scope["headers"], public=public)
        except Refusal as refusal:
            await self._refuse(refusal, send)
            return
        scope[CALLER] = admitted.caller
        if admitted.origin is not None:
            if preflight:
                await respond(send, 204, b"", headers=_preflight_headers(admitted.origin))
                return
            send = _for_origin(admitted.origin, send)
        try:
            route = self._http.get(path) or self._find("http", path) or self._site
            await route(scope, receive, send)
        except asyncio.CancelledError:
            if self._lifecycle.draining:
                await _cut_off(send)
            raise

    async def _serve_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            admitted = self._guard.admit(scope["headers"])
        except Refusal as refusal:
            self._metrics.refused(refusal.reason)
            await refuse_websocket(scope, receive, send, refusal.status, refusal.message)
            return
        path = scope["path"]
        route = self._websocket.get(path) or self._find("websocket", path)
        if route is None:
            await refuse_websocket(scope, receive, send, 404, "there is no WebSocket here: connect to /mcp")
        elif self._lifecycle.draining:
            await refuse_websocket(scope, receive, send, 503, _DRAINING)
        else:
            scope[CALLER] = admitted.caller
            self._metrics.websockets.inc()
            try:
                await route(scope, receive, send)
            finally:
                self._metrics.websockets.dec()

    async def _refuse(self, refusal: Refusal, send: Send) -> None:
        self._metrics.refused(refusal.reason)
        headers = [(b"www-authenticate", refusal.challenge.encode())] if refusal.challenge else []
        await respond(send, refusal.status, protocol_error(INVALID_REQUEST, refusal.message), headers=headers)

    async def _live(self, receive: Receive, send: Send) -> None:
        """The lifespan protocol: start what needs an event loop, and let go of it at the end."""
        await receive()
        try:
            for step in self._on_start:
                await step()
        except Exception as error:
            logger.exception("starting failed")
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        for step in reversed(self._on_stop):
            try:
                await step()
            except Exception:
                logger.exception("a step of stopping failed")
        await send({"type": "lifespan.shutdown.complete"})


async def _cut_off(send: Send) -> None:
    """The budget is over and this request is not answered: say that it may be sent again."""
    body = protocol_error(UNAVAILABLE, "this server shut down before the answer was ready: send the request again")
    try:
        await respond(send, 503, body, headers=((b"retry-after", b"1"), (b"connection", b"close")))
    except RuntimeError:
        logger.warning("an answer was cut off half-way by the end of the drain budget")


def _for_origin(origin: bytes, send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [
                *message.get("headers", ()),
                (b"access-control-allow-origin", origin),
                (b"access-control-expose-headers", b"mcp-session-id, mcp-protocol-version, www-authenticate"),
                (b"vary", b"origin"),
            ]
        await send(message)

    return send_with_headers


def _preflight_headers(origin: bytes) -> list[tuple[bytes, bytes]]:
    allowed = b"authorization, content-type, accept, last-event-id, mcp-session-id, mcp-protocol-version, mcp-method, "
    return [
        (b"access-control-allow-origin", origin),
        (b"access-control-allow-methods", b"GET, POST, DELETE, OPTIONS"),
        (b"access-control-allow-headers", allowed + b"mcp-name, traceparent, tracestate"),
        (b"access-control-max-age", b"600"),
        (b"vary", b"origin"),
    ]
