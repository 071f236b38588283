"""Serving over sockets: uvicorn with our limits, and an end that loses no answer."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, cast

import uvicorn

from app.asgi import ASGIApp
from app.lifecycle import Lifecycle
from app.process import LEAVE, end_now, loop_factory, raise_file_limit, settle_memory
from app.security.connection import ConnectionLimits, ConnectionWatch, GuardedConnection
from app.settings import Settings
from app.transports.websocket_protocol import WebSocketProtocol

logger = logging.getLogger("slipway.server")

_TICK = 0.25
_FLUSH_TICK = 0.02
_BACKLOG = 2048
_LAST_WORDS = 1.0  # seconds in which what is cut off may still say so


class BindError(Exception):
    """The address cannot be listened on; the message names it and what to do."""


def bind(host: str, port: int) -> socket.socket:
    """A listening socket that worker processes can inherit."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise BindError(f"MCP_HOST={host!r} is not an address of this machine ({error}): give one that is") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        remedy = "set MCP_PORT to a free port, or to 0 for any" if port else "give another MCP_HOST"
        raise BindError(f"cannot listen on {host}:{port} ({error.strerror}): {remedy}") from None
    return listener


def port_of(listener: socket.socket) -> int:
    return int(listener.getsockname()[1])


class Server(uvicorn.Server):
    """uvicorn, ended our way: first unready, then drained, then gone."""

    def __init__(self, config: uvicorn.Config, *, lifecycle: Lifecycle, watch: ConnectionWatch, budget: float) -> None:
        super().__init__(config)
        self._lifecycle = lifecycle
        self._watch = watch
        self._budget = budget
        self._wake = asyncio.Event()
        self.on_listening: Callable[[], None] = _nothing

    def ask_to_exit(self) -> None:
        """Begin to drain, or, when already asked, end at once."""
        if self.should_exit:
            end_now()
        self.should_exit = True
        self._wake.set()

    async def run_here(self, listener: socket.socket) -> None:
        """Serve on the running loop until asked to exit and drained."""
        await self._serve([listener])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        settle_memory()
        self.on_listening()

    async def main_loop(self) -> None:
        ticks = 0
        while not await self.on_tick(0 if ticks == 0 else 1):  # at 0, uvicorn renews its date header
            ticks = (ticks + 1) % 4
            self._watch.sweep(asyncio.get_running_loop().time())
            with suppress(TimeoutError):
                async with asyncio.timeout(_TICK):
                    await self._wake.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Unready at once; listening until all is done or half the budget is gone; then finish what still runs."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        self._watch.closing = True
        logger.info("draining", extra={"fields": {"running": len(self.server_state.tasks), "budget": self._budget}})
        draining = loop.create_task(self._lifecycle.drain())
        await self._settle(draining, began + self._budget / 2)
        for server in self.servers:
            server.close()
        for listener in sockets or ():
            listener.close()
        for connection in list(self.server_state.connections):
            if isinstance(connection, GuardedConnection):  # an idle one is closed; others end with their answer
                connection.shutdown()
        await self._settle(draining, began + self._budget)
        await self._read_to_the_end(began + self._budget)
        await self._cut_off(draining)
        await self.lifespan.shutdown()
        logger.info("stopped", extra={"fields": {"seconds": round(loop.time() - began, 3)}})

    async def _settle(self, draining: asyncio.Task[None], deadline: float) -> None:
        """Wait until nothing runs, or for the deadline."""
        loop = asyncio.get_running_loop()
        while (running := self._running(draining)) and (left := deadline - loop.time()) > 0:
            self._watch.sweep(loop.time())
            await asyncio.wait(running, timeout=min(left, _TICK))

    async def _read_to_the_end(self, deadline: float) -> None:
        """An answer is given when its client has it: what no socket has taken yet would end with this process."""
        loop = asyncio.get_running_loop()
        while self._unsent() and loop.time() < deadline:
            self._watch.sweep(loop.time())
            await asyncio.sleep(_FLUSH_TICK)

    def _unsent(self) -> int:
        """How many connections have something that is not yet sent."""
        transports = (connection.transport for connection in self.server_state.connections)
        return sum(transport.get_write_buffer_size() > 0 for transport in transports)

    async def _cut_off(self, draining: asyncio.Task[None]) -> None:
        """The budget is over: end what is left."""
        left = self._running(draining)
        unsent = self._unsent()
        if left or unsent:
            fields = {"cut_off": len(left), "unread": unsent}
            logger.warning("the drain budget is over", extra={"fields": fields})
        for connection in list(self.server_state.connections):
            connection.shutdown()
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=_LAST_WORDS)

    def _running(self, draining: asyncio.Task[None]) -> list[asyncio.Task[None]]:
        return [task for task in (*self.server_state.tasks, draining) if not task.done()]


def make_server(application: ASGIApp, settings: Settings, lifecycle: Lifecycle) -> Server:
    """A server with every limit of the settings."""
    watch = ConnectionWatch()
    limits = ConnectionLimits(
        header_timeout=settings.header_timeout,
        body_timeout=settings.body_timeout,
        max_body_bytes=settings.max_body_bytes,
    )
    config = uvicorn.Config(
        cast("Any", application),
        http=cast("type[asyncio.Protocol]", partial(GuardedConnection, limits, watch)),
        ws=WebSocketProtocol,
        ws_per_message_deflate=False,
        ws_max_size=settings.max_body_bytes,
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=max(1, round(settings.keep_alive_timeout)),
        limit_concurrency=settings.max_connections,
        backlog=_BACKLOG,
    )
    return Server(config, lifecycle=lifecycle, watch=watch, budget=settings.drain_seconds)


def run_server(
    make: Callable[[], tuple[ASGIApp, Lifecycle]],
    settings: Settings,
    listener: socket.socket,
    *,
    on_listening: Callable[[], None] = lambda: None,
    parent: int | None = None,
    signals: Sequence[signal.Signals] = (signal.SIGTERM, signal.SIGINT),
) -> None:
    """Serve in this process until a signal, or until `parent` (a pipe's reading end) closes."""
    raise_file_limit()
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(_run(make, settings, listener, on_listening, parent, signals))


async def _run(
    make: Callable[[], tuple[ASGIApp, Lifecycle]],
    settings: Settings,
    listener: socket.socket,
    on_listening: Callable[[], None],
    parent: int | None,
    signals: Sequence[signal.Signals],
) -> None:
    application, lifecycle = make()
    server = make_server(application, settings, lifecycle)
    server.on_listening = on_listening
    loop = asyncio.get_running_loop()
    for number in signals:
        loop.add_signal_handler(number, server.ask_to_exit)
    loop.add_signal_handler(LEAVE, lifecycle.leave)
    if parent is not None:
        loop.add_reader(parent, _parent_is_gone, server, parent)
    await server.run_here(listener)


def _parent_is_gone(server: Server, parent: int) -> None:
    asyncio.get_running_loop().remove_reader(parent)
    if not server.should_exit:
        server.ask_to_exit()


def _nothing() -> None:
    return
