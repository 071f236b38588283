"""HTTP+SSE of 2024-11-05 as a channel: messages come on a stream, and are posted to the address that it names first."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from app.gateway.launcher import UrlEndpoint
from app.gateway.upstream import UpstreamUnavailable
from app.gateway.upstreams.http.address import Address, header_lines
from app.gateway.upstreams.http.connection import Broken, Exchange, Head
from app.gateway.upstreams.http.events import Event
from app.gateway.upstreams.http.pool import Pool, Unreachable, WholeAnswer
from app.gateway.upstreams.http.request import Requests
from app.gateway.upstreams.options import UpstreamOptions
from app.gateway.upstreams.stream_link import Lost, Take


class SseChannel:
    """One stream, and the posts that belong to it."""

    def __init__(self, endpoint: UrlEndpoint, options: UpstreamOptions, take: Take, lost: Lost) -> None:
        self._address = Address.of(endpoint.url)
        self._requests = Requests(self._address, header_lines(endpoint.headers))
        self._posts = self._requests
        self._options = options
        self._take = take
        self._lost: Lost | None = lost
        self._pool = Pool(
            self._address,
            tls=options.tls,
            connect_timeout=options.connect_timeout,
            max_connections=options.max_running + 10,
            max_bytes=options.max_message_bytes,
        )
        self._stream = _Stream(self)
        self._named: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def open(self) -> None:
        """Open the stream and learn where to post."""
        try:
            await self._pool.send(self._requests.get(b"text/event-stream"), self._stream, once=True)
            async with asyncio.timeout(self._options.connect_timeout):
                reference = await self._named
            self._posts = Requests(self._address.joined(reference), self._requests.own)
        except TimeoutError:
            raise UpstreamUnavailable("it named no endpoint: is this an /sse address?", unsent=True) from None
        except (Unreachable, ValueError) as error:
            raise UpstreamUnavailable(str(error), unsent=True) from None

    async def send(self, message: bytes) -> None:
        if self._lost is None:
            raise EOFError
        exchange = WholeAnswer()
        try:
            await self._pool.send(self._posts.post(b"", message), exchange, once=True)
            head, body = await exchange.future
        except Unreachable as error:
            raise UpstreamUnavailable(str(error), unsent=True) from None
        except Broken as error:
            raise UpstreamUnavailable(str(error)) from None
        finally:
            exchange.leave()
        if head.status >= 300:
            shown = body[:200].decode("utf-8", "replace")
            raise UpstreamUnavailable(f"it answered a message with status {head.status}: {shown}", unsent=True)

    async def close(self) -> None:
        self._lost = None
        self._stream.leave()
        self._pool.close()
        if not self._named.done():
            self._named.cancel()
        with suppress(asyncio.CancelledError, UpstreamUnavailable):
            await self._named

    def event(self, event: Event) -> None:
        """Something came on the stream."""
        if event.name == b"endpoint":
            if not self._named.done():
                self._named.set_result(event.data.decode("utf-8", "replace").strip())
        elif event.name == b"message":
            self._take(event.data)

    def ended(self, reason: str) -> None:
        """Nothing will come any longer."""
        if not self._named.done():
            self._named.set_exception(UpstreamUnavailable(reason, unsent=True))
        lost, self._lost = self._lost, None
        if lost is not None:
            lost(reason)


class _Stream(Exchange):
    __slots__ = ("_channel",)

    def __init__(self, channel: SseChannel) -> None:
        super().__init__()
        self._channel = channel

    def event(self, event: Event) -> None:
        self._channel.event(event)

    def answered(self, head: Head, body: bytes) -> None:  # noqa: ARG002
        if head.is_stream:
            self._channel.ended("it ended the stream")
        else:
            self._channel.ended(f"it answered with status {head.status} and no stream: is this an /sse address?")

    def failed(self, error: Broken) -> None:
        self._channel.ended(str(error))


async def connect_sse(endpoint: UrlEndpoint, options: UpstreamOptions, take: Take, lost: Lost) -> SseChannel:
    """Open a stream; raises `UpstreamUnavailable`."""
    channel = SseChannel(endpoint, options, take, lost)
    try:
        await channel.open()
    except BaseException:
        await channel.close()
        raise
    return channel
