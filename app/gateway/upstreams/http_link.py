"""Servers that are spoken to over Streamable HTTP, in both eras."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from msgspec import Raw

from app.gateway.launcher import UrlEndpoint
from app.gateway.upstream import About, Downstream, News, UpstreamFailure, UpstreamUnavailable
from app.gateway.upstreams import wire
from app.gateway.upstreams.conversation import Conversation
from app.gateway.upstreams.deadlines import Deadlines
from app.gateway.upstreams.dialect import Dialect, as_bytes
from app.gateway.upstreams.greeting import Era, discover, initialize
from app.gateway.upstreams.http.address import Address, header_lines
from app.gateway.upstreams.http.connection import Broken
from app.gateway.upstreams.http.pool import Pool, Unreachable
from app.gateway.upstreams.http.request import Requests
from app.gateway.upstreams.http_exchanges import CallExchange, Cut, ListenExchange, Moved
from app.gateway.upstreams.link import NotSpoken, Refused
from app.gateway.upstreams.mirror import Mirror
from app.gateway.upstreams.options import UpstreamOptions
from app.protocol.revisions import NEWEST_WITH_HANDSHAKE, REVISIONS, Revision

_log = logging.getLogger("slipway.gateway")
_EVENTS = b"text/event-stream"
_SESSION = re.compile(rb"[\x21-\x7e]{1,1024}")
_MAX_REDIRECTS = 3
_MAX_RESUMPTIONS = 10
_RETRY = 1.0
_MAX_RETRY = 30.0
_SHORT = 5.0
"""Seconds for what is only told: cancellations, the end of a session."""


class HttpLink:
    """Each request is a POST; its answer comes whole, or on a stream that may be resumed in the older era."""

    def __init__(
        self,
        label: str,
        endpoint: UrlEndpoint,
        options: UpstreamOptions,
        tell: Callable[[News], None],
        lost: Callable[[str], None],
    ) -> None:
        self.dialect = Dialect(NEWEST_WITH_HANDSHAKE)
        self._label = label
        self._options = options
        self._lost = lost
        self._address = Address.of(endpoint.url)
        self._requests = Requests(self._address, header_lines(endpoint.headers))
        self._pool = Pool(
            self._address,
            tls=options.tls,
            connect_timeout=options.connect_timeout,
            max_connections=options.max_running + 50,
            max_bytes=options.max_message_bytes,
        )
        self._conversation = Conversation(label, tell, self._reply)
        self._deadlines = Deadlines()
        self._mirror = Mirror()
        self._session: bytes | None = None
        self._lines = b""
        """The headers of the era: those of every request."""
        self._era: Era | None = options.era
        self._listener: asyncio.Task[None] | None = None
        self._told: set[asyncio.Task[None]] = set()

    async def open(self) -> About:
        await self._stop_listening()
        patience = self._options.handshake_timeout
        try:
            async with asyncio.timeout(patience):
                about = await self._greet()
        except TimeoutError:
            raise UpstreamUnavailable(f"it did not say what it is within {patience:g} s", unsent=True) from None
        except (Cut, Moved, UpstreamFailure) as error:
            raise UpstreamUnavailable(str(error), unsent=True) from None
        return about

    async def request(
        self, method: str, params: Raw | bytes, downstream: Downstream | None, timeout: float | None, *, once: bool
    ) -> Raw:
        return await self._call(self.dialect, method, as_bytes(params), downstream, timeout, once=once)

    def learn(self, tools: list[Raw]) -> list[Raw]:
        return self._mirror.learn(tools, self._label) if self.dialect.stateless else tools

    async def close(self) -> None:
        await self._stop_listening()
        if self._session is not None:
            with suppress(Unreachable, Broken, TimeoutError):
                await self._pool.ask(self._requests.delete(self._lines), timeout=_SHORT)
            self._session = None
        if self._told:
            await asyncio.wait(self._told, timeout=_SHORT)
        self._conversation.lose("it was let go")
        self._pool.close()

    async def _greet(self) -> About:
        self._session = None
        about = None
        if self._era != "handshake":
            about = await self._discovered()
        if about is None:
            self._lines = b""
            about = await initialize(self._ask)
        self.dialect = Dialect(REVISIONS[about.revision])
        self._era = "stateless" if self.dialect.stateless else "handshake"
        self._lines = b"mcp-protocol-version: %b\r\n" % about.revision.encode()
        if self._session is not None:
            self._lines += b"mcp-session-id: %b\r\n" % self._session
        if not self.dialect.stateless:
            await self._tell(wire.notification("notifications/initialized", b"{}"))
            self._listener = asyncio.create_task(self._listen(), name=f"listen to {self._label}")
        return about

    async def _discovered(self) -> About | None:
        try:
            async with asyncio.timeout(self._options.probe_timeout):
                return await discover(self._ask)
        except (NotSpoken, UpstreamFailure, TimeoutError, Cut):
            self._era = self._options.era
            return None

    async def _ask(self, revision: Revision, method: str, params: bytes) -> Raw:
        if revision.stateless:
            self._lines = b"mcp-protocol-version: %b\r\n" % revision.name.encode()
        return await self._call(Dialect(revision), method, params, None, None, once=False)

    async def _call(
        self,
        dialect: Dialect,
        method: str,
        params: bytes,
        downstream: Downstream | None,
        timeout: float | None,
        *,
        once: bool,
    ) -> Raw:
        conversation = self._conversation
        call = conversation.begin(method, downstream)
        if method.startswith("tasks/"):
            call.task = wire.task_in(params)
        exchange = CallExchange(call, conversation, has_session=self._session is not None)
        try:
            with self._deadlines.within(timeout):
                lines = self._lines
                if dialect.stateless:
                    lines += self._mirror.lines(method, params)
                body = wire.request(call.number, method, dialect.params(call, params))
                used = await self._send(self._requests.post(lines, body), exchange, once=once)
                moved = 0
                while True:
                    try:
                        result = await call.outcome()
                        break
                    except Moved as elsewhere:
                        moved += 1
                        self._move(str(elsewhere), moved)
                    except Cut as cut:
                        if cut.begun or not used or once:
                            result = await self._resumed(call, exchange, cut)
                            break
                    call.reopen()
                    used = await self._send(self._requests.post(lines, body), exchange, once=once)
        except (asyncio.CancelledError, TimeoutError):
            if not dialect.stateless and method != "initialize":
                params = b'{"requestId":%d,"reason":"The client no longer waits."}' % call.number
                self._in_background(self._tell(wire.notification("notifications/cancelled", params)))
            raise
        finally:
            exchange.release() if call.answered else exchange.leave()
            conversation.end(call)
        if method == "initialize":
            self._session = self._checked(exchange.session)
        return result

    async def _send(self, request: bytes, exchange: CallExchange | ListenExchange, *, once: bool) -> bool:
        try:
            return await self._pool.send(request, exchange, once=once)
        except Unreachable as error:
            self._lost(str(error))
            raise UpstreamUnavailable(str(error), unsent=True) from None

    async def _resumed(self, call: Any, exchange: CallExchange, cut: Cut) -> Raw:
        """The rest of an answer whose stream was cut, where the server lets us have it."""
        retry: float | None = None
        for _ in range(_MAX_RESUMPTIONS):
            last = exchange.last_id
            retry = retry if exchange.retry is None else exchange.retry
            if last is None or self._session is None or self.dialect.stateless:
                break
            call.reopen()
            await asyncio.sleep(min(_RETRY if retry is None else retry, _MAX_RETRY))
            lines = b"%blast-event-id: %b\r\n" % (self._lines, last)
            await self._send(self._requests.get(_EVENTS, lines), exchange, once=True)
            try:
                return await call.outcome()
            except Cut as again:
                cut = again
        raise UpstreamUnavailable(str(cut)) from None

    async def _listen(self) -> None:
        """Take what the server says on its own, for as long as it lets us."""
        last: bytes | None = None
        while True:
            exchange = ListenExchange(self._conversation.take)
            lines = self._lines if last is None else b"%blast-event-id: %b\r\n" % (self._lines, last)
            try:
                await self._pool.send(self._requests.get(_EVENTS, lines), exchange, once=True)
                status = await exchange.done
            except Unreachable as error:
                self._lost(str(error))
                return
            finally:
                exchange.leave()
            if status == 404 and self._session is not None:
                self._lost("its session has ended")
                return
            if status not in (0, 200):
                return
            events = exchange.events
            last = last if events is None or events.id is None else events.id
            retry = _RETRY if events is None or events.retry is None else events.retry
            await asyncio.sleep(min(retry, _MAX_RETRY))

    async def _stop_listening(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.cancel()
            await asyncio.wait({listener})

    async def _reply(self, message: bytes) -> None:
        await self._tell(message)

    async def _tell(self, message: bytes) -> None:
        """Send what has no answer."""
        try:
            head, _ = await self._pool.ask(self._requests.post(self._lines, message), timeout=_SHORT)
        except (Unreachable, Broken) as error:
            raise UpstreamUnavailable(str(error)) from None
        if head.status >= 400:
            _log.debug("server %r took a notification with status %d", self._label, head.status)

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        async def run() -> None:
            try:
                await work
            except (UpstreamUnavailable, TimeoutError) as error:
                _log.debug("server %r could not be told: %s", self._label, error)

        task = asyncio.create_task(run())
        self._told.add(task)
        task.add_done_callback(self._told.discard)

    def _move(self, reference: str, times: int) -> None:
        """Follow the server to another address of its own."""
        if times > _MAX_REDIRECTS:
            raise Refused("it sends us from one address to the next")
        try:
            self._address = self._address.joined(reference)
        except ValueError as error:
            raise Refused(f"it is elsewhere: {error}") from None
        self._requests = Requests(self._address, self._requests.own)

    def _checked(self, session: bytes | None) -> bytes | None:
        if session is not None and not _SESSION.fullmatch(session):
            raise UpstreamUnavailable("it named a session that cannot be a header", unsent=True)
        return session
