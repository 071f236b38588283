"""A replica's own copy of a shared store, in its folder: what it serves when it starts and the store is away."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

from app.mesh.model import Record, State, encode_record
from app.mesh.registry.directory import Entry
from app.mesh.registry.pending import Kept
from app.mesh.store import Change, Put, StoreUnavailable
from app.mesh.stores._file import AgentFile, set_meta, write_all, write_change
from app.sessions.tasks import stop

logger = logging.getLogger("slipway.registry")

_EVERY = 0.5
_MOST_QUEUED = 100_000
Work = Callable[[sqlite3.Connection], None]


class FileCopy:
    """A `Copy` in a SQLite file. Changes are written twice a second; what is pending, before it counts."""

    def __init__(self, folder: Path) -> None:
        """Raises `FolderError`."""
        self._file = AgentFile(folder)
        self._queue: list[Work] = []
        self._complete = True
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self) -> Kept:
        self._tasks = [asyncio.create_task(self._run(), name="registry copy")]
        try:
            return await self._file.run(self._read)
        except StoreUnavailable as error:
            # What the store has is the truth: a copy that cannot be read is no reason not to start.
            aside = await self._file.run(self._file.set_aside)
            fields = {"reason": str(error), "moved_to": str(aside)}
            logger.warning("the copy of the agents cannot be read: beginning without one", extra={"fields": fields})
            return Kept()

    def keep(self, change: Change, entry: Entry | None) -> None:
        record = None if entry is None else entry.record

        def work(database: sqlite3.Connection) -> None:
            write_change(database, change, record)
            set_meta(database, "position", change.position)

        if len(self._queue) >= _MOST_QUEUED:
            # The disk has failed for long: without a place among the changes, the copy is not served again.
            self._queue = [_forget_place]
            self._complete = False
        if self._complete:
            self._queue.append(work)

    def keep_whole(self, position: str, agents: Sequence[tuple[Record, State]]) -> None:
        def work(database: sqlite3.Connection) -> None:
            write_all(database, agents)
            set_meta(database, "position", position)

        self._complete = True
        self._queue = [work]  # it has everything that was to be written before

    async def keep_put(self, put: Put) -> None:
        def work(database: sqlite3.Connection) -> None:
            row = (put.record.id, encode_record(put.record), put.proved)
            database.execute("INSERT OR REPLACE INTO puts VALUES (?, ?, ?)", row)
            database.execute("DELETE FROM removals WHERE id = ?", (put.record.id,))

        await self._write(work)

    async def keep_removal(self, agent: str) -> None:
        def work(database: sqlite3.Connection) -> None:
            database.execute("INSERT OR REPLACE INTO removals VALUES (?)", (agent,))
            database.execute("DELETE FROM puts WHERE id = ?", (agent,))

        await self._write(work)

    async def delivered(self, ids: Sequence[str]) -> None:
        def work(database: sqlite3.Connection) -> None:
            for agent in ids:
                database.execute("DELETE FROM puts WHERE id = ?", (agent,))
                database.execute("DELETE FROM removals WHERE id = ?", (agent,))

        await self._write(work)

    async def close(self) -> None:
        await stop(self._tasks)
        await self._flush()
        await self._file.close()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_EVERY)
            await self._flush()

    async def _flush(self) -> None:
        taken, self._queue = self._queue, []
        if not taken:
            return

        def work(database: sqlite3.Connection) -> None:
            for one in taken:
                one(database)

        try:
            await self._write(work)
        except StoreUnavailable as error:
            self._queue = [*taken, *self._queue]
            logger.warning("the copy of the agents cannot be written", extra={"fields": {"reason": str(error)}})

    async def _write(self, work: Work) -> None:
        await self._file.run(lambda: self._file.write(work))

    def _read(self) -> Kept:
        file = self._file
        return Kept(file.meta("position"), file.agents(), file.puts(), file.removals())


def _forget_place(database: sqlite3.Connection) -> None:
    database.execute("DELETE FROM meta WHERE key = 'position'")
