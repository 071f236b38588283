"""A child's standard input and output as lines: the hot path of every call to a server that speaks over stdio.

Reading is a protocol on the event loop's own pipe transport, and writing one `writev`: neither takes a task, a stream
or a callback for each line.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Self, cast

from app.gateway.children.output import Output
from app.gateway.children.tail import Tail

_HELD = 1 << 20  # bytes of lines that wait to be taken, beyond which the child is not read


class ChildLines(asyncio.Protocol):
    """Whole messages to and from one child; implements `Lines`. Has one reader, and any number of writers."""

    def __init__(
        self,
        stdin: int,
        tail: Tail,
        longest: int,
        *,
        close: Callable[[], Awaitable[None]],
        ended: Callable[[], None],
    ) -> None:
        self._stdin = stdin
        self._close = close
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._output = Output(tail, longest)
        self._lines = self._output.messages
        self._taker: asyncio.Future[None] | None = None
        self._unsent: memoryview | None = None
        self._sent: asyncio.Future[None] | None = None
        self._transport: asyncio.ReadTransport | None = None
        self._full = self._slowed = self._at_end = False
        self.touched = self._loop.time()
        """When something was last written to it or read of it."""
        self.let_go = False
        """Whether it was closed while it could still be read: its end is no loss."""
        self.idle = False
        """Whether it was ended because nobody had used it for long: opening it again when needed is enough."""

    @property
    def over(self) -> bool:
        """It writes no more, or is being ended."""
        return self._at_end or self._stdin < 0

    async def send(self, line: bytes) -> None:
        while self._unsent is not None:
            await self._wait_until_sent()
        if self._stdin < 0:
            raise EOFError("the server has ended")
        self.touched = self._loop.time()
        try:
            written = os.writev(self._stdin, (line, b"\n"))
        except BlockingIOError:
            written = 0
        except OSError as error:
            raise EOFError("the server no longer reads its input") from error
        if written <= len(line):
            self._unsent = memoryview(line + b"\n")[written:]
            self._loop.add_writer(self._stdin, self._send_rest)
            await self._wait_until_sent()
            if self._stdin < 0:
                raise EOFError("the server has ended")

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        while not self._lines:
            if self._at_end:
                raise StopAsyncIteration
            self._taker = self._loop.create_future()
            try:
                await self._taker
            finally:
                self._taker = None
        line = self._output.take()
        if self._full and self._output.held <= _HELD // 2:
            self._full = False
            self._read_on()
        return line

    async def close(self) -> None:
        self.let_go = self.let_go or not self._at_end
        await self._close()

    def close_input(self) -> None:
        """Let the child see the end of its input."""
        if self._stdin < 0:
            return
        if self._unsent is not None:
            self._loop.remove_writer(self._stdin)
            self._unsent = None
        os.close(self._stdin)
        self._stdin = -1
        self._wake_writers()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.ReadTransport", transport)

    def data_received(self, data: bytes) -> None:
        self.touched = self._loop.time()
        pause = self._output.feed(data)
        if pause:
            self._slow_down(pause)
        self._deliver()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's name
        self._output.end()
        self._transport = None
        self._at_end = True
        self._deliver()
        self._ended()

    def _deliver(self) -> None:
        if self._output.held > _HELD and not self._full and self._transport is not None:
            self._full = True
            self._transport.pause_reading()
        if self._taker is not None and not self._taker.done() and (self._lines or self._at_end):
            self._taker.set_result(None)

    def _slow_down(self, seconds: float) -> None:
        if not self._slowed and self._transport is not None:
            self._slowed = True
            self._transport.pause_reading()
            self._loop.call_later(seconds, self._resume)

    def _resume(self) -> None:
        self._slowed = False
        self._read_on()

    def _read_on(self) -> None:
        if not self._full and not self._slowed and self._transport is not None:
            self._transport.resume_reading()

    def _send_rest(self) -> None:
        assert self._unsent is not None  # noqa: S101 - or there would be no writer
        try:
            written = os.write(self._stdin, self._unsent)
        except BlockingIOError:
            return
        except OSError:  # it no longer reads; who sends next is told
            written = len(self._unsent)
        self._unsent = self._unsent[written:] or None
        if self._unsent is None:
            self._loop.remove_writer(self._stdin)
            self._wake_writers()

    async def _wait_until_sent(self) -> None:
        if self._sent is None:
            self._sent = self._loop.create_future()
        await asyncio.shield(self._sent)

    def _wake_writers(self) -> None:
        if self._sent is not None:
            self._sent.set_result(None)
            self._sent = None
