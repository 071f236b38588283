"""The connections to one server: kept a while, and no more of them than is good."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque

from app.gateway.upstreams.http.address import Address
from app.gateway.upstreams.http.connection import Broken, Connection, Exchange, Head

_IDLE = 4.0
"""Servers commonly close a connection that was idle for 5 seconds."""
_SURELY_OPEN = 1.0
"""No longer idle than this, a connection is taken for what must not be sent twice."""
_MAX_IDLE = 32


class Unreachable(Exception):
    """No connection could be made: nothing was sent."""


class Pool:
    """Hands out connections; made when needed."""

    def __init__(
        self,
        address: Address,
        *,
        tls: ssl.SSLContext | None,
        connect_timeout: float,
        max_connections: int,
        max_bytes: int,
    ) -> None:
        self._address = address
        self._tls = tls
        self._connect_timeout = connect_timeout
        self._max = max_connections
        self._max_bytes = max_bytes
        self._loop = asyncio.get_running_loop()
        self._idle: list[Connection] = []
        self._all: set[Connection] = set()
        self._opening = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def size(self) -> int:
        """How many connections there are."""
        return len(self._all)

    async def send(self, request: bytes, exchange: Exchange, *, once: bool) -> bool:
        """Write a request; whether the connection was used before. `once` says that it must not be sent twice.

        Raises `Unreachable`.
        """
        connection = self._take(_SURELY_OPEN if once else _IDLE)
        if connection is None:
            connection = await self._connect()
        used = connection.served > 0
        connection.send(request, exchange)
        return used

    async def ask(self, request: bytes, *, timeout: float) -> tuple[Head, bytes]:
        """A whole answer, for requests that may be sent twice; raises `Unreachable`, `Broken` and `TimeoutError`."""
        async with asyncio.timeout(timeout):
            while True:
                exchange = WholeAnswer()
                used = await self.send(request, exchange, once=False)
                try:
                    return await exchange.future
                except Broken as error:
                    if not used or error.begun:
                        raise
                finally:
                    exchange.leave()

    def close(self) -> None:
        """Close all connections; whoever waits is told."""
        for connection in tuple(self._all):
            connection.close_now()
        self._idle.clear()
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_exception(Unreachable("it was let go"))

    def _take(self, age: float) -> Connection | None:
        now = self._loop.time()
        while self._idle:
            connection = self._idle[-1]
            if connection.alive:
                kept = connection.kept_for
                if now - connection.idle_since <= (age if kept is None else min(age, max(kept - 1.0, 0.0))):
                    return self._idle.pop()
                self._idle.pop().drop()
            else:
                self._idle.pop()
        return None

    async def _connect(self) -> Connection:
        while len(self._all) + self._opening >= self._max:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                if waiter.done() and not waiter.cancelled():
                    self._wake()  # its turn is somebody else's
                raise
            connection = self._take(_SURELY_OPEN)
            if connection is not None:
                return connection
        self._opening += 1
        try:
            return await self._open()
        finally:
            self._opening -= 1
            self._wake()

    async def _open(self) -> Connection:
        address = self._address
        context = self._context() if address.secure else None
        try:
            async with asyncio.timeout(self._connect_timeout):
                _, connection = await asyncio.get_running_loop().create_connection(
                    lambda: Connection(self._became_idle, self._closed, self._max_bytes),
                    address.host,
                    address.port,
                    ssl=context,
                    server_hostname=address.host if context is not None else None,
                )
        except TimeoutError:
            raise Unreachable(f"no connection to {address.base} within {self._connect_timeout:g} s") from None
        except (OSError, ssl.SSLError, UnicodeError) as error:
            raise Unreachable(f"no connection to {address.base}: {_words(error)}") from None
        self._all.add(connection)
        return connection

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            from app.resilience.http import trusted

            self._tls = trusted()
        return self._tls

    def _became_idle(self, connection: Connection) -> None:
        if len(self._idle) < _MAX_IDLE:
            self._idle.append(connection)
        else:
            connection.drop()
        if self._waiting:
            self._wake()

    def _closed(self, connection: Connection) -> None:
        self._all.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._wake()

    def _wake(self) -> None:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return


class WholeAnswer(Exchange):
    """An answer that one coroutine awaits."""

    __slots__ = ("future",)

    def __init__(self) -> None:
        super().__init__()
        self.future: asyncio.Future[tuple[Head, bytes]] = asyncio.get_running_loop().create_future()

    def answered(self, head: Head, body: bytes) -> None:
        if not self.future.done():
            self.future.set_result((head, body))

    def failed(self, error: Broken) -> None:
        if not self.future.done():
            self.future.set_exception(error)


def _words(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message})"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
