"""Watching maps: what changes is read once a process and handed to all who watch; the slow get it summed up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

from app.sessions.store import StoreUnavailable
from app.sessions.tasks import stop
from app.toolsets.map.model import NOWHERE, Patch, Position, Snapshot
from app.toolsets.map.store import MapStore

_RETRY = 0.5
_KEEP_ALIVE = 600.0


class Watcher:
    """One who watches a map. What it has not fetched yet is one patch, however much it is."""

    def __init__(self, store: MapStore, session: str) -> None:
        self._store = store
        self._session = session
        self._position = NOWHERE
        self._pending: Patch | None = None
        self._whole = False
        self._ended = False
        self._news = asyncio.Event()

    async def begin(self, after: Position | None) -> None:
        """Start after a position that was seen earlier, or with the whole map."""
        if after is None:
            self.put_whole()
            return
        self._position = after
        position, made = await self._store.changes(self._session, after)
        if made is None:
            self.put_whole()
        elif made:
            later, self._pending = self._pending, Patch(position, made)
            if later is not None:
                self.put(later)
            self._news.set()

    async def next(self) -> Snapshot | Patch | None:
        """What to tell next: the whole map or what changed; None at the end. Raises `StoreUnavailable`."""
        while True:
            if self._ended:
                return None
            if self._whole:
                self._whole = False
                try:
                    snapshot = await self._store.read(self._session, shapes=True)
                except BaseException:  # a cancellation too: it is still to be told
                    self._whole = True
                    raise
                self._position = snapshot.position
                return snapshot
            patch, self._pending = self._pending, None
            if patch is not None and self._is_new(patch):
                self._position = patch.position
                return patch
            self._news.clear()
            await self._news.wait()

    def put(self, patch: Patch) -> None:
        """More has changed."""
        if self._pending is not None and self._pending.position.epoch == patch.position.epoch:
            if patch.position.version > self._pending.position.version:
                self._pending.merge(patch)
        else:
            self._pending = Patch(patch.position)
            self._pending.merge(patch)
        self._news.set()

    def put_whole(self) -> None:
        """What changed is not known: tell all."""
        self._whole = True
        self._pending = None
        self._news.set()

    def end(self) -> None:
        """Nothing more is to be told."""
        self._ended = True
        self._news.set()

    def _is_new(self, patch: Patch) -> bool:
        return patch.position.epoch == self._position.epoch and patch.position.version > self._position.version


class _Room:
    """All who watch one map here, and the one task that reads its changes."""

    def __init__(self, store: MapStore, session: str) -> None:
        self.watchers: set[Watcher] = set()
        self.changed = asyncio.Event()
        self._store = store
        self._session = session
        self._position = NOWHERE
        self._ready = asyncio.Event()
        self._task = asyncio.create_task(self._run(), name=f"map {session[:40]}")

    async def ready(self) -> None:
        """From here on no change is missed."""
        waiting = asyncio.create_task(self._ready.wait())
        await asyncio.wait({waiting, self._task}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if self._task.done():
            self._task.result()

    async def close(self) -> None:
        await stop([self._task])

    async def _run(self) -> None:
        self._position = (await self._store.changes(self._session, None)).position
        self._ready.set()
        while True:
            try:
                async with asyncio.timeout(_KEEP_ALIVE):
                    await self.changed.wait()
            except TimeoutError:
                with suppress(StoreUnavailable):  # a map that is watched stays
                    await self._store.read(self._session, shapes=False)
                continue
            self.changed.clear()
            try:
                await self._tell()
            except StoreUnavailable:
                await asyncio.sleep(_RETRY)
                self.changed.set()

    async def _tell(self) -> None:
        position, made = await self._store.changes(self._session, self._position)
        if made == []:
            return
        self._position = position
        patch = None if made is None else Patch(position, made)
        for watcher in self.watchers:
            if patch is None:
                watcher.put_whole()
            else:
                watcher.put(patch)


class Rooms:
    """Who watches which map."""

    def __init__(self, store: MapStore) -> None:
        self._store = store
        self._rooms: dict[str, _Room] = {}
        self._closed = False
        store.listen(self._heard)

    @asynccontextmanager
    async def watch(self, session: str, after: Position | None = None) -> AsyncGenerator[Watcher]:
        """Watch a map from a position seen earlier, or from now. Raises `StoreUnavailable`."""
        room = self._rooms.get(session)
        if room is None:
            room = self._rooms[session] = _Room(self._store, session)
        watcher = Watcher(self._store, session)
        room.watchers.add(watcher)
        try:
            await room.ready()
            await watcher.begin(after)
            if self._closed:
                watcher.end()
            yield watcher
        finally:
            room.watchers.discard(watcher)
            if not room.watchers and self._rooms.get(session) is room:
                del self._rooms[session]
                await room.close()

    async def end(self) -> None:
        """End every watcher, now and from now on: the server drains."""
        self._closed = True
        for room in self._rooms.values():
            for watcher in room.watchers:
                watcher.end()

    def _heard(self, session: str | None) -> None:
        for name in self._rooms if session is None else (session,):
            if (room := self._rooms.get(name)) is not None:
                room.changed.set()
