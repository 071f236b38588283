"""Servers that are spoken to over one stream of messages: a child's pipes, a WebSocket, HTTP+SSE."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, Protocol

from msgspec import Raw

from app.gateway.upstream import About, Downstream, News, UpstreamUnavailable
from app.gateway.upstreams import wire
from app.gateway.upstreams.conversation import Conversation
from app.gateway.upstreams.deadlines import Deadlines
from app.gateway.upstreams.dialect import Dialect, as_bytes
from app.gateway.upstreams.greeting import Era, greet
from app.gateway.upstreams.options import UpstreamOptions
from app.protocol.revisions import NEWEST_WITH_HANDSHAKE, REVISIONS, Revision

Take = Callable[[bytes], None]
Lost = Callable[[str], None]
_log = logging.getLogger("slipway.gateway")


class Channel(Protocol):
    """One open stream of messages in both directions."""

    async def send(self, message: bytes) -> None:
        """Raises `EOFError` at the end, and `UpstreamUnavailable`."""
        ...

    async def close(self) -> None: ...


Connect = Callable[[Take, Lost], Awaitable[Channel]]
"""Opens a channel; raises `UpstreamUnavailable`. `Lost` is told at most once, and not after `close`."""


class StreamLink:
    """Numbers requests, and hands their answers out as they come."""

    def __init__(
        self,
        label: str,
        connect: Connect,
        options: UpstreamOptions,
        tell: Callable[[News], None],
        lost: Lost,
        *,
        era: Era | None = None,
    ) -> None:
        self.dialect = Dialect(NEWEST_WITH_HANDSHAKE)
        self._label = label
        self._connect = connect
        self._options = options
        self._tell = tell
        self._lost = lost
        self._era: Era | None = era
        self._fixed_era = era
        self._channel: Channel | None = None
        self._conversation: Conversation | None = None
        self._deadlines = Deadlines()
        self._told: set[asyncio.Task[None]] = set()

    async def open(self) -> About:
        await self.close()
        era = self._era
        try:
            return await self._open(era)
        except UpstreamUnavailable:
            if era is None and self._era == "handshake":
                return await self._open("handshake")  # it ended over the newer era's question
            raise

    async def request(
        self, method: str, params: Raw | bytes, downstream: Downstream | None, timeout: float | None, *, once: bool
    ) -> Raw:
        channel, conversation = self._channel, self._conversation
        if channel is None or conversation is None:
            raise UpstreamUnavailable("it is not connected", unsent=True)
        del once  # what was written to a stream is never written again
        call = conversation.begin(method, downstream)
        if method.startswith("tasks/"):
            call.task = wire.task_in(params)
        try:
            with self._deadlines.within(timeout):
                message = wire.request(call.number, method, self.dialect.params(call, as_bytes(params)))
                try:
                    await channel.send(message)
                except EOFError:
                    raise UpstreamUnavailable("it has ended", unsent=True) from None
                return await call.outcome()
        except (asyncio.CancelledError, TimeoutError):
            self._in_background(self._cancel(channel, call.number))
            raise
        finally:
            conversation.end(call)

    def learn(self, tools: list[Raw]) -> list[Raw]:
        return tools

    async def close(self) -> None:
        channel, self._channel = self._channel, None
        if self._conversation is not None:
            self._conversation.lose("it was let go")
            self._conversation = None
        if channel is not None:
            await channel.close()
        if self._told:
            await asyncio.wait(self._told)

    async def _open(self, era: Era | None) -> About:
        patience = self._options.handshake_timeout
        ended = asyncio.Event()
        channel: Channel | None = None

        async def reply(message: bytes) -> None:
            if channel is not None:
                await channel.send(message)

        conversation = Conversation(self._label, self._tell, reply)
        reason = ""

        def lose(message: str) -> None:
            nonlocal reason
            reason = message
            ended.set()
            conversation.lose(message)
            if self._channel is channel and channel is not None:
                self._channel = None
                self._in_background(channel.close())
                self._lost(message)

        try:
            async with asyncio.timeout(patience):
                channel = await self._connect(conversation.take, lose)
                about = await self._greet(channel, conversation, era)
        except TimeoutError:
            await _closed(channel)
            raise UpstreamUnavailable(f"it did not say what it is within {patience:g} s", unsent=True) from None
        except UpstreamUnavailable:
            await _closed(channel)
            if ended.is_set() and era is None:
                self._era = "handshake"  # some servers end at a question that they do not know
            elif self._fixed_era is None:
                self._era = None
            raise
        except BaseException:
            await _closed(channel)
            raise
        if ended.is_set():
            await _closed(channel)
            raise UpstreamUnavailable(reason, unsent=True)
        self._channel, self._conversation = channel, conversation
        return about

    async def _greet(self, channel: Channel, conversation: Conversation, era: Era | None) -> About:
        async def ask(revision: Revision, method: str, params: bytes) -> Raw:
            call = conversation.begin(method, None)
            try:
                await channel.send(wire.request(call.number, method, Dialect(revision).params(call, params)))
                return await call.outcome()
            except EOFError:
                raise UpstreamUnavailable("it has ended", unsent=True) from None
            finally:
                conversation.end(call)

        about = await greet(ask, era, patience=self._options.probe_timeout)
        self.dialect = Dialect(REVISIONS[about.revision])
        if self._fixed_era is None:
            self._era = "stateless" if self.dialect.stateless else "handshake"
        if not self.dialect.stateless:
            try:
                await channel.send(wire.notification("notifications/initialized", b"{}"))
            except EOFError:
                raise UpstreamUnavailable("it has ended", unsent=True) from None
        return about

    async def _cancel(self, channel: Channel, number: int) -> None:
        params = b'{"requestId":%d,"reason":"The client no longer waits."}' % number
        await channel.send(wire.notification("notifications/cancelled", params))

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        async def run() -> None:
            try:
                async with asyncio.timeout(self._options.connect_timeout):
                    await work
            except (EOFError, UpstreamUnavailable, TimeoutError) as error:
                _log.debug("server %r could not be told: %s", self._label, error)

        task = asyncio.create_task(run())
        self._told.add(task)
        task.add_done_callback(self._told.discard)


async def _closed(channel: Channel | None) -> None:
    if channel is not None:
        with suppress(Exception):
            await channel.close()
