"""A child's standard input and output as lines: the hot path of every call to a server that speaks over stdio.

Reading is a protocol on the event loop's own pipe transport, and writing one `writev`; measured against a reader
callback and against streams, this takes the least processor time (`docs/gateway.md`).
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Self, cast

from app.gateway.children.oversized import refusal
from app.gateway.children.splitter import Splitter
from app.gateway.children.tail import Tail
from app.gateway.children.throttle import PER_LINE, Notices, Throttle

logger = logging.getLogger("slipway.child")

_HELD = 1 << 20  # bytes of lines that wait to be taken, beyond which the child is not read
_GARBAGE_PER_SECOND = 4 << 20
_REPORTED = 50  # lines of garbage in one read
_SHOWN = 200  # characters of a line that is no message
_OPENING = (0x7B, 0x5B)  # { and [


class ChildLines(asyncio.Protocol):
    """Whole messages to and from one child; implements `Lines`. Has one reader, and any number of writers."""

    def __init__(
        self,
        server: str,
        stdin: int,
        tail: Tail,
        longest: int,
        *,
        close: Callable[[], Awaitable[None]],
        ended: Callable[[], None],
    ) -> None:
        self._stdin = stdin
        self._tail = tail
        self._longest = longest
        self._close = close
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._splitter = Splitter(longest, self._too_long)
        self._notices = Notices(logger, server)
        self._throttle = Throttle(_GARBAGE_PER_SECOND)
        self._lines: deque[bytes] = deque()
        self._held = 0
        self._taker: asyncio.Future[None] | None = None
        self._unsent: memoryview | None = None
        self._sent: asyncio.Future[None] | None = None
        self._transport: asyncio.ReadTransport | None = None
        self._full = self._slowed = self._at_end = False
        self.touched = self._loop.time()
        """When something was last written to it or read of it."""
        self.spoke = False
        """Whether it ever wrote a message."""
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
        line = self._lines.popleft()
        self._held -= len(line)
        if self._full and self._held <= _HELD // 2:
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
        useless: list[bytes] = []
        for line in self._splitter.feed(data):
            if line and line[0] in _OPENING and line.isascii():  # nearly all of them
                self._lines.append(line)
                self._held += len(line)
            elif not self._take_doubtful(line):
                useless.append(line)
        if useless:
            self._skip(useless)
        self._deliver()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's name
        rest = self._splitter.rest()
        if rest and not self._take_doubtful(rest):
            self._skip([rest])
        self._transport = None
        self._at_end = True
        self._deliver()
        self._ended()

    def _deliver(self) -> None:
        if self._held > _HELD and not self._full and self._transport is not None:
            self._full = True
            self._transport.pause_reading()
        if self._lines:
            self.spoke = True
        if self._taker is not None and not self._taker.done() and (self._lines or self._at_end):
            self._taker.set_result(None)

    def _take_doubtful(self, line: bytes) -> bool:
        """Take a line that looks unusual, where it may be a message all the same."""
        bare = line.strip()
        if not bare or bare[0] not in _OPENING or not _is_text(bare):
            return False
        self._lines.append(bare)
        self._held += len(bare)
        return True

    def _skip(self, lines: list[bytes]) -> None:
        """Report lines that are no messages: the first of many that come at once, so that this is not what is slow."""
        for line in lines[:_REPORTED]:
            bare = line.strip()
            if bare:
                shown = bare[: 4 * _SHOWN]
                self._tail.add(shown, log=False)
                why = "it is not UTF-8" if bare[0] in _OPENING else "it is no JSON object"
                text = self._tail.mask(shown.decode(errors="replace"))[:_SHOWN]
                event = "a line on standard output is no message: skipped"
                self._notices.say(logging.WARNING, event, why=why, line=text)
        self._slow_down(self._throttle.spend(sum(map(len, lines)) + len(lines) * PER_LINE))

    def _too_long(self, head: bytes, end: bytes, length: int) -> None:
        self._notices.say(
            logging.ERROR, "a line on standard output is too long: thrown away", bytes=length, longest=self._longest
        )
        answer = refusal(head, end, length, self._longest)
        if answer is not None:
            self._lines.append(answer)
            self._held += len(answer)

    def _slow_down(self, seconds: float) -> None:
        if seconds and not self._slowed and self._transport is not None:
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


def _is_text(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True
