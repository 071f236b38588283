"""The tools for documents."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from app.toolsets import Offer, ToolAnnotations, tool
from app.toolsets.documents.service import MOST_INSERTED, Documents, Wanted
from app.toolsets.documents.values import plain

MOST_FOUND = 1_000
_USUAL = 50
_READS = ToolAnnotations(read_only_hint=True, open_world_hint=False)
_ADDS = ToolAnnotations(destructive_hint=False, open_world_hint=False)
_CHANGES = ToolAnnotations(destructive_hint=True, open_world_hint=False)

Object = dict[str, Any]
Name = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=120,
        pattern=r"^[A-Za-z][A-Za-z0-9_.-]*$",
        description="A collection: a letter, then letters, digits, _ . -",
    ),
]
Filter = Annotated[
    Object,
    Meta(
        description="Which documents, in MongoDB's query language without code; {} is all of them. Dates are "
        '{"$date": "2026-01-31T12:00:00Z"}',
        examples=[{"status": "open", "price": {"$gte": 10}}],
    ),
]
Projection = Annotated[
    Object, Meta(description="Fields to give back (1) or to leave out (0); {} is all", examples=[{"name": 1}])
]
Milliseconds = Annotated[
    Annotated[int, Meta(ge=1)] | None,
    Meta(description="Give up after so many milliseconds; the server's own limit also holds"),
]
JsonSchema = Annotated[Object | None, Meta(description="A JSON Schema that documents must fit; null for none")]
Shown = Annotated[Raw, Meta(extra_json_schema={"type": "object"})]
ShownId = Annotated[Any, Meta(description='Text, an integer, or {"$oid": …}')]


class CollectionInfo(msgspec.Struct):
    """One collection."""

    name: str
    documents: int
    schema: Object | UnsetType = UNSET


class Collections(msgspec.Struct):
    """All collections, by name."""

    collections: list[CollectionInfo]


class Inserted(msgspec.Struct):
    """The `_id` of each document, in order."""

    ids: list[ShownId]


class Found(msgspec.Struct, rename="camel"):
    """A page of documents; there is a next one where there is a cursor."""

    documents: list[Shown]
    next_cursor: str | UnsetType = UNSET


class Got(msgspec.Struct):
    """One document."""

    document: Shown


class Changed(msgspec.Struct, rename="camel"):
    """How many documents matched, and how many of them are different now."""

    matched: int
    modified: int
    upserted_id: Any = UNSET


class Deleted(msgspec.Struct):
    """How many documents are gone."""

    deleted: int


class Aggregated(msgspec.Struct):
    """What came out; `truncated` where there was more: add $match, $limit or $project."""

    documents: list[Shown]
    truncated: bool


def document_tools(service: Documents) -> list[Offer]:
    """The tools for these documents."""
    return [*_of_collections(service), *_reading(service), *_writing(service)]


def _of_collections(service: Documents) -> list[Offer]:
    @tool(title="List collections", annotations=_READS)
    async def list_collections() -> Collections:
        """List the collections with the number of their documents and their JSON Schemas."""
        return Collections(
            [
                CollectionInfo(found.name, found.documents, found.schema or UNSET)
                for found in await service.collections()
            ]
        )

    @tool(title="Create a collection", annotations=_ADDS)
    async def create_collection(collection: Name, schema: JsonSchema = None) -> CollectionInfo:
        """Create a collection, if need be with a JSON Schema that every document in it has to fit.

        Collections without a schema need not be created: insert makes them.
        """
        await service.create(collection, schema)
        return CollectionInfo(collection, 0, schema or UNSET)

    @tool(title="Set a schema", annotations=_CHANGES)
    async def set_schema(collection: Name, schema: JsonSchema) -> None:
        """Replace the JSON Schema of a collection. Documents already in it stay as they are until they are updated."""
        await service.set_schema(collection, schema)

    return [list_collections, create_collection, set_schema]


def _reading(service: Documents) -> list[Offer]:
    @tool(title="Get a document", annotations=_READS)
    async def get(
        collection: Name,
        id: Annotated[str | int, Meta(description="Its _id")],  # noqa: A002 (this is what clients send)
        projection: Projection = {},  # noqa: B006 (every call gets its own)
    ) -> Got:
        """Get one document by its _id."""
        return Got(await service.get(collection, id, projection))

    @tool(title="Find documents", annotations=_READS)
    async def find(
        collection: Name,
        filter: Filter = {},  # noqa: A002, B006
        projection: Projection = {},  # noqa: B006
        sort: Annotated[
            Object,
            Meta(description="Fields with 1 (least first) or -1; by _id if empty", examples=[{"created": -1}]),
        ] = {},  # noqa: B006
        limit: Annotated[int, Meta(ge=1, le=MOST_FOUND, description="How many documents at most")] = _USUAL,
        cursor: Annotated[str | None, Meta(description="nextCursor of the page before")] = None,
        max_time_ms: Milliseconds = None,
    ) -> Found:
        """Find documents that match a filter, page by page.

        Operators: $eq $ne $gt $gte $lt $lte $in $nin $exists $type $regex $mod $all $size $elemMatch, and $not $and $or
        $nor.
        """
        wanted = Wanted(
            filter=filter,
            projection=projection,
            sort=sort,
            limit=limit,
            cursor=cursor,
            milliseconds=max_time_ms,
        )
        found, after = await service.find(collection, wanted)
        return Found(found, after or UNSET)

    @tool(title="Aggregate documents", annotations=_READS)
    async def aggregate(
        collection: Name,
        pipeline: Annotated[
            list[Object],
            Meta(description="Stages, in order", examples=[[{"$group": {"_id": "$status", "count": {"$sum": 1}}}]]),
        ],
        limit: Annotated[int, Meta(ge=1, le=MOST_FOUND, description="How many results at most")] = _USUAL,
        max_time_ms: Milliseconds = None,
    ) -> Aggregated:
        """Compute over the documents of a collection.

        Stages: $match $project $addFields $set $unset $group $sort $limit $skip $unwind $count.
        """
        found, truncated = await service.aggregate(collection, pipeline, limit=limit, milliseconds=max_time_ms)
        return Aggregated(found, truncated)

    return [get, find, aggregate]


def _writing(service: Documents) -> list[Offer]:
    @tool(title="Insert documents", annotations=_ADDS)
    async def insert(
        collection: Name,
        documents: Annotated[list[Object], Meta(min_length=1, max_length=MOST_INSERTED)],
    ) -> Inserted:
        """Insert documents. A document without an _id gets one. A collection that does not exist is made."""
        return Inserted([plain(identity) for identity in await service.insert(collection, documents)])

    @tool(title="Update documents", annotations=_CHANGES)
    async def update(
        collection: Name,
        filter: Filter,  # noqa: A002
        update: Annotated[
            Object, Meta(description="Update operators", examples=[{"$set": {"status": "done"}, "$inc": {"tries": 1}}])
        ],
        many: Annotated[bool, Meta(description="Change all that match instead of one")] = False,
        upsert: Annotated[bool, Meta(description="Insert a document where none matches")] = False,
    ) -> Changed:
        """Change documents that match a filter: one, or all with many.

        Operators: $set $unset $inc $mul $min $max $rename $push $addToSet $pull $pop $currentDate $setOnInsert.
        """
        done, inserted = await service.update(collection, filter, update, many=many, upsert=upsert)
        return Changed(done.matched, done.modified, UNSET if inserted is None else plain(inserted))

    @tool(title="Delete documents", annotations=_CHANGES)
    async def delete(
        collection: Name,
        filter: Filter,  # noqa: A002
        many: Annotated[bool, Meta(description="Delete all that match instead of one")] = False,
    ) -> Deleted:
        """Delete documents that match a filter: one, or all with many."""
        return Deleted(await service.delete(collection, filter, many=many))

    return [insert, update, delete]
