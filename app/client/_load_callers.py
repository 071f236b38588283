"""The connections of the load tester: as little work a call as possible, so that it is the server that is measured."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any, cast
from urllib.parse import SplitResult, urlsplit

import httptools
import msgspec

from app.client._load import CallFailed
from app.client._messages import JsonObject, encode
from app.protocol.params import META_CAPABILITIES, META_CLIENT_INFO, META_VERSION
from app.protocol.revisions import Revision

_decode = msgspec.json.Decoder(dict[str, Any]).decode
_INFO = {"name": "slipway-load", "version": "1"}


class HttpCaller:
    """Keep-alive HTTP/1.1 to `/mcp` or `/messages`, for either era."""

    def __init__(
        self, url: str, tool: str, arguments: JsonObject, *, revision: Revision | None, headers: dict[str, str]
    ) -> None:
        self._url = urlsplit(url)
        self._tool = tool
        self._arguments = arguments
        self._revision = revision
        self._headers = headers
        self._connection: _Connection | None = None
        self._request = b""

    async def open(self) -> None:
        url = self._url
        context = ssl.create_default_context() if url.scheme == "https" else None
        _, self._connection = await asyncio.get_running_loop().create_connection(
            _Connection, url.hostname or "", url.port or (443 if context else 80), ssl=context
        )
        extra = dict(self._headers)
        if self._revision is not None:
            extra["mcp-protocol-version"] = self._revision.name
            if self._revision.stateless:
                extra |= {"mcp-method": "tools/call", "mcp-name": self._tool}
            else:
                extra["mcp-session-id"] = await self._shake_hands(self._connection, self._revision, extra)
        self._request = self._encoded(call_message(self._tool, self._arguments, self._revision), extra)

    async def call(self) -> None:
        assert self._connection is not None  # noqa: S101 (opened before it is used)
        status, body, _ = await self._connection.exchange(self._request)
        if status != 200 and not body.startswith(b"{"):
            raise CallFailed(f"HTTP {status}")
        check(body)

    async def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    async def _shake_hands(self, connection: _Connection, revision: Revision, headers: dict[str, str]) -> str:
        status, body, answered = await connection.exchange(self._encoded(initialize_message(revision), headers))
        session = answered.get(b"mcp-session-id", b"").decode()
        if status != 200 or not session:
            raise CallFailed(f"initialize: HTTP {status}")
        check(body)
        ready = {"jsonrpc": "2.0", "method": "notifications/initialized"}
        await connection.exchange(self._encoded(ready, {**headers, "mcp-session-id": session}))
        return session

    def _encoded(self, message: JsonObject, headers: dict[str, str]) -> bytes:
        body = encode(message)
        lines = {
            "host": self._url.netloc.rpartition("@")[2],
            "content-type": "application/json",
            "accept": "application/json, text/event-stream",
            "content-length": str(len(body)),
            **headers,
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return f"POST {_path(self._url)} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body


class WebSocketCaller:
    """One WebSocket; calls go one after the other."""

    def __init__(
        self, url: str, tool: str, arguments: JsonObject, *, revision: Revision | None, headers: dict[str, str]
    ) -> None:
        self._url = url
        self._revision = revision
        self._headers = headers
        self._message = encode(call_message(tool, arguments, revision)).decode()
        self._socket: Any = None

    async def open(self) -> None:
        from websockets.asyncio.client import connect
        from websockets.exceptions import InvalidHandshake
        from websockets.typing import Subprotocol

        try:
            self._socket = await connect(
                self._url,
                subprotocols=[Subprotocol("mcp")],
                additional_headers=self._headers,
                compression=None,
                ping_interval=None,
            )
        except InvalidHandshake as error:
            raise CallFailed(str(error)) from None
        if self._revision is not None and not self._revision.stateless:
            check_message(await self._exchange(encode(initialize_message(self._revision)).decode()))
            await self._socket.send(encode({"jsonrpc": "2.0", "method": "notifications/initialized"}).decode())

    async def call(self) -> None:
        check_message(await self._exchange(self._message))

    async def close(self) -> None:
        if self._socket is not None:
            await self._socket.close()

    async def _exchange(self, message: str) -> JsonObject:
        """Send, and wait for the answer; what the server sends besides is passed over."""
        from websockets.exceptions import ConnectionClosed

        try:
            await self._socket.send(message)
            while True:
                received = _parsed(await self._socket.recv(decode=False))
                if "method" not in received:
                    return received
        except ConnectionClosed as closed:
            code = closed.rcvd.code if closed.rcvd is not None else "without a code"
            raise CallFailed(f"closed {code}") from None


class _Connection(asyncio.Protocol):
    """One request at a time, its answer parsed in C."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._answer: asyncio.Future[None] | None = None
        self._body = bytearray()
        self._headers: dict[bytes, bytes] = {}

    async def exchange(self, request: bytes) -> tuple[int, bytes, dict[bytes, bytes]]:
        """Send bytes, get the status, the body and the headers of the answer."""
        if self._transport is None or self._transport.is_closing():
            raise CallFailed("connection closed")
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        await self._answer
        return self._parser.get_status_code(), bytes(self._body), self._headers

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(CallFailed("connection reset" if exc else "connection closed"))

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            if self._answer is not None and not self._answer.done():
                self._answer.set_exception(CallFailed("not HTTP"))
            self.close()

    # What the parser calls.
    def on_message_begin(self) -> None:
        self._body = bytearray()
        self._headers = {}

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.lower()] = value

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(None)


def check(answer: bytes) -> None:
    """Raises CallFailed unless the answer, JSON or a stream of events, is a tool's success."""
    if not answer.startswith(b"{"):
        lines = [line for line in answer.splitlines() if line.startswith(b"data:") and b'"id"' in line]
        answer = lines[-1].removeprefix(b"data:") if lines else b""
    check_message(_parsed(answer))


def check_message(message: JsonObject) -> None:
    """Raises CallFailed for an error, and for a tool that failed."""
    if "error" in message:
        raise CallFailed(f"error {message['error'].get('code')}")
    if message.get("result", {}).get("isError"):
        raise CallFailed("the tool failed")


def _parsed(text: bytes) -> JsonObject:
    try:
        return _decode(text)
    except msgspec.DecodeError:
        raise CallFailed("not JSON") from None


def call_message(tool: str, arguments: JsonObject, revision: Revision | None) -> JsonObject:
    """`tools/call`, with what the revision asks of every request."""
    params: JsonObject = {"name": tool, "arguments": arguments}
    if revision is not None and revision.stateless:
        params["_meta"] = {META_VERSION: revision.name, META_CAPABILITIES: {}, META_CLIENT_INFO: _INFO}
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}


def initialize_message(revision: Revision) -> JsonObject:
    """`initialize`, from a client that can do nothing but call."""
    params = {"protocolVersion": revision.name, "capabilities": {}, "clientInfo": _INFO}
    return {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}


def _path(url: SplitResult) -> str:
    return (url.path or "/") + (f"?{url.query}" if url.query else "")
