"""Sessions kept in this process: what runs when no Redis is configured."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType

from app.sessions.store import (
    LimitExceeded,
    Session,
    StoredEvent,
    StoreLimits,
    TooManySessions,
    UnknownEvent,
    UnknownSession,
    check_stream_name,
    parse_event_id,
)

_CHANNEL_BACKLOG = 1_000


class _Log:
    """The events of one session; made with its first event, for most sessions never have one."""

    __slots__ = ("counts", "events", "followers", "size")

    def __init__(self) -> None:
        # Lists, for an idle session must be small and a full log is short.
        self.events: list[StoredEvent] = []
        self.counts: dict[str, int] = {}
        self.size = 0
        self.followers: list[_Follower] = []

    def append(self, stream: str, data: bytes, limits: StoreLimits, *, last: bool) -> StoredEvent:
        sequence = self.counts.get(stream, 0) + 1
        self.counts[stream] = sequence
        event = StoredEvent(stream, sequence, data, last)
        self.events.append(event)
        self.size += len(data)
        self.trim(limits.max_events, limits.max_bytes)
        for follower in self.followers:
            if follower.stream == stream:
                follower.wake()
        return event

    def trim(self, max_events: int, max_bytes: int) -> None:
        """Drop the oldest events beyond the bounds, but never the newest one."""
        while len(self.events) > max_events or (self.size > max_bytes and len(self.events) > 1):
            dropped = self.events.pop(0)
            self.size -= len(dropped.data)
            if dropped.last:
                del self.counts[dropped.stream]

    def after(self, stream: str, sequence: int) -> list[StoredEvent]:
        newest = self.counts.get(stream, 0)
        if sequence > newest:
            raise UnknownEvent(f"event {stream}:{sequence} is not one of this session")
        found: list[StoredEvent] = []
        if sequence == newest:
            return found
        for event in reversed(self.events):
            if event.stream == stream:
                if event.sequence <= sequence:
                    break
                found.append(event)
        if len(found) != newest - sequence:
            raise UnknownEvent(f"what followed event {stream}:{sequence} has been dropped")
        found.reverse()
        return found


class _Follower:
    """A reader's place in a log. It holds no events of its own, so a slow reader costs nothing."""

    __slots__ = ("_after", "_ended", "_log", "_pending", "_session_id", "_store", "_waiter", "sequence", "stream")

    def __init__(self, store: MemoryStore, session_id: str, stream: str, after: str | None) -> None:
        check_stream_name(stream)
        self._store = store
        self._session_id = session_id
        self._after = after
        self.stream = stream
        self.sequence = 0
        self._log = _NO_LOG
        self._pending: list[StoredEvent] = []  # the next one last
        self._waiter: asyncio.Future[None] | None = None
        self._ended = False

    async def __aenter__(self) -> AsyncIterator[StoredEvent]:
        log = self._store.log_of(self._session_id)
        if self._after is None:
            self.sequence = log.counts.get(self.stream, 0)
        else:
            named, self.sequence = parse_event_id(self._after)
            if named != self.stream:
                raise UnknownEvent(f"event {self._after} is not one of the stream {self.stream}")
            log.after(self.stream, self.sequence)
        self._log = log
        log.followers.append(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self in self._log.followers:
            self._log.followers.remove(self)

    def __aiter__(self) -> AsyncIterator[StoredEvent]:
        return self

    def wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def end(self) -> None:
        self._ended = True
        self.wake()

    async def __anext__(self) -> StoredEvent:
        while not self._pending:
            if self.sequence != self._log.counts.get(self.stream, 0):
                self._pending = self._log.after(self.stream, self.sequence)
                self._pending.reverse()
                break
            if self._ended:
                raise StopAsyncIteration
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        event = self._pending.pop()
        self.sequence = event.sequence
        self._ended = self._ended or event.last
        return event


_NO_LOG = _Log()


class MemoryStore:
    """A `SessionStore` in this process: nothing outlives it and no other process sees it."""

    def __init__(self, limits: StoreLimits | None = None) -> None:
        self.limits = limits or StoreLimits()
        self._sessions: dict[str, Session] = {}  # the longest untouched one first, but for touches since the last sweep
        self._logs: dict[str, _Log] = {}
        self._channels: dict[str, set[asyncio.Queue[bytes]]] = {}
        self._kept: dict[str, tuple[float, bytes]] = {}
        self._size = 0  # of all events
        self._swept = time.time()

    def __len__(self) -> int:
        return len(self._sessions)

    async def create(self, session: Session) -> None:
        self._sweep(time.time())
        if len(self._sessions) >= self.limits.max_sessions:
            self._sweep(time.time(), every=0.0)
            if len(self._sessions) >= self.limits.max_sessions:
                raise TooManySessions(f"the server keeps {self.limits.max_sessions} sessions and all are in use")
        self._check(session)
        self._sessions[session.id] = session

    async def load(self, session_id: str) -> Session | None:
        session = self._sessions.get(session_id)
        if session is not None and session.touched + self.limits.ttl <= time.time():
            self._drop(session_id)
            return None
        return session

    async def save(self, session: Session) -> None:
        if await self.load(session.id) is None:
            raise UnknownSession(f"session {session.id} ended")
        self._check(session)
        self._sessions[session.id] = session

    def touch(self, session_id: str) -> None:
        session = self._sessions.get(session_id)
        if session is not None:
            session.touched = time.time()

    async def end(self, session_id: str) -> bool:
        return self._drop(session_id)

    async def append(self, session_id: str, stream: str, data: bytes, *, last: bool = False) -> StoredEvent:
        check_stream_name(stream)
        log = self.log_of(session_id)
        before = log.size
        event = log.append(stream, data, self.limits, last=last)
        if self._size + log.size - before > self.limits.max_total_bytes:
            log.trim(1, 0)  # whoever still writes pays: the logs of those who are away stay
        self._size += log.size - before
        return event

    async def read_after(self, session_id: str, event_id: str) -> list[StoredEvent]:
        stream, sequence = parse_event_id(event_id)
        return self.log_of(session_id).after(stream, sequence)

    def follow_events(self, session_id: str, stream: str, *, after: str | None = None) -> _Follower:
        return _Follower(self, session_id, stream, after)

    async def publish(self, channel: str, data: bytes) -> None:
        for queue in self._channels.get(channel, ()):
            if queue.full():
                queue.get_nowait()  # nothing is promised to a reader that does not read
            queue.put_nowait(data)

    @asynccontextmanager
    async def follow(self, channel: str) -> AsyncGenerator[AsyncIterator[bytes]]:
        queue: asyncio.Queue[bytes] = asyncio.Queue(_CHANNEL_BACKLOG)
        queues = self._channels.setdefault(channel, set())
        queues.add(queue)
        try:
            yield _drain(queue)
        finally:
            queues.discard(queue)
            if not queues:
                self._channels.pop(channel, None)

    async def keep(self, key: str, data: bytes, seconds: float) -> None:
        now = time.time()
        for known in [known for known, (until, _) in self._kept.items() if until <= now]:
            del self._kept[known]
        self._kept[key] = (now + seconds, data)

    async def kept(self, key: str) -> bytes | None:
        until, data = self._kept.get(key, (0.0, None))
        return data if until > time.time() else None

    async def ping(self) -> None:
        return

    async def close(self) -> None:
        for log in self._logs.values():
            for follower in log.followers:
                follower.end()

    def log_of(self, session_id: str) -> _Log:
        log = self._logs.get(session_id)
        if log is None:
            if session_id not in self._sessions:
                raise UnknownSession(f"session {session_id[:80]} does not exist")
            log = self._logs[session_id] = _Log()
        return log

    def _check(self, session: Session) -> None:
        if len(session.subscriptions) > self.limits.max_subscriptions:
            raise LimitExceeded(
                f"a session keeps {self.limits.max_subscriptions} subscriptions at most: end one before the next"
            )

    def _drop(self, session_id: str) -> bool:
        log = self._logs.pop(session_id, None)
        if log is not None:
            self._size -= log.size
            for follower in log.followers:
                follower.end()
        return self._sessions.pop(session_id, None) is not None

    def _sweep(self, now: float, *, every: float = 10.0) -> None:
        if now - self._swept < every:
            return
        self._swept = now
        overdue = now - self.limits.ttl
        for session_id in [key for key, session in self._sessions.items() if session.touched <= overdue]:
            self._drop(session_id)


async def _drain(queue: asyncio.Queue[bytes]) -> AsyncIterator[bytes]:
    while True:
        yield await queue.get()
