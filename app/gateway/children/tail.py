"""The last lines that a server wrote to its standard error, kept for whoever asks, and told to the log."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import cast

from app.gateway.children.splitter import Splitter
from app.gateway.children.throttle import PER_LINE, Notices, Throttle

logger = logging.getLogger("slipway.child")

_LONGEST = 8_192  # bytes of one line
_KEPT = 1_000
_BEHIND = 1_000  # lines that a follower may be behind
_BYTES_PER_SECOND = 4 << 20
_LOGGED, _SPAN = 200, 10.0


class Tail:
    """A server's own words, over all of its lives."""

    def __init__(self, server: str, mask: Callable[[str], str], *, kept: int = _KEPT) -> None:
        self.server = server
        self.mask = mask
        self.last = ""
        """The last line that is not blank."""
        self._kept: deque[str] = deque(maxlen=kept)
        self._followers: set[asyncio.Queue[str]] = set()
        self._notices = Notices(logger, server, most=_LOGGED, span=_SPAN)

    def add(self, line: bytes, *, log: bool = True) -> None:
        """Keep one line; what is not UTF-8 in it is replaced."""
        text = self.mask(line.decode(errors="replace")).rstrip()
        if not text:
            return
        self.last = text
        self._kept.append(text)
        for queue in self._followers:
            if not queue.full():
                queue.put_nowait(text)
        if log:
            self._notices.say(logging.INFO, text, stream="stderr")

    def lines(self, count: int) -> list[str]:
        """The newest of them, oldest first."""
        return list(self._kept)[-count:] if count > 0 else []

    async def follow(self, count: int) -> AsyncIterator[str]:
        """The newest lines, then each as it comes; a follower that is far behind misses some."""
        queue: asyncio.Queue[str] = asyncio.Queue(_BEHIND)
        self._followers.add(queue)
        try:
            for line in self.lines(count):
                yield line
            while True:
                yield await queue.get()
        finally:
            self._followers.discard(queue)


class Errors:
    """The standard error of one process, as lines for a tail."""

    def __init__(self, tail: Tail) -> None:
        self._tail = tail
        self._splitter = Splitter(_LONGEST, self._too_long)
        self._throttle = Throttle(_BYTES_PER_SECOND)

    def feed(self, data: bytes) -> float:
        """Take in what was read; returns for how many seconds nothing more should be read."""
        lines = self._splitter.feed(data)
        for line in lines[-_KEPT:]:  # the others would not be kept for a moment
            self._tail.add(line)
        return self._throttle.spend(len(data) + len(lines) * PER_LINE)

    def end(self) -> None:
        """There is no more."""
        self._tail.add(self._splitter.rest())

    def _too_long(self, head: bytes, _: bytes, length: int) -> None:
        self._tail.add(head + f" … ({length:,} bytes)".encode())


class ErrorStream(asyncio.Protocol):
    """A child's standard error, read no faster than is good for us."""

    def __init__(self, tail: Tail, ended: Callable[[], None]) -> None:
        self._errors = Errors(tail)
        self._ended = ended
        self._resume: asyncio.TimerHandle | None = None
        self.transport: asyncio.ReadTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.ReadTransport", transport)

    def data_received(self, data: bytes) -> None:
        pause = self._errors.feed(data)
        if pause and self.transport is not None:
            self.transport.pause_reading()
            self._resume = asyncio.get_running_loop().call_later(pause, self.transport.resume_reading)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's name
        if self._resume is not None:
            self._resume.cancel()
        self._errors.end()
        self.transport = None
        self._ended()
