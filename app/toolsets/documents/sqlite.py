"""Documents in SQLite, in a file or in memory; what matches is found here, document by document."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import msgspec

from app.toolsets.documents._sqlite_keys import id_of, key_of_id, keys_wanted
from app.toolsets.documents._sqlite_threads import Threads
from app.toolsets.documents.budget import Budget
from app.toolsets.documents.errors import Refused, shown
from app.toolsets.documents.pages import Page
from app.toolsets.documents.pipelines import Pipeline
from app.toolsets.documents.schemas import CompiledSchema, Schema
from app.toolsets.documents.sorting import sort_key
from app.toolsets.documents.store import Batch, Collection, DuplicateId, Extent, Filter, Query, Updated
from app.toolsets.documents.updates import Update
from app.toolsets.documents.values import Document, decoded, encoded, plain, typed

MOST_STORED = 16 * 1024 * 1024
"""Bytes of one document; MongoDB's limit."""

_decode_schema = msgspec.json.Decoder(dict[str, Any]).decode
_Row = tuple[int, bytes, bytes]


class SqliteStore:
    """A `DocumentStore` without a server."""

    kind = "sqlite"

    def __init__(self, path: Path | None = None, *, max_bytes: int, seconds: float) -> None:
        """Raises `OSError` for a file that cannot be used."""
        self._threads = Threads(path, max_bytes)
        self._threads.check()
        self._seconds = seconds

    async def collections(self) -> list[Collection]:
        def read(connection: sqlite3.Connection, _budget: Budget) -> list[Collection]:
            counted = "(SELECT count(*) FROM documents WHERE collection = collections.id)"
            rows = connection.execute(f"SELECT name, schema, {counted} FROM collections ORDER BY name")  # noqa: S608
            return [Collection(name, count, _schema_of(schema)) for name, schema, count in rows]

        return await self._threads.read(read, self._seconds)

    async def exists(self, name: str) -> bool:
        return await self._threads.read(lambda connection, _: _collection(connection, name) is not None, self._seconds)

    async def schema(self, name: str) -> CompiledSchema | None:
        def read(connection: sqlite3.Connection, _budget: Budget) -> Schema | None:
            row = connection.execute("SELECT schema FROM collections WHERE name = ?", (name,)).fetchone()
            return None if row is None else _schema_of(row[0])

        schema = await self._threads.read(read, self._seconds)
        return None if schema is None else CompiledSchema(typed(schema, "schema"))

    async def create(self, name: str, schema: Schema | None) -> bool:
        def write(connection: sqlite3.Connection, _budget: Budget) -> bool:
            if _collection(connection, name) is not None:
                return False
            _make(connection, name, schema)
            return True

        return await self._threads.write(write, self._seconds)

    async def set_schema(self, name: str, schema: Schema | None) -> None:
        body = None if schema is None else msgspec.json.encode(schema)

        def write(connection: sqlite3.Connection, _budget: Budget) -> None:
            connection.execute("UPDATE collections SET schema = ? WHERE name = ?", (body, name))

        await self._threads.write(write, self._seconds)

    async def insert(self, name: str, documents: Sequence[Document]) -> None:
        rows = [(key_of_id(document["_id"]), encoded(document)) for document in documents]

        def write(connection: sqlite3.Connection, budget: Budget) -> int | None:
            collection = _collection(connection, name) or _make(connection, name, None)
            for position, (key, body) in enumerate(rows):
                budget.check()
                try:
                    connection.execute(
                        "INSERT INTO documents (collection, key, body) VALUES (?, ?, ?)", (collection, key, body)
                    )
                except sqlite3.IntegrityError:
                    return position
            return None

        refused = await self._threads.write(write, self._seconds)
        if refused is not None:
            raise DuplicateId(refused)

    async def find(self, name: str, query: Query, extent: Extent) -> Batch:
        def read(connection: sqlite3.Connection, budget: Budget) -> Batch:
            page = Page(extent)
            for place, (key, body, document) in enumerate(_found(connection, name, query, budget)):
                if place < query.skip:
                    continue
                shown = body if query.projection is None else encoded(query.projection[1](document()))
                if not page.add(shown, id_of(key)):
                    break
            return page.batch()

        return await self._threads.read(read, extent.seconds)

    async def update(
        self, name: str, wanted: Filter, update: Update, *, many: bool, schema: CompiledSchema | None
    ) -> Updated:
        def write(connection: sqlite3.Connection, budget: Budget) -> Updated:
            changed: list[tuple[bytes, int]] = []
            matched = 0
            for row, _, body in _matching(connection, name, wanted, budget):
                matched += 1
                after = _changed(decoded(body), update, schema)
                if after != body:
                    changed.append((after, row))
                if not many:
                    break
            connection.executemany("UPDATE documents SET body = ? WHERE id = ?", changed)
            return Updated(matched, len(changed))

        return await self._threads.write(write, self._seconds)

    async def delete(self, name: str, wanted: Filter, *, many: bool) -> int:
        def write(connection: sqlite3.Connection, budget: Budget) -> int:
            rows: list[tuple[int]] = []
            for row, _, _ in _matching(connection, name, wanted, budget):
                rows.append((row,))
                if not many:
                    break
            connection.executemany("DELETE FROM documents WHERE id = ?", rows)
            return len(rows)

        return await self._threads.write(write, self._seconds)

    async def aggregate(self, name: str, pipeline: Pipeline, extent: Extent) -> Batch:
        def read(connection: sqlite3.Connection, budget: Budget) -> Batch:
            page = Page(extent)
            for document in pipeline.run(_all_documents(connection, name, budget), budget):
                budget.check()
                if not page.add(encoded(document), None):
                    break
            return page.batch()

        return await self._threads.read(read, extent.seconds)

    async def ping(self) -> None:
        await self._threads.read(lambda connection, _: connection.execute("SELECT 1").fetchone(), 1)

    async def close(self) -> None:
        await self._threads.close()


