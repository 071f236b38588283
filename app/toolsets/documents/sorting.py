"""The order in which documents are given back."""

from __future__ import annotations

from typing import Any, cast

from app.toolsets.documents import paths
from app.toolsets.documents.errors import Refused, shown
from app.toolsets.documents.ordering import MISSING, Descending, Key, key_of
from app.toolsets.documents.values import Document, plain

MOST_FIELDS = 10

Sort = tuple[tuple[paths.Path, int], ...]
"""Fields, each with 1 (the least first) or -1."""


def compile_sort(sort: Any, where: str = "sort") -> Sort:
    """Check an order. Raises `Refused`."""
    if not isinstance(sort, dict) or not 1 <= len(cast("Document", sort)) <= MOST_FIELDS:
        example = '{"created": -1}'
        raise Refused(f"{where} is {shown(plain(sort))}: send 1 to {MOST_FIELDS} fields with 1 or -1, as in {example}.")
    order: list[tuple[paths.Path, int]] = []
    for field, direction in cast("Document", sort).items():
        if type(direction) is not int or direction not in (1, -1):
            at = f"{where}.{field[:80]}"
            raise Refused(f"{at} is {shown(plain(direction))}: send 1 for the least first or -1 for the largest first.")
        order.append((paths.parse(field, where), direction))
    return tuple(order)


def sorted_documents(documents: list[Document], sort: Sort) -> list[Document]:
    """The documents in that order; equal ones stay as they were."""
    return sorted(documents, key=lambda document: sort_key(document, sort))


def sort_key(document: Document, sort: Sort) -> tuple[Key | Descending, ...]:
    """Where the document belongs."""
    return tuple(_place(document, path, direction) for path, direction in sort)


def _place(document: Document, path: paths.Path, direction: int) -> Key | Descending:
    """Of an array, the element that comes first counts; an empty one comes before everything."""
    keys: list[Key] = []
    for value in paths.reach(document, path):
        if isinstance(value, list):
            keys.extend([key_of(entry) for entry in cast("list[Any]", value)] or [(0,)])
        else:
            keys.append(key_of(None if value is MISSING else value))
    keys = keys or [key_of(None)]
    return min(keys) if direction > 0 else Descending(max(keys))
