"""Following a stream in Redis: what was missed is read, what comes is heard, and each event is given once."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from types import TracebackType

from app.sessions.redis_link import Link
from app.sessions.store import StoredEvent, StoreUnavailable, UnknownEvent, UnknownSession, parse_event_id

_MOST_QUEUED = 64
_MOST_QUEUED_BYTES = 256 * 1024
_RETRY_DELAY = 0.25

Read = Callable[[str, str, int], Awaitable[list[StoredEvent]]]
Newest = Callable[[str, str], Awaitable[int]]


class EventFollower:
    """A place in a stream. Of what comes faster than it is read only the place is kept: the rest is read again."""

    __slots__ = (
        "_after",
        "_behind",
        "_channel",
        "_ended",
        "_link",
        "_newest",
        "_position",
        "_queue",
        "_queued_bytes",
        "_read",
        "_session_id",
        "_stream",
        "_waiter",
    )

    def __init__(
        self, link: Link, channel: str, read: Read, newest: Newest, *, session_id: str, stream: str, after: str | None
    ) -> None:
        self._link = link
        self._channel = channel
        self._read = read
        self._newest = newest
        self._session_id = session_id
        self._stream = stream
        self._after = after
        self._position = 0  # of the newest event that was queued
        self._queue: deque[StoredEvent] = deque()
        self._queued_bytes = 0
        self._behind = True
        self._ended = False
        self._waiter: asyncio.Future[None] | None = None

    async def __aenter__(self) -> AsyncIterator[StoredEvent]:
        await self._link.listen(self._channel, self)
        try:
            if self._after is None:
                self._position = await self._newest(self._session_id, self._stream)
                return self
            named, self._position = parse_event_id(self._after)
            if named != self._stream:
                raise UnknownEvent(f"event {self._after} is not one of the stream {self._stream}")
            await self._catch_up()
        except BaseException:
            self._link.unlisten(self._channel, self)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._link.unlisten(self._channel, self)

    def __aiter__(self) -> AsyncIterator[StoredEvent]:
        return self

    async def __anext__(self) -> StoredEvent:
        while not self._queue:
            if self._ended:
                raise StopAsyncIteration
            if self._behind and self._link.up:
                try:
                    await self._catch_up()
                except UnknownSession:
                    self._ended = True
                except StoreUnavailable:
                    await asyncio.sleep(_RETRY_DELAY)
                continue
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        event = self._queue.popleft()
        self._queued_bytes -= len(event.data)
        return event

    def heard(self, data: bytes) -> None:
        """A message of the session's channel: `<stream> <sequence> <last> <data>`, or `end`."""
        if data == b"end":
            # What is queued is still given; what is not was deleted with the session.
            self._ended = True
            self._wake()
            return
        stream, sequence, last, message = data.split(b" ", 3)
        if stream.decode() != self._stream:
            return
        number = int(sequence)
        if self._behind or number <= self._position:
            self._wake()
        elif (
            number == self._position + 1
            and len(self._queue) < _MOST_QUEUED
            and self._queued_bytes + len(message) <= _MOST_QUEUED_BYTES
        ):
            self._queue_up(StoredEvent(self._stream, number, message, last == b"1"))
            self._wake()
        else:
            self.missed()

    def missed(self) -> None:
        """Something may have come unheard: the next turn reads."""
        self._behind = True
        self._wake()

    def _queue_up(self, event: StoredEvent) -> None:
        self._queue.append(event)
        self._queued_bytes += len(event.data)
        self._position = event.sequence
        self._ended = self._ended or event.last

    async def _catch_up(self) -> None:
        self._behind = False
        try:
            events = await self._read(self._session_id, self._stream, self._position)
        except BaseException:  # a cancellation too: nothing is lost by giving up waiting
            self._behind = True
            raise
        for event in events:
            if event.sequence > self._position:
                self._queue_up(event)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
