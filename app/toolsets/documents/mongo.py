"""Documents in MongoDB, or in a server that speaks its protocol."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
from pymongo import AsyncMongoClient
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import OperationFailure, PyMongoError

from app.toolsets.documents._bson import CODEC, from_bson, json_of, to_bson
from app.toolsets.documents._mongo_errors import EXISTS, NOT_IMPLEMENTED, told
from app.toolsets.documents._mongo_schema import validator_of
from app.toolsets.documents.errors import Refused, shown
from app.toolsets.documents.pages import Page
from app.toolsets.documents.pipelines import Pipeline
from app.toolsets.documents.schemas import CompiledSchema, Schema
from app.toolsets.documents.store import RESERVED, Batch, Collection, Extent, Filter, Id, Query, Updated, as_id
from app.toolsets.documents.updates import Update
from app.toolsets.documents.values import Document, plain, typed

DATABASE = "slipway"
_SCHEMAS = f"{RESERVED}collections"
_SELECTION_MS = 2_000
_ATTEMPTS = 5
_TYPES = ("string", "object", "array", "binData", "objectId", "bool", "date", "timestamp", "regex")
"""What comes after numbers, in the order in which values of different types are sorted."""

_decode_schema = msgspec.json.Decoder(dict[str, Any]).decode


class MongoStore:
    """A `DocumentStore` on a server; the URI names the database."""

    kind = "mongodb"

    def __init__(self, uri: str, *, seconds: float) -> None:
        """Raises `ValueError` for a URI that cannot be used."""
        try:
            self._client: AsyncMongoClient[Document] = AsyncMongoClient(
                uri, appname="slipway", serverSelectionTimeoutMS=_SELECTION_MS, connectTimeoutMS=_SELECTION_MS
            )
            self._database: AsyncDatabase[Document] = self._client.get_default_database(DATABASE, CODEC)
        except (PyMongoError, ValueError) as error:
            # Its own message may quote a part of the URI, and with it the password.
            raise ValueError(f"it cannot be understood ({type(error).__name__})") from None
        self._seconds = seconds

    async def collections(self) -> list[Collection]:
        with told(self._seconds):
            names = sorted(await self._database.list_collection_names())
            schemas = {entry["_id"]: entry["schema"] async for entry in self._database[_SCHEMAS].find()}
            return [
                Collection(
                    name,
                    await self._database[name].estimated_document_count(),
                    _decode_schema(schemas[name]) if name in schemas else None,
                )
                for name in names
                if not name.startswith("system.")
            ]

    async def exists(self, name: str) -> bool:
        with told(self._seconds):
            return bool(await self._database.list_collection_names(filter={"name": name}))

    async def schema(self, name: str) -> CompiledSchema | None:
        with told(self._seconds):
            entry = await self._database[_SCHEMAS].find_one({"_id": name})
        return None if entry is None else CompiledSchema(typed(_decode_schema(entry["schema"]), "schema"))

    async def create(self, name: str, schema: Schema | None) -> bool:
        validator = validator_of(None if schema is None else typed(schema, "schema"))
        with told(self._seconds):
            try:
                await self._create(name, validator)
            except OperationFailure as error:
                if error.code == EXISTS:
                    return False
                raise
            await self._keep_schema(name, schema)
        return True

    async def set_schema(self, name: str, schema: Schema | None) -> None:
        validator = validator_of(None if schema is None else typed(schema, "schema"))
        with told(self._seconds):
            await self._keep_schema(name, schema)
            try:
                await self._database.command("collMod", name, validator=validator)
            except OperationFailure as error:
                if error.code not in NOT_IMPLEMENTED:
                    raise

    async def insert(self, name: str, documents: Sequence[Document]) -> None:
        with told(self._seconds):
            await self._database[name].insert_many([to_bson(document) for document in documents])

    async def find(self, name: str, query: Query, extent: Extent) -> Batch:
        wanted: Document = to_bson(query.filter.raw)
        if query.after is not None:
            wanted = {"$and": [wanted, _after(query.after)]} if wanted else _after(query.after)
        order = [(".".join(path), direction) for path, direction in query.sort or ()]
        if all(field != "_id" for field, _ in order):
            order.append(("_id", 1))
        page = Page(extent)
        with told(extent.seconds):
            cursor = self._database[name].find(
                wanted,
                projection=None if query.projection is None else {**query.projection[0]},
                sort=order,
                skip=query.skip,
                limit=extent.documents + 1,
            )
            async with cursor:
                async for document in cursor:
                    if not page.add(json_of(document), as_id(from_bson(document.get("_id")))):
                        break
        return page.batch()

    async def update(
        self, name: str, wanted: Filter, update: Update, *, many: bool, schema: CompiledSchema | None
    ) -> Updated:
        collection, raw = self._database[name], to_bson(wanted.raw)
        with told(self._seconds):
            if schema is not None:
                return await _update_checked(collection, raw, update, schema, many=many)
            change = collection.update_many if many else collection.update_one
            done = await change(raw, to_bson(update.raw))
            return Updated(done.matched_count, done.modified_count)

    async def delete(self, name: str, wanted: Filter, *, many: bool) -> int:
        collection = self._database[name]
        with told(self._seconds):
            delete = collection.delete_many if many else collection.delete_one
            return (await delete(to_bson(wanted.raw))).deleted_count

    async def aggregate(self, name: str, pipeline: Pipeline, extent: Extent) -> Batch:
        stages: list[Document] = [*to_bson(pipeline.raw), {"$limit": extent.documents + 1}]
        page = Page(extent)
        with told(extent.seconds):
            async with await self._database[name].aggregate(stages) as cursor:
                async for document in cursor:
                    if not page.add(json_of(document), None):
                        break
        return page.batch()

    async def ping(self) -> None:
        with told(self._seconds):
            await self._database.command("ping")

    async def close(self) -> None:
        await self._client.close()

    async def _create(self, name: str, validator: Document) -> None:
        try:
            options: dict[str, Any] = {"validator": validator} if validator else {}
            await self._database.create_collection(name, check_exists=False, **options)
        except OperationFailure as error:
            if not validator or error.code not in NOT_IMPLEMENTED:
                raise
            await self._database.create_collection(name, check_exists=False)

    async def _keep_schema(self, name: str, schema: Schema | None) -> None:
        """As text: names in a schema may begin with $, which fields of older servers may not."""
        schemas = self._database[_SCHEMAS]
        if schema is None:
            await schemas.delete_one({"_id": name})
        else:
            kept = {"schema": msgspec.json.encode(schema).decode()}
            await schemas.replace_one({"_id": name}, kept, upsert=True)


async def _update_checked(
    collection: AsyncCollection[Document], wanted: Document, update: Update, schema: CompiledSchema, *, many: bool
) -> Updated:
    """Try each change here first. It is made only where the document is still the one that was tried."""
    matched = modified = 0
    cursor = collection.find(wanted, limit=0 if many else 1)
    async with cursor:
        async for document in cursor:
            done = await _update_one_checked(collection, wanted, document, update, schema)
            matched, modified = matched + done.matched, modified + done.modified
    return Updated(matched, modified)


async def _update_one_checked(
    collection: AsyncCollection[Document], wanted: Document, found: Document, update: Update, schema: CompiledSchema
) -> Updated:
    document: Document | None = found
    for _ in range(_ATTEMPTS):
        before, after = await asyncio.to_thread(_tried, document, update, schema)
        unchanged: Document = {name: {"$eq": value} for name, value in (document or {}).items()}
        absent: Document = {name: {"$exists": False} for name in after if name not in before}
        done = await collection.update_one({**absent, **unchanged}, to_bson(update.raw))
        if done.matched_count:
            return Updated(1, done.modified_count)
        document = await collection.find_one({"$and": [wanted, {"_id": found["_id"]}]})
        if document is None:
            return Updated(0, 0)
    raise Refused(
        f"The document {shown(plain(from_bson(found['_id'])))} is being changed by others all the time: try again."
    )


def _tried(document: Document | None, update: Update, schema: CompiledSchema) -> tuple[Document, Document]:
    """The document before and after. Raises `Refused` where it would not fit the schema."""
    before: Document = from_bson(document)
    after = update.apply(before)
    schema.check_document(after, f"The document {shown(plain(before['_id']))}, once updated,")
    return before, after


def _after(identity: Id) -> Document:
    """Ids that come after this one: of its type, or of one that sorts later."""
    later = _TYPES[_TYPES.index("objectId") + 1 :]
    if isinstance(identity, str):
        later = _TYPES[1:]
    elif isinstance(identity, int):
        later = _TYPES
    return {"$or": [{"_id": {"$gt": to_bson(identity)}}, {"_id": {"$type": [*later]}}]}
