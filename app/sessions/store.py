"""What a session is, and what every place that keeps sessions does: memory and Redis pass one contract test."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

_STREAM_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_EVENT_ID = re.compile(r"([A-Za-z0-9_.-]{1,100}):([0-9]{1,15})")


class StoreUnavailable(Exception):
    """The store cannot be reached now: the same request may be sent again after `retry_after` seconds."""

    retry_after: int = 2


class TooManySessions(StoreUnavailable):
    """The cap on sessions is reached: a new one can be made when an old one ends."""

    retry_after: int = 30


class UnknownSession(Exception):
    """There is no such session: it never was, it ended, or its time to live passed."""


class UnknownEvent(Exception):
    """The event id is not one of this session, or what followed it has been dropped: it cannot be resumed from."""


class LimitExceeded(Exception):
    """One message or one set of subscriptions is larger than a session may keep."""


@dataclass(slots=True, frozen=True, kw_only=True)
class StoreLimits:
    """The bounds of a store. Every session ends `ttl` seconds after it was last touched, with all it kept."""

    ttl: float = 3600.0
    max_sessions: int = 100_000
    max_events: int = 1_000  # a session
    max_bytes: int = 4 * 1024 * 1024  # of events a session; the newest event is always kept
    max_total_bytes: int = 256 * 1024 * 1024  # of the events of all sessions, where this process keeps them itself
    max_subscriptions: int = 1_000  # a session


def _no_subscriptions() -> set[str]:
    return set()


@dataclass(slots=True, kw_only=True)
class Session:
    """One client of the older era (2024-11-05 to 2025-11-25), from `initialize` to its end.

    What `load` returns may be shared by every request of the session in this process: change it, then `save` it.
    Two replicas may change its log level, subscriptions and `initialized` at once; the rest is for its handshake.
    """

    id: str
    revision: str
    owner: str = "anonymous"
    client_info: Any = None
    client_capabilities: Any = None
    log_level: str | None = None
    subscriptions: set[str] = field(default_factory=_no_subscriptions)
    initialized: bool = False
    created: float = field(default_factory=time.time)
    touched: float = field(default_factory=time.time)


@dataclass(slots=True, frozen=True)
class StoredEvent:
    """One message of one stream of a session. `sequence` counts the stream's events from 1, without a gap."""

    stream: str
    sequence: int
    data: bytes
    last: bool = False  # nothing follows on this stream

    @property
    def id(self) -> str:
        return f"{self.stream}:{self.sequence}"


class SessionStore(Protocol):
    """Where sessions, their event logs and their messages live.

    Every method that reaches out raises `StoreUnavailable` soon instead of hanging, and works again by itself
    when the store is back.
    """

    async def create(self, session: Session) -> None:
        """Keep a new session. Raises `TooManySessions` at the cap."""
        ...

    async def load(self, session_id: str) -> Session | None:
        """The session, or None when there is none; from a local cache wherever that is safe."""
        ...

    async def save(self, session: Session) -> None:
        """Keep what changed, and let the other replicas see it. Changes made elsewhere to other fields are kept.

        Raises `UnknownSession`, and `LimitExceeded` for too many subscriptions.
        """
        ...

    def touch(self, session_id: str) -> None:
        """Say that the session is in use. Cheap: many touches become one write, later."""
        ...

    async def end(self, session_id: str) -> bool:
        """End the session and its streams everywhere. False when there was none."""
        ...

    async def append(self, session_id: str, stream: str, data: bytes, *, last: bool = False) -> StoredEvent:
        """Add a message to the stream's log, and pass it on to those who follow it on any replica.

        Raises `UnknownSession`.
        """
        ...

    async def read_after(self, session_id: str, event_id: str) -> list[StoredEvent]:
        """What follows an event on its own stream, oldest first. `stream_start(stream)` reads from the beginning.

        Raises `UnknownEvent` for an id that is not of this session, and when events after it were dropped.
        """
        ...

    def follow_events(
        self, session_id: str, stream: str, *, after: str | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[StoredEvent]]:
        """The stream's events after the id `after` (None: from now on), then those to come; none lost, none doubled.

        Nothing that is appended once the context is entered is missed. The iteration ends after the stream's last
        event and when the session ends. It raises `UnknownEvent` on entering for an id that is not of this session,
        and while iterating when the reader is so slow that the log has dropped what it has not read.
        """
        ...

    async def publish(self, channel: str, data: bytes) -> None:
        """Send to whoever follows the channel now, on any replica. Nothing is kept."""
        ...

    def follow(self, channel: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """What is published on the channel from the moment the context is entered."""
        ...

    async def keep(self, key: str, data: bytes, seconds: float) -> None:
        """Keep a value for a while, for every replica; whatever the key had before is gone."""
        ...

    async def kept(self, key: str) -> bytes | None:
        """The value of a key, or None where there is none or its time is over."""
        ...

    async def ping(self) -> None:
        """Return when the store answers, raise `StoreUnavailable` when it does not."""
        ...

    async def close(self) -> None:
        """Let go of connections and tasks. Sessions stay where they are kept."""
        ...


def new_session_id() -> str:
    """An id that cannot be guessed: 128 bits, of visible ASCII, safe in a URL and in a header."""
    return secrets.token_hex(16)


def stream_start(stream: str) -> str:
    """The event id that stands before a stream's first event."""
    return f"{stream}:0"


def parse_event_id(event_id: str) -> tuple[str, int]:
    """The stream and the sequence of an event id. Raises `UnknownEvent` for anything else."""
    match = _EVENT_ID.fullmatch(event_id)
    if match is None:
        raise UnknownEvent(f"event id {event_id[:80]!r} is not one that this server gave out")
    return match[1], int(match[2])


def check_stream_name(stream: str) -> None:
    """Raises ValueError for a name that cannot stand in an event id."""
    if not _STREAM_NAME.fullmatch(stream):
        raise ValueError(f"stream name {stream[:120]!r} must be 1 to 100 characters of A-Z a-z 0-9 _ . -")
