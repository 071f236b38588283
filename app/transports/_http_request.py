"""What Streamable HTTP reads of a request, and the plain answers it gives."""

from typing import Any

from msgspec import UNSET

from app.asgi import CALLER, Message, Receive, Scope, Send
from app.protocol.calls import ANONYMOUS, Caller, TraceContext
from app.protocol.errors import INVALID_REQUEST, ProtocolError
from app.protocol.headers import mismatch
from app.protocol.messages import RequestId, encode_error
from app.protocol.params import Params

_JSON = (b"content-type", b"application/json")
_ONCE = frozenset(
    (
        b"mcp-protocol-version",
        b"mcp-method",
        b"mcp-name",
        b"mcp-session-id",
        b"last-event-id",
        b"content-type",
    )
)
_REMEMBERED = 256


class HttpError(Exception):
    """A request that is answered by an HTTP status and a JSON-RPC error instead of a call."""

    def __init__(
        self,
        status: int,
        error: ProtocolError,
        request_id: RequestId | None = None,
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        super().__init__(error.message)
        self.status = status
        self.error = error
        self.request_id = request_id
        self.headers = headers


def bad_request(message: str, request_id: RequestId | None = None, *, status: int = 400) -> HttpError:
    """A request that the transport cannot accept."""
    return HttpError(status, ProtocolError(INVALID_REQUEST, message), request_id)


class Disconnected(Exception):
    """The client left before it had sent its request."""


class HttpRequest:
    """One HTTP request: what ASGI gives, with the headers by name."""

    __slots__ = ("headers", "receive", "scope", "send")

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.receive = receive
        self.send = send
        pairs: list[tuple[bytes, bytes]] = scope["headers"]
        self.headers = dict(pairs)
        if len(self.headers) != len(pairs):
            _check_single(pairs)

    @property
    def caller(self) -> Caller:
        """Who calls, as the guard found out."""
        return self.scope.get(CALLER, ANONYMOUS)

    def header(self, name: bytes) -> bytes | None:
        """A header's value, without the white space that parsers leave around it."""
        value = self.headers.get(name)
        return value if value is None else value.strip()

    def trace(self, params: Params | None = None) -> TraceContext | None:
        """The trace context: from `_meta`, else from the headers."""
        if params is not None and params.meta is not UNSET and params.meta.traceparent:
            return TraceContext(params.meta.traceparent, params.meta.tracestate, params.meta.baggage)
        parent = self.headers.get(b"traceparent")
        if parent is None:
            return None
        return TraceContext(_text(parent), _text(self.headers.get(b"tracestate")), _text(self.headers.get(b"baggage")))

    async def body(self, limit: int) -> bytes:
        """The whole body; raises `HttpError` for one beyond the limit, `Disconnected`."""
        message: Message = await self.receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        body: bytes = message.get("body", b"")
        if message.get("more_body", False):
            chunks, size = [body], len(body)
            while size <= limit and message.get("more_body", False):
                message = await self.receive()
                if message["type"] == "http.disconnect":
                    raise Disconnected
                chunks.append(message.get("body", b""))
                size += len(chunks[-1])
            body = b"".join(chunks)
        if len(body) > limit:
            raise bad_request(f"The body is larger than {limit} bytes: send less.", status=413)
        return body


def _check_single(pairs: list[tuple[bytes, bytes]]) -> None:
    names = [name for name, _ in pairs]
    for name in _ONCE:
        if names.count(name) > 1:
            raise HttpError(400, mismatch(f"the header {name.decode()} is there more than once: send it once."))


class Negotiation:
    """Remembers how a header value was judged: clients send the same few again and again."""

    def __init__(self) -> None:
        self._accepts: dict[bytes, tuple[bool, bool]] = {}

    def accepts(self, request: HttpRequest) -> tuple[bool, bool]:
        """Whether the client takes JSON, and whether it takes an event stream."""
        value = request.headers.get(b"accept", b"")
        known = self._accepts.get(value)
        if known is None:
            known = _accepts(value.decode("latin-1"))
            if len(self._accepts) < _REMEMBERED:
                self._accepts[value] = known
        return known


def _accepts(value: str) -> tuple[bool, bool]:
    json = events = False
    for part in value.lower().split(","):
        media, *parameters = (piece.strip() for piece in part.split(";"))
        if any(p.replace(" ", "") in ("q=0", "q=0.0", "q=0.00", "q=0.000") for p in parameters):
            continue
        json = json or media in ("*/*", "application/*", "application/json")
        events = events or media in ("*/*", "text/*", "text/event-stream")
    return json, events


def check_content_type(request: HttpRequest) -> None:
    """The body is said to be JSON; raises `HttpError`."""
    content_type = request.headers.get(b"content-type", b"")
    if content_type != b"application/json" and content_type.split(b";")[0].strip().lower() != b"application/json":
        shown = content_type[:64].decode("latin-1")
        raise bad_request(f"Content-Type is '{shown}': send application/json.", status=415)


def check_post(request: HttpRequest, negotiation: Negotiation) -> None:
    """The headers that every POST to the MCP endpoint needs; raises `HttpError`."""
    check_content_type(request)
    if negotiation.accepts(request) != (True, True):
        shown = request.headers.get(b"accept", b"")[:128].decode("latin-1")
        raise bad_request(
            f"Accept is '{shown}': the client must accept both application/json and text/event-stream.", status=406
        )


async def send_json(send: Send, status: int, body: bytes, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
    """One whole JSON answer."""
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [_JSON, (b"content-length", b"%d" % len(body)), *headers],
        }
    )
    await send({"type": "http.response.body", "body": body})


async def send_empty(send: Send, status: int, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
    """A status and nothing more."""
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0"), *headers]})
    await send({"type": "http.response.body", "body": b""})


async def send_error(send: Send, error: HttpError) -> None:
    """A refusal, in the protocol's form."""
    await send_json(send, error.status, encode_error(error.request_id, error.error), error.headers)


def _text(value: Any) -> str:
    return value.decode("latin-1").strip() if value else ""
