"""News of what a server offers, brought to every client that listens, on every replica."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import Literal, Protocol

import msgspec

Kind = Literal["tools", "prompts", "resources", "resource", "task"]
BACKLOG = 1_000


class Change(msgspec.Struct, frozen=True, array_like=True):
    """Something changed: a list (`tools`, `prompts`, `resources`), one resource, or one task."""

    kind: Kind
    uri: str = ""
    """The resource's address, or the task's id."""
    detail: bytes = b""
    """What to tell of a task, as JSON."""


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


class Listener(Protocol):
    """Somebody who is told of changes."""

    def put(self, change: Change) -> None:
        """Something changed; must not block."""
        ...

    def end(self) -> None:
        """Nothing more will come: the server drains."""
        ...


class Changes:
    """One a process. `relay`, where set, carries a change to the other replicas, which `receive` it."""

    def __init__(self) -> None:
        self._listeners: set[Listener] = set()
        self._relaying: set[asyncio.Future[None]] = set()
        self._closed = False
        self.relay: Callable[[bytes], Awaitable[None]] | None = None

    async def announce(self, change: Change) -> None:
        """Tell everyone, here and on the other replicas."""
        if self.relay is None:
            self._deliver(change)
        else:
            await self.relay(_encode(change))

    def tell(self, change: Change) -> None:
        """`announce`, for those who cannot wait."""
        if self.relay is None:
            self._deliver(change)
        else:
            task = asyncio.ensure_future(self.relay(_encode(change)))
            self._relaying.add(task)
            task.add_done_callback(self._relaying.discard)

    def receive(self, data: bytes) -> None:
        """Take in what `relay` sent, on this replica or another."""
        self._deliver(_decode(data))

    @contextmanager
    def listen(self, listener: Listener) -> Generator[None]:
        """Tell the listener of every change, from now on until the context is left."""
        self.attach(listener)
        try:
            yield
        finally:
            self.detach(listener)

    def attach(self, listener: Listener) -> None:
        """Tell the listener of every change, until it is detached."""
        self._listeners.add(listener)
        if self._closed:
            listener.end()

    def detach(self, listener: Listener) -> None:
        """Tell the listener nothing more."""
        self._listeners.discard(listener)

    def close(self) -> None:
        """End every listener, now and from now on: the server drains."""
        self._closed = True
        for listener in tuple(self._listeners):
            listener.end()

    def _deliver(self, change: Change) -> None:
        for listener in tuple(self._listeners):
            listener.put(change)
