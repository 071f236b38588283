"""A WebSocket as a channel: the frames by `websockets`, without its queues and tasks."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Any, cast

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidHandshake, InvalidURI
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from app.gateway.launcher import UrlEndpoint
from app.gateway.upstream import UpstreamUnavailable
from app.gateway.upstreams.http.address import Address, header_lines
from app.gateway.upstreams.options import UpstreamOptions
from app.gateway.upstreams.stream_link import Lost, Take

_CLOSE_PATIENCE = 2.0
_MAX_FRAGMENTS = 100_000


class WebSocketChannel(asyncio.Protocol):
    """One connection; `opened` is done when messages can be sent."""

    def __init__(self, url: str, headers: dict[str, str], max_bytes: int, take: Take, lost: Lost) -> None:
        self._loop = asyncio.get_running_loop()
        self._protocol = ClientProtocol(parse_uri(url), subprotocols=[Subprotocol("mcp")], max_size=max_bytes)
        self._headers = headers
        self._take = take
        self._lost: Lost | None = lost
        self._transport: asyncio.Transport | None = None
        self._fragments: list[bytes] = []
        self._writable = asyncio.Event()
        self._writable.set()
        self._ended = asyncio.Event()
        self.opened: asyncio.Future[None] = self._loop.create_future()

    async def send(self, message: bytes) -> None:
        if not self._writable.is_set():
            await self._writable.wait()
        if self._transport is None or self._transport.is_closing() or self._lost is None:
            raise EOFError
        self._protocol.send_text(message)
        self._flush()

    async def close(self) -> None:
        self._lost = None
        transport = self._transport
        if transport is None:
            return
        if not transport.is_closing() and self.opened.done():
            self._protocol.send_close(1000)
            self._flush()
            try:
                async with asyncio.timeout(_CLOSE_PATIENCE):
                    await self._ended.wait()
            except TimeoutError:
                pass
        transport.abort()
        await self._ended.wait()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        opened: socket.socket | None = transport.get_extra_info("socket")
        if opened is not None:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        request = self._protocol.connect()
        request.headers.update(self._headers)
        self._protocol.send_request(request)
        self._flush()

    def data_received(self, data: bytes) -> None:
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Frame):
                self._frame(event)
            elif isinstance(event, Response):
                self._answered()
        self._flush()
        if self._protocol.close_expected() and self._transport is not None:
            self._transport.close()

    def eof_received(self) -> None:
        self._protocol.receive_eof()
        self._answered()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended.set()
        self._writable.set()
        if not self.opened.done():
            reason = str(self._protocol.handshake_exc or exc or "it closed the connection")
            self.opened.set_exception(UpstreamUnavailable(f"it accepts no WebSocket: {reason}", unsent=True))
        lost, self._lost = self._lost, None
        if lost is not None:
            lost(self._why())

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def _answered(self) -> None:
        if self.opened.done():
            return
        problem = self._protocol.handshake_exc
        if problem is None:
            self.opened.set_result(None)
        else:
            self.opened.set_exception(UpstreamUnavailable(f"it accepts no WebSocket: {problem}", unsent=True))

    def _frame(self, frame: Frame) -> None:
        if frame.opcode in (Opcode.TEXT, Opcode.BINARY) and frame.fin:
            self._take(bytes(frame.data))
        elif frame.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            self._fragments.append(bytes(frame.data))
            if frame.fin:
                whole = b"".join(self._fragments)
                self._fragments.clear()
                self._take(whole)
            elif len(self._fragments) > _MAX_FRAGMENTS:
                self._protocol.fail(1009, "too many fragments")
        elif frame.opcode == Opcode.CLOSE:
            self._writable.set()

    def _flush(self) -> None:
        transport = self._transport
        if transport is None:
            return
        for data in self._protocol.data_to_send():
            if data:
                transport.write(data)
            else:
                transport.close()  # the library's sign for the end of what is sent

    def _why(self) -> str:
        closed: Any = self._protocol.close_rcvd
        if closed is not None:
            return f"it closed the WebSocket: {closed.code} {closed.reason}".rstrip()
        return "it closed the connection"


async def connect_websocket(
    endpoint: UrlEndpoint, options: UpstreamOptions, take: Take, lost: Lost
) -> WebSocketChannel:
    """Connect and shake hands; raises `UpstreamUnavailable`."""
    address = Address.of(endpoint.url)
    header_lines(endpoint.headers)
    url = endpoint.url.replace("http", "ws", 1) if endpoint.url.startswith("http") else endpoint.url
    context: ssl.SSLContext | None = None
    if address.secure:
        from app.resilience.http import trusted

        context = options.tls or trusted()
    try:
        _, channel = await asyncio.get_running_loop().create_connection(
            lambda: WebSocketChannel(url, endpoint.headers, options.max_message_bytes, take, lost),
            address.host,
            address.port,
            ssl=context,
            server_hostname=address.host if context is not None else None,
        )
    except (OSError, ssl.SSLError, InvalidURI, InvalidHandshake) as error:
        raise UpstreamUnavailable(f"no connection to {address.authority}: {error}", unsent=True) from None
    try:
        async with asyncio.timeout(options.connect_timeout):
            await channel.opened
    except BaseException as error:
        await channel.close()
        if isinstance(error, TimeoutError):
            raise UpstreamUnavailable("it did not accept the WebSocket in time", unsent=True) from None
        raise
    return channel
