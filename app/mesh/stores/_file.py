"""One SQLite file with agents in it, written by a thread of its own; it outlives the process, however that ends."""

from __future__ import annotations

import asyncio
import fcntl
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any, TypeVar

import msgspec

from app.mesh.model import Record, State, decode_record, encode_record
from app.mesh.store import STATE_AFTER, Change, Put, StoreUnavailable

Result = TypeVar("Result")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS agents (id TEXT PRIMARY KEY, record BLOB NOT NULL, state INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS log (place INTEGER PRIMARY KEY, position TEXT, kind TEXT, id TEXT, record BLOB);
CREATE TABLE IF NOT EXISTS puts (id TEXT PRIMARY KEY, record BLOB NOT NULL, proved INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS removals (id TEXT PRIMARY KEY) WITHOUT ROWID;
"""
_PUT_AGENT = "INSERT OR REPLACE INTO agents VALUES (?, ?, ?)"
_BUSY_SECONDS = 5.0


class FolderError(Exception):
    """The folder or the file in it cannot be used; the message names it and the remedy."""


class AgentFile:
    """The file `registry.db` of a folder, held by one process. Methods run in its thread; `run` gets them there."""

    def __init__(self, folder: Path) -> None:
        """Raises `FolderError` for a folder that cannot be written to, or that another process holds."""
        self._lock = _hold(folder)
        self.path = folder / "registry.db"
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="registry file")
        self._connection: sqlite3.Connection | None = None

    async def run(self, work: Callable[[], Result]) -> Result:
        """Raises `StoreUnavailable` where the disk fails."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except (sqlite3.Error, OSError, msgspec.DecodeError) as error:
            raise StoreUnavailable(f"{self.path} cannot be used: {error}") from error

    def open(self) -> None:
        """Make the tables; a file that is none raises sqlite3.DatabaseError."""
        connection = sqlite3.connect(self.path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            # KiB of pages kept in this process: all that is read again is in memory anyway.
            connection.execute("PRAGMA cache_size=-256")
            connection.executescript(_SCHEMA)
        except sqlite3.Error:
            connection.close()
            raise
        self._connection = connection

    def set_aside(self) -> Path:
        """Move a file that cannot be read out of the way; where it is now."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        aside = self.path.with_suffix(".unreadable")
        for suffix in ("-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
        return self.path.replace(aside)

    def meta(self, key: str) -> str | None:
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def agents(self) -> list[tuple[Record, State]]:
        rows: Iterable[tuple[bytes, int]] = self._db.execute("SELECT record, state FROM agents")
        return [(decode_record(record), State(state)) for record, state in rows]

    def log(self) -> list[Change]:
        rows: Iterable[tuple[str, Any, str, bytes | None]] = self._db.execute(
            "SELECT position, kind, id, record FROM log ORDER BY place"
        )
        return [
            Change(position, kind, agent, None if record is None else decode_record(record))
            for position, kind, agent, record in rows
        ]

    def puts(self) -> list[Put]:
        rows: Iterable[tuple[bytes, int]] = self._db.execute("SELECT record, proved FROM puts")
        return [Put(decode_record(record), bool(proved)) for record, proved in rows]

    def removals(self) -> list[str]:
        return [str(row[0]) for row in self._db.execute("SELECT id FROM removals")]

    def write(self, work: Callable[[sqlite3.Connection], None]) -> None:
        """All of it or nothing; once this returns, it is on the disk."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            work(self._db)
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    async def close(self) -> None:
        """Let go when what is being written is written."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self.let_go)

    def let_go(self) -> None:
        """Close the file and leave the folder to others."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._thread.shutdown(wait=False)
        self._lock.close()

    @property
    def _db(self) -> sqlite3.Connection:
        if self._connection is None:
            self.open()
        assert self._connection is not None  # noqa: S101 opened just now
        return self._connection


def set_meta(database: sqlite3.Connection, key: str, value: str) -> None:
    database.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))


def write_change(database: sqlite3.Connection, change: Change, record: Record | None) -> None:
    """What a change makes of the agents; `record` is what is known after it."""
    state = STATE_AFTER.get(change.kind)
    if state is None:
        database.execute("DELETE FROM agents WHERE id = ?", (change.id,))
    elif change.record is not None:
        database.execute(_PUT_AGENT, (change.id, encode_record(change.record), int(state)))
    elif record is not None:
        database.execute("UPDATE agents SET state = ? WHERE id = ?", (int(state), change.id))


def write_all(database: sqlite3.Connection, agents: Sequence[tuple[Record, State]]) -> None:
    database.execute("DELETE FROM agents")
    rows = ((record.id, encode_record(record), int(state)) for record, state in agents)
    database.executemany(_PUT_AGENT, rows)


def write_log(database: sqlite3.Connection, place: int, change: Change) -> None:
    record = None if change.record is None else encode_record(change.record)
    row = (place, change.position, change.kind, change.id, record)
    database.execute("INSERT OR REPLACE INTO log VALUES (?, ?, ?, ?, ?)", row)


def _hold(folder: Path) -> IO[bytes]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "registry.lock").open("ab")
    except OSError as error:
        raise FolderError(f"--data {folder} cannot be written to ({error.strerror}): give a folder that can") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise FolderError(
            f"--data {folder} is in use by another registry: give each one a folder of its own, and Redis to share"
        ) from None
    return lock
