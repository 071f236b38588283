"""What happens to agents, for those who watch: in the store's order, resumable, summed up for slow readers."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Generator, Iterable
from contextlib import contextmanager

import msgspec

from app.mesh.model import Record, State

_RING = 10_000
_MOST_PENDING = 20_000


class Told(msgspec.Struct, frozen=True, omit_defaults=True):
    """The data of one event."""

    id: str
    name: str | None = None
    replica: str | None = None
    endpoint: str | None = None
    state: str | None = None
    capabilities: list[str] = []


class Event(msgspec.Struct, gc=False, eq=False):
    """One change, with what was and what is known of the agent."""

    position: str
    kind: str
    agent: str
    state: State | None = None
    record: Record | None = None
    before: Record | None = None
    encoded: bytes | None = None
    """What is sent, once there was somebody to send it to."""

    def concerns(self, capability: str | None) -> bool:
        """Whether somebody who watches a capability wants it; what is known of nobody is everyone's."""
        if capability is None or (self.record is None and self.before is None):
            return True
        return any(
            ability.name == capability
            for record in (self.record, self.before)
            if record is not None
            for ability in record.profile.abilities
        )

    def encode(self) -> bytes:
        """The event as it is sent; encoded once for all readers."""
        if self.encoded is None:
            record = self.record or self.before
            told = Told(self.agent) if record is None else _told(record, self.state)
            data = msgspec.json.encode(told)
            self.encoded = b"event: %b\nid: %b\ndata: %b\n\n" % (self.kind.encode(), self.position.encode(), data)
        return self.encoded


def _told(record: Record, state: State | None) -> Told:
    return Told(
        id=record.id,
        name=record.name,
        replica=record.replica,
        endpoint=record.endpoint,
        state=None if state is None else state.word,
        capabilities=sorted({ability.name for ability in record.profile.abilities}),
    )


class Hub:
    """The latest events, and who watches."""

    def __init__(self) -> None:
        self.position = ""
        """Where the changes are now."""
        self._ring: deque[Event] = deque(maxlen=_RING)
        self._watchers: set[Watcher] = set()
        self._ended = False

    def __len__(self) -> int:
        return len(self._watchers)

    def begin(self, position: str, events: Iterable[Event]) -> None:
        """Another past: those who watch have to look anew, unless it has what they read last."""
        self._ring.clear()
        self._ring.extend(events)
        self.position = position
        for watcher in self._watchers:
            watcher.lose()

    def tell(self, event: Event) -> None:
        self.position = event.position
        self._ring.append(event)
        for watcher in self._watchers:
            watcher.hear(event)

    @contextmanager
    def watch(self, capability: str | None, after: str) -> Generator[Watcher]:
        """Events after a position, or those to come where it is empty."""
        watcher = Watcher(capability)
        missed = self._after(after) if after else []
        if missed is None:
            watcher.lose()
        for event in missed or ():
            watcher.hear(event)
        if self._ended:
            watcher.end()
        self._watchers.add(watcher)
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)

    async def end(self) -> None:
        """The server drains: every reader is let go, and comes back elsewhere."""
        self._ended = True
        for watcher in self._watchers:
            watcher.end()

    def _after(self, position: str) -> list[Event] | None:
        if position == self.position:
            return []
        found: list[Event] = []
        for event in reversed(self._ring):
            if event.position == position:
                found.reverse()
                return found
            found.append(event)
        return None


class Watcher:
    """A reader. What happens to one agent before it is read becomes one event."""

    def __init__(self, capability: str | None) -> None:
        self._capability = capability
        self._pending: dict[str, Event] = {}
        self._ready = asyncio.Event()
        self._lost = False
        self._ended = False

    def hear(self, event: Event) -> None:
        if self._lost or not event.concerns(self._capability):
            return
        before = self._pending.pop(event.agent, None)
        now = event if before is None else _summed_up(before, event)
        if now is not None:
            self._pending[event.agent] = now
            self._ready.set()
        if len(self._pending) > _MOST_PENDING:
            self.lose()

    def lose(self) -> None:
        """Too much has happened to be told one by one."""
        self._pending.clear()
        self._lost = True
        self._ready.set()

    def end(self) -> None:
        self._ended = True
        self._ready.set()

    async def next(self) -> list[Event] | None:
        """What is new; an empty list when the reader has to look anew, None at the end."""
        while True:
            if self._lost:
                self._lost = False
                return []
            if self._pending:
                taken, self._pending = list(self._pending.values()), {}
                return taken
            if self._ended:
                return None
            self._ready.clear()
            await self._ready.wait()


def _summed_up(before: Event, now: Event) -> Event | None:
    """Two events of one agent that a reader has not seen, as one; None when they cancel each other."""
    kind = now.kind
    if before.kind == "registered":
        if kind in ("gone", "deregistered"):
            return None
        kind = "registered"
    elif before.kind == "degraded" and kind == "recovered":
        return None
    elif before.kind == "changed" and kind == "recovered":
        kind = "changed"
    if kind == now.kind:
        return now
    return Event(now.position, kind, now.agent, now.state, now.record, before.before)
