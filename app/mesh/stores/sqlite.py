"""Agents kept in a SQLite file: what one registry without Redis uses. It survives a restart, and being killed."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from app.mesh.store import Change, MeshLimits, StoreUnavailable
from app.mesh.stores._file import AgentFile, FolderError, set_meta, write_change, write_log
from app.mesh.stores._ledger import Followed, LedgerAgents


class SqliteAgents(LedgerAgents):
    """An `AgentStore` in a folder that only this process uses. Heartbeats cost no write: after a restart, everyone
    counts as heard just now."""

    def __init__(
        self, folder: Path, limits: MeshLimits | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Raises `FolderError`."""
        self._file = AgentFile(folder)
        super().__init__(limits, clock=clock)
        self._writing = asyncio.Lock()
        self._doubtful = False
        try:
            self._load()
        except (sqlite3.Error, msgspec.DecodeError) as error:
            self._file.let_go()
            raise FolderError(
                f"{self._file.path} cannot be read ({error}): restore it, or move it away and let agents register anew"
            ) from None

    def _load(self) -> None:
        """Begin with what the file has."""
        file, ledger = self._file, self._ledger
        epoch = file.meta("epoch")
        if epoch is None:
            file.write(lambda database: set_meta(database, "epoch", ledger.epoch))
        else:
            ledger.epoch = epoch
        ledger.load(file.agents(), int(file.meta("sequence") or 0))

    async def ping(self) -> None:
        await self._file.run(lambda: self._file.meta("epoch"))

    async def close(self) -> None:
        self._ledger.end()
        async with self._writing:
            await self._file.close()

    async def _enter(self, after: str | None) -> Followed:
        async with self._writing:  # nothing happens between what is read and what will be told
            await self._settle()
            log = [] if after == self._ledger.position else await self._file.run(self._file.log)
            return self._ledger.enter(after, log)

    async def _settle(self) -> None:
        """Know again what the file has, after it could not be written."""
        if self._doubtful:
            await self._file.run(self._load)
            self._doubtful = False

    async def _change(self, work: Callable[[], list[Change]]) -> None:
        """Change the ledger and write that down; those who follow are told when it is on the disk."""
        async with self._writing:
            await self._settle()
            changes = work()
            if not changes:
                return
            last = self._ledger.sequence

            def write(database: sqlite3.Connection) -> None:
                for place, change in enumerate(changes, start=last - len(changes) + 1):
                    kept = self._ledger.agents.get(change.id)
                    # The state is all that a change without a record writes, so any record will do for it.
                    write_change(database, change, change.record or (None if kept is None else kept.record))
                    write_log(database, place, change)
                database.execute("DELETE FROM log WHERE place <= ?", (last - self._ledger.limits.max_log,))
                set_meta(database, "sequence", str(last))

            try:
                await self._file.run(lambda: self._file.write(write))
            except StoreUnavailable:
                self._doubtful = True  # the ledger has what the file has not
                raise
            self._ledger.tell(changes)