def _collection(connection: sqlite3.Connection, name: str) -> int | None:
    row = connection.execute("SELECT id FROM collections WHERE name = ?", (name,)).fetchone()
    return None if row is None else row[0]


def _make(connection: sqlite3.Connection, name: str, schema: Schema | None) -> int:
    body = None if schema is None else msgspec.json.encode(schema)
    made = connection.execute("INSERT INTO collections (name, schema) VALUES (?, ?)", (name, body)).lastrowid
    return cast("int", made)


def _schema_of(body: bytes | None) -> Schema | None:
    return None if body is None else _decode_schema(body)


def _rows(connection: sqlite3.Connection, name: str, condition: str, values: Sequence[bytes]) -> Iterator[_Row]:
    collection = "collection = (SELECT id FROM collections WHERE name = ?)"
    statement = f"SELECT id, key, body FROM documents WHERE {collection} {condition} ORDER BY key"  # noqa: S608
    yield from connection.execute(statement, (name, *values))


def _matching(
    connection: sqlite3.Connection, name: str, wanted: Filter, budget: Budget, after: bytes | None = None
) -> Iterator[_Row]:
    """The rows that match, by `_id`; a filter on `_id` itself is looked up."""
    keys = keys_wanted(wanted.raw)
    if keys is not None:
        condition, values = f"AND key IN ({', '.join('?' * len(keys))})", keys
    else:
        condition, values = "", []
    if after is not None:
        condition, values = f"{condition} AND key > ?", [*values, after]
    for row in _rows(connection, name, condition, values):
        budget.check()
        if not wanted.raw or wanted.matches(decoded(row[2])):
            yield row


def _found(
    connection: sqlite3.Connection, name: str, query: Query, budget: Budget
) -> Iterator[tuple[bytes, bytes, Callable[[], Document]]]:
    """Keys, bodies and documents, in the order of the query."""
    after = None if query.after is None else key_of_id(query.after)
    rows = _matching(connection, name, query.filter, budget, after)
    if query.sort is None:
        for _, key, body in rows:
            yield key, body, lambda body=body: decoded(body)
        return
    sortable: list[tuple[object, bytes, bytes]] = []
    for _, key, body in rows:
        budget.hold()
        sortable.append((sort_key(decoded(body), query.sort), key, body))
    # Rows come by key, and sorting leaves equal ones as they are.
    sortable.sort(key=lambda entry: cast("tuple[bytes]", entry[0]))
    for _, key, body in sortable:
        budget.check()
        yield key, body, lambda body=body: decoded(body)


def _all_documents(connection: sqlite3.Connection, name: str, budget: Budget) -> Iterator[Document]:
    for _, _, body in _rows(connection, name, "", ()):
        budget.check()
        yield decoded(body)


def _changed(document: Document, update: Update, schema: CompiledSchema | None) -> bytes:
    after = update.apply(document)
    if schema is not None:
        schema.check_document(after, f"The document {shown(plain(document['_id']))}, once updated,")
    body = encoded(after)
    if len(body) > MOST_STORED:
        identity = shown(plain(document["_id"]))
        raise Refused(f"The document {identity} would have {len(body)} bytes: the most is {MOST_STORED}.")
    return body
