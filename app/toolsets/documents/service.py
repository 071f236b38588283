"""What the tools do, whatever the store: checks, limits, ids, schemas, cursors."""

from __future__ import annotations

import asyncio
import difflib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from app.toolsets.documents.cursors import Cursor, digest_of, read_cursor, written_cursor
from app.toolsets.documents.errors import Refused, shown
from app.toolsets.documents.filters import compile_filter, equalities
from app.toolsets.documents.pipelines import compile_pipeline
from app.toolsets.documents.projections import compile_projection
from app.toolsets.documents.schemas import CompiledSchema, Schema
from app.toolsets.documents.sorting import compile_sort
from app.toolsets.documents.store import (
    RESERVED,
    Batch,
    Collection,
    DocumentStore,
    DuplicateId,
    Extent,
    Filter,
    Id,
    Query,
    Updated,
)
from app.toolsets.documents.updates import Update, compile_update
from app.toolsets.documents.values import (
    Document,
    check_document,
    check_id,
    encoded,
    is_object_id,
    new_id,
    plain,
    typed,
)

Value = TypeVar("Value")

MOST_INSERTED = 1_000
_UPSERT_ATTEMPTS = 3
_SMALL = 32 * 1024
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,119}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one call may cost."""

    seconds: float = 5.0
    max_document_bytes: int = 1024 * 1024
    """Of a document that is inserted, and of an update."""
    max_result_bytes: int = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What `find` is asked for, as it was sent."""

    filter: Document
    projection: Document
    sort: Document
    limit: int
    cursor: str | None = None
    milliseconds: int | None = None


