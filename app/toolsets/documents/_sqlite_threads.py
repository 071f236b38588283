"""SQLite away from the event loop: one thread that writes, several that read, and its errors in our words."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from app.toolsets.documents.budget import Budget
from app.toolsets.documents.errors import Refused, StoreAway, TookTooLong

logger = logging.getLogger("slipway.documents")

Value = TypeVar("Value")
Work = Callable[[sqlite3.Connection, Budget], Value]

VERSION = 1
_READERS = 3
_STEPS_BETWEEN_CHECKS = 10_000
_SCHEMA = """
CREATE TABLE IF NOT EXISTS collections (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, schema BLOB);
CREATE TABLE IF NOT EXISTS documents (
    id INTEGER PRIMARY KEY, collection INTEGER NOT NULL, key BLOB NOT NULL, body BLOB NOT NULL,
    UNIQUE (collection, key)
);
"""


class Threads:
    """Connections to one database, each used by one thread. Without a path it is in memory and ends with us."""

    def __init__(self, path: Path | None, max_bytes: int) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._mine = threading.local()
        self._opened: list[sqlite3.Connection] = []
        self._writer = ThreadPoolExecutor(1, "documents-write")
        # A database in memory belongs to one connection.
        self._readers = self._writer if path is None else ThreadPoolExecutor(_READERS, "documents-read")

    def check(self) -> None:
        """Open the file once, to say at start what is wrong with it. Raises `OSError`."""
        if self._path is None:
            return
        try:
            self._open().close()
        except sqlite3.Error as error:
            raise OSError(f"SQLite cannot open '{self._path}': {error}") from None

    async def read(self, work: Work[Value], seconds: float) -> Value:
        """What the work finds."""
        return await self._run(self._readers, work, seconds, writing=False)

    async def write(self, work: Work[Value], seconds: float) -> Value:
        """The same for work that changes something, all of which is kept or none."""
        return await self._run(self._writer, work, seconds, writing=True)

    async def close(self) -> None:
        """Finish what runs, and close the file."""
        for pool in (self._readers, self._writer):
            await asyncio.to_thread(pool.shutdown)
        for connection in self._opened:
            connection.close()
        self._opened.clear()

    async def _run(self, pool: ThreadPoolExecutor, work: Work[Value], seconds: float, *, writing: bool) -> Value:
        budget = Budget(seconds)  # waiting for a thread counts
        return await asyncio.get_running_loop().run_in_executor(pool, self._work, work, budget, writing)

    def _work(self, work: Work[Value], budget: Budget, writing: bool) -> Value:
        budget.check()
        with self._told(budget):
            connection = self._connection()
            connection.set_progress_handler(lambda: budget.spent, _STEPS_BETWEEN_CHECKS)
            connection.execute(f"PRAGMA busy_timeout = {int(budget.left * 1000)}")
            if not writing:
                return work(connection, budget)
            connection.execute("BEGIN IMMEDIATE")
            try:
                found = work(connection, budget)
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.set_progress_handler(None, 0)
                    connection.execute("ROLLBACK")
            return found

    @contextmanager
    def _told(self, budget: Budget) -> Generator[None]:
        try:
            yield
        except sqlite3.Error as error:
            match getattr(error, "sqlite_errorname", ""):
                case "SQLITE_INTERRUPT":
                    raise TookTooLong(budget.seconds) from None
                case "SQLITE_FULL":
                    most = f"{self._max_bytes} bytes"
                    raise Refused(f"The document store is full: it may hold {most}. Delete documents first.") from None
                case name:
                    logger.warning("the document store failed: %s (%s)", error, name)
                    raise StoreAway from None

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._mine, "connection", None)
        if connection is None:
            connection = self._mine.connection = self._open()
            self._opened.append(connection)
        return connection

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path or ":memory:", isolation_level=None, timeout=5, check_same_thread=False)
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise sqlite3.DatabaseError(f"it was written by a newer slipway (format {version}, known: {VERSION})")
        if self._path is not None:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
        (page,) = connection.execute("PRAGMA page_size").fetchone()
        connection.execute(f"PRAGMA max_page_count = {max(self._max_bytes // page, 1)}")
        connection.execute("BEGIN IMMEDIATE")
        for statement in _SCHEMA.split(";"):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
