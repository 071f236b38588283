"""Where documents are kept: SQLite and MongoDB pass one contract test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from app.toolsets.documents.filters import Matches
from app.toolsets.documents.pipelines import Pipeline
from app.toolsets.documents.projections import Projection
from app.toolsets.documents.schemas import CompiledSchema, Schema
from app.toolsets.documents.sorting import Sort
from app.toolsets.documents.updates import Update
from app.toolsets.documents.values import Document, ObjectId

Id = str | int | ObjectId

TOOLS = "slipway_tools"
"""The collection of stored tools."""
RESERVED = "slipway_"
"""What the names of collections begin with that belong to the platform."""


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter that was checked: as it was sent, and as a function."""

    raw: Document
    matches: Matches


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Which documents, in which order, and what of them."""

    filter: Filter
    after: Id | None = None
    """Only documents whose `_id` comes after this one; without `sort`."""
    projection: tuple[Document, Projection] | None = None
    """As it was sent, and as a function."""
    sort: Sort | None = None
    """None is by `_id`; otherwise `_id` decides between equal documents."""
    skip: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How much at most: documents, bytes of them as JSON, seconds."""

    documents: int
    size: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What was found, as JSON."""

    documents: list[msgspec.Raw]
    last: Id | None = None
    """The `_id` of the last one, where it is of a kind that `Query.after` takes."""
    more: bool = False
    """There is more than the extent allowed."""


@dataclass(frozen=True, slots=True)
class Updated:
    """How many documents an update found and how many it changed."""

    matched: int
    modified: int


class Collection(msgspec.Struct):
    """One collection, with its schema if it has one."""

    name: str
    documents: int
    schema: Schema | None = None


class DuplicateId(Exception):
    """There is a document with that `_id` already. `position` is its place among those inserted."""

    def __init__(self, position: int) -> None:
        super().__init__(position)
        self.position = position


class DocumentStore(Protocol):
    """Methods raise `StoreAway` soon where the store does not answer, `TookTooLong`, and `Refused`."""

    @property
    def kind(self) -> str:
        """What it is, for people."""
        ...

    async def collections(self) -> list[Collection]:
        """All collections, by name, those of the platform too."""
        ...

    async def exists(self, name: str) -> bool:
        """Whether there is a collection of that name."""
        ...

    async def schema(self, name: str) -> CompiledSchema | None:
        """What the documents of a collection are held to; None where there is no schema or no collection."""
        ...

    async def create(self, name: str, schema: Schema | None) -> bool:
        """Make a collection; False where there is one already, which stays as it is."""
        ...

    async def set_schema(self, name: str, schema: Schema | None) -> None:
        """Hold documents to a schema from now on; those that are there stay as they are."""
        ...

    async def insert(self, name: str, documents: Sequence[Document]) -> None:
        """Insert in order, making the collection if need be. Raises `DuplicateId`; those before it stay inserted."""
        ...

    async def find(self, name: str, query: Query, extent: Extent) -> Batch:
        """The documents that the query is about."""
        ...

    async def update(
        self, name: str, wanted: Filter, update: Update, *, many: bool, schema: CompiledSchema | None
    ) -> Updated:
        """Change the first document that matches, by `_id`, or all of them. Raises `Refused` for what would not fit."""
        ...

    async def delete(self, name: str, wanted: Filter, *, many: bool) -> int:
        """Delete the first document that matches, by `_id`, or all of them; how many were."""
        ...

    async def aggregate(self, name: str, pipeline: Pipeline, extent: Extent) -> Batch:
        """What comes out of the pipeline."""
        ...

    async def ping(self) -> None:
        """Return when the store answers."""
        ...

    async def close(self) -> None:
        """Let go of connections and files."""
        ...


def as_id(value: Any) -> Id | None:
    """The value, where it is an `_id` of ours."""
    if isinstance(value, str | ObjectId) or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    return None