class Documents:
    """The documents of this server."""

    def __init__(self, store: DocumentStore, limits: Limits | None = None) -> None:
        self.store = store
        self.limits = limits or Limits()

    async def collections(self) -> list[Collection]:
        """All collections that tools may use, by name."""
        return [found for found in await self.store.collections() if not found.name.startswith(RESERVED)]

    async def create(self, name: str, schema: Schema | None) -> None:
        """Make a collection. Raises `Refused` where there is one."""
        check_name(name)
        self._check_schema(schema)
        if not await self.store.create(name, schema):
            raise Refused(f"There is already a collection '{name}': insert into it, or change it with set_schema.")

    async def set_schema(self, name: str, schema: Schema | None) -> None:
        """Hold a collection to a schema, or to none."""
        check_name(name)
        self._check_schema(schema)
        await self._check_exists(name)
        await self.store.set_schema(name, schema)

    async def insert(self, name: str, sent: Sequence[Document]) -> list[Id]:
        """Insert documents; their ids."""
        check_name(name)
        schema = await self.store.schema(name)
        documents = await _considered(sent, lambda: self._insertable(sent, schema))
        try:
            await self.store.insert(name, documents)
        except DuplicateId as taken:
            identity = shown(plain(documents[taken.position]["_id"]))
            before = f"The {taken.position} before it were inserted. " if taken.position else ""
            raise Refused(
                f"documents[{taken.position}]: there is already a document with the _id {identity}. {before}"
                "Change that one with update, or leave _id out."
            ) from None
        return [document["_id"] for document in documents]

    async def get(self, name: str, identity: str | int, projection: Document) -> msgspec.Raw:
        """The document with that `_id`. Raises `Refused` where there is none."""
        check_name(name)
        wanted: Document = {"_id": typed(identity, "id")}
        if isinstance(identity, str) and is_object_id(identity):
            wanted = {"_id": {"$in": [identity, {"$oid": identity}]}}
        query = Query(filter=await _filter(wanted), projection=_projection(projection))
        found = await self.store.find(name, query, self._extent(1, None))
        if found.documents:
            return found.documents[0]
        await self._check_exists(name)
        raise Refused(f"There is no document with the _id {shown(identity)} in '{name}'. find lists those that are.")

    async def find(self, name: str, wanted: Wanted) -> tuple[list[msgspec.Raw], str | None]:
        """A page of documents, and the cursor of the next one if there is one."""
        check_name(name)
        asked = digest_of(name, wanted.filter, wanted.sort)
        begin = Cursor() if wanted.cursor is None else read_cursor(wanted.cursor, asked)
        query = Query(
            filter=await _filter(wanted.filter),
            projection=_projection(wanted.projection),
            sort=compile_sort(wanted.sort) if wanted.sort else None,
            after=begin.after,
            skip=begin.skip,
        )
        found = await self.store.find(name, query, self._extent(wanted.limit, wanted.milliseconds))
        if not found.documents:
            await self._check_exists(name)
        return found.documents, _next(begin, query, found, asked)

    async def update(
        self, name: str, sent: Document, update: Document, *, many: bool, upsert: bool
    ) -> tuple[Updated, Id | None]:
        """Change documents; with `upsert` insert one where none matches, and tell its id."""
        check_name(name)
        wanted, change = await _filter(sent), await _considered(update, lambda: self._update(update))
        if many and upsert:
            raise Refused("many and upsert are both true: an upsert is about one document; send one of them.")
        schema = await self.store.schema(name)
        for _ in range(_UPSERT_ATTEMPTS):
            done = await self.store.update(name, wanted, change, many=many, schema=schema)
            if done.matched:
                return done, None
            if not upsert:
                await self._check_exists(name)
                return done, None
            document = self._upserted(wanted.raw, change, schema)
            try:
                await self.store.insert(name, [document])
            except DuplicateId:
                continue  # somebody was quicker: now there is one to update, unless the filter excludes it
            return done, document["_id"]
        raise Refused("There is a document with that _id which does not match the filter: name only the _id in it.")

    async def delete(self, name: str, sent: Document, *, many: bool) -> int:
        """Delete documents; how many were."""
        check_name(name)
        deleted = await self.store.delete(name, await _filter(sent), many=many)
        if not deleted:
            await self._check_exists(name)
        return deleted

    async def aggregate(
        self, name: str, sent: list[Document], *, limit: int, milliseconds: int | None
    ) -> tuple[list[msgspec.Raw], bool]:
        """What comes out of a pipeline, and whether there was more than fits into an answer."""
        check_name(name)
        pipeline = await _considered(sent, lambda: compile_pipeline(typed(sent, "pipeline")))
        found = await self.store.aggregate(name, pipeline, self._extent(limit, milliseconds))
        if not found.documents:
            await self._check_exists(name)
        return found.documents, found.more

    def _insertable(self, sent: Sequence[Document], schema: CompiledSchema | None) -> list[Document]:
        documents = [self._checked(document, f"documents[{index}]") for index, document in enumerate(sent)]
        if schema is not None:
            for index, document in enumerate(documents):
                schema.check_document(document, f"documents[{index}]")
        return documents

    def _checked(self, sent: Document, where: str) -> Document:
        """The document with its `_id` first."""
        document: Document = typed({"_id": new_id(), **sent}, where)
        if "_id" in sent:
            check_id(document["_id"], f"{where}._id")
        check_document(document, where)
        size = len(encoded(document))
        if size > self.limits.max_document_bytes:
            raise Refused(f"{where} has {size} bytes: send at most {self.limits.max_document_bytes}.")
        return document

    def _update(self, sent: Document) -> Update:
        size = len(msgspec.json.encode(sent))
        if size > self.limits.max_document_bytes:
            raise Refused(f"update has {size} bytes: send at most {self.limits.max_document_bytes}.")
        return compile_update(typed(sent, "update"))

    def _upserted(self, wanted: Document, change: Update, schema: CompiledSchema | None) -> Document:
        begun = equalities(wanted)
        for name in begun:
            if "." in name:
                raise Refused(f"filter.{name}: an upsert cannot make a document from a path; name the whole object.")
        document = change.apply({"_id": new_id(), **begun}, inserting=True)
        check_id(document["_id"], "filter._id")
        if schema is not None:
            schema.check_document(document, "The document that the upsert would insert")
        return document

    def _check_schema(self, schema: Schema | None) -> None:
        if schema is not None:
            size = len(msgspec.json.encode(schema))
            if size > self.limits.max_document_bytes:
                raise Refused(f"schema has {size} bytes: send at most {self.limits.max_document_bytes}.")
            CompiledSchema(typed(schema, "schema"))

    async def _check_exists(self, name: str) -> None:
        if await self.store.exists(name):
            return
        known = [found.name for found in await self.collections()]
        near = "".join(f" Did you mean '{one}'?" for one in difflib.get_close_matches(name, known, n=1))
        there = f"There are: {', '.join(known[:20])}." if known else "There is none yet: insert makes one."
        raise Refused(f"There is no collection '{name}'.{near} {there}")

    def _extent(self, documents: int, milliseconds: int | None) -> Extent:
        seconds = self.limits.seconds if milliseconds is None else min(self.limits.seconds, milliseconds / 1000)
        return Extent(documents=documents, size=self.limits.max_result_bytes, seconds=seconds)


def check_name(name: str) -> None:
    """Raise `Refused` for what is no name of a collection, or one of the platform's own."""
    if _NAME.fullmatch(name) is None:
        raise Refused(f"collection is {shown(name)}: send a letter, then letters, digits, _ . - (120 at most).")
    if name.startswith((RESERVED, "system.")):
        raise Refused(f"The collection '{name}' belongs to the platform: names that begin so are not for tools.")


async def _considered(sent: object, work: Callable[[], Value]) -> Value:
    """What the work gives. Where much was sent it is done on a thread, so that nobody else waits for it."""
    if len(msgspec.json.encode(sent)) <= _SMALL:
        return work()
    return await asyncio.to_thread(work)


async def _filter(sent: Document) -> Filter:
    def compiled() -> Filter:
        wanted: Document = typed(sent, "filter")
        return Filter(wanted, compile_filter(wanted))

    return await _considered(sent, compiled)


def _projection(projection: Document) -> Any:
    return (projection, compile_projection(projection)) if projection else None


def _next(begin: Cursor, query: Query, found: Batch, asked: str) -> str | None:
    if not found.more:
        return None
    if query.sort is None and found.last is not None:
        return written_cursor(Cursor(after=found.last), asked)
    return written_cursor(Cursor(after=begin.after, skip=begin.skip + len(found.documents)), asked)
