"""News of what a server offers, brought to every client that listens, on every replica."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import msgspec

Kind = Literal["tools", "prompts", "resources", "resource", "task"]
BACKLOG = 1_000


class Change(msgspec.Struct, frozen=True, array_like=True):
    """Something changed: a list (`tools`, `prompts`, `resources`), one resource, or one task."""

    kind: Kind
    uri: str = ""
    """The resource's address, or the task's id."""
    detail: msgspec.Raw = msgspec.Raw()
    """What to tell of a task."""


METHODS: dict[str, str] = {
    "tools": "notifications/tools/list_changed",
    "prompts": "notifications/prompts/list_changed",
    "resources": "notifications/resources/list_changed",
    "resource": "notifications/resources/updated",
    "task": "notifications/tasks",
}

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Change).decode


class Feed:
    """The changes one listener wants, in order; a listener that falls too far behind is ended instead of growing."""

    __slots__ = ("_queue", "_wants", "overrun")

    def __init__(self, wants: Callable[[Change], bool]) -> None:
        self._wants = wants
        self._queue: asyncio.Queue[Change | None] = asyncio.Queue()
        self.overrun = False

    def put(self, change: Change) -> None:
        """Add a change, if it is wanted."""
        if not self._wants(change) or self.overrun:
            return
        if self._queue.qsize() >= BACKLOG:
            self.overrun = True
            self.end()
        else:
            self._queue.put_nowait(change)

    def end(self) -> None:
        """Let the listener finish."""
        self._queue.put_nowait(None)

    async def __aiter__(self) -> AsyncIterator[Change]:
        while (change := await self._queue.get()) is not None:
            yield change


class Changes:
    """One a process. `relay`, where set, carries a change to the other replicas, which `receive` it."""

    def __init__(self) -> None:
        self._feeds: set[Feed] = set()
        self._closed = False
        self.relay: Callable[[bytes], Awaitable[None]] | None = None

    async def announce(self, change: Change) -> None:
        """Tell everyone, here and on the other replicas."""
        if self.relay is None:
            self._deliver(change)
        else:
            await self.relay(_encode(change))

    def receive(self, data: bytes) -> None:
        """Take in what `relay` sent, on this replica or another."""
        self._deliver(_decode(data))

    @contextmanager
    def listen(self, wants: Callable[[Change], bool]) -> Iterator[Feed]:
        """A feed of the changes that `wants` accepts, from now on."""
        feed = Feed(wants)
        self._feeds.add(feed)
        if self._closed:
            feed.end()
        try:
            yield feed
        finally:
            self._feeds.discard(feed)

    def close(self) -> None:
        """End every feed, now and from now on: the server drains."""
        self._closed = True
        for feed in self._feeds:
            feed.end()

    def _deliver(self, change: Change) -> None:
        for feed in tuple(self._feeds):
            feed.put(change)
