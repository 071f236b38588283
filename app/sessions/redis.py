"""Sessions kept in Redis: any replica serves any session, and none of them asks Redis before each request."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from app.sessions import redis_scripts as scripts
from app.sessions.redis_address import RedisAddress
from app.sessions.redis_client import RedisClient
from app.sessions.redis_events import EventFollower
from app.sessions.redis_link import Link, Messages
from app.sessions.redis_sessions import StoredSession, changes, session_fields, session_from, state, stored
from app.sessions.store import (
    LimitExceeded,
    Session,
    StoredEvent,
    StoreLimits,
    StoreUnavailable,
    TooManySessions,
    UnknownEvent,
    UnknownSession,
    check_stream_name,
    parse_event_id,
)
from app.sessions.tasks import stop

_INDEX = "slipway:sessions"
_INVALIDATIONS = "slipway:invalidate"
_MOST_CACHED = 20_000
_TOUCHES_AT_ONCE = 500


class RedisStore:
    """A `SessionStore` in Redis. `url` is as `RedisAddress.parse` reads it."""

    def __init__(self, url: str, limits: StoreLimits | None = None, *, timeout: float = 1.0) -> None:
        self.limits = limits or StoreLimits()
        self._client = RedisClient(RedisAddress.parse(url), timeout=timeout)
        self._link = Link(self._client, _INVALIDATIONS, self)
        self._client.on_failure = self._link.doubt
        self._origin = secrets.token_hex(6)
        self._cache: dict[str, StoredSession] = {}
        self._fetching: dict[str, object] = {}
        self._touched: set[str] = set()
        self._flushing: asyncio.Task[None] | None = None
        self._ttl_ms = max(1, int(self.limits.ttl * 1000))
        self._touch_every = min(5.0, self.limits.ttl / 10)

    async def create(self, session: Session) -> None:
        self._link.start()
        self._check(session)
        keys = (_key(session.id), _INDEX)
        limits = (self._ttl_ms, self.limits.max_sessions)
        made = await self._client.run(scripts.CREATE, keys, session.id, *limits, *session_fields(session))
        if not made:
            raise TooManySessions(f"the server keeps {self.limits.max_sessions} sessions and all are in use")
        self._keep(stored(session))

    async def load(self, session_id: str) -> Session | None:
        cached = self._cache.get(session_id)
        # One that is not initialized is asked for each time: its client may say so at another replica just before it
        # relies on it here.
        if cached is not None and cached.initialized and self._link.trusted and time.monotonic() < cached.until:
            return cached
        self._link.start()
        mark = self._fetching[session_id] = object()
        try:
            fields: dict[bytes, bytes] = await self._client.execute("HGETALL", _key(session_id))
            if not fields:
                self._cache.pop(session_id, None)
                return None
            session = session_from(session_id, fields)
            # Invalidated while it was read, or not told of invalidations: used now, not kept.
            if self._link.up and self._fetching.get(session_id) is mark:
                self._keep(session)
            return session
        finally:
            if self._fetching.get(session_id) is mark:
                del self._fetching[session_id]

    async def save(self, session: Session) -> None:
        self._check(session)
        put, gone = changes(session)
        if not put and not gone:
            return
        if self._cache.get(session.id) is not session:
            self._forget(session.id)  # another object stands for it in the cache and lacks what is saved now
        arguments = (f"{self._origin} {session.id}", len(put) // 2, *put, *gone)
        try:
            saved = await self._client.run(scripts.SAVE, (_key(session.id),), _INVALIDATIONS, *arguments)
        except StoreUnavailable:
            self._forget(session.id)  # nobody knows whether it was saved
            raise
        if not saved:
            self._forget(session.id)
            raise UnknownSession(f"session {session.id} ended")
        if isinstance(session, StoredSession):
            session.saved = state(session)

    def touch(self, session_id: str) -> None:
        self._touched.add(session_id)
        if self._flushing is None:
            self._flushing = asyncio.get_running_loop().create_task(self._flush_touches())

    async def end(self, session_id: str) -> bool:
        self._cache.pop(session_id, None)
        ended = await self._client.run(
            scripts.END,
            (_key(session_id), _events_key(session_id), _INDEX),
            session_id,
            _INVALIDATIONS,
            f"{self._origin} {session_id}",
            _events_channel(session_id),
        )
        self._forget(session_id)
        return bool(ended)

    async def append(self, session_id: str, stream: str, data: bytes, *, last: bool = False) -> StoredEvent:
        check_stream_name(stream)
        sequence: int = await self._client.run(
            scripts.APPEND,
            (_key(session_id), _events_key(session_id)),
            stream,
            data,
            "1" if last else "0",
            self.limits.max_events,
            self.limits.max_bytes,
            self._ttl_ms,
            _events_channel(session_id),
        )
        if not sequence:
            raise UnknownSession(f"session {session_id[:80]} does not exist")
        return StoredEvent(stream, sequence, data, last)

    async def read_after(self, session_id: str, event_id: str) -> list[StoredEvent]:
        return await self._read(session_id, *parse_event_id(event_id))

    def follow_events(self, session_id: str, stream: str, *, after: str | None = None) -> EventFollower:
        check_stream_name(stream)
        return EventFollower(
            self._link,
            _events_channel(session_id),
            self._read,
            self._newest,
            session_id=session_id,
            stream=stream,
            after=after,
        )

    async def publish(self, channel: str, data: bytes) -> None:
        await self._client.execute("PUBLISH", _channel(channel), data)

    @asynccontextmanager
    async def follow(self, channel: str) -> AsyncGenerator[AsyncIterator[bytes]]:
        messages = Messages()
        await self._link.listen(_channel(channel), messages)
        try:
            yield messages
        finally:
            self._link.unlisten(_channel(channel), messages)

    async def keep(self, key: str, data: bytes, seconds: float) -> None:
        await self._client.execute("SET", f"slipway:kept:{key}", data, "PX", max(1, int(seconds * 1000)))

    async def kept(self, key: str) -> bytes | None:
        return await self._client.execute("GET", f"slipway:kept:{key}")

    async def ping(self) -> None:
        await self._client.execute("PING")

    async def close(self) -> None:
        if self._flushing is not None:
            await stop([self._flushing])
            with suppress(StoreUnavailable):
                await self._send_touches()
        await self._link.close()
        await self._client.close()

    def heard(self, data: bytes) -> None:
        """An invalidation: `<origin> <session id>`."""
        origin, _, session_id = data.decode().partition(" ")
        if origin != self._origin:
            self._forget(session_id)

    def missed(self) -> None:
        """The link was cut: whatever is cached may have changed."""
        self._cache.clear()
        self._fetching.clear()

    def _keep(self, session: StoredSession) -> None:
        while len(self._cache) >= _MOST_CACHED:
            del self._cache[next(iter(self._cache))]
        session.saved = state(session)
        # Half the time to live: a session that others use is seen to end, one that is used here is touched before.
        session.until = time.monotonic() + self.limits.ttl / 2
        self._cache[session.id] = session

    def _forget(self, session_id: str) -> None:
        self._cache.pop(session_id, None)
        self._fetching.pop(session_id, None)

    def _check(self, session: Session) -> None:
        if len(session.subscriptions) > self.limits.max_subscriptions:
            raise LimitExceeded(
                f"a session keeps {self.limits.max_subscriptions} subscriptions at most: end one before the next"
            )

    async def _read(self, session_id: str, stream: str, sequence: int) -> list[StoredEvent]:
        found: list[Any] = await self._client.run(
            scripts.READ, (_key(session_id), _events_key(session_id)), stream, sequence
        )
        match found[0]:
            case -1:
                raise UnknownSession(f"session {session_id[:80]} does not exist")
            case -2:
                raise UnknownEvent(f"event {stream}:{sequence} is not one of this session")
            case -3:
                raise UnknownEvent(f"what followed event {stream}:{sequence} has been dropped")
            case _:
                pass
        events = [
            StoredEvent(stream, int(found[place]), found[place + 2], found[place + 1] == b"1")
            for place in range(1, len(found), 3)
        ]
        events.reverse()
        return events

    async def _newest(self, session_id: str, stream: str) -> int:
        found: list[int] = await self._client.run(scripts.READ, (_key(session_id), _events_key(session_id)), stream, -1)
        if found[0] < 0:
            raise UnknownSession(f"session {session_id[:80]} does not exist")
        return found[0]

    async def _flush_touches(self) -> None:
        while self._touched:
            await asyncio.sleep(self._touch_every)
            # Touches that are lost only shorten a life by a few seconds.
            with suppress(StoreUnavailable):
                await self._send_touches()
        self._flushing = None

    async def _send_touches(self) -> None:
        touched, self._touched = list(self._touched), set[str]()
        for start in range(0, len(touched), _TOUCHES_AT_ONCE):
            batch = touched[start : start + _TOUCHES_AT_ONCE]
            alive = await self._client.run_many(
                scripts.TOUCH,
                [((_key(name), _events_key(name), _INDEX), (name, self._ttl_ms)) for name in batch],
            )
            until = time.monotonic() + self.limits.ttl / 2
            for name, lives in zip(batch, alive, strict=True):
                cached = self._cache.get(name)
                if not lives:
                    self._forget(name)
                elif cached is not None:
                    cached.until = until


def _key(session_id: str) -> str:
    return f"slipway:session:{session_id}"


def _events_key(session_id: str) -> str:
    return f"slipway:events:{session_id}"


def _events_channel(session_id: str) -> str:
    return f"slipway:stream:{session_id}"


def _channel(name: str) -> str:
    return f"slipway:channel:{name}"
